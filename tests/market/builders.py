"""Small markets for tests: candles, cached series, and the files of other programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from orchestrator.config import NS_PER_SECOND, parse_date_ns, parse_timeframe_ns
from orchestrator.market.cache import store_series
from orchestrator.market.candles import Candles
from orchestrator.market.market import Market
from orchestrator.market.series import SeriesKey, series_key
from orchestrator.market.store import load_market

START = "2024-01-01"
KEY = series_key("binance", "BTC", "USDT", "5m")


def candles_at(times_ns: list[int], *, seed: int = 1) -> Candles:
    """Return sound candles with distinct values at the given open times."""
    count = len(times_ns)
    chance = np.random.default_rng(seed)
    low = 90 + chance.random(count).round(4)
    high = low + 1 + chance.random(count).round(4)
    opens, closes = (low + (high - low) * chance.random(count) for _ in range(2))
    volume = chance.random(count).round(3) * 50
    return Candles(np.array(times_ns, dtype=np.int64), opens, high, low, closes, volume)


def candles_from(start: str, count: int, timeframe: str = "5m", *, seed: int = 1) -> Candles:
    """Return `count` candles without gaps."""
    first, step = parse_date_ns(start), parse_timeframe_ns(timeframe)
    return candles_at([first + step * row for row in range(count)], seed=seed)


def without(candles: Candles, *rows: int) -> Candles:
    """Return the candles without some rows."""
    return candles.take(np.delete(np.arange(candles.size), rows))


def rows_of(candles: Candles, unit_ns: int = NS_PER_SECOND) -> list[list[float | int]]:
    """Return [time, open, high, low, close, volume] rows."""
    times = (candles.open_times_ns // unit_ns).tolist()
    columns = [column.tolist() for column in candles.values]
    return [list(row) for row in zip(times, *columns, strict=True)]


def csv_text(candles: Candles, header: str = "time,open,high,low,close,volume") -> str:
    """Return a CSV document; floats are written so that they read back equal."""
    lines = [",".join(map(repr, row)) for row in rows_of(candles)]
    return "\n".join([header, *lines] if header else lines) + "\n"


def cache_coins(
    cache: Path, coins: dict[str, Candles], timeframe: str = "5m", exchange: str = "binance"
) -> None:
    """Store one series a coin, quoted in USDT."""
    for coin, candles in coins.items():
        store_series(cache, series_key(exchange, coin, "USDT", timeframe), candles)


def open_market(
    cache: Path,
    coins: tuple[str, ...],
    start: str,
    end: str,
    *,
    timeframe: str | None = None,
    exchange: str | None = None,
    quote: str | None = None,
    gaps: str = "fail",
    max_gap_ns: int | None = None,
) -> Market:
    """Load a market with dates as text."""
    return load_market(
        cache,
        coins=coins,
        timeframe=timeframe,
        exchange=exchange,
        quote=quote,
        start_ns=parse_date_ns(start),
        end_ns=parse_date_ns(end),
        gaps=gaps,
        max_gap_ns=max_gap_ns,
    )


def files_in(cache: Path, key: SeriesKey = KEY) -> dict[str, tuple[int, bytes]]:
    """Return modification time and content of every Parquet part of a series."""
    return {
        path.name: (path.stat().st_mtime_ns, path.read_bytes())
        for path in (cache / key.folder).glob("*.parquet")
    }


def assert_equal(one: Candles, other: Candles) -> None:
    """Assert that two sets of candles have the same values, bit for bit."""
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)
