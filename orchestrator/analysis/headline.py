"""The few figures that say how a run went: what `replay start` and `replay runs show` print at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from orchestrator.errors import DataError
from orchestrator.runs.reader import Row, Run

__all__ = [
    "Headline",
    "Marks",
    "buy_and_hold_return",
    "headline_of",
    "max_drawdown",
    "slippage_cost",
    "total_fees",
    "total_return",
]

FloatArray = npt.NDArray[np.float64]


class Marks(Protocol):
    """Prices of the market of a run, for what holding its coins would have given."""

    def first_and_last(self, coin: str, end_ns: int) -> tuple[float, float] | None:
        """Return the coin's first price in the run and its last at or before the time, None without any."""


class Headline(msgspec.Struct, frozen=True, kw_only=True):
    """The figures; money in quote currency, the others as fractions; None where they are not known."""

    initial_equity: float
    final_equity: float
    total_return: float
    max_drawdown: float
    buy_and_hold_return: float | None
    fills: int
    fees: float
    slippage_cost: float

    def lines(self, currency: str) -> list[str]:
        """Return the figures as lines of text, each with its name in the first eleven columns."""
        hold = self.buy_and_hold_return
        compared = "" if hold is None else f" (buy and hold {hold:+.2%})"
        costs = f"fees {self.fees:,.2f}, slippage cost {self.slippage_cost:,.2f} {currency}"
        return [
            f"equity     {self.initial_equity:,.2f} -> {self.final_equity:,.2f} {currency}",
            f"return     {self.total_return:+.2%}{compared}",
            f"drawdown   {self.max_drawdown:.2%}",
            f"fills      {self.fills}, {costs}",
        ]


def headline_of(run: Run, *, initial_cash: Decimal | None = None, market: Marks | None = None) -> Headline:
    """Return the figures of a run, as far as it went.

    Parameters
    ----------
    run
        With at least one tick.
    initial_cash
        What its account began with; None takes it from the run's configuration.
    market
        Where prices for buy and hold come from; None leaves it out.

    Raises
    ------
    DataError
        If a file of the run cannot be read, it has no tick, or its equity is impossible.
    """
    rows = run.equity
    if not len(rows.sequences):
        raise DataError(f"run {run.name} has no tick in its equity; it ended before the first one")
    initial = initial_cash if initial_cash is not None else _configured_cash(run)
    curve = np.concatenate(([float(initial)], rows.equity))
    return Headline(
        initial_equity=float(curve[0]),
        final_equity=float(curve[-1]),
        total_return=total_return(curve),
        max_drawdown=max_drawdown(curve),
        buy_and_hold_return=None if market is None else _hold(run, market, int(rows.sim_times_ns[-1])),
        fills=len(run.fills),
        fees=float(total_fees(run.fills)),
        slippage_cost=float(slippage_cost(run.fills)),
    )


def _configured_cash(run: Run) -> Decimal:
    try:
        return Decimal(run.configuration["account"]["initial_cash"])
    except (KeyError, TypeError, ArithmeticError):
        path = run.directory / "config.toml"
        raise DataError(
            f"{path} does not say account.initial_cash; restore it from a copy of the run"
        ) from None


def _hold(run: Run, market: Marks, end_ns: int) -> float | None:
    found = [market.first_and_last(coin, end_ns) for coin in run.manifest.coins]
    marks = [pair for pair in found if pair is not None]
    if not marks:
        return None
    return buy_and_hold_return([first for first, _ in marks], [last for _, last in marks])


def total_return(equity: FloatArray) -> float:
    """Return the growth of an equity curve as a fraction of its first value.

    Parameters
    ----------
    equity
        Shape (n_samples,), quote currency, ordered by simulation time; n_samples >= 1.

    Raises
    ------
    DataError
        If a value is NaN or negative, or the first one is zero.
    """
    _check(equity)
    return float(equity[-1] / equity[0] - 1.0)


def max_drawdown(equity: FloatArray) -> float:
    """Return the largest fall of an equity curve from its running peak.

    Parameters
    ----------
    equity
        Shape (n_samples,), quote currency, ordered by simulation time; n_samples >= 1.

    Returns
    -------
    float
        Fraction of the peak, in [0, 1]; 0.0 if the curve never falls.

    Raises
    ------
    DataError
        If a value is NaN or negative, or the first one is zero.

    References
    ----------
    Magdon-Ismail and Atiya, "Maximum Drawdown", Risk 17(10), 2004.
    """
    _check(equity)
    peaks = np.maximum.accumulate(equity)
    return float(np.max((peaks - equity) / peaks))


def buy_and_hold_return(first_marks: Sequence[float], last_marks: Sequence[float]) -> float:
    """Return what equal amounts of quote currency in each coin would have grown by, without costs.

    Parameters
    ----------
    first_marks, last_marks
        Price of each coin at the beginning and at the end, in the same order; at least one coin.

    Returns
    -------
    float
        Fraction of the amount put in.

    Raises
    ------
    DataError
        If there is no coin, or a price is not positive.
    """
    first, last = np.asarray(first_marks, dtype=np.float64), np.asarray(last_marks, dtype=np.float64)
    if first.shape != last.shape or not first.size or not (np.all(first > 0) and np.all(last > 0)):
        raise DataError(
            f"marks {first.tolist()} and {last.tolist()} give no return: one positive price a coin is needed"
        )
    return float(np.mean(last / first) - 1.0)


def total_fees(fills: Iterable[Row]) -> Decimal:
    """Return the fees of fills, quote currency, exactly."""
    return sum((fill["fees"] for fill in fills), Decimal(0))


def slippage_cost(fills: Iterable[Row]) -> Decimal:
    """Return what fills cost against their reference prices, quote currency; positive is a loss."""
    return sum((_against(fill) * fill["qty"] for fill in fills), Decimal(0))


def _against(fill: Row) -> Decimal:
    above: Decimal = fill["fill_price"] - fill["reference_price"]
    return above if fill["side"] == "buy" else -above


def _check(equity: FloatArray) -> None:
    if not np.all(equity >= 0.0) or equity[0] == 0.0:  # a comparison with NaN is false
        raise DataError(
            "equity is negative, begins at zero or is no number somewhere, which a spot account cannot; "
            "check the run with `replay verify`"
        )
