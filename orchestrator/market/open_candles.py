"""The candle of a longer timeframe that is still open, as a live exchange shows it to those who poll.

It is made of base candles that are closed: what the current base candle will do is not in it. Who asks again a
little later pays only for the base candles that closed in between.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from orchestrator.candle import Candle
from orchestrator.market.candles import Candles

__all__ = ["OpenCandles"]


class _Part(NamedTuple):
    """Rows first..stop of the base make up the candle that opens at `open_time_ns`, up to now."""

    open_time_ns: int
    first: int
    stop: int
    high: float
    low: float
    volume: float


class OpenCandles:
    """The open candles of one coin and timeframe.

    Parameters
    ----------
    base
        Sorted candles of a shorter timeframe, on a grid that contains the longer one's.
    base_ns
        Length of a base candle.
    timeframe_ns, anchor_ns
        The longer grid.
    """

    def __init__(self, base: Candles, base_ns: int, timeframe_ns: int, anchor_ns: int) -> None:
        self._base = base
        self._base_ns = base_ns
        self._timeframe_ns = timeframe_ns
        self._anchor_ns = anchor_ns
        self._last: _Part | None = None

    def at(self, sim_time_ns: int) -> Candle | None:
        """Return the candle that is open at the time, None while none of its base candles is closed.

        The same for the same time, whatever was asked before.
        """
        open_time_ns = sim_time_ns - (sim_time_ns - self._anchor_ns) % self._timeframe_ns
        times = self._base.open_times_ns
        stop = int(times.searchsorted(sim_time_ns - self._base_ns, "right"))
        last = self._last
        if last is None or last.open_time_ns != open_time_ns or last.stop > stop:
            first = int(times.searchsorted(open_time_ns))
            last = _Part(open_time_ns, first, first, -np.inf, np.inf, 0.0)
        if last.stop < stop:
            last = self._extended(last, stop)
        self._last = last
        if last.stop <= last.first:
            return None
        return Candle(
            open_time_ns,
            open_time_ns + self._timeframe_ns,
            float(self._base.open[last.first]),
            last.high,
            last.low,
            float(self._base.close[last.stop - 1]),
            last.volume,
        )

    def _extended(self, part: _Part, stop: int) -> _Part:
        rows = slice(part.stop, stop)
        # Added one after the other, as resampling does: the bits do not depend on who asked when.
        volumes = np.concatenate([[part.volume], self._base.volume[rows]])
        return part._replace(
            stop=stop,
            high=max(part.high, float(self._base.high[rows].max())),
            low=min(part.low, float(self._base.low[rows].min())),
            volume=float(np.add.accumulate(volumes)[-1]),
        )
