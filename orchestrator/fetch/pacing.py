"""The pace of requests to one exchange, shared by all threads; every wait ends early when the fetch is stopped."""

from __future__ import annotations

import threading
import time
from typing import Final, NoReturn

from orchestrator.errors import DataError, ReplayError

__all__ = ["REQUEST_SECONDS_MIN", "Pace", "StoppedError"]

REQUEST_SECONDS_MIN: Final = 0.1
"""No exchange is asked more often; users can only ask for more patience than this."""


class StoppedError(ReplayError):
    """The fetch was told to stop; what was stored stays."""

    exit_status = 130


class Pace:
    """Gives out the times of requests, at least `interval_seconds` apart.

    Parameters
    ----------
    interval_seconds
        Wall seconds between the starts of two requests.
    stop
        Set to end every wait with `StoppedError`.
    """

    def __init__(self, interval_seconds: float, stop: threading.Event) -> None:
        self._interval = interval_seconds
        self._stop = stop
        self._lock = threading.Lock()
        self._next = time.monotonic()
        self._end: str | None = None

    def take_turn(self, _cost: float | None = None) -> None:
        """Wait until the next request may start; what ccxt thinks that it costs is part of the interval."""
        while True:
            with self._lock:
                now = time.monotonic()
                wait = self._next - now
                if wait <= 0:
                    self._next = now + self._interval
                    self._check()
                    return
            self.wait(wait)

    def hold(self, seconds: float) -> None:
        """Let nobody ask for a while: the exchange has said that it was too much."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def end(self, reason: str) -> NoReturn:
        """Let nobody ask any more: this request, and each that is still to come, ends with a `DataError`."""
        self._end = reason
        raise DataError(reason)

    def wait(self, seconds: float) -> None:
        """Wait, unless the fetch is stopped."""
        self._stop.wait(seconds)
        self._check()

    def _check(self) -> None:
        if self._stop.is_set():
            raise StoppedError("interrupted; the same command goes on where it stopped")
        if self._end is not None:
            raise DataError(self._end)
