"""A run that has no tick: why it ended, and what it was to be; there is nothing to measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from orchestrator.analysis.files import METRICS_FILE, REPORT_FILE, TRADES_FILE, write_text
from orchestrator.analysis.metrics import Metrics
from orchestrator.analysis.page import environment
from orchestrator.analysis.trade_rows import trades_csv
from orchestrator.analysis.trust import remarks_of
from orchestrator.runs.layout import CONFIG_FILE
from orchestrator.runs.reader import Run

__all__ = ["encode_figures", "has_ticks", "tickless_figures", "write_tickless"]

_NOTHING = "the run has no tick: there is nothing to measure"


def has_ticks(run: Run) -> bool:
    """Whether a run came as far as its first tick."""
    return len(run.equity.sequences) > 0


def tickless_figures(run: Run) -> dict[str, Any]:
    """Return metrics.json of a run without a tick: its keys are those of others, and every figure is None.

    Raises
    ------
    DataError
        If a file of the run is missing or cannot be read.
    """
    manifest = run.manifest
    known = {
        "run": run.name,
        "status": run.status,
        "reason": manifest.reason,
        "digest": manifest.digest,
        "data_digest": manifest.data_digest,
        "seed": manifest.seed,
        "start": manifest.sim_start,
        "sequences": 0,
        "currency": str(run.configuration.get("account", {}).get("currency", "")),
        "orders": len(run.orders),
        "fills": len(run.fills),
        "warnings": msgspec.to_builtins(remarks_of(run, _NOTHING, 0, 0)),
    }
    return {field.name: known.get(field.name) for field in msgspec.structs.fields(Metrics)}


def write_tickless(run: Run, figures: dict[str, Any]) -> Path:
    """Write metrics.json, an empty trades.csv and a page of the reason and the configuration; return its path.

    Raises
    ------
    ReplayError
        If the run directory cannot be written.
    """
    write_text(run.directory / METRICS_FILE, encode_figures(figures))
    write_text(run.directory / TRADES_FILE, trades_csv((), ()))
    page = run.directory / REPORT_FILE
    text = (
        environment()
        .get_template("tickless.html.j2")
        .render(
            m=figures,
            manifest=msgspec.to_builtins(run.manifest),
            config_text=(run.directory / CONFIG_FILE).read_text(encoding="utf-8"),
        )
    )
    write_text(page, text)
    return page


def encode_figures(figures: dict[str, Any]) -> str:
    """Return metrics.json as text."""
    return msgspec.json.format(msgspec.json.encode(figures), indent=2).decode() + "\n"
