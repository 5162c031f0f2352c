"""The candles a run was played on, read again from the cache, if they are still the same."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from orchestrator.analysis.curve import FloatArray, IntArray
from orchestrator.config import NS_PER_DAY, load_settings
from orchestrator.errors import ReplayError
from orchestrator.market.candles import Candles
from orchestrator.market.gaps import Gap, gaps_in_run
from orchestrator.market.market import Market
from orchestrator.market.markets import load_markets
from orchestrator.market.store import load_market
from orchestrator.runs.layout import CONFIG_FILE
from orchestrator.runs.reader import Run

__all__ = [
    "DailyCloses",
    "RunPrices",
    "closes_at",
    "daily_closes",
    "first_price",
    "gaps_of",
    "load_prices",
    "other_market",
]

_CLOSE: Final = 3  # column of a price block
_CHUNK: Final = 16_384  # ticks; a block of all of them would hold five columns of which one is needed
_CANDLES_MAX: Final = 2**31  # all there are


class RunPrices(NamedTuple):
    """Prices at the ticks of a run, as far as it went."""

    market: Market  # where the run's orders filled and its equity was marked
    times_ns: IntArray  # shape (n_ticks,)
    closes: FloatArray  # shape (n_ticks, n_coins): last close of each coin, NaN before its first

    def of(self, coin: str) -> FloatArray:
        """Return the closes of one coin."""
        return self.closes[:, self.market.coins.index(coin)]


class DailyCloses(NamedTuple):
    """Closes of whole UTC days, warm-up before the run included."""

    ends_ns: IntArray  # the midnight at which each is known
    closes: FloatArray


def load_prices(run: Run, cache: Path) -> RunPrices | str:
    """Return the prices of a run, or one line saying why they cannot be had."""
    try:
        markets = load_markets(cache, load_settings(run.directory / CONFIG_FILE, {}))
    except ReplayError as error:
        return f"prices are left out: the candles of the run cannot be read again ({error})"
    if markets.data_digest != run.manifest.data_digest:
        return (
            "prices are left out: the cached candles are not those of the run "
            f"(data digest {markets.data_digest[:12]}, the run had {run.manifest.data_digest[:12]})"
        )
    times, market = run.equity.sim_times_ns, markets.execution
    return RunPrices(
        market, times, np.column_stack([closes_at(market, coin, times) for coin in market.coins])
    )


def other_market(run_market: Market, cache: Path, coin: str) -> Market | None:
    """Return the market of another coin over the same time, of the same exchange; None when not cached."""
    try:
        return load_market(
            cache,
            coins=(coin,),
            timeframe=run_market.timeframe,
            exchange=run_market.exchange,
            quote=run_market.quote,
            start_ns=run_market.start_ns,
            end_ns=run_market.end_ns,
            gaps="stale",
            max_gap_ns=None,
        )
    except ReplayError:
        return None


def closes_at(market: Market, coin: str, times_ns: IntArray) -> FloatArray:
    """Return the last close of a coin at each of some times, NaN before its first one.

    Parameters
    ----------
    times_ns
        Ascending, shape (n,).
    """
    place = market.coins.index(coin)
    parts = [
        market.block(start, min(start + _CHUNK, market.tick_count)).prices[:, place, _CLOSE]
        for start in range(0, market.tick_count, _CHUNK)
    ]
    closes = np.concatenate([np.full(1, np.nan), *parts])
    return closes[np.searchsorted(market.tick_times_ns, times_ns, "right")]


def first_price(market: Market, coin: str) -> tuple[int, float] | None:
    """Return when the coin's first candle of the run opens, and its open price; None without one."""
    opens_ns = market.next_open_time(coin, market.start_ns - 1)
    opening = None if opens_ns is None else market.opening_at(coin, opens_ns)
    return None if opening is None else (opening.open_time_ns, opening.price)


def daily_closes(market: Market, coin: str, end_ns: int) -> DailyCloses | None:
    """Return the closes of days as known at a time; None when candles are longer than a day."""
    if NS_PER_DAY % market.timeframe_ns:
        return None
    columns = market.history(coin, "1d", _CANDLES_MAX, end_ns)
    return DailyCloses(columns.open_times_ns + NS_PER_DAY, columns.values[_CLOSE])


def gaps_of(market: Market, coin: str, end_ns: int) -> list[Gap]:
    """Return the stretches of a run, up to a time, in which a coin has no candles."""
    columns = market.history(coin, market.timeframe, _CANDLES_MAX, end_ns)
    candles = Candles(columns.open_times_ns, *columns.values)
    return gaps_in_run(candles, market.timeframe_ns, market.start_ns, end_ns)
