"""Which figures are shown, under which name and in which form: the same on the page and in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec

from orchestrator.analysis.formats import (
    ABSENT,
    days_text,
    hours_text,
    moment,
    money,
    number,
    percent,
    signed_percent,
    signed_points,
    times,
)
from orchestrator.analysis.metrics import DAYS_MIN, Metrics

__all__ = [
    "BENCHMARK",
    "COSTS",
    "HEADLINE",
    "RETURNS",
    "RISK",
    "TOO_SHORT",
    "TRADES",
    "Item",
    "Shown",
    "plain_metrics",
    "shown",
    "value_at",
]

TOO_SHORT: Final = "too short"

Plain = Mapping[str, Any]


class Item(NamedTuple):
    """A figure that can be shown."""

    label: str
    path: str  # in metrics.json, parts joined by dots
    form: Callable[[Any], str]
    hint: str = ""
    needs_days: bool = False  # None means that the run is too short for it
    needs: str = ""  # path that must not be None for the figure to mean anything


class Shown(NamedTuple):
    """A figure of one run, ready to be read."""

    label: str
    text: str
    path: str
    value: Any  # as in metrics.json
    hint: str


def _plain_number(value: Any) -> str:
    return number(value, 2)


def _count(value: Any) -> str:
    return number(value, 0)


def _daily(label: str, path: str, form: Callable[[Any], str], hint: str = "") -> Item:
    return Item(label, path, form, hint, needs_days=True)


HEADLINE: Final = (
    Item("return", "total_return", signed_percent),
    Item("buy and hold", "buy_and_hold_return", signed_percent),
    _daily("annual growth (CAGR)", "cagr", signed_percent),
    _daily("volatility", "volatility", percent),
    _daily("Sharpe", "sharpe", _plain_number),
    _daily("Sharpe, 95 % from", "sharpe_interval.low", _plain_number),
    _daily("Sharpe, 95 % to", "sharpe_interval.high", _plain_number),
    _daily("Sortino", "sortino", _plain_number),
    _daily("Calmar", "calmar", _plain_number),
    Item("maximum drawdown", "max_drawdown.fraction", percent),
    Item("final equity", "final_equity", money),
    Item("trades", "trades", _count),
    Item("win rate", "win_rate", percent),
    Item("profit factor", "profit_factor", _plain_number),
    Item("fees", "fees", money),
    Item("slippage cost", "slippage_cost", money),
    Item("return at zero cost", "costs.return_at_zero_cost", signed_percent),
)

RETURNS: Final = (
    Item("Initial equity", "initial_equity", money),
    Item("Final equity", "final_equity", money),
    Item("Return", "total_return", signed_percent),
    _daily("Annual growth (CAGR)", "cagr", signed_percent, "growth to the power of 365 over the days"),
    _daily("Best day", "best_day", signed_percent),
    _daily("Worst day", "worst_day", signed_percent),
    _daily("Skew", "skew", _plain_number, "below 0: the large moves are losses"),
    _daily(
        "Excess kurtosis",
        "kurtosis",
        _plain_number,
        "above 0: more extreme days than a normal distribution has",
    ),
    Item("Exposure, mean", "exposure", percent, "share of equity in coins"),
    Item(
        "Time in market", "time_in_market", percent, "share of ticks with at least 0.1 % of equity in coins"
    ),
    Item("Turnover", "turnover", times, "half of all that was traded over mean equity"),
    _daily("Turnover a year", "turnover_annual", times),
)

RISK: Final = (
    _daily("Volatility", "volatility", percent, "annual, of daily returns"),
    _daily("Sharpe", "sharpe", _plain_number, "annual; return above the risk-free rate per volatility"),
    _daily(
        "Sharpe, low end", "sharpe_interval.low", _plain_number, "of the 95 % interval, stationary bootstrap"
    ),
    _daily("Sharpe, high end", "sharpe_interval.high", _plain_number),
    _daily(
        "Probability of a Sharpe above 0",
        "probabilistic_sharpe",
        lambda x: percent(x, 1),
        "if this is the only strategy that was tried",
    ),
    _daily("Sortino", "sortino", _plain_number, "as Sharpe, but only losses count as risk"),
    _daily("Calmar", "calmar", _plain_number, "annual growth over maximum drawdown"),
    _daily("Omega", "omega", _plain_number, "sum of daily gains over sum of daily losses"),
    _daily("Value at risk, 1 day", "value_at_risk", percent, "5 % of days lose at least this"),
    _daily("Expected shortfall, 1 day", "expected_shortfall", percent, "mean loss of those days"),
    Item(
        "Maximum drawdown",
        "max_drawdown.fraction",
        percent,
        "marked at every candle, unrealised losses included",
    ),
    Item("Drawdown, in money", "max_drawdown.value", money),
    Item("Drawdown, peak", "max_drawdown.peak_time", moment),
    Item("Drawdown, trough", "max_drawdown.trough_time", moment),
    Item(
        "Drawdown, recovered",
        "max_drawdown.recovery_time",
        lambda x: "not by the end" if x is None else moment(x),
        needs="max_drawdown.peak_time",
    ),
    Item(
        "Drawdown, duration",
        "max_drawdown.duration_days",
        days_text,
        "from the peak to the recovery, or to the end",
    ),
)

TRADES: Final = (
    Item("Trades", "trades", _count),
    Item("Win rate", "win_rate", percent),
    Item("Profit factor", "profit_factor", _plain_number, "sum of wins over sum of losses"),
    Item("Expectancy", "expectancy", money, "mean result of a trade"),
    Item("Average win", "average_win", money),
    Item("Average loss", "average_loss", money),
    Item("Best", "best", money),
    Item("Worst", "worst", money),
    Item("Mean return", "return_mean", signed_percent, "of what the entry cost"),
    Item("Holding time, mean", "holding_hours_mean", hours_text),
    Item("Holding time, median", "holding_hours_median", hours_text),
    Item("Wins in a row", "winning_streak", _count),
    Item("Losses in a row", "losing_streak", _count),
    Item("Result", "pnl", money),
    Item("Fees", "fees", money),
    Item("Slippage cost", "slippage_cost", money),
)
"""Paths within `trade_figures`, or within one coin's."""

