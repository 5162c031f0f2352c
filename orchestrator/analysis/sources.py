"""Other exchanges' candles of the run's coins, if the cache has them: how far they lie from those replayed."""

from __future__ import annotations

from pathlib import Path

import msgspec

from orchestrator.analysis.stamps import stamp
from orchestrator.errors import ReplayError
from orchestrator.market.cache import series_in
from orchestrator.market.candles import Candles
from orchestrator.market.divergence import Divergence, divergence_between
from orchestrator.market.mapped import map_series
from orchestrator.market.market import Market
from orchestrator.market.resample import resample
from orchestrator.market.series import MADE_UP_EXCHANGES, SeriesKey, series_key

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
    """Return one entry for each coin and other exchange whose candles the cache has."""
    found: list[SourceFigures] = []
    if market.exchange in MADE_UP_EXCHANGES:
        return ()
    for coin in market.coins:
        for key in _others(market, cache, coin):
            divergence = _compare(market, cache, coin, key, end_ns)
            if divergence is not None:
                found.append(divergence)
    return tuple(found)


def _others(market: Market, cache: Path, coin: str) -> list[SeriesKey]:
    # Of each other exchange and quote the finest series that fits the run's grid.
    finest: dict[tuple[str, str], SeriesKey] = {}
    for key in sorted(series_in(cache), key=lambda key: key.timeframe_ns):
        is_other = key.coin == coin and key.exchange not in (market.exchange, *MADE_UP_EXCHANGES)
        coarse = max(key.timeframe_ns, market.timeframe_ns)
        if is_other and coarse % key.timeframe_ns == 0 and coarse % market.timeframe_ns == 0:
            finest.setdefault((key.exchange, key.quote), key)
    return list(finest.values())


def _compare(market: Market, cache: Path, coin: str, key: SeriesKey, end_ns: int) -> SourceFigures | None:
    own = series_key(market.exchange, coin, market.quote, market.timeframe)
    coarse = max(own, key, key=lambda series: series.timeframe_ns)
    try:
        pair = [_inside(map_series(cache, series), market.start_ns, end_ns) for series in (own, key)]
    except ReplayError:
        return None  # a damaged other series is the affair of `replay data verify`
    of_own, of_other = (
        candles
        if series.timeframe_ns == coarse.timeframe_ns or not candles.size
        else resample(candles, coarse.timeframe_ns, coarse.anchor_ns)
        for candles, series in zip(pair, (own, key), strict=True)
    )
    divergence = divergence_between(of_own, of_other)
    return None if divergence is None else _figures(coin, key, coarse.timeframe, divergence)


def _inside(candles: Candles, start_ns: int, end_ns: int) -> Candles:
    return candles.take(slice(*candles.open_times_ns.searchsorted([start_ns, end_ns])))


def _figures(coin: str, key: SeriesKey, timeframe: str, found: Divergence) -> SourceFigures:
    return SourceFigures(
        coin=coin,
        exchange=key.exchange,
        quote=key.quote,
        timeframe=timeframe,
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
