"""Other exchanges against that of a run: series that both have, at the times of the run."""

from __future__ import annotations

from pathlib import Path

from orchestrator.analysis.sources import compare_sources
from orchestrator.market.cache import store_series
from orchestrator.market.series import series_key
from tests.market.builders import candles_from, open_market


def store(cache: Path, exchange: str, timeframe: str, start: str, count: int) -> None:
    key = series_key(exchange, "BTC", "USDT", timeframe)
    store_series(cache, key, candles_from(start, count, timeframe, seed=len(exchange)))


def test_shorter_candles_of_other_dates_do_not_hide_the_comparison(tmp_path: Path) -> None:
    for exchange in ("kucoin", "coinbase"):
        store(tmp_path, exchange, "1h", "2024-03-01", 48)
        store(tmp_path, exchange, "5m", "2024-01-01", 300)
    market = open_market(tmp_path, ("BTC",), "2024-03-01", "2024-03-03", timeframe="1h", exchange="kucoin")
    (found,) = compare_sources(market, tmp_path, market.end_ns)
    assert (found.exchange, found.timeframe, found.candles) == ("coinbase", "1h", 48)


def test_they_are_compared_in_the_timeframe_of_the_run_if_both_have_it(tmp_path: Path) -> None:
    for exchange in ("kucoin", "coinbase"):
        store(tmp_path, exchange, "5m", "2024-03-01", 576)
    store(tmp_path, "kucoin", "1h", "2024-03-01", 48)
    store(tmp_path, "kraken", "4h", "2024-03-01", 12)
    market = open_market(tmp_path, ("BTC",), "2024-03-01", "2024-03-03", timeframe="1h", exchange="kucoin")
    found = compare_sources(market, tmp_path, market.end_ns)
    assert [(one.exchange, one.timeframe, one.candles) for one in found] == [
        ("coinbase", "1h", 48),
        ("kraken", "4h", 12),
    ]