COSTS: Final = (
    Item(
        "Result at zero cost", "gross_pnl", money, "the same fills at their reference prices and without fees"
    ),
    Item("Fees", "fees", money),
    Item("Slippage", "slippage_cost", money, "fill price against reference price"),
    Item("… of it impact", "impact_cost", money, "caused by the orders' own size"),
    Item("Financing", "financing", money, "interest, funding, liquidation fees; negative if received"),
    Item("Costs together", "total", money),
    Item("Result", "net_pnl", money),
    Item(
        "Costs, share of the result at zero cost",
        "share_of_gross",
        lambda x: percent(x, 1),
        "absent when that result is a loss",
    ),
    Item("Return at zero cost", "return_at_zero_cost", signed_percent),
    Item("Traded", "notional", money, "bought and sold"),
    Item("Share traded as maker", "maker_share", percent),
)
"""Paths within `costs`."""

BENCHMARK: Final = (
    Item("Return", "total_return", signed_percent),
    Item("Outperformance", "outperformance", signed_points, "return of the run minus that of the benchmark"),
    Item("Maximum drawdown", "max_drawdown", percent),
    _daily("Annual growth (CAGR)", "cagr", signed_percent),
    _daily("Volatility", "volatility", percent),
    _daily("Sharpe", "sharpe", _plain_number),
    _daily("Beta of the run", "beta", _plain_number, "how much of the benchmark's moves it shares"),
    _daily("Alpha of the run", "alpha", signed_percent, "annual; what beta does not explain"),
    _daily("Correlation", "correlation", _plain_number),
    _daily("Information ratio", "information_ratio", _plain_number, "annual; difference over its deviation"),
)
"""Paths within one of `benchmarks`."""


def plain_metrics(metrics: Metrics) -> dict[str, Any]:
    """Return metrics.json as dicts and lists; money stays `Decimal`."""
    plain: dict[str, Any] = msgspec.to_builtins(metrics, builtin_types=(Decimal,))
    return plain


def shown(items: Sequence[Item], plain: Plain, within: str = "") -> list[Shown]:
    """Return figures of one run as text.

    Parameters
    ----------
    plain
        `plain_metrics` of the run.
    within
        Path of the part that the items' paths begin in; empty for the whole.
    """
    return [_shown(item, plain, within) for item in items]


def value_at(plain: Plain, path: str) -> Any:
    """Return the value at a path; None where a part on the way is None."""
    value: Any = plain
    for part in path.split("."):
        if value is None:
            return None
        value = value[part]
    return value


def _shown(item: Item, plain: Plain, within: str) -> Shown:
    path = f"{within}.{item.path}" if within else item.path
    value = value_at(plain, path)
    is_short = value is None and item.needs_days and plain["days"] < DAYS_MIN
    is_void = bool(item.needs) and value_at(plain, item.needs) is None
    text = TOO_SHORT if is_short else ABSENT if is_void else item.form(value)
    return Shown(item.label, text, path, value, item.hint)
