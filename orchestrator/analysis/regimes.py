"""Market regimes: was it a rising or a falling market, a calm or a wild one, and how did the run do in each.

A day's regime follows from closes known at its first midnight, never later ones. Trend: the mean of the last
`fast` daily closes against that of the last `slow`; within a band of each other the market goes sideways.
Volatility: the deviation of the last days' returns, ranked among its own recent values. Where there is too
little history for the usual windows, shorter ones are used and named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from orchestrator.analysis.curve import Days, FloatArray, IntArray
from orchestrator.analysis.prices import DailyCloses

__all__ = [
    "TREND_WINDOWS",
    "UNKNOWN",
    "VOLATILITY_WINDOWS",
    "Regimes",
    "classify",
    "regimes_of",
    "trend_classes",
    "volatility_classes",
]

Names = npt.NDArray[np.str_]
Classifier = Callable[[FloatArray, tuple[int, int]], Names]

TREND_WINDOWS: Final = ((50, 200), (20, 80), (10, 40), (5, 20))
"""(fast, slow) in days; the first that classifies half of the run's days is used."""

VOLATILITY_WINDOWS: Final = ((30, 365), (20, 90), (10, 30), (5, 15))
"""(days of returns, days of history it is ranked in)."""

BAND: Final = 0.02
"""Within this fraction of each other the two means say sideways."""

UNKNOWN: Final = "unknown"
_CLASSIFIED_MIN: Final = 0.5
_LOW, _HIGH = 1 / 3, 2 / 3  # quantiles


class Regimes(NamedTuple):
    """The regime of each whole day of a run, by name, and by which windows it was told."""

    trend: Names  # bull, bear, sideways, unknown; shape (n_days,)
    volatility: Names  # low, medium, high, unknown
    combined: Names  # "bull, low volatility" … ; sideways is not divided
    trend_windows: tuple[int, int]
    volatility_windows: tuple[int, int]


def regimes_of(days: Days, market: DailyCloses) -> Regimes | None:
    """Return the regimes of days; None when no windows classify half of them.

    Parameters
    ----------
    days
        The whole days of the run.
    market
        Daily closes of the market's leader, from before the run where there are any.
    """
    trend = _first_fit(days, market, TREND_WINDOWS, trend_classes)
    wildness = _first_fit(days, market, VOLATILITY_WINDOWS, volatility_classes)
    if trend is None or wildness is None:
        return None
    (trends, trend_windows), (levels, level_windows) = trend, wildness
    return Regimes(trends, levels, _combine(trends, levels), trend_windows, level_windows)


def classify(names: Names, known_ns: IntArray, starts_ns: IntArray) -> Names:
    """Return for each day the class known at its beginning: that of the last close at or before it.

    Parameters
    ----------
    names, known_ns
        Classes and the times at which they were known, ascending.
    starts_ns
        Beginnings of the days.
    """
    padded = np.concatenate((np.array([UNKNOWN]), names))
    return padded[np.searchsorted(known_ns, starts_ns, "right")]


def trend_classes(closes: FloatArray, windows: tuple[int, int]) -> Names:
    """Return bull, bear or sideways for each close, from it and those before; unknown at the beginning."""
    fast, slow = windows
    names = np.full(len(closes), UNKNOWN, dtype="<U12")
    if len(closes) >= slow:
        ratio = _means(closes, fast)[slow - fast :] / _means(closes, slow) - 1.0
        names[slow - 1 :] = np.where(ratio > BAND, "bull", np.where(ratio < -BAND, "bear", "sideways"))
    return names


def volatility_classes(closes: FloatArray, windows: tuple[int, int]) -> Names:
    """Return low, medium or high for each close, from it and those before; unknown at the beginning."""
    spread_days, rank_days = windows
    names = np.full(len(closes), UNKNOWN, dtype="<U12")
    if len(closes) >= spread_days + rank_days:
        moves = np.lib.stride_tricks.sliding_window_view(np.diff(np.log(closes)), spread_days)
        spreads = np.std(moves, axis=1, ddof=1)
        recent = np.lib.stride_tricks.sliding_window_view(spreads, rank_days)
        low, high = np.quantile(recent, [_LOW, _HIGH], axis=1)
        latest = recent[:, -1]
        names[spread_days + rank_days - 1 :] = np.where(
            latest <= low, "low", np.where(latest > high, "high", "medium")
        )
    return names


def _first_fit(
    days: Days, market: DailyCloses, choices: tuple[tuple[int, int], ...], tell: Classifier
) -> tuple[Names, tuple[int, int]] | None:
    for windows in choices:
        names = classify(tell(market.closes, windows), market.ends_ns, days.starts_ns)
        if names.size and np.mean(names != UNKNOWN) >= _CLASSIFIED_MIN:
            return names, windows
    return None


def _combine(trends: Names, levels: Names) -> Names:
    joined = np.char.add(np.char.add(trends, ", "), np.char.add(levels, " volatility"))
    is_unknown = (trends == UNKNOWN) | (levels == UNKNOWN)
    return np.where(is_unknown, UNKNOWN, np.where(trends == "sideways", "sideways", joined))


def _means(values: FloatArray, window: int) -> FloatArray:
    means: FloatArray = np.mean(np.lib.stride_tricks.sliding_window_view(values, window), axis=1)
    return means
