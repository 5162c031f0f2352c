"""Ctrl+C and SIGTERM: counted, and acted on where the loop is ready for it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType, TracebackType
from typing import Any, Self

from orchestrator.runtime import wall_clock

__all__ = ["Interrupts"]


class Interrupts:
    """Counts interrupts while it is entered; the previous handlers are restored after it.

    Attributes
    ----------
    count
        0 none, 1 finish and stop, 2 or more kill at once.
    """

    def __init__(self) -> None:
        self.count = 0
        self._first_ns = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for signum in (signal.SIGINT, signal.SIGTERM):
            self._previous[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count == 1:
            self._first_ns = wall_clock.monotonic_ns()
            if signum == signal.SIGINT:
                _say_that_it_stops()

    def stop(self) -> None:
        """Count one more, as if a signal had come; for `replay control stop`."""
        self._note(0, None)

    def has_lasted(self, seconds: float) -> bool:
        """Return whether the first interrupt is longer ago than that."""
        return self.count > 0 and wall_clock.monotonic_ns() - self._first_ns > seconds * 1e9


def _say_that_it_stops() -> None:
    # Written past Python's own buffers: this may stand in the middle of any other line that is being written.
    with contextlib.suppress(OSError, ValueError, AttributeError):  # no stderr, or a terminal that is gone
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), b"\nstopping; Ctrl+C again ends it now\n")
