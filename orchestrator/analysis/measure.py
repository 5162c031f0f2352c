"""From a study to metrics.json: every figure asked of its one definition."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import numpy as np

from orchestrator.analysis.context import HOLD, MarketContext
from orchestrator.analysis.costs import costs_of
from orchestrator.analysis.curve import DAYS_PER_YEAR, Curve, days_of, total_return
from orchestrator.analysis.drawdown import Drawdown, drawdowns, max_drawdown
from orchestrator.analysis.metrics import (
    BenchmarkFigures,
    DrawdownFigures,
    GapFigures,
    Metrics,
    OpenTradeFigures,
    SharpeInterval,
)
from orchestrator.analysis.months import monthly_returns
from orchestrator.analysis.ratios import (
    cagr,
    calmar,
    expected_shortfall,
    kurtosis,
    omega,
    rate_per_day,
    sharpe,
    skew,
    sortino,
    value_at_risk,
    volatility,
)
from orchestrator.analysis.regime_figures import figures_of_regimes
from orchestrator.analysis.relative import relative_to
from orchestrator.analysis.stamps import stamp
from orchestrator.analysis.study import Study
from orchestrator.analysis.trade_figures import figures_of
from orchestrator.analysis.trades import OpenTrade
from orchestrator.analysis.trust import remarks_of
from orchestrator.analysis.uncertainty import probabilistic_sharpe, sharpe_interval
from orchestrator.analysis.walk_forward import walk_forward_of
from orchestrator.config import NS_PER_DAY, NS_PER_SECOND
from orchestrator.market.gaps import Gap

__all__ = ["measure"]

_IN_MARKET: Final = 0.001  # of equity; less is dust that no order could sell
_DRAWDOWNS: Final = 10


def measure(study: Study, risk_free_rate: float = 0.0) -> Metrics:
    """Return all figures of a study.

    Parameters
    ----------
    risk_free_rate
        Annual, a fraction, above -1.
    """
    free = rate_per_day(risk_free_rate)
    figures = {
        **_identity(study),
        **_growth(study),
        **_ratios(study, free),
        **_trading(study),
        **_market(study, free),
    }
    return Metrics(
        **figures,
        days_per_year=DAYS_PER_YEAR,
        risk_free_rate=risk_free_rate,
        walk_forward=walk_forward_of(study),
        warnings=remarks_of(study.run, study.context, figures["trades"], len(study.days.returns)),
    )


def _identity(study: Study) -> dict[str, Any]:
    run, times = study.run, study.curve.times_ns
    return {
        "run": run.name,
        "status": run.status,
        "reason": run.manifest.reason,
        "digest": run.manifest.digest,
        "data_digest": run.manifest.data_digest,
        "seed": run.manifest.seed,
        "start": stamp(int(times[0])),
        "end": stamp(int(times[-1])),
        "span_days": study.curve.span_days,
        "days": len(study.days.returns),
        "sequences": len(run.equity.sequences),
        "currency": study.terms.currency,
    }


def _growth(study: Study) -> dict[str, Any]:
    curve = study.curve
    worst = [_fall(fall) for fall in drawdowns(curve, _DRAWDOWNS)]
    return {
        "initial_equity": float(curve.values[0]),
        "final_equity": float(curve.values[-1]),
        "total_return": total_return(curve.values),
        "max_drawdown": worst[0] if worst else _NO_FALL,
        "drawdowns": tuple(worst),
        "monthly_returns": monthly_returns(curve),
    }


def _ratios(study: Study, free: float) -> dict[str, Any]:
    # Too few days leave no returns, and a ratio of none is None.
    returns = study.days.returns if study.has_enough_days else study.days.returns[:0]
    growth = _annual_growth(study, study.curve)
    interval = sharpe_interval(returns, study.run.manifest.seed, free)
    return {
        "cagr": growth,
        "volatility": volatility(returns),
        "sharpe": sharpe(returns, free),
        "sharpe_interval": None if interval is None else SharpeInterval(**interval._asdict()),
        "probabilistic_sharpe": probabilistic_sharpe(returns, free),
        "sortino": sortino(returns, free),
        "calmar": calmar(growth, max_drawdown(study.curve.values)),
        "omega": omega(returns, free),
        "skew": skew(returns),
        "kurtosis": kurtosis(returns),
        "value_at_risk": value_at_risk(returns),
        "expected_shortfall": expected_shortfall(returns),
        "best_day": float(np.max(returns)) if returns.size else None,
        "worst_day": float(np.min(returns)) if returns.size else None,
    }


def _trading(study: Study) -> dict[str, Any]:
    run, trades = study.run, study.book.trades
    figures = figures_of(trades)
    values = study.curve.values
    costs = costs_of(run.fills, float(values[0]), float(values[-1]), run.cash_flows)
    turnover = float(costs.notional) / 2.0 / float(np.mean(values))
    return {
        "exposure": float(np.mean(study.exposure)),
        "time_in_market": float(np.mean(np.abs(study.exposure) >= _IN_MARKET)),
        "turnover": turnover,
        "turnover_annual": turnover * DAYS_PER_YEAR / study.curve.span_days
        if study.has_enough_days
        else None,
        "trades": figures.trades,
        "win_rate": figures.win_rate,
        "profit_factor": figures.profit_factor,
        "trade_figures": figures,
        "trade_figures_by_coin": {
            coin: figures_of([trade for trade in trades if _coin_of(trade.symbol) == coin])
            for coin in run.manifest.coins
        },
        "open_trades": tuple(_open_trades(study)),
        "orders": len(run.orders),
        "orders_rejected": sum(order["state"] == "rejected" for order in run.orders),
        "fills": len(run.fills),
        "fees": costs.fees,
        "slippage_cost": costs.slippage_cost,
        "costs": costs,
    }


def _market(study: Study, free: float) -> dict[str, Any]:
    context = study.context
    if isinstance(context, str):
        return {"buy_and_hold_return": None, "benchmarks": {}, "regimes": None, "sources": (), "gaps": {}}
    held = context.curves[HOLD]
    return {
        "buy_and_hold_return": total_return(held.values),
        "benchmarks": {name: _against(study, curve, free) for name, curve in context.curves.items()},
        "regimes": None
        if context.regimes is None
        else figures_of_regimes(context.regimes, study.days, held, context.leader, free),
        "sources": context.sources,
        "gaps": {
            coin: _gap_figures(gaps, context.prices.market.timeframe_ns)
            for coin, gaps in context.gaps.items()
            if gaps
        },
    }


def _gap_figures(gaps: list[Gap], timeframe_ns: int) -> GapFigures:
    longest = max(gaps, key=lambda gap: gap.length_ns)
    return GapFigures(
        count=len(gaps),
        missing_candles=sum(gap.length_ns for gap in gaps) // timeframe_ns,
        longest_seconds=longest.length_ns / NS_PER_SECOND,
        longest_start=stamp(longest.start_ns),
    )


def _annual_growth(study: Study, curve: Curve) -> float | None:
    return cagr(float(curve.values[-1] / curve.values[0]), curve.span_days) if study.has_enough_days else None


def _against(study: Study, held: Curve, free: float) -> BenchmarkFigures:
    returns, market = study.days.returns, days_of(held).returns
    if not study.has_enough_days:
        returns, market = returns[:0], market[:0]
    growth = total_return(held.values)
    return BenchmarkFigures(
        total_return=growth,
        max_drawdown=max_drawdown(held.values),
        cagr=_annual_growth(study, held),
        volatility=volatility(market),
        sharpe=sharpe(market, free),
        outperformance=total_return(study.curve.values) - growth,
        **relative_to(returns, market, free)._asdict(),
    )


_NO_FALL: Final = DrawdownFigures(
    fraction=0.0, value=0.0, peak_time=None, trough_time=None, recovery_time=None, duration_days=0.0
)


def _fall(fall: Drawdown) -> DrawdownFigures:
    return DrawdownFigures(
        fraction=fall.fraction,
        value=fall.value,
        peak_time=stamp(fall.peak_ns),
        trough_time=stamp(fall.trough_ns),
        recovery_time=None if fall.recovery_ns is None else stamp(fall.recovery_ns),
        duration_days=fall.duration_ns / NS_PER_DAY,
    )


def _open_trades(study: Study) -> Iterator[OpenTradeFigures]:
    for trade in study.book.open_trades:
        mark = _last_close(study.context, _coin_of(trade.symbol))
        yield _open_trade(trade, mark)


def _open_trade(trade: OpenTrade, mark: float | None) -> OpenTradeFigures:
    return OpenTradeFigures(
        symbol=trade.symbol,
        component=trade.component,
        side=trade.side,
        qty=trade.qty,
        entry_time=stamp(trade.entry_ns),
        entry_price=trade.entry_price,
        entry_notional=trade.entry_notional,
        entry_order=trade.entry_order,
        fees=trade.fees,
        slippage_cost=trade.slippage_cost,
        mark_price=mark,
        pnl=None if mark is None else trade.pnl_at(Decimal(repr(mark))),
    )


def _last_close(context: MarketContext | str, coin: str) -> float | None:
    return None if isinstance(context, str) else float(context.prices.of(coin)[-1])


def _coin_of(symbol: str) -> str:
    return symbol.partition("-")[0]
