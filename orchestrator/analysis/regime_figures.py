"""How a run did in each market regime."""

from __future__ import annotations

from typing import Final

import numpy as np

from orchestrator.analysis.curve import Curve, Days, FloatArray, days_of
from orchestrator.analysis.drawdown import max_drawdown
from orchestrator.analysis.metrics import DAYS_MIN, RegimeFigures, RegimesFigures
from orchestrator.analysis.ratios import sharpe
from orchestrator.analysis.regimes import BAND, TREND_WINDOWS, UNKNOWN, Names, Regimes

__all__ = ["figures_of_regimes"]

_TREND: Final = ("bull", "sideways", "bear")
_VOLATILITY: Final = ("low", "medium", "high")
_COMBINED: Final = (
    *(f"bull, {level} volatility" for level in _VOLATILITY),
    "sideways",
    *(f"bear, {level} volatility" for level in _VOLATILITY),
)


def figures_of_regimes(
    regimes: Regimes, days: Days, held: Curve, leader: str, free_per_day: float
) -> RegimesFigures:
    """Return the figures of each regime; the days of one are strung together as if nothing lay between.

    Parameters
    ----------
    regimes
        Of `days`.
    held
        What buy and hold gave, over the time of the run.
    leader
        The coin that regimes were told by.
    """
    market = days_of(held).returns

    def group(names: Names, order: tuple[str, ...]) -> tuple[RegimeFigures, ...]:
        present = [name for name in (*order, UNKNOWN) if np.any(names == name)]
        return tuple(_figures(name, names == name, days.returns, market, free_per_day) for name in present)

    return RegimesFigures(
        market=leader,
        trend_days=regimes.trend_windows,
        usual_trend_days=TREND_WINDOWS[0],
        band=BAND,
        volatility_days=regimes.volatility_windows,
        trend=group(regimes.trend, _TREND),
        volatility=group(regimes.volatility, _VOLATILITY),
        combined=group(regimes.combined, _COMBINED),
    )


def _figures(
    name: str,
    is_in: np.ndarray[tuple[int], np.dtype[np.bool_]],
    returns: FloatArray,
    market: FloatArray,
    free: float,
) -> RegimeFigures:
    inside = returns[is_in]
    strung = np.concatenate(([1.0], np.cumprod(1.0 + inside)))
    return RegimeFigures(
        name=name,
        days=int(inside.size),
        share=inside.size / returns.size,
        total_return=float(strung[-1] - 1.0),
        market_return=float(np.prod(1.0 + market[is_in]) - 1.0),
        sharpe=sharpe(inside, free) if inside.size >= DAYS_MIN else None,
        max_drawdown=max_drawdown(strung),
    )
