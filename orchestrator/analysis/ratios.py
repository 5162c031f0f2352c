"""Ratios of daily returns; a year has 365 days.

Every function takes returns as fractions, shape (n_days,), and gives None where its definition divides by
nothing. Whether there are enough days to show a figure at all is decided in `metrics`.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from orchestrator.analysis.curve import DAYS_PER_YEAR, FloatArray

__all__ = [
    "cagr",
    "calmar",
    "expected_shortfall",
    "kurtosis",
    "omega",
    "rate_per_day",
    "sharpe",
    "sharpe_per_day",
    "skew",
    "sortino",
    "value_at_risk",
    "volatility",
]

_SPREAD_MIN: Final = 1e-14
"""Below this a spread of daily returns is rounding: growth factors near 1 are only known to 2e-16."""

_ROOT_YEAR: Final = math.sqrt(DAYS_PER_YEAR)


def rate_per_day(annual_rate: float) -> float:
    """Return the daily rate that compounds to an annual one over 365 days."""
    return float((1.0 + annual_rate) ** (1.0 / DAYS_PER_YEAR) - 1.0)


def cagr(growth: float, days: float) -> float | None:
    """Return the compound annual growth rate: growth^(365 / days) - 1.

    Parameters
    ----------
    growth
        Last value over first value; nothing is left at 0 and below.
    days
        Between them; not necessarily whole.
    """
    if days <= 0:
        return None
    if growth <= 0.0:
        return -1.0
    try:
        return float(growth ** (DAYS_PER_YEAR / days) - 1.0)
    except OverflowError:
        return None


def volatility(returns: FloatArray) -> float | None:
    """Return the annual standard deviation: that of a sample (n - 1), times the root of 365."""
    return float(np.std(returns, ddof=1)) * _ROOT_YEAR if len(returns) > 1 else None


def sharpe_per_day(returns: FloatArray, free_per_day: float = 0.0) -> float | None:
    """Return mean over sample standard deviation (n - 1) of returns above the risk-free rate, not annual."""
    if len(returns) < 2:
        return None
    spread = float(np.std(returns, ddof=1))
    return float(np.mean(returns) - free_per_day) / spread if spread > _SPREAD_MIN else None


def sharpe(returns: FloatArray, free_per_day: float = 0.0) -> float | None:
    """Return the annual Sharpe ratio: the daily one times the root of 365.

    References
    ----------
    Sharpe, "The Sharpe Ratio", Journal of Portfolio Management 21(1), 1994.
    """
    daily = sharpe_per_day(returns, free_per_day)
    return None if daily is None else daily * _ROOT_YEAR


def sortino(returns: FloatArray, free_per_day: float = 0.0) -> float | None:
    """Return the annual Sortino ratio: mean above the rate over downside deviation, times the root of 365.

    The downside deviation is the root of the mean square of the shortfalls over all days, days without a
    shortfall counting as zero.

    References
    ----------
    Sortino and Price, "Performance Measurement in a Downside Risk Framework", Journal of Investing 3(3), 1994.
    """
    if not len(returns):
        return None
    above = returns - free_per_day
    downside = math.sqrt(float(np.mean(np.minimum(above, 0.0) ** 2)))
    return float(np.mean(above)) / downside * _ROOT_YEAR if downside > _SPREAD_MIN else None


def calmar(annual_growth: float | None, drawdown: float) -> float | None:
    """Return the compound annual growth rate over the maximum drawdown (a positive fraction).

    References
    ----------
    Young, "Calmar Ratio: A Smoother Tool", Futures 20(1), 1991; here over the whole run, not 36 months.
    """
    return annual_growth / drawdown if annual_growth is not None and drawdown > 0.0 else None


def omega(returns: FloatArray, free_per_day: float = 0.0) -> float | None:
    """Return the sum of what days gained above the rate over the sum of what they fell short of it.

    References
    ----------
    Keating and Shadwick, "A Universal Performance Measure", Journal of Performance Measurement 6(3), 2002.
    """
    above = returns - free_per_day
    short = -float(np.sum(above[above < 0.0]))
    return float(np.sum(above[above > 0.0])) / short if short > 0.0 else None


def skew(returns: FloatArray) -> float | None:
    """Return the skewness m3 / m2^1.5 from central moments (n, not n - 1); 0 for a normal distribution."""
    return _standard_moment(returns, 3)


def kurtosis(returns: FloatArray) -> float | None:
    """Return the excess kurtosis m4 / m2^2 - 3 from central moments (n, not n - 1); 0 for a normal one."""
    moment = _standard_moment(returns, 4)
    return None if moment is None else moment - 3.0


def value_at_risk(returns: FloatArray, share: float = 0.05) -> float | None:
    """Return the loss that the worst `share` of days reach, a positive fraction of equity.

    The quantile is interpolated between days; a negative value means that even those days gained.
    """
    return 0.0 - float(np.quantile(returns, share)) if len(returns) else None


def expected_shortfall(returns: FloatArray, share: float = 0.05) -> float | None:
    """Return the mean loss of the worst `share` of days, a positive fraction of equity.

    The worst days are the 1 + floor((n - 1) x share) lowest returns.

    References
    ----------
    Acerbi and Tasche, "On the coherence of expected shortfall", Journal of Banking & Finance 26(7), 2002.
    """
    if not len(returns):
        return None
    worst = int((len(returns) - 1) * share)
    return 0.0 - float(np.mean(np.partition(returns, worst)[: worst + 1]))


def _standard_moment(returns: FloatArray, order: int) -> float | None:
    if len(returns) < 2:
        return None
    centred = returns - np.mean(returns)
    variance = float(np.mean(centred**2))
    if math.sqrt(variance) <= _SPREAD_MIN:
        return None
    return float(np.mean(centred**order) / variance ** (order / 2))
