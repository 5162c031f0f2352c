"""From a run directory to figures, tables and reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.analysis.frames import AnalysedRun

__all__ = ["load_run"]


def load_run(run: str | Path) -> AnalysedRun:
    """Return a run as pandas frames, with its metrics.

    Parameters
    ----------
    run
        The path of a run directory, the name of one in backtest_results, or "latest".

    Raises
    ------
    ConfigError
        If there is no such run.
    DataError
        If its run.json cannot be read.
    """
    # Imported when it is called: short commands import this package and need no pandas.
    from orchestrator.analysis.frames import AnalysedRun  # noqa: PLC0415
    from orchestrator.home import home  # noqa: PLC0415
    from orchestrator.runs.listing import find_run  # noqa: PLC0415
    from orchestrator.runs.reader import open_run  # noqa: PLC0415

    here = home()
    return AnalysedRun(open_run(find_run(here.results, str(run))), here.cache)
