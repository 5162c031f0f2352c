"""What market data cost: bytes of a year of 1m candles, seconds to load and to poll them.

usage: python benchmarks/data.py

Synthetic candles, whose volumes compress worse than real ones. Prints
`year_1m_parquet_mb` and `year_1m_mapped_mb` (one coin: the truth, and the file that processes share),
`load_10_coins_8_months_5m_seconds` (best of five, files built before), `first_load_seconds` (files built then),
`open_candle_us` (a week of 1m candles, polled every ten simulated seconds), `resample_year_1m_to_1h_ms`.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from orchestrator.config import NS_PER_SECOND, parse_date_ns
from orchestrator.market.mapped import map_series
from orchestrator.market.market import Market
from orchestrator.market.resample import resample
from orchestrator.market.series import SYNTHETIC_EXCHANGE, series_key
from orchestrator.market.store import load_market
from orchestrator.market.synthetic import synthesize

COINS = ("BTC", "ETH", "DOGE", "SOL", "XRP", "LTC", "LINK", "AVAX", "SHIB", "TRX")
START, YEAR_END, MONTHS_END = (parse_date_ns(day) for day in ("2024-01-01", "2025-01-01", "2024-09-01"))
MB = 1_000_000


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        measure_year(cache)
        measure_loading(cache)


def measure_year(cache: Path) -> None:
    key = series_key(SYNTHETIC_EXCHANGE, "BTC", "USDT", "1m")
    synthesize(cache, coins=("BTC",), timeframe="1m", start_ns=START, end_ns=YEAR_END)
    candles = map_series(cache, key)
    sizes = {
        kind: sum(file.stat().st_size for file in cache.rglob(f"*.{kind}")) for kind in ("parquet", "arrow")
    }
    print(f"year_1m_parquet_mb: {sizes['parquet'] / MB:.1f}")
    print(f"year_1m_mapped_mb: {sizes['arrow'] / MB:.1f}")
    started = time.perf_counter()
    resample(candles, 3600 * NS_PER_SECOND, 0)
    print(f"resample_year_1m_to_1h_ms: {(time.perf_counter() - started) * 1e3:.1f}")
    market = Market(
        {"BTC": candles},
        exchange=SYNTHETIC_EXCHANGE,
        quote="USDT",
        timeframe_ns=key.timeframe_ns,
        start_ns=START,
        end_ns=YEAR_END,
    )
    polls = range(START, START + 604_800 * NS_PER_SECOND, 10 * NS_PER_SECOND)
    started = time.perf_counter()
    for now in polls:
        market.open_candle("BTC", "1w", now)
    print(f"open_candle_us: {(time.perf_counter() - started) * 1e6 / len(polls):.1f}")


def measure_loading(cache: Path) -> None:
    synthesize(cache, coins=COINS, timeframe="5m", start_ns=START, end_ns=MONTHS_END)
    print(f"first_load_seconds: {load(cache):.3f}")
    print(f"load_10_coins_8_months_5m_seconds: {min(load(cache) for _ in range(5)):.3f}")


def load(cache: Path) -> float:
    started = time.perf_counter()
    load_market(
        cache,
        coins=COINS,
        timeframe="5m",
        exchange=SYNTHETIC_EXCHANGE,
        quote="USDT",
        start_ns=START,
        end_ns=MONTHS_END,
        gaps="fail",
        max_gap_ns=None,
    )
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
