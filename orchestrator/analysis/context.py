"""The market around a run, from the cache: prices, buy and hold, regimes, other exchanges."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from orchestrator.analysis.benchmark import Holding, hold
from orchestrator.analysis.curve import Curve, Days, FloatArray
from orchestrator.analysis.prices import (
    DailyCloses,
    RunPrices,
    closes_at,
    daily_closes,
    first_price,
    gaps_of,
    load_prices,
    other_market,
)
from orchestrator.analysis.regimes import Regimes, regimes_of
from orchestrator.analysis.sources import SourceFigures, compare_sources
from orchestrator.analysis.terms import Terms
from orchestrator.market.gaps import Gap
from orchestrator.market.market import Market
from orchestrator.runs.reader import Run

__all__ = ["HOLD", "LEADER", "MarketContext", "market_context"]

LEADER: Final = "BTC"
"""The coin that market regimes are told by and that runs are compared with, where its candles are cached."""

HOLD: Final = "buy_and_hold"
"""Name of the benchmark that holds all coins of the run."""


class MarketContext(NamedTuple):
    """What the market did during a run."""

    prices: RunPrices
    curves: dict[str, Curve]  # HOLD, and LEADER alone where its candles are cached: what holding gave
    leader: str  # the coin that regimes are told by
    leader_closes: DailyCloses | None
    regimes: Regimes | None
    sources: tuple[SourceFigures, ...]
    gaps: dict[str, list[Gap]]  # of each coin, as far as the run went


def market_context(run: Run, curve: Curve, days: Days, terms: Terms, cache: Path) -> MarketContext | str:
    """Return the market around a run, or one line saying why it cannot be told.

    Parameters
    ----------
    days
        The whole days of the curve.
    """
    prices = load_prices(run, cache)
    if isinstance(prices, str):
        return prices
    market, end_ns = prices.market, int(curve.times_ns[-1])
    held = [_holding(market, coin, prices.of(coin)) for coin in market.coins]
    curves = {HOLD: hold(curve, held, terms.taker_fee_rate)}
    leading = market if LEADER in market.coins else other_market(market, cache, LEADER)
    leader = LEADER
    if leading is None:
        leader, leading = market.coins[0], market
    else:
        alone = _holding(leading, LEADER, closes_at(leading, LEADER, prices.times_ns))
        curves[LEADER] = hold(curve, [alone], terms.taker_fee_rate)
    closes = daily_closes(leading, leader, end_ns)
    return MarketContext(
        prices=prices,
        curves=curves,
        leader=leader,
        leader_closes=closes,
        regimes=None if closes is None else regimes_of(days, closes),
        sources=compare_sources(market, cache, end_ns),
        gaps={coin: gaps_of(market, coin, end_ns) for coin in market.coins},
    )


def _holding(market: Market, coin: str, closes: FloatArray) -> Holding | None:
    first = first_price(market, coin)
    return None if first is None else (*first, closes)
