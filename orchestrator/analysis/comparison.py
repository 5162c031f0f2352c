"""comparison.html: several runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.analysis.charts import overlay_chart
from orchestrator.analysis.metrics import Metrics
from orchestrator.analysis.page import environment
from orchestrator.analysis.shown import HEADLINE, RETURNS, RISK, Item, plain_metrics, shown
from orchestrator.analysis.study import Study

__all__ = ["comparison_page", "differing_keys"]


def comparison_page(studied: Sequence[tuple[Study, Metrics]]) -> str:
    """Return the page that sets runs side by side, in the order given."""
    plains = [plain_metrics(metrics) for _, metrics in studied]
    curves = {metrics.run: study.curve for study, metrics in studied}
    items = _without_repetition((*HEADLINE, *RISK, *RETURNS))
    columns = [shown(items, plain) for plain in plains]
    return (
        environment()
        .get_template("comparison.html.j2")
        .render(
            title=f"{len(plains)} runs side by side: replay report",
            runs=plains,
            rows=list(zip(*columns, strict=True)),
            differences=differing_keys([study.run.configuration for study, _ in studied]),
            charts={"overlay": overlay_chart(curves)},
            is_same_time=len({(plain["start"], plain["end"]) for plain in plains}) == 1,
            is_same_data=len({plain["data_digest"] for plain in plains}) == 1,
        )
    )


def differing_keys(configurations: Sequence[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return the keys in which configurations differ, dotted, with each one's value as text."""
    flat = [_flat(configuration) for configuration in configurations]
    keys = sorted({key for one in flat for key in one})
    rows = [(key, [one.get(key, "") for one in flat]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        items = [(f"{prefix}.{key}" if prefix else key, item) for key, item in value.items()]
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        items = [(f"{prefix}.{place}", item) for place, item in enumerate(value)]
    else:
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        return {prefix: text}
    return {key: text for name, item in items for key, text in _flat(item, name).items()}


def _without_repetition(items: Sequence[Item]) -> list[Item]:
    kept: dict[str, Item] = {}
    for item in items:
        kept.setdefault(item.path, item)
    return list(kept.values())
