"""Seconds as programs give them, as the nanoseconds that the clock counts."""

from __future__ import annotations

from math import ceil
from typing import Any

from _replay_shim import real

__all__ = ["lock_timeout_ns", "poll_timeout_ns", "sleep_ns", "timeout_ns"]

SECOND_NS = 1_000_000_000
_SECONDS_MAX = 9_223_372_036  # what fits an int64 of nanoseconds; CPython refuses more


def sleep_ns(seconds: Any) -> int:
    """Return the nanoseconds of a sleep, rounded up as CPython does; raise what `time.sleep` raises."""
    if isinstance(seconds, (float, int)) and 0 <= seconds <= _SECONDS_MAX:
        return _ns(seconds)
    if hasattr(seconds, "__index__") and 0 <= seconds.__index__() <= _SECONDS_MAX:
        return int(seconds.__index__()) * SECOND_NS
    real.sleep(seconds)  # raises: negative, NaN, too large or no number
    raise ValueError(f"cannot sleep {seconds!r} seconds")


def lock_timeout_ns(blocking: bool, timeout: Any) -> int | None:
    """Return the nanoseconds that `Lock.acquire` may wait, None: without an end; raise what it raises.

    Only called when the lock is taken, or to have wrong arguments refused.
    """
    if timeout == -1:
        return None if blocking else 0
    if not blocking or not isinstance(timeout, (float, int)) or not 0 <= timeout <= _SECONDS_MAX:
        real.allocate_lock().acquire(blocking, timeout)  # raises
    return _ns(timeout)


def timeout_ns(seconds: float | None) -> int | None:
    """Return a time-out's nanoseconds: None waits without an end, a negative one not at all."""
    return None if seconds is None else max(0, _ns(seconds))


def poll_timeout_ns(milliseconds: float | None) -> int | None:
    """Return the nanoseconds of `poll`'s time-out: None and every negative one wait without an end."""
    return None if milliseconds is None or milliseconds < 0 else ceil(milliseconds * 1_000_000)


def _ns(seconds: float) -> int:
    return seconds * SECOND_NS if isinstance(seconds, int) else ceil(seconds * SECOND_NS)
