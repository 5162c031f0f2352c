"""How returns stand to those of a benchmark over the same days."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from orchestrator.analysis.curve import DAYS_PER_YEAR, FloatArray

__all__ = ["Relative", "relative_to"]


class Relative(NamedTuple):
    """Figures against a benchmark; None where the definition divides by nothing."""

    beta: float | None  # covariance of returns above the rate over the benchmark's variance
    alpha: float | None  # annual: (1 + mean of what beta does not explain)^365 - 1
    correlation: float | None
    information_ratio: float | None  # annual: mean over deviation of the daily differences, times root 365


def relative_to(returns: FloatArray, benchmark: FloatArray, free_per_day: float = 0.0) -> Relative:
    """Return beta, alpha, correlation and information ratio of daily returns.

    Parameters
    ----------
    returns, benchmark
        Fractions of the same days, shape (n_days,).

    References
    ----------
    Jensen, "The Performance of Mutual Funds", Journal of Finance 23(2), 1968 (alpha, beta);
    Goodwin, "The Information Ratio", Financial Analysts Journal 54(4), 1998.
    """
    if len(returns) < 2:
        return Relative(None, None, None, None)
    above, market = returns - free_per_day, benchmark - free_per_day
    covariance = np.cov(above, market, ddof=1)
    spread, market_spread = math.sqrt(covariance[0, 0]), math.sqrt(covariance[1, 1])
    beta = float(covariance[0, 1] / covariance[1, 1]) if market_spread > 0.0 else None
    correlation = float(covariance[0, 1] / (spread * market_spread)) if spread * market_spread > 0.0 else None
    difference = returns - benchmark
    apart = float(np.std(difference, ddof=1))
    return Relative(
        beta=beta,
        alpha=None if beta is None else _annual(float(np.mean(above - beta * market))),
        correlation=correlation,
        information_ratio=float(np.mean(difference)) / apart * math.sqrt(DAYS_PER_YEAR)
        if apart > 0.0
        else None,
    )


def _annual(daily: float) -> float:
    return float((1.0 + daily) ** DAYS_PER_YEAR - 1.0)
