"""The few figures that say how a run went: what `replay start` and `replay runs show` print at the end.

They are those of `replay analyze`, by the same functions; this module only spares a short command the rest.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

import msgspec

from orchestrator.analysis.benchmark import buy_and_hold_return
from orchestrator.analysis.costs import slippage_cost, total_fees
from orchestrator.analysis.curve import curve_of, total_return
from orchestrator.analysis.drawdown import max_drawdown
from orchestrator.analysis.terms import terms_of
from orchestrator.runs.reader import Run

__all__ = ["Headline", "Marks", "headline_of"]


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
    terms = terms_of(run, initial_cash)
    curve = curve_of(run, terms)
    end_ns = int(curve.times_ns[-1])
    return Headline(
        initial_equity=float(curve.values[0]),
        final_equity=float(curve.values[-1]),
        total_return=total_return(curve.values),
        max_drawdown=max_drawdown(curve.values),
        buy_and_hold_return=None if market is None else _hold(run, market, end_ns, terms.taker_fee_rate),
        fills=len(run.fills),
        fees=float(total_fees(run.fills)),
        slippage_cost=float(slippage_cost(run.fills)),
    )


def _hold(run: Run, market: Marks, end_ns: int, fee_rate: float) -> float | None:
    marks = [market.first_and_last(coin, end_ns) for coin in run.manifest.coins]
    known = any(pair is not None for pair in marks)
    return buy_and_hold_return(marks, fee_rate) if known else None
