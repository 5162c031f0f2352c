"""metrics.json: every figure of a run in one typed document; fractions, not percent.

What is made of daily returns needs at least 30 whole days and is None below that ("too short").
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from orchestrator.analysis.costs import Costs
from orchestrator.analysis.sources import SourceFigures
from orchestrator.analysis.trade_figures import TradeFigures
from orchestrator.analysis.walk_forward_figures import WalkForwardFigures

__all__ = [
    "DAYS_MIN",
    "BenchmarkFigures",
    "DrawdownFigures",
    "GapFigures",
    "Metrics",
    "MonthlyReturn",
    "OpenTradeFigures",
    "RegimeFigures",
    "RegimesFigures",
    "Remark",
    "SharpeInterval",
    "encode_metrics",
    "encode_several",
]

DAYS_MIN: Final = 30
"""Whole days below which no figure is made of daily returns."""


class _Section(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the parts of metrics.json."""


class DrawdownFigures(_Section, frozen=True, kw_only=True):
    """One fall of equity; of a run that never fell the times are None."""

    fraction: float
    value: float  # quote currency
    peak_time: str | None
    trough_time: str | None
    recovery_time: str | None  # None: not recovered by the end
    duration_days: float  # from the peak to the recovery, or to the end


class SharpeInterval(_Section, frozen=True, kw_only=True):
    """Percentile interval of the Sharpe ratio by stationary bootstrap."""

    low: float
    high: float
    level: float
    samples: int
    block_days: float


class BenchmarkFigures(_Section, frozen=True, kw_only=True):
    """A benchmark, and the run against it."""

    total_return: float
    max_drawdown: float  # fraction
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    outperformance: float  # total return of the run minus that of the benchmark
    beta: float | None
    alpha: float | None
    correlation: float | None
    information_ratio: float | None


class RegimeFigures(_Section, frozen=True, kw_only=True):
    """The days of one regime, strung together."""

    name: str
    days: int
    share: float  # of the whole days of the run
    total_return: float
    market_return: float | None  # of buy and hold on the same days
    sharpe: float | None
    max_drawdown: float


class RegimesFigures(_Section, frozen=True, kw_only=True):
    """How the run did in each market regime, and by which windows regimes were told."""

    market: str  # the coin that leads
    trend_days: tuple[int, int]  # fast, slow
    usual_trend_days: tuple[int, int]
    band: float
    volatility_days: tuple[int, int]  # days of returns, days of history they are ranked in
    trend: tuple[RegimeFigures, ...]
    volatility: tuple[RegimeFigures, ...]
    combined: tuple[RegimeFigures, ...]


class MonthlyReturn(_Section, frozen=True, kw_only=True):
    """One calendar month, UTC."""

    month: str  # 2024-01
    total_return: float
    is_whole: bool


class OpenTradeFigures(_Section, frozen=True, kw_only=True):
    """What was bought and not yet sold."""

    symbol: str
    component: str
    side: str  # long, short
    qty: Decimal
    entry_time: str
    entry_price: Decimal
    entry_notional: Decimal
    entry_order: str
    fees: Decimal
    slippage_cost: Decimal
    mark_price: float | None  # last close; None without prices
    pnl: Decimal | None  # unrealised, the entry's fees paid


class GapFigures(_Section, frozen=True, kw_only=True):
    """Stretches of the run in which a coin has no candles; it kept its last close there."""

    count: int
    missing_candles: int
    longest_seconds: float
    longest_start: str


class Remark(_Section, frozen=True, kw_only=True):
    """Something to know before trusting the result."""

    level: str  # "warning" or "note"
    text: str


class Metrics(_Section, frozen=True, kw_only=True):
    """All figures of a run; money in `currency`, None where too short or undefined."""

    run: str
    status: str
    reason: str | None
    digest: str
    data_digest: str
    seed: int
    start: str
    end: str  # of the last tick that was reached
    span_days: float
    days: int  # whole UTC days; 0 where candles are longer than a day
    sequences: int
    currency: str
    days_per_year: int
    risk_free_rate: float  # annual

    initial_equity: float
    final_equity: float
    total_return: float
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    sharpe_interval: SharpeInterval | None
    probabilistic_sharpe: float | None  # probability that the true ratio is above zero
    sortino: float | None
    calmar: float | None
    omega: float | None
    skew: float | None
    kurtosis: float | None
    value_at_risk: float | None  # daily, 95 %
    expected_shortfall: float | None
    best_day: float | None
    worst_day: float | None
    max_drawdown: DrawdownFigures
    drawdowns: tuple[DrawdownFigures, ...]  # the ten deepest
    exposure: float  # mean share of equity that is not cash; negative when short, above 1 when borrowed
    time_in_market: float  # share of ticks with at least 0.1 % of equity in coins
    turnover: float  # half of what was traded over mean equity
    turnover_annual: float | None

    trades: int
    win_rate: float | None
    profit_factor: float | None
    trade_figures: TradeFigures
    trade_figures_by_coin: dict[str, TradeFigures]
    open_trades: tuple[OpenTradeFigures, ...]
    orders: int
    orders_rejected: int
    fills: int

    fees: Decimal
    slippage_cost: Decimal
    costs: Costs

    buy_and_hold_return: float | None
    benchmarks: dict[str, BenchmarkFigures]
    monthly_returns: tuple[MonthlyReturn, ...]
    regimes: RegimesFigures | None
    walk_forward: WalkForwardFigures | None  # None: nothing was trained
    sources: tuple[SourceFigures, ...]
    gaps: dict[str, GapFigures]  # coins without a gap are absent
    warnings: tuple[Remark, ...]


def encode_metrics(metrics: Metrics) -> bytes:
    """Return metrics.json: money as exact JSON numbers, keys in the order above."""
    return _encode(metrics)


def encode_several(measured: Sequence[Metrics]) -> bytes:
    """Return the metrics of several runs as one JSON list."""
    return _encode(list(measured))


def _encode(value: Metrics | list[Metrics]) -> bytes:
    encoder = msgspec.json.Encoder(decimal_format="number")
    return msgspec.json.format(encoder.encode(value), indent=2) + b"\n"
