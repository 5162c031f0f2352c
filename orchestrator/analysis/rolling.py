"""A ratio over a window that moves with time."""

from __future__ import annotations

import math

import numpy as np

from orchestrator.analysis.curve import DAYS_PER_YEAR, FloatArray

__all__ = ["rolling_sharpe", "rolling_window"]


def rolling_window(n_days: int) -> int:
    """Return the length of the window: 90 days for a year and more, 30 for a run of some months, else 15."""
    return 90 if n_days >= 365 else 30 if n_days >= 60 else 15


def rolling_sharpe(returns: FloatArray, free_per_day: float) -> tuple[int, FloatArray]:
    """Return the window in days, and the annual Sharpe ratio of the window that ends with each day.

    Parameters
    ----------
    returns
        Daily, shape (n_days,); at least as many as the window has.

    Returns
    -------
    tuple
        The ratios have shape (n_days,), NaN before the first whole window and where nothing moved in one.
    """
    window = rolling_window(len(returns))
    seen = np.lib.stride_tricks.sliding_window_view(returns, window)
    spread = np.std(seen, axis=1, ddof=1)
    ratios = np.full(len(returns), np.nan)
    means = np.mean(seen, axis=1) - free_per_day
    ratios[window - 1 :] = np.divide(means, spread, out=np.full(len(spread), np.nan), where=spread > 1e-14)
    return window, ratios * math.sqrt(DAYS_PER_YEAR)
