"""A recorded order book: rebuilt from its snapshot and changes, and walked by market orders of several sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from orchestrator.arrow_reading import parquet_table
from orchestrator.protocol import Side

__all__ = ["Book", "Recording", "read_recording"]

_NS_PER_MS = 1_000_000
_NS_PER_SECOND = 1_000_000_000


class Book(NamedTuple):
    """The book at one time; levels from the best outwards."""

    time_ns: int
    bids: npt.NDArray[np.float64]  # [n, 2]: price, quantity
    asks: npt.NDArray[np.float64]

    @property
    def mid(self) -> float:
        """Mean of the best bid and the best ask."""
        return float(self.bids[0, 0] + self.asks[0, 0]) / 2

    @property
    def half_spread_bps(self) -> float:
        """From the middle to the best price, basis points."""
        return (float(self.asks[0, 0]) / self.mid - 1) * 1e4

    def cost_bps(self, side: Side, qty: float) -> float:
        """Return how far the mean price of a market order lies from the middle, basis points; NaN if too deep."""
        levels = self.asks if side is Side.BUY else self.bids
        filled = np.cumsum(levels[:, 1])
        last = int(filled.searchsorted(qty))
        if last == len(levels):
            return float("nan")
        taken = levels[: last + 1, 1].copy()
        taken[-1] -= filled[last] - qty
        price = float(taken @ levels[: last + 1, 0]) / qty
        return abs(price / self.mid - 1) * 1e4


class Recording(NamedTuple):
    """Snapshot, changes and trades of one coin, in the order in which they were received."""

    kinds: list[str]
    sides: list[str]  # of the book: b, a; of trades: the taker's
    times_ns: list[int]  # the exchange's clock
    prices: list[float]
    quantities: list[float]
    last_ids: list[int]

    def books(self, every_seconds: int) -> Iterator[Book]:
        """Yield the book every so many seconds, once the snapshot is complete."""
        book: dict[str, dict[float, float]] = {"b": {}, "a": {}}
        snapshot_id = self._load_snapshot(book)
        next_ns = 0
        for row, kind in enumerate(self.kinds):
            if kind != "depth" or self.last_ids[row] <= snapshot_id:
                continue
            time_ns = self.times_ns[row]
            if time_ns >= next_ns:
                if next_ns:
                    yield Book(next_ns, _levels(book["b"], -1), _levels(book["a"], 1))
                next_ns = (time_ns // _NS_PER_SECOND + every_seconds) * _NS_PER_SECOND
            side = book[self.sides[row]]
            if self.quantities[row]:
                side[self.prices[row]] = self.quantities[row]
            else:
                side.pop(self.prices[row], None)

    def _load_snapshot(self, book: dict[str, dict[float, float]]) -> int:
        snapshot_id = 0
        for row, kind in enumerate(self.kinds):
            if kind == "snapshot":
                book[self.sides[row]][self.prices[row]] = self.quantities[row]
                snapshot_id = self.last_ids[row]
        return snapshot_id

    def volume(self, start_ns: int, end_ns: int) -> float:
        """Return what was traded in an interval, base currency."""
        return sum(
            quantity
            for kind, time_ns, quantity in zip(self.kinds, self.times_ns, self.quantities, strict=True)
            if kind == "trade" and start_ns <= time_ns < end_ns
        )


def read_recording(path: Path) -> Recording:
    """Read a Parquet file with the columns event_ms, kind, side, price, qty, last_id."""
    table = parquet_table(path, ["kind", "side", "event_ms", "price", "qty", "last_id"])
    columns = [table[name].to_pylist() for name in ("kind", "side", "event_ms", "price", "qty", "last_id")]
    columns[2] = [time_ms * _NS_PER_MS for time_ms in columns[2]]
    return Recording(*columns)


def _levels(side: dict[float, float], direction: int) -> npt.NDArray[np.float64]:
    levels = np.array(list(side.items()))
    return levels[np.argsort(direction * levels[:, 0])]
