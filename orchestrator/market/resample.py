"""Longer candles from base candles: first open, highest high, lowest low, last close, summed volume."""

from __future__ import annotations

import numpy as np

from orchestrator.market.candles import Candles
from orchestrator.market.timeframes import floor_ns

__all__ = ["resample"]


def resample(base: Candles, timeframe_ns: int, anchor_ns: int) -> Candles:
    """Return the candles of a longer timeframe; one for every interval that holds a base candle.

    Parameters
    ----------
    base
        Sorted, of a timeframe that divides `timeframe_ns`, on a grid that contains the longer one's.
    timeframe_ns, anchor_ns
        The longer grid. Its last candle may still lack base candles: the caller decides which are closed.
    """
    if base.size == 0:
        return base
    buckets = floor_ns(base.open_times_ns, timeframe_ns, anchor_ns)
    begins = np.diff(buckets, prepend=buckets[0] - 1) != 0
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], base.size) - 1
    return Candles(
        open_times_ns=buckets[starts],
        open=base.open[starts],
        high=np.maximum.reduceat(base.high, starts),
        low=np.minimum.reduceat(base.low, starts),
        close=base.close[ends],
        # Summed one after the other; `reduceat` sums in an order that is numpy's own affair.
        volume=np.asarray(np.bincount(np.cumsum(begins) - 1, weights=base.volume), dtype=np.float64),
    )
