"""What a list of trades says: how often it won, how much, how long it held."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from decimal import Decimal
from statistics import fmean, median
from typing import Final

import msgspec

from orchestrator.analysis.trades import Trade, exact_money

__all__ = ["TradeFigures", "figures_of", "longest_streak"]

_NS_PER_HOUR: Final = 3_600 * 1_000_000_000
_ZERO: Final = Decimal(0)


class TradeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of closed trades, results after fees; money in quote currency, None where there are none."""

    trades: int
    wins: int  # result above zero
    losses: int  # result below zero
    win_rate: float | None  # wins over all trades
    pnl: Decimal
    profit: Decimal  # sum of the wins
    loss: Decimal  # sum of the losses, positive
    profit_factor: float | None  # profit over loss; None without a loss
    expectancy: float | None  # mean result
    average_win: float | None
    average_loss: float | None  # positive
    best: Decimal | None
    worst: Decimal | None
    return_mean: float | None  # mean result as a fraction of what the entry cost
    holding_hours_mean: float | None
    holding_hours_median: float | None
    winning_streak: int  # longest, in the order of exits
    losing_streak: int
    fees: Decimal
    slippage_cost: Decimal


def figures_of(trades: Sequence[Trade]) -> TradeFigures:
    """Return the figures of trades in the order of their exits."""
    with exact_money():
        results = [trade.pnl for trade in trades]
        won, lost = [r for r in results if r > 0], [r for r in results if r < 0]
        profit, loss = sum(won, _ZERO), -sum(lost, _ZERO)
        pnl = profit - loss
        fees = sum((trade.fees for trade in trades), _ZERO)
        slippage_cost = sum((trade.slippage_cost for trade in trades), _ZERO)
    hours = [trade.holding_ns / _NS_PER_HOUR for trade in trades]
    return TradeFigures(
        trades=len(trades),
        wins=len(won),
        losses=len(lost),
        win_rate=len(won) / len(trades) if trades else None,
        pnl=pnl,
        profit=profit,
        loss=loss,
        profit_factor=float(profit / loss) if loss else None,
        expectancy=float(pnl / len(trades)) if trades else None,
        average_win=float(profit / len(won)) if won else None,
        average_loss=float(loss / len(lost)) if lost else None,
        best=max(results, default=None),
        worst=min(results, default=None),
        return_mean=fmean(trade.return_fraction for trade in trades) if trades else None,
        holding_hours_mean=fmean(hours) if hours else None,
        holding_hours_median=median(hours) if hours else None,
        winning_streak=longest_streak([r > 0 for r in results]),
        losing_streak=longest_streak([r < 0 for r in results]),
        fees=fees,
        slippage_cost=slippage_cost,
    )


def longest_streak(hits: Sequence[bool]) -> int:
    """Return the length of the longest unbroken row of true values."""
    return max((sum(1 for _ in row) for is_hit, row in itertools.groupby(hits) if is_hit), default=0)
