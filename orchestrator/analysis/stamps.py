"""Simulation times as text, UTC."""

from __future__ import annotations

import datetime as dt

__all__ = ["stamp"]

_NS_PER_SECOND = 1_000_000_000


def stamp(time_ns: int) -> str:
    """Return a time as `2024-01-31T12:30:00Z`; fractions of a second are cut off."""
    moment = dt.datetime.fromtimestamp(time_ns // _NS_PER_SECOND, tz=dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
