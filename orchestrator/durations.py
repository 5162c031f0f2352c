"""Durations, candle lengths and dates as people write them, in nanoseconds."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

from orchestrator.errors import ConfigError

__all__ = [
    "NS_PER_DAY",
    "NS_PER_MS",
    "NS_PER_SECOND",
    "parse_date_ns",
    "parse_duration_ns",
    "parse_timeframe_ns",
]

NS_PER_MS: Final = 1_000_000
NS_PER_SECOND: Final = 1_000_000_000
NS_PER_DAY: Final = 86_400 * NS_PER_SECOND

_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
# What 64-bit nanoseconds hold, and what a run can wait for.
_YEARS: Final = range(1970, 2262)
_DURATION_DAYS_MAX: Final = 36_500


def parse_duration_ns(text: str) -> int:
    """Return the nanoseconds of a duration such as "30m", "4h", "1d".

    Raises
    ------
    ConfigError
        If it is not a positive whole number followed by one of s, m, h, d, w, or longer than a century.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhdw])", text.strip())
    if match is None:
        raise ConfigError(
            f"duration {text!r} is not understood; write a whole number and s, m, h, d or w, such as 30m"
        )
    duration_ns = int(match[1]) * _UNIT_SECONDS[match[2]] * NS_PER_SECOND
    if duration_ns > _DURATION_DAYS_MAX * NS_PER_DAY:
        raise ConfigError(f"duration {text!r} is too long; at most {_DURATION_DAYS_MAX}d")
    return duration_ns


def parse_timeframe_ns(text: str) -> int:
    """Return the nanoseconds of a candle length such as "1m", "5m", "1h", "1d", "1w"."""
    try:
        return parse_duration_ns(text)
    except ConfigError:
        raise ConfigError(
            f"timeframe {text!r} is not understood; use such as 1m, 5m, 15m, 1h, 4h, 1d, 1w"
        ) from None


def parse_date_ns(text: str) -> int:
    """Return the nanoseconds since the epoch of an ISO date or time; without an offset it is UTC.

    Raises
    ------
    ConfigError
        If it is none, or not of the years 1970 to 2261.
    """
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"date {text!r} is not understood; write it as 2024-01-31 or 2024-01-31T12:30 (UTC)"
        ) from None
    if moment.year not in _YEARS:
        raise ConfigError(f"date {text!r} is out of range; the years {_YEARS[0]} to {_YEARS[-1]} are allowed")
    moment = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    delta = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (delta.days * 86_400 + delta.seconds) * NS_PER_SECOND + delta.microseconds * 1_000
