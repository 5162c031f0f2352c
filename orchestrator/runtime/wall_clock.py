"""The machine's own clocks, in one place: for timeouts, pacing, logs and file names - never for a result."""

from __future__ import annotations

import datetime as dt
import time

__all__ = ["monotonic_ns", "sleep", "utc_now"]

monotonic_ns = time.monotonic_ns
sleep = time.sleep


def utc_now() -> dt.datetime:
    """Return the wall time, UTC."""
    return dt.datetime.now(dt.UTC)  # noqa: TID251 - the one door to the wall clock; logs and names only
