"""Where things stand in a run directory (DESIGN 7), and how files come into it: whole or not at all."""

from __future__ import annotations

import datetime as dt
import errno
import os
from pathlib import Path
from typing import Final

from orchestrator.errors import ReplayError

__all__ = [
    "CONFIG_FILE",
    "DIGESTS_FILE",
    "EQUITY_FILE",
    "EQUITY_STREAM",
    "LOGS_FOLDER",
    "MANIFEST_FILE",
    "NO_ROOM",
    "WORK_FOLDER",
    "default_name",
    "is_run",
    "write_failure",
    "write_file",
]

CONFIG_FILE: Final = "config.toml"
MANIFEST_FILE: Final = "run.json"
DIGESTS_FILE: Final = "digests.jsonl"
EQUITY_FILE: Final = "equity.parquet"
EQUITY_STREAM: Final = "equity.arrows"
LOGS_FOLDER: Final = "logs"
WORK_FOLDER: Final = "work"

NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Errors of the system that mean that a file can take no more."""


def default_name(wall_time_ns: int) -> str:
    """Return the name of a run directory that was not named, from the wall time of its start (UTC)."""
    moment = dt.datetime.fromtimestamp(wall_time_ns // 1_000_000_000, dt.UTC)
    return moment.strftime("backtest_%Y-%m-%d_%H%M%S")


def is_run(directory: Path) -> bool:
    """Return whether a directory is a run: it holds a run.json."""
    return (directory / MANIFEST_FILE).is_file()


def write_file(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside it and rename it into place.

    Raises
    ------
    OSError
        If it cannot be written; the temporary file is gone and what stood at `path` is unchanged.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_failure(error: OSError, kept: str) -> ReplayError:
    """Return what to tell a user when a run directory cannot be written (any more).

    Parameters
    ----------
    error
        What the system said.
    kept
        What remains of the run, as a clause such as "what was written is in DIR".
    """
    if error.errno in NO_ROOM:
        limit = " (or a limit on file size is reached)" if error.errno == errno.EFBIG else ""
        return ReplayError(
            f"the disk is full{limit}; {kept}; make room, or give --output-dir on another disk"
        )
    reason = error.strerror or str(error)
    return ReplayError(
        f"the run directory cannot be written: {reason}; {kept}; check the disk and start again"
    )
