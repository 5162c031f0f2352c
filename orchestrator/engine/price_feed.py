"""Snapshots of the market tick by tick, cut from column blocks that are loaded a few thousand ticks at a time."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from orchestrator.protocol import CandleFlag, Reason, Snapshot

__all__ = ["PriceFeed", "TickBlock", "TickSource"]

_BLOCK_TICKS = 4096
_TICK = int(Reason.TICK)
_CLEAR_NEW = bytes(flag & ~CandleFlag.NEW for flag in range(256))  # for bytes.translate


class TickBlock(Protocol):
    """Consecutive ticks as columns; see `market.market.TickBlock`."""

    @property
    def times_ns(self) -> npt.NDArray[np.int64]:
        """Shape (n,)."""

    @property
    def prices(self) -> npt.NDArray[np.float64]:
        """Shape (n, n_coins, 5)."""

    @property
    def open_times_ns(self) -> npt.NDArray[np.int64]:
        """Shape (n, n_coins)."""

    @property
    def flags(self) -> npt.NDArray[np.uint8]:
        """Shape (n, n_coins)."""


class TickSource(Protocol):
    """What the feed needs of the market."""

    @property
    def coins(self) -> tuple[str, ...]:
        """The coins of the run, in the order of every block."""

    @property
    def tick_count(self) -> int:
        """Number of ticks of the run."""

    def block(self, start: int, stop: int) -> TickBlock:
        """Return the ticks start..stop (indices, half-open)."""


class PriceFeed:
    """A cursor over the ticks of a run.

    Parameters
    ----------
    source
        What components see.
    marks
        What values holdings, with the same ticks and coins; None: the same.

    Invariant: the tick `index` (0-based), once there is one, lies in the block `[first, stop)`.
    """

    def __init__(self, source: TickSource, marks: TickSource | None = None) -> None:
        self._source = source
        self._marks = source if marks is None else marks
        self._n_coins = len(source.coins)
        self.index = -1
        self.first = 0
        self.stop = 0
        self._load(0)

    def _load(self, following: int) -> None:
        # The tick before stays in reach: it is what components see until the following one comes.
        self.first = max(following - 1, 0)
        self.stop = min(following + _BLOCK_TICKS, self._source.tick_count)
        self.block = self._source.block(self.first, self.stop)
        is_same = self._marks is self._source
        self.marks = self.block if is_same else self._marks.block(self.first, self.stop)
        self._times: list[int] = self.block.times_ns.tolist()
        # One bytes object per block: a snapshot's share is a slice of it, whatever the number of coins.
        self._prices = self.block.prices.tobytes()
        self._open_times = self.block.open_times_ns.tobytes()
        self._flags = self.block.flags.tobytes()

    @property
    def is_last_of_block(self) -> bool:
        """Return whether the next tick needs another block."""
        return self.index + 1 == self.stop

    @property
    def next_time_ns(self) -> int | None:
        """Simulation time of the next tick, None after the last one."""
        following = self.index + 1
        if following < self.stop:
            return self._times[following - self.first]
        if following >= self._source.tick_count:
            return None
        self._load(following)
        return self._times[following - self.first]

    def advance(self) -> None:
        """Go to the next tick; `next_time_ns` must have been asked before."""
        self.index += 1

    def snapshot(self, sequence: int) -> Snapshot:
        """Return the market at the tick as every component may see it."""
        row = self.index - self.first
        n = self._n_coins
        return Snapshot(
            sequence=sequence,
            step=0,
            sim_time_ns=self._times[row],
            reason=_TICK,
            prices=self._prices[row * n * 40 : (row + 1) * n * 40],
            open_times=self._open_times[row * n * 8 : (row + 1) * n * 8],
            flags=self._flags[row * n : (row + 1) * n],
        )

    def later_snapshot(self, sequence: int, step: int, sim_time_ns: int) -> Snapshot:
        """Return the market between this tick and the next: the same candles, none of them new."""
        at_tick = self.snapshot(sequence)
        return Snapshot(
            sequence=sequence,
            step=step,
            sim_time_ns=sim_time_ns,
            reason=0,
            prices=at_tick.prices,
            open_times=at_tick.open_times,
            flags=at_tick.flags.translate(_CLEAR_NEW),
        )

    def mark(self, coin: int) -> float:
        """Return the last close that values a coin (its place in the run); NaN before its first candle."""
        return float(self.marks.prices[self.index - self.first, coin, 3])
