"""Other exchanges' candles of the run's coins, if the cache has them: how far they lie from those traded on.

The figures are those of `replay data compare` over the time of the run.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from orchestrator.analysis.stamps import stamp
from orchestrator.errors import ReplayError
from orchestrator.market.cache import series_in
from orchestrator.market.divergence import Divergence, divergence_between
from orchestrator.market.market import Market
from orchestrator.market.pairing import Pairing, Side, pair_series
from orchestrator.market.series import MADE_UP_EXCHANGES
from orchestrator.market.spans import Span
from orchestrator.market.timeframes import timeframe_label

__all__ = ["SourceFigures", "compare_sources"]


class SourceFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One coin on another exchange against the exchange of the run, over the time of the run."""

    coin: str
    exchange: str
    quote: str
    timeframe: str  # at which they are compared
    candles: int
    mean: float  # fractions of the other exchange's close
    median: float
    high: float  # 99 % of moments lie at or below it
    maximum: float
    correlation: float | None
    adjustment_factor: float
    worst: tuple[WorstMoment, ...]


class WorstMoment(msgspec.Struct, frozen=True, kw_only=True):
    """A candle at which the two are furthest apart."""

    time: str
    close: float  # of the run's exchange
    other_close: float
    divergence: float  # fraction


def compare_sources(market: Market, cache: Path, end_ns: int) -> tuple[SourceFigures, ...]:
    """Return one entry for each coin and other exchange whose candles the cache has.

    Parameters
    ----------
    market
        Where the run's orders filled; that of its signals, if it is another one, is among the others.
    end_ns
        How far the run went.
    """
    if market.exchange in MADE_UP_EXCHANGES:
        return ()
    compared = (
        _compare(market, cache, coin, other, end_ns)
        for coin in market.coins
        for other in _others(market, cache, coin)
    )
    return tuple(figures for figures in compared if figures is not None)


def _others(market: Market, cache: Path, coin: str) -> list[Side]:
    keys = [key for key in series_in(cache) if key.coin == coin and key.exchange != market.exchange]
    return [
        Side(*other) for other in sorted({key[:3] for key in keys if key.exchange not in MADE_UP_EXCHANGES})
    ]


def _compare(market: Market, cache: Path, coin: str, other: Side, end_ns: int) -> SourceFigures | None:
    own = Side(market.exchange, coin, market.quote)
    try:
        pairing = pair_series(
            cache, own, other, preferred=market.timeframe, span=Span(market.start_ns, end_ns)
        )
    except ReplayError:
        return None  # no common timeframe; or a damaged series, the affair of `replay data verify`
    divergence = divergence_between(pairing.candles_a, pairing.candles_b)
    return None if divergence is None else _figures(pairing, divergence)


def _figures(pairing: Pairing, found: Divergence) -> SourceFigures:
    return SourceFigures(
        coin=pairing.b.coin,
        exchange=pairing.b.exchange,
        quote=pairing.b.quote,
        timeframe=timeframe_label(pairing.timeframe_ns),
        candles=found.candles,
        mean=found.mean_pct / 100,
        median=found.median_pct / 100,
        high=found.high_pct / 100,
        maximum=found.max_pct / 100,
        correlation=found.correlation,
        adjustment_factor=found.adjustment_factor,
        worst=tuple(
            WorstMoment(
                time=stamp(moment.open_time_ns),
                close=moment.close_a,
                other_close=moment.close_b,
                divergence=moment.divergence_pct / 100,
            )
            for moment in found.worst
        ),
    )
