"""Two markets for one run: ticks of both, one digest, and what cannot be combined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.config import load_settings
from orchestrator.errors import ConfigError, DataError
from orchestrator.market.cache import store_series
from orchestrator.market.markets import Markets, load_markets
from orchestrator.market.resample import resample
from orchestrator.market.series import series_key
from orchestrator.protocol import CandleFlag
from tests.market.builders import assert_equal, candles_from, without

DAY = 288
MINUTE = 60 * 10**9


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    store(tmp_path, "binance", "5m", candles_from("2024-01-01", 2 * DAY, seed=1), "BTC")
    store(tmp_path, "coinbase", "5m", candles_from("2024-01-01", 2 * DAY, seed=2), "BTC", quote="USD")
    return tmp_path


def store(
    cache: Path, exchange: str, timeframe: str, candles: Any, coin: str, *, quote: str = "USDT"
) -> None:
    store_series(cache, series_key(exchange, coin, quote, timeframe), candles, replace=True)


def load(cache: Path, end: str = "2024-01-02", coins: tuple[str, ...] = ("BTC",), **data: str) -> Markets:
    keys = {"start_date": "2024-01-01", "end_date": end, "coins": list(coins), "data": data}
    return load_markets(cache, load_settings(None, keys))


def test_one_exchange_is_one_market(cache: Path) -> None:
    markets = load(cache, exchange="binance")
    assert not markets.are_two
    assert markets.signals is markets.execution
    assert (markets.data_digest, markets.notes) == (markets.signals.data_digest, markets.signals.notes)


def test_two_exchanges(cache: Path) -> None:
    markets = load(cache, exchange="binance", execution="coinbase")
    one, other = load(cache, exchange="binance"), load(cache, exchange="coinbase")
    assert (markets.signals.exchange, markets.execution.exchange, markets.execution.quote) == (
        "binance", "coinbase", "USD"
    )  # fmt: skip
    assert markets.signals.data_digest == one.data_digest
    assert markets.execution.data_digest == other.data_digest
    assert len({markets.data_digest, one.data_digest, other.data_digest}) == 3
    assert markets.notes[0] == "signals come from binance, fills and equity marks from coinbase"
    swapped = load(cache, exchange="coinbase", execution="binance")
    assert swapped.data_digest != markets.data_digest


def test_a_tick_is_when_either_exchange_has_a_candle(cache: Path) -> None:
    store(cache, "kucoin", "5m", without(candles_from("2024-01-01", 2 * DAY, seed=3), 7, 20), "BTC")
    store(cache, "kraken", "5m", without(candles_from("2024-01-01", 2 * DAY, seed=4), 9, 20), "BTC")
    markets = load(cache, exchange="kucoin", execution="kraken", gaps="stale")
    assert markets.signals.tick_count == markets.execution.tick_count == DAY - 1
    np.testing.assert_array_equal(markets.signals.tick_times_ns, markets.execution.tick_times_ns)
    seen, filled = markets.signals.block(0, 12), markets.execution.block(0, 12)
    stale = CandleFlag.PRESENT | CandleFlag.STALE
    assert [int(flag) == stale for flag in seen.flags[:, 0]] == [row == 7 for row in range(12)]
    assert [int(flag) == stale for flag in filled.flags[:, 0]] == [row == 9 for row in range(12)]
    assert any("kraken: BTC: 2 gaps" in note for note in markets.notes)
    with pytest.raises(DataError, match="gap"):
        load(cache, exchange="binance", execution="kraken")


def test_two_exchanges_without_a_common_candle_are_remarked(cache: Path) -> None:
    candles = candles_from("2023-12-31", 3 * DAY, seed=3)
    even, odd = (candles.take(slice(first, None, 2)) for first in (0, 1))
    store(cache, "kucoin", "5m", even, "BTC")
    store(cache, "kraken", "5m", odd, "BTC")
    notes = load(cache, exchange="kucoin", execution="kraken", gaps="stale").notes
    assert "BTC: no candles of kucoin and kraken have the same times in this run" in notes[-1]
    near = load(cache, exchange="binance", execution="kraken", gaps="stale").notes
    assert not any("same times" in note for note in near)


def test_shorter_candles_are_summed_and_decide_what_happened_inside(cache: Path) -> None:
    minutes = candles_from("2024-01-01", 1440, "1m", seed=5)
    store(cache, "okx", "1m", minutes, "BTC")
    markets = load(cache, exchange="binance", execution="okx")
    assert markets.execution.timeframe == "5m"
    block = markets.execution.block(0, DAY)
    whole = resample(minutes, 5 * MINUTE, 0)
    np.testing.assert_array_equal(block.prices[:, 0].T, np.stack(whole.values))
    assert len(markets.execution.finer_candles("BTC", int(markets.execution.tick_times_ns[5]))) == 5
    store(cache, "okx", "5m", candles_from("2024-01-01", DAY, seed=6), "BTC")
    own = load(cache, exchange="binance", execution="okx").execution  # its own candles of that length win
    columns = own.history("BTC", "5m", DAY, own.end_ns)
    assert_equal(candles_from("2024-01-01", DAY, seed=6), type(whole)(columns.open_times_ns, *columns.values))


def test_what_cannot_be_combined(cache: Path) -> None:
    store(cache, "okx", "1h", candles_from("2024-01-01", 48, "1h"), "BTC")
    store(cache, "binance", "5m", candles_from("2024-01-01", 2 * DAY), "ETH")
    with pytest.raises(DataError, match=r"okx has no 5m candles of BTC, nor shorter ones .* BTC-USDT 1h"):
        load(cache, exchange="binance", execution="okx")
    with pytest.raises(DataError, match="coinbase has no 5m candles of BTC, ETH"):
        load(cache, coins=("BTC", "ETH"), exchange="binance", execution="coinbase")
    with pytest.raises(DataError, match="it has nothing"):
        load(cache, exchange="binance", execution="bitmex")
    with pytest.raises(ConfigError, match=r"data\.execution has no effect: binance is data\.exchange"):
        load(cache, exchange="binance", execution="binance")
    with pytest.raises(ConfigError, match=r"no effect without data\.execution"):
        load(cache, exchange="binance", execution_quote="USD")
    with pytest.raises(ConfigError, match="signals come from coinbase already"):
        load(cache, quote="USD", execution="coinbase")
