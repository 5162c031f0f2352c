"""Buy and hold: what the same capital would have become without a bot.

Equal amounts buy each coin at the open of its first candle of the run, at the run's taker fee, and are never
touched again; a coin that begins later waits as cash until it does. Quantities are not rounded to lots, and
nothing is sold at the end, as the equity of the run is marked without selling.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orchestrator.analysis.curve import Curve, FloatArray
from orchestrator.errors import DataError

__all__ = ["Holding", "buy_and_hold_return", "hold"]

Holding = tuple[int, float, FloatArray]
"""Open time (ns) and open price of a coin's first candle, and its closes at the ticks, shape (n_ticks,)."""


def buy_and_hold_return(marks: Sequence[tuple[float, float] | None], fee_rate: float) -> float:
    """Return what equal amounts of quote currency in each coin would have grown by.

    Parameters
    ----------
    marks
        Each coin's first and last price; None for a coin without a price yet, whose share stays cash.
    fee_rate
        Fraction of the notional that buying costs.

    Returns
    -------
    float
        Fraction of the amount put in.

    Raises
    ------
    DataError
        If there is no coin, or a price is not positive.
    """
    prices = np.asarray([price for pair in marks if pair is not None for price in pair], dtype=np.float64)
    if not marks or not np.all(prices > 0):
        raise DataError(f"marks {list(marks)} give no return: one positive price a coin is needed")
    growths = [1.0 if pair is None else pair[1] / pair[0] / (1.0 + fee_rate) for pair in marks]
    return float(np.mean(growths) - 1.0)


def hold(ticks: Curve, holdings: Sequence[Holding | None], fee_rate: float) -> Curve:
    """Return the value over time of equal amounts held in some coins.

    Parameters
    ----------
    ticks
        The equity curve of the run: its times, and as its first value the capital.
    holdings
        One a coin; None for a coin that has no candle.
    """
    capital = float(ticks.values[0])
    share = capital / len(holdings)
    total = np.zeros(len(ticks.times_ns) - 1)
    for holding in holdings:
        total += share if holding is None else _value(share, holding, ticks, fee_rate)
    return Curve(ticks.times_ns, np.concatenate(([capital], total)))


def _value(share: float, holding: Holding, ticks: Curve, fee_rate: float) -> FloatArray:
    opens_ns, price, closes = holding
    is_held = ticks.times_ns[1:] > opens_ns
    quantity = share / (price * (1.0 + fee_rate))
    return np.where(is_held, quantity * closes, share)
