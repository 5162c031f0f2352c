"""What sound candles may still hide: filled-up silence, prices that nobody else saw, sums that do not add up.

None of this makes a series unsound by itself - quiet minutes are flat, and markets do jump - but each has been
the reason of a backtest that was too good, so it is named for the user to judge.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from orchestrator.market.candles import PRICES, Candles, FloatArray
from orchestrator.market.resample import resample

__all__ = ["FlatRun", "Outlier", "SumDifference", "find_flat_runs", "find_outliers", "find_sum_difference"]

_BLOCK: Final = 256  # candles over which the usual range is taken
_USUAL_RANGES: Final = 12.0  # how many usual ranges beyond its neighbours a candle must reach to be named
_OUTLIER_MIN: Final = 0.02  # and at least this fraction
_VOLUME_TOLERANCE: Final = 1e-6  # sums of many trades are rounded on their way


class FlatRun(NamedTuple):
    """Consecutive candles without volume whose four prices are one: an exchange that stood still, or filling up."""

    start_ns: int
    end_ns: int
    candles: int


class Outlier(NamedTuple):
    """A candle that reaches beyond the two candles before it and the two after it."""

    open_time_ns: int
    field: str  # "high" or "low"
    price: float
    neighbour: float  # the furthest that its neighbours reach in the same direction
    fraction: float  # by how much it reaches further


class SumDifference(NamedTuple):
    """What finer candles sum to, against the cached longer ones."""

    finer: str  # timeframe
    compared: int  # longer candles for which there are finer ones
    differing: int
    price_bp_max: float  # largest difference of a price, basis points
    price_time_ns: int  # where that is
    volume_pct_max: float  # largest difference of a volume, percent of the longer candle's
    volume_time_ns: int


def find_flat_runs(candles: Candles, timeframe_ns: int) -> list[FlatRun]:
    """Return the runs of flat candles without volume, in order of time; a gap ends a run."""
    flat = (candles.volume == 0) & (candles.high == candles.low)
    rows = np.flatnonzero(flat)
    if not rows.size:
        return []
    times = candles.open_times_ns[rows]
    breaks = np.flatnonzero((np.diff(rows) > 1) | (np.diff(times) > timeframe_ns))
    firsts = np.concatenate([[0], breaks + 1])
    lasts = np.concatenate([breaks, [rows.size - 1]])
    return [
        FlatRun(int(times[first]), int(times[last]) + timeframe_ns, int(last - first + 1))
        for first, last in zip(firsts, lasts, strict=True)
    ]


def find_outliers(candles: Candles) -> list[Outlier]:
    """Return the candles that reach far beyond their neighbours, furthest first.

    Far is more than twelve times the usual range - the median of (high - low) / low over 256 candles - and
    more than 2 %. A level that stays is no outlier; a first or last candle is judged by the one side it has.
    """
    if candles.size < 3:
        return []
    above, below = (
        _neighbours(candles.high, np.maximum, -np.inf),
        _neighbours(candles.low, np.minimum, np.inf),
    )
    up, down = candles.high / above - 1.0, below / candles.low - 1.0
    usual = np.maximum(_usual_ranges(candles) * _USUAL_RANGES, _OUTLIER_MIN)
    found = [
        Outlier(
            int(candles.open_times_ns[row]), field, float(prices[row]), float(beside[row]), float(by[row])
        )
        for field, prices, beside, by in (
            ("high", candles.high, above, up),
            ("low", candles.low, below, down),
        )
        for row in np.flatnonzero(by > usual)
    ]
    return sorted(found, key=lambda outlier: (-outlier.fraction, outlier.open_time_ns))


def find_sum_difference(
    candles: Candles, timeframe_ns: int, anchor_ns: int, finer: Candles, finer_ns: int, finer_name: str
) -> SumDifference | None:
    """Return how the longer candles differ from what the finer ones sum to; None where none can be compared.

    Compared are the longer candles whose interval lies within the finer ones' span.
    """
    start, end = int(finer.open_times_ns[0]), int(finer.open_times_ns[-1]) + finer_ns
    sums = resample(finer, timeframe_ns, anchor_ns)
    times, rows, sum_rows = np.intersect1d(
        candles.open_times_ns, sums.open_times_ns, assume_unique=True, return_indices=True
    )
    whole = (times >= start) & (times + timeframe_ns <= end)
    if not whole.any():
        return None
    times, own, summed = times[whole], candles.take(rows[whole]), sums.take(sum_rows[whole])
    prices = np.max([np.abs(getattr(summed, name) / getattr(own, name) - 1.0) for name in PRICES], axis=0)
    scale = np.where(own.volume > 0, own.volume, 1.0)
    volumes = np.abs(summed.volume - own.volume) / scale
    volumes[volumes < _VOLUME_TOLERANCE] = 0.0
    worst_price, worst_volume = int(np.argmax(prices)), int(np.argmax(volumes))
    return SumDifference(
        finer=finer_name,
        compared=len(times),
        differing=int(np.count_nonzero((prices > 0) | (volumes > 0))),
        price_bp_max=float(prices[worst_price]) * 1e4,
        price_time_ns=int(times[worst_price]),
        volume_pct_max=float(volumes[worst_volume]) * 100,
        volume_time_ns=int(times[worst_volume]),
    )


def _neighbours(column: FloatArray, furthest: np.ufunc, nothing: float) -> FloatArray:
    # The furthest of the two before and the two after.
    padded = np.concatenate([[nothing, nothing], column, [nothing, nothing]])
    beside: FloatArray = furthest(furthest(padded[:-4], padded[1:-3]), furthest(padded[3:-1], padded[4:]))
    return beside


def _usual_ranges(candles: Candles) -> npt.NDArray[np.float64]:
    ranges = candles.high / candles.low - 1.0
    medians = [float(np.median(ranges[first : first + _BLOCK])) for first in range(0, len(ranges), _BLOCK)]
    return np.repeat(medians, _BLOCK)[: len(ranges)]
