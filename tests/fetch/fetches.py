"""Fetches against a local exchange: what the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from orchestrator.config import parse_date_ns
from orchestrator.fetch.fetching import Fetcher
from orchestrator.fetch.patience import Patience
from orchestrator.fetch.series import SeriesOutcome
from orchestrator.fetch.source import CcxtSource
from orchestrator.market.candles import Candles
from orchestrator.market.mapped import map_series
from orchestrator.market.series import SeriesKey, series_key
from orchestrator.market.spans import Span
from tests.fetch.exchange_server import Exchange
from tests.market.builders import candles_from

MINUTE = 60 * 10**9
START = "2024-01-05"
SPAN = Span(parse_date_ns(START), parse_date_ns("2024-01-06"))
FAST = Patience(attempts=12, first_wait_seconds=0.01, wait_seconds_max=0.05)


def exchange(dialect: str = "kucoin", count: int = 1440, **options: object) -> Exchange:
    """Return an exchange with two coins of 1m candles from `START` on, and a time long after them."""
    coins = {
        "BTC": holed(candles_from(START, count, "1m", seed=1)),
        "ETH": candles_from(START, count, "1m", seed=2),
    }
    return Exchange(dialect, coins, MINUTE, parse_date_ns("2024-03-01"), **options)  # type: ignore[arg-type]


def holed(candles: Candles) -> Candles:
    """Return the candles without a few that nobody traded in: in the middle, and runs of them."""
    kept = np.ones(candles.size, dtype=np.bool_)
    for first, length in ((100, 1), (101, 1), (500, 40), (1000, 150), (candles.size - 5, 3)):
        kept[first : first + length] = False
    return candles.take(kept)


def fetcher(
    cache: Path, url: str, *, dialect: str = "kucoin", page_candles: int | None = None, parallel: int = 4,
    request_seconds: float = 0.0, timeout_seconds: float = 5.0,
) -> Fetcher:  # fmt: skip
    """Return a fetcher in a hurry, its markets loaded."""
    source = CcxtSource(dialect, base_url=url, timeout_seconds=timeout_seconds)
    if page_candles is not None:
        source.page_candles = page_candles
    made = Fetcher(
        cache,
        source,
        request_seconds=request_seconds,
        request_seconds_min=0.0,
        parallel=parallel,
        patience=FAST,
    )
    made.load_markets()
    return made


def keys(
    dialect: str = "kucoin", timeframe: str = "1m", coins: tuple[str, ...] = ("BTC", "ETH")
) -> list[SeriesKey]:
    return [series_key(dialect, coin, "USDT", timeframe) for coin in coins]


def silent(_key: SeriesKey, _done: int, _total: int) -> None:
    """Watch nothing."""


def fetch_both(made: Fetcher, dialect: str = "kucoin", span: Span = SPAN) -> list[SeriesOutcome]:
    return made.fetch(keys(dialect), span, watch=silent)


def cached(cache: Path, key: SeriesKey) -> Candles:
    return map_series(cache, key)
