"""How far a Sharpe ratio can be trusted: an interval by bootstrap, and the probability that it is above zero.

Neither knows how many other strategies were tried before this one was shown; that is the user's to remember.
"""

from __future__ import annotations

import hashlib
import math
from typing import Final, NamedTuple

import numpy as np

from orchestrator.analysis.curve import DAYS_PER_YEAR, FloatArray, IntArray
from orchestrator.analysis.ratios import kurtosis, sharpe_per_day, skew

__all__ = ["Interval", "block_days", "probabilistic_sharpe", "sharpe_interval", "stationary_samples"]

_SAMPLES: Final = 2_000
_LEVEL: Final = 0.95


class Interval(NamedTuple):
    """Between which values a figure lies with a probability of `level`."""

    low: float
    high: float
    level: float
    samples: int
    block_days: float  # mean length of a block of consecutive days that is drawn as one


def block_days(n_days: int) -> float:
    """Return the mean block length: the cube root of the number of days, at least one.

    References
    ----------
    The rate is that of Politis and Romano 1994; days near each other stay together, so that trends survive.
    """
    return float(max(1.0, n_days ** (1.0 / 3.0)))


def stationary_samples(n_days: int, samples: int, mean_block: float, bits: np.random.PCG64) -> IntArray:
    """Return rows of day numbers: blocks of geometric length, wrapped round the end.

    Returns
    -------
    IntArray
        Shape (samples, n_days), each value in [0, n_days).

    References
    ----------
    Politis and Romano, "The Stationary Bootstrap", Journal of the American Statistical Association 89, 1994.
    """
    generator = np.random.Generator(bits)
    drawn = generator.integers(n_days, size=(samples, n_days))
    begins = generator.random((samples, n_days)) < 1.0 / mean_block
    begins[:, 0] = True
    # Each day continues the block that began last: its first day plus how long ago that was.
    columns = np.arange(n_days)
    begun = np.maximum.accumulate(np.where(begins, columns, 0), axis=1)
    chosen: IntArray = (np.take_along_axis(drawn, begun, axis=1) + columns - begun) % n_days
    return chosen


def sharpe_interval(returns: FloatArray, seed: int, free_per_day: float = 0.0) -> Interval | None:
    """Return the 95 % percentile interval of the annual Sharpe ratio by stationary bootstrap.

    Parameters
    ----------
    returns
        Daily, shape (n_days,).
    seed
        Of the run: the same run gives the same interval.
    """
    if sharpe_per_day(returns, free_per_day) is None:
        return None
    mean_block = block_days(len(returns))
    key = hashlib.sha256(f"sharpe interval {seed}".encode()).digest()
    bits = np.random.PCG64(int.from_bytes(key, "big"))
    drawn = returns[stationary_samples(len(returns), _SAMPLES, mean_block, bits)]
    spread = np.std(drawn, axis=1, ddof=1)
    is_varied = spread > 1e-14  # a sample may be one day over and over
    ratios = (np.mean(drawn, axis=1)[is_varied] - free_per_day) / spread[is_varied]
    low, high = np.quantile(ratios, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]) * math.sqrt(DAYS_PER_YEAR)
    return Interval(float(low), float(high), _LEVEL, _SAMPLES, mean_block)


def probabilistic_sharpe(
    returns: FloatArray, free_per_day: float = 0.0, benchmark: float = 0.0
) -> float | None:
    """Return the probability that the true daily Sharpe ratio is above a benchmark, given skew and fat tails.

    References
    ----------
    Bailey and López de Prado, "The Sharpe Ratio Efficient Frontier", Journal of Risk 15(2), 2012, eq. 11.
    """
    ratio, skewness, excess = sharpe_per_day(returns, free_per_day), skew(returns), kurtosis(returns)
    if ratio is None or skewness is None or excess is None:
        return None
    return probability_above(ratio, benchmark, len(returns), skewness, excess + 3.0)


def probability_above(
    ratio: float, benchmark: float, n_samples: int, skewness: float, kurtosis_: float
) -> float | None:
    """Return the normal probability of equation 11; `kurtosis_` is 3 for a normal distribution."""
    variance = 1.0 - skewness * ratio + (kurtosis_ - 1.0) / 4.0 * ratio**2
    if variance <= 0.0:
        return None
    z = (ratio - benchmark) * math.sqrt(n_samples - 1) / math.sqrt(variance)
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
