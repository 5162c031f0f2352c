"""How far two exchanges' candles of one coin lie apart, moment by moment.

Only moments that both have are compared; closes, because those are what a component sees.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from orchestrator.market.candles import Candles, FloatArray

__all__ = ["Divergence", "Moment", "divergence_between"]

_WORST: Final = 10


class Moment(NamedTuple):
    """One common candle: the closes of both."""

    open_time_ns: int
    close_a: float
    close_b: float
    divergence_pct: float


class Divergence(NamedTuple):
    """Figures over all common candles; percentages are of the second series' close."""

    candles: int  # common ones
    mean_pct: float
    median_pct: float
    high_pct: float  # 99 % of moments lie at or below it
    max_pct: float
    correlation: float | None  # of returns between consecutive common candles; None when one never moves
    adjustment_factor: (
        float  # median of a / b: what the second's prices are multiplied by to meet the first's
    )
    worst: tuple[Moment, ...]  # the ten furthest apart, furthest first


def divergence_between(a: Candles, b: Candles) -> Divergence | None:
    """Return how far two series of one timeframe lie apart; None when they have no candle in common.

    Parameters
    ----------
    a, b
        Sorted by open time, prices positive.
    """
    times, rows_a, rows_b = np.intersect1d(
        a.open_times_ns, b.open_times_ns, assume_unique=True, return_indices=True
    )
    if not times.size:
        return None
    close_a, close_b = a.close[rows_a], b.close[rows_b]
    ratio = close_a / close_b
    apart = np.abs(ratio - 1.0) * 100.0
    worst = np.argsort(-apart, kind="stable")[:_WORST]
    return Divergence(
        candles=int(times.size),
        mean_pct=float(np.mean(apart)),
        median_pct=float(np.median(apart)),
        high_pct=float(np.quantile(apart, 0.99)),
        max_pct=float(np.max(apart)),
        correlation=_correlation(np.diff(np.log(close_a)), np.diff(np.log(close_b))),
        adjustment_factor=float(np.median(ratio)),
        worst=tuple(
            Moment(int(times[row]), float(close_a[row]), float(close_b[row]), float(apart[row]))
            for row in worst
        ),
    )


def _correlation(a: FloatArray, b: FloatArray) -> float | None:
    if a.size < 2 or not (np.std(a) > 0.0 and np.std(b) > 0.0):
        return None
    return float(np.corrcoef(a, b)[0, 1])
