"""Falls of an equity curve from its running peak, unrealised losses included."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from orchestrator.analysis.curve import Curve, FloatArray, check_curve

__all__ = ["Drawdown", "drawdowns", "falls", "max_drawdown"]


class Drawdown(NamedTuple):
    """One fall: from the last moment at a peak until the curve is back at it."""

    fraction: float  # of the peak, in (0, 1]
    value: float  # quote currency, from peak to trough
    peak_ns: int
    trough_ns: int
    recovery_ns: int | None  # None: not recovered by the end
    end_ns: int  # recovery, or the end of the curve

    @property
    def duration_ns(self) -> int:
        """From the peak to the recovery, or to the end."""
        return self.end_ns - self.peak_ns


def falls(values: FloatArray) -> FloatArray:
    """Return, for each sample, how far it lies below the highest so far, as a fraction of that."""
    peaks = np.maximum.accumulate(values)
    fallen: FloatArray = (peaks - values) / peaks
    return fallen


def max_drawdown(values: FloatArray) -> float:
    """Return the largest fall of a curve from its running peak.

    Parameters
    ----------
    values
        Shape (n_samples,), quote currency, ordered by simulation time; n_samples >= 1.

    Returns
    -------
    float
        Fraction of the peak, >= 0; 0.0 if the curve never falls, above 1 if it falls below zero.

    Raises
    ------
    DataError
        If a value is NaN, or the first one is not positive.

    References
    ----------
    Magdon-Ismail and Atiya, "Maximum Drawdown", Risk 17(10), 2004.
    """
    check_curve(values)
    return float(np.max(falls(values)))


def drawdowns(curve: Curve, count: int) -> list[Drawdown]:
    """Return the deepest falls, deepest first, at most `count`; a new one begins only at a new peak."""
    check_curve(curve.values)
    fallen = falls(curve.values)
    is_below = np.concatenate(([False], fallen > 0.0, [False]))
    edges = np.flatnonzero(is_below[1:] != is_below[:-1]).reshape(-1, 2)  # [first below, first back)
    if not edges.size:
        return []
    # reduceat takes the stretches between falls too; every second result is a fall's.
    bounds = edges.ravel()[:-1] if edges[-1, 1] == len(fallen) else edges.ravel()
    depths = np.maximum.reduceat(fallen, bounds)[::2]
    deepest = np.argsort(-depths, kind="stable")[:count]
    return [_drawdown(curve, fallen, int(edges[row, 0]), int(edges[row, 1])) for row in deepest]


def _drawdown(curve: Curve, fallen: FloatArray, start: int, stop: int) -> Drawdown:
    trough = start + int(np.argmax(fallen[start:stop]))
    is_recovered = stop < len(fallen)
    end_ns = int(curve.times_ns[stop if is_recovered else -1])
    return Drawdown(
        fraction=float(fallen[trough]),
        value=float(curve.values[start - 1] - curve.values[trough]),
        peak_ns=int(curve.times_ns[start - 1]),
        trough_ns=int(curve.times_ns[trough]),
        recovery_ns=end_ns if is_recovered else None,
        end_ns=end_ns,
    )
