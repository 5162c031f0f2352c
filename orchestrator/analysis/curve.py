"""The equity curve of a run, and the whole days in it: what every ratio is made of.

The curve is marked at every tick, so a loss that was never realised is in it. Ratios use daily closes: the
last value at or before 00:00 UTC, and only days that lie whole inside the run.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from orchestrator.analysis.terms import Terms
from orchestrator.config import NS_PER_DAY
from orchestrator.errors import DataError
from orchestrator.runs.reader import Run

__all__ = [
    "DAYS_PER_YEAR",
    "Curve",
    "Days",
    "FloatArray",
    "IntArray",
    "check_curve",
    "curve_of",
    "days_of",
    "total_return",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DAYS_PER_YEAR: Final = 365
"""Crypto trades every day."""


class Curve(NamedTuple):
    """A value over simulation time; the first sample is the beginning of the run."""

    times_ns: IntArray  # ascending, n_samples >= 1
    values: FloatArray  # quote currency, the first > 0; below 0 only where accounts may owe

    @property
    def span_days(self) -> float:
        """How long it is, in days."""
        return float(self.times_ns[-1] - self.times_ns[0]) / NS_PER_DAY


class Days(NamedTuple):
    """The whole UTC days of a curve."""

    ends_ns: IntArray  # the midnight at which each day ends, shape (n_days,)
    closes: FloatArray  # shape (n_days + 1,): value at the midnight before the first day, then at each end
    returns: FloatArray  # shape (n_days,), fractions

    @property
    def starts_ns(self) -> IntArray:
        """The midnight at which each day begins."""
        return self.ends_ns - NS_PER_DAY


def curve_of(run: Run, terms: Terms) -> Curve:
    """Return the equity curve of a run: its initial cash at the start, then its equity at every tick.

    Raises
    ------
    DataError
        If it has no tick, its equity cannot be read, or is impossible.
    """
    rows = run.equity
    if not len(rows.sequences):
        raise DataError(f"run {run.name} has no tick in its equity; it ended before the first one")
    values = np.concatenate(([float(terms.initial_cash)], rows.equity))
    check_curve(values)
    if terms.is_spot and np.any(values < 0.0):
        raise DataError(
            f"run {run.name} has negative equity, which spot accounts cannot; check it with `replay verify`"
        )
    return Curve(np.concatenate(([terms.start_ns], rows.sim_times_ns)), values)


def days_of(curve: Curve) -> Days:
    """Return the days that lie whole inside a curve; a value stands until the next sample.

    Returns
    -------
    Days
        With n_days = 0 when no day does. After a value that is not positive every return is zero.
    """
    first = -(-int(curve.times_ns[0]) // NS_PER_DAY)
    last = int(curve.times_ns[-1]) // NS_PER_DAY
    midnights = np.arange(first, last + 1, dtype=np.int64) * NS_PER_DAY
    if not midnights.size:
        return Days(midnights, np.zeros(0), np.zeros(0))
    closes = curve.values[np.searchsorted(curve.times_ns, midnights, "right") - 1]
    before = closes[:-1]
    growth = np.divide(closes[1:], before, out=np.ones_like(before), where=before > 0.0)
    return Days(midnights[1:], closes, growth - 1.0)


def total_return(values: FloatArray) -> float:
    """Return the growth of a curve as a fraction of its first value.

    Parameters
    ----------
    values
        Shape (n_samples,), quote currency, ordered by simulation time; n_samples >= 1.

    Raises
    ------
    DataError
        If a value is NaN, or the first one is not positive.
    """
    check_curve(values)
    return float(values[-1] / values[0] - 1.0)


def check_curve(values: FloatArray) -> None:
    """Raise `DataError` if a value is NaN, or the first one is not positive."""
    if not (np.all(np.isfinite(values)) and values[0] > 0.0):
        raise DataError(
            "equity is no number somewhere or does not begin above zero; check the run with `replay verify`"
        )
