"""logs/orchestrator.jsonl: what the orchestrator did, as JSON lines with wall and simulation time."""

from __future__ import annotations

import contextlib
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

from orchestrator.runs.layout import write_failure
from orchestrator.runs.lines import time_text
from orchestrator.runtime import wall_clock

__all__ = ["RunLog"]

_ENCODE = msgspec.json.Encoder(decimal_format="number").encode


class RunLog:
    """The log of one run.

    Parameters
    ----------
    path
        Made by this; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self.sim_time_ns = 0  # written on every line; the loop keeps it
        self._path = path
        self._file = path.open("ab")
        self._log = structlog.wrap_logger(
            structlog.BytesLogger(self._file),
            processors=[
                structlog.processors.add_log_level,
                self._stamp,
                structlog.processors.JSONRenderer(_serialize),
            ],
        )

    def _stamp(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        stamped = {"event": event.pop("event"), "level": event.pop("level")}
        stamped["wall_time"] = wall_clock.utc_now().isoformat(timespec="milliseconds")
        stamped["sim_time"] = msgspec.Raw(time_text(self.sim_time_ns).encode())
        return {**stamped, **event}

    def info(self, event: str, **fields: object) -> None:
        """Write a line of what happened."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Write a line that is to be checked before trusting the results."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Write a line that goes with a non-zero exit."""
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        try:
            getattr(self._log, level)(event, **fields)
        except OSError as error:
            raise write_failure(error, f"the log {self._path} ends here") from error

    def close(self) -> None:
        """Close the file; what a full disk kept from it has been reported when it was written."""
        with contextlib.suppress(OSError):
            self._file.close()


def _serialize(event: object, **_options: object) -> bytes:
    return _ENCODE(event)
