"""The one or two markets of a run: what components see, and where their orders fill.

With two, a tick is a time at which a candle of either closes: components see a stale candle where only the other
exchange had one, and orders are judged on every candle of the exchange that fills them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from orchestrator.config import Settings, parse_duration_ns
from orchestrator.errors import ConfigError, DataError
from orchestrator.market.cache import series_in
from orchestrator.market.market import Market
from orchestrator.market.series import SeriesKey
from orchestrator.market.store import load_market

__all__ = ["Markets", "load_markets"]


class Markets(NamedTuple):
    """Both have the same coins, timeframe, dates and ticks; where one exchange does both they are one object."""

    signals: Market
    execution: Market

    @property
    def are_two(self) -> bool:
        """Whether signals and fills come from different exchanges."""
        return self.signals is not self.execution

    @property
    def data_digest(self) -> str:
        """SHA-256 hex over the digests of both; that of the market where there is one."""
        if not self.are_two:
            return self.signals.data_digest
        text = f"signals {self.signals.data_digest}\nexecution {self.execution.data_digest}\n"
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the user, one line each."""
        if not self.are_two:
            return self.signals.notes
        name = self.execution.exchange
        return (
            f"signals come from {self.signals.exchange}, fills and equity marks from {name}",
            *(f"{self.signals.exchange}: {note}" for note in self.signals.notes),
            *(f"{name}: {note}" for note in self.execution.notes),
            *self._apart_notes(),
        )

    def _apart_notes(self) -> list[str]:
        signals, execution = self
        apart = [coin for coin in signals.coins if not _have_common_candles(signals, execution, coin)]
        if not apart:
            return []
        exchanges = f"{signals.exchange} and {execution.exchange}"
        what = f"{', '.join(apart)}: no candles of {exchanges} have the same times in this run"
        return [f"{what}, so how far their prices lie apart is not known"]


def load_markets(cache: Path, settings: Settings) -> Markets:
    """Return the markets of a run, their candles mapped from the cache.

    Raises
    ------
    DataError
        If candles are missing, the dates lie outside the data, or a gap is not accepted.
    ConfigError
        If several exchanges or quotes fit, or both markets would be of one exchange.
    """
    data = settings.data
    signals = _load(
        cache,
        settings,
        timeframe=settings.timeframe,
        exchange=data.exchange,
        quote=data.quote,
        finer_timeframes=data.finer if data.execution is None else (),  # they decide fills, nothing else
    )
    if data.execution is None:
        _require_finer(signals, data.finer)
        return Markets(signals, signals)
    if data.execution.lower() == signals.exchange:
        raise ConfigError(
            f"data.execution has no effect: the signals come from {signals.exchange} already; name another exchange"
        )
    source = _execution_timeframe(cache, settings, signals)
    execution = _load(
        cache,
        settings,
        timeframe=source,
        exchange=data.execution,
        quote=data.execution_quote,
        finer_timeframes=data.finer,
        summed_to=None if source == signals.timeframe else signals.timeframe,
    )
    _require_finer(execution, data.finer)
    ticks = np.union1d(signals.tick_times_ns, execution.tick_times_ns)
    return Markets(signals.with_ticks(ticks), execution.with_ticks(ticks))


def _have_common_candles(one: Market, other: Market, coin: str) -> bool:
    count = (one.end_ns - one.start_ns) // one.timeframe_ns + 1
    mine, theirs = (
        market.history(coin, market.timeframe, count, market.end_ns).open_times_ns for market in (one, other)
    )
    common = np.intersect1d(mine, theirs, assume_unique=True)
    return bool((common >= one.start_ns).any())


def _require_finer(market: Market, wanted: tuple[str, ...] | None) -> None:
    missing = sorted(set(wanted or ()) - set(market.finer_timeframes))
    if missing:
        decide = ", ".join(market.finer_timeframes) or "none"
        raise DataError(
            f"data.finer names {', '.join(missing)}, which decides no candle of the run ({decide} would); "
            "import or fetch those candles, or take them out of data.finer"
        )


def _load(
    cache: Path,
    settings: Settings,
    *,
    timeframe: str | None,
    exchange: str | None,
    quote: str | None,
    finer_timeframes: tuple[str, ...] | None,
    summed_to: str | None = None,
) -> Market:
    max_gap = settings.data.max_gap
    return load_market(
        cache,
        coins=settings.coins,
        timeframe=timeframe,
        exchange=exchange,
        quote=quote,
        start_ns=settings.start_ns,
        end_ns=settings.end_ns,
        gaps=settings.data.gaps,
        max_gap_ns=None if max_gap is None else parse_duration_ns(max_gap),
        finer_timeframes=finer_timeframes,
        summed_to=summed_to,
    )


def _execution_timeframe(cache: Path, settings: Settings, signals: Market) -> str:
    # The run's own timeframe if that exchange has it, else the longest that sums to it.
    exchange = (settings.data.execution or "").lower()
    keys = [key for key in series_in(cache) if key.exchange == exchange]
    wanted = [key for key in keys if settings.data.execution_quote in (None, key.quote)]
    fitting = [
        timeframe
        for timeframe in _timeframes_of_all(wanted, settings.coins)
        if timeframe[0] <= signals.timeframe_ns
    ]
    for _, name in sorted(fitting, reverse=True):
        if all(_reaches(key, signals) for key in wanted if key.timeframe == name):
            return name
    cached = ", ".join(f"{key.coin}-{key.quote} {key.timeframe}" for key in keys) or "nothing"
    raise DataError(
        f"{exchange} has no {signals.timeframe} candles of {', '.join(settings.coins)}, nor shorter ones that sum to "
        f"them; it has {cached}; fetch or import them, or choose another --timeframe"
    )


def _timeframes_of_all(keys: list[SeriesKey], coins: tuple[str, ...]) -> set[tuple[int, str]]:
    having = [{(key.timeframe_ns, key.timeframe) for key in keys if key.coin == coin} for coin in coins]
    return set.intersection(*having)


def _reaches(key: SeriesKey, signals: Market) -> bool:
    goal = key._replace(timeframe=signals.timeframe)
    return key == goal or goal.can_be_made_of(key)
