"""What `replay analyze` leaves in a run directory: metrics.json, trades.csv, report.html."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from orchestrator.analysis.comparison import comparison_page
from orchestrator.analysis.metrics import Metrics, encode_metrics
from orchestrator.analysis.page import report_page
from orchestrator.analysis.study import Study
from orchestrator.analysis.trade_rows import trades_csv
from orchestrator.errors import ReplayError
from orchestrator.runs.layout import write_file

__all__ = [
    "COMPARISON_FILE",
    "METRICS_FILE",
    "REPORT_FILE",
    "TRADES_FILE",
    "write_analysis",
    "write_comparison",
    "write_text",
]

METRICS_FILE: Final = "metrics.json"
TRADES_FILE: Final = "trades.csv"
REPORT_FILE: Final = "report.html"
COMPARISON_FILE: Final = "comparison.html"


def write_analysis(study: Study, metrics: Metrics) -> Path:
    """Write the three files, each under a temporary name and renamed; return the page's path.

    Raises
    ------
    ReplayError
        If the run directory cannot be written.
    """
    directory = study.run.directory
    write_text(directory / METRICS_FILE, encode_metrics(metrics).decode())
    write_text(directory / TRADES_FILE, trades_csv(study.book.trades, metrics.open_trades))
    page = directory / REPORT_FILE
    write_text(page, report_page(study, metrics))
    return page


def write_comparison(studied: Sequence[tuple[Study, Metrics]]) -> Path:
    """Write the page that sets runs side by side into the directory of the first; return its path."""
    page = studied[0][0].run.directory / COMPARISON_FILE
    write_text(page, comparison_page(studied))
    return page


def write_text(path: Path, text: str) -> None:
    """Write a whole file.

    Raises
    ------
    ReplayError
        If it cannot be written.
    """
    try:
        write_file(path, text.encode())
    except OSError as error:
        raise ReplayError(
            f"{path} cannot be written: {error.strerror}; make room or copy the run to where you may write"
        ) from None
