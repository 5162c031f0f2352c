"""Candle lengths: their names, and where their grids are anchored.

Every grid is aligned to the epoch except the weekly one of exchanges whose weeks begin on Monday. The epoch
was a Thursday, so an epoch-aligned week begins on Thursday; that is what KuCoin and Kraken publish.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from orchestrator.config import NS_PER_DAY, NS_PER_SECOND

__all__ = ["floor_ns", "grid_anchor_ns", "timeframe_label"]

_NS_PER_WEEK: Final = 7 * NS_PER_DAY
_MONDAY_NS: Final = 4 * NS_PER_DAY  # 1970-01-05

_WEEKS_BEGIN_ON_MONDAY: Final = frozenset(
    {"binance", "binanceus", "bitget", "bitstamp", "bybit", "coinbase", "gemini", "htx", "mexc", "okx"}
)

_UNITS: Final = (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def grid_anchor_ns(exchange: str, timeframe_ns: int) -> int:
    """Return one open time of the grid of a timeframe on an exchange, nanoseconds since the epoch."""
    is_weekly = timeframe_ns % _NS_PER_WEEK == 0
    return _MONDAY_NS if is_weekly and exchange in _WEEKS_BEGIN_ON_MONDAY else 0


def floor_ns(times_ns: npt.NDArray[np.int64], timeframe_ns: int, anchor_ns: int) -> npt.NDArray[np.int64]:
    """Return, for each time, the open time of the grid's candle that contains it."""
    return times_ns - (times_ns - anchor_ns) % timeframe_ns


def timeframe_label(timeframe_ns: int) -> str:
    """Return the shortest name of a length, such as "5m" or "1h"; a week is "1w", eight days are "8d"."""
    seconds = timeframe_ns // NS_PER_SECOND
    for unit, size in _UNITS:
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    raise AssertionError("one second divides every whole number of seconds")  # pragma: no cover
