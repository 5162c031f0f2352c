"""Where the three data folders stand: in `REPLAY_HOME`, else in the current directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["ENVIRONMENT_HOME", "Home", "home"]

ENVIRONMENT_HOME: Final = "REPLAY_HOME"


class Home(NamedTuple):
    """The folder that holds market data, results and live state; nothing here is created by looking."""

    root: Path

    @property
    def cache(self) -> Path:
        """Market data: derived, checked by digest."""
        return self.root / "backtest_cache"

    @property
    def results(self) -> Path:
        """One directory per run, never overwritten."""
        return self.root / "backtest_results"

    @property
    def data(self) -> Path:
        """Live state of running replays; safe to delete."""
        return self.root / "replay_data"


def home() -> Home:
    """Return the home of this process, an absolute path; `REPLAY_HOME` may begin with `~`."""
    chosen = os.environ.get(ENVIRONMENT_HOME)
    return Home(Path(chosen).expanduser().resolve() if chosen else Path.cwd())
