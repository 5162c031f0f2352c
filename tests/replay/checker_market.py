"""The checker's own view of the candles: what was known of a coin at a time, and what it was worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

NS = 1_000_000_000
RANGES = 100
RANGES_MIN = 20

Array = npt.NDArray[Any]


class CandleTable(NamedTuple):
    """Candles of one coin in order of time; `opens_ns` are their open times."""

    opens_ns: Array
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array


def read_candles(files: Iterable[Path]) -> CandleTable:
    """Read Parquet files with columns time (Unix seconds), open, high, low, close, volume."""
    columns = [
        np.concatenate(parts)
        for parts in zip(
            *(
                [
                    pq.read_table(file).column(name).to_numpy()
                    for name in ("time", "open", "high", "low", "close", "volume")
                ]
                for file in files
            ),
            strict=True,
        )
    ]
    order = np.argsort(columns[0], kind="stable")
    times, *values = (column[order] for column in columns)
    return CandleTable(times.astype(np.int64) * NS, *(value.astype(np.float64) for value in values))


def exact(value: float) -> Fraction:
    """Return the shortest decimal that reads back as the float, as a fraction."""
    return Fraction(repr(float(value)))


class CoinMarket:
    """One coin's candles in a run over [start_ns, end_ns)."""

    def __init__(self, table: CandleTable, *, timeframe_ns: int, start_ns: int, end_ns: int) -> None:
        visible = slice(0, int(np.searchsorted(table.opens_ns, end_ns)))
        self.table = CandleTable(*(column[visible] for column in table))
        self.timeframe_ns = timeframe_ns
        self.start_ns = start_ns
        self._factors: dict[int, Fraction] = {}

    @property
    def closes_ns(self) -> Array:
        return self.table.opens_ns + self.timeframe_ns

    def last_closed(self, time_ns: int) -> int | None:
        """Return the row of the last candle closed at or before a time."""
        row = int(np.searchsorted(self.closes_ns, time_ns, side="right")) - 1
        return row if row >= 0 else None

    def open_now(self, time_ns: int) -> int | None:
        """Return the row of the run's candle that contains a time."""
        row = int(np.searchsorted(self.table.opens_ns, time_ns, side="right")) - 1
        if row < 0 or self.table.opens_ns[row] < self.start_ns:
            return None
        return row if time_ns < self.table.opens_ns[row] + self.timeframe_ns else None

    def next_open(self, time_ns: int) -> int | None:
        """Return when the run's next candle opens, later than a time."""
        row = int(np.searchsorted(self.table.opens_ns, max(time_ns, self.start_ns - 1), side="right"))
        return int(self.table.opens_ns[row]) if row < len(self.table.opens_ns) else None

    def end_ns(self, run_end_ns: int) -> int:
        """Return the close of the last candle inside the run."""
        row = self.last_closed(run_end_ns)
        return 0 if row is None else int(self.closes_ns[row])

    def volatility_factor(self, row: int) -> Fraction:
        """Return m as of the close of a candle: its range over the median of the last 100, within [1, 2]."""
        if row not in self._factors:
            rows = slice(max(0, row + 1 - RANGES), row + 1)
            table = self.table
            self._factors[row] = _factor((table.high[rows] - table.low[rows]) / table.open[rows])
        return self._factors[row]


def _factor(ranges: Array) -> Fraction:
    if len(ranges) < RANGES_MIN:
        return Fraction(1)
    ordered, middle = np.sort(ranges), len(ranges) // 2
    median = exact(ordered[middle])
    if len(ranges) % 2 == 0:
        median = (exact(ordered[middle - 1]) + median) / 2
    latest = exact(ranges[-1])
    if not median:
        return Fraction(2) if latest else Fraction(1)
    return min(max(latest / median, Fraction(1)), Fraction(2))


def tick_times(coins: Mapping[str, CoinMarket], start_ns: int, end_ns: int) -> Array:
    """Return the times at which a candle of any coin closes inside the run, ascending."""
    closes = np.unique(np.concatenate([coin.closes_ns for coin in coins.values()]))
    return closes[(closes > start_ns) & (closes <= end_ns)]
