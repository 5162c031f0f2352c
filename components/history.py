"""Closed candles as columns, without numpy: `numpy.asarray(candles.close)` shares the memory."""

from __future__ import annotations

import datetime as dt
import sys
from array import array

from components.snapshot import from_ns
from orchestrator.protocol import ClosedCandles

__all__ = ["Candles"]


class Candles:
    """The last closed candles of one coin as of a snapshot, oldest first; all columns have the same length.

    Attributes
    ----------
    open_time_ns
        array('q'), open times in nanoseconds since the epoch, ascending.
    open, high, low, close, volume
        array('d'); prices in quote, volume in base currency. Fewer than asked for where history is shorter.
    """

    __slots__ = ("close", "coin", "high", "low", "open", "open_time_ns", "timeframe", "volume")

    def __init__(self, message: ClosedCandles) -> None:
        self.coin = message.coin
        self.timeframe = message.timeframe
        self.open_time_ns: array[int] = array("q", message.open_times)
        columns: array[float] = array("d", message.columns)
        if sys.byteorder == "big":  # blocks travel little-endian
            self.open_time_ns.byteswap()
            columns.byteswap()
        n = len(self.open_time_ns)
        self.open, self.high, self.low, self.close, self.volume = (
            columns[i * n : (i + 1) * n] for i in range(5)
        )

    def __len__(self) -> int:
        return len(self.open_time_ns)

    @property
    def times(self) -> list[dt.datetime]:
        """Open times as UTC datetimes."""
        return [from_ns(time_ns) for time_ns in self.open_time_ns]
