"""Bringing two exchanges' candles of a coin together, and `replay data compare` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from orchestrator.cli.data import data
from orchestrator.cli.terminal_plot import bars
from orchestrator.config import parse_date_ns
from orchestrator.errors import ConfigError, DataError
from orchestrator.market.cache import store_series
from orchestrator.market.candles import Candles
from orchestrator.market.pairing import Side, pair_series
from orchestrator.market.series import series_key
from orchestrator.market.spans import Span
from tests.market.builders import candles_from


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPLAY_HOME", str(tmp_path))
    folder = tmp_path / "backtest_cache"
    candles = candles_from("2024-01-01", 1000, "15m")
    store_series(folder, series_key("binance", "BTC", "USDT", "15m"), candles)
    store_series(folder, series_key("binance", "ETH", "USDT", "15m"), candles)
    store_series(folder, series_key("kucoin", "BTC", "USDT", "15m"), scaled(candles, 1.01))
    store_series(folder, series_key("kucoin", "ETH", "USDT", "15m"), scaled(candles, 1.001))
    store_series(folder, series_key("kraken", "BTC", "USD", "1h"), candles_from("2024-01-02", 100, "1h"))
    store_series(folder, series_key("kraken", "BTC", "EUR", "1h"), candles_from("2024-01-02", 100, "1h"))
    store_series(folder, series_key("okx", "BTC", "USDT", "10m"), candles_from("2024-01-02", 100, "10m"))
    store_series(folder, series_key("okx", "LTC", "USDT", "10m"), candles_from("2024-01-02", 100, "10m"))
    return folder


def scaled(candles: Candles, factor: float) -> Candles:
    return Candles(candles.open_times_ns, *(column * factor for column in candles.values))


def run(*words: object) -> Result:
    result = CliRunner().invoke(data, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_side_is_written_like_the_cache() -> None:
    assert Side.parsed("KuCoin") == ("kucoin", None, None, None)
    assert Side.parsed("kucoin/btc-usdt") == ("kucoin", "BTC", "USDT", None)
    assert Side.parsed("kucoin/BTC-USDT/60m") == ("kucoin", "BTC", "USDT", "1h")
    for text in ("", "kucoin/BTC", "a/B-C/1h/x", "kucoin/-USDT"):
        with pytest.raises(ConfigError, match="is no series"):
            Side.parsed(text)


def test_the_finer_side_is_summed_to_the_coarser(cache: Path) -> None:
    pairing = pair_series(cache, Side("binance", "BTC"), Side("kraken", "BTC", "USD"))
    assert pairing.timeframe_ns == 3600 * 10**9
    assert (pairing.a.timeframe, pairing.b.timeframe) == ("15m", "1h")
    assert pairing.candles_a.size == 250
    base = candles_from("2024-01-01", 1000, "15m")
    np.testing.assert_array_equal(pairing.candles_a.close, base.close[3::4])
    # 10m and 15m meet at neither; hours are made of both.
    both = pair_series(cache, Side("binance", "BTC"), Side("okx", "BTC"), timeframe="1h")
    assert both.candles_b.size == 16  # the last one is not whole
    with pytest.raises(DataError, match="binance has 15m; okx has 10m; fetch or import"):
        pair_series(cache, Side("binance", "BTC"), Side("okx", "BTC"))


def test_only_series_with_common_dates_are_compared(cache: Path) -> None:
    hours = candles_from("2024-03-01", 48, "1h")
    for exchange in ("binance", "kucoin"):
        store_series(cache, series_key(exchange, "LTC", "USDT", "1h"), hours)
    store_series(cache, series_key("binance", "LTC", "USDT", "5m"), candles_from("2024-02-01", 100))
    store_series(cache, series_key("kucoin", "LTC", "USDT", "5m"), candles_from("2024-04-01", 100))
    sides = Side("binance", "LTC"), Side("kucoin", "LTC")
    pairing = pair_series(cache, *sides)
    assert (pairing.a.timeframe, pairing.b.timeframe, pairing.candles_a.size) == ("1h", "1h", 48)
    # Nor do minutes count that both have, but at other times than those asked for.
    store_series(cache, series_key("kucoin", "LTC", "USDT", "5m"), candles_from("2024-02-01", 100))
    assert pair_series(cache, *sides).a.timeframe == "5m"
    march = Span(parse_date_ns("2024-03-01"), parse_date_ns("2024-03-02"))
    inside = pair_series(cache, *sides, span=march)
    assert (inside.a.timeframe, inside.b.timeframe, inside.candles_b.size) == ("1h", "1h", 24)
    # Hours of which only few are at the right dates give way to minutes that sum to all of them.
    store_series(cache, series_key("kucoin", "XRP", "USDT", "15m"), candles_from("2024-03-01", 96, "15m"))
    store_series(cache, series_key("kucoin", "XRP", "USDT", "1h"), hours.take(slice(0, 2)))
    store_series(cache, series_key("binance", "XRP", "USDT", "1h"), hours)
    summed = pair_series(cache, Side("binance", "XRP"), Side("kucoin", "XRP"))
    assert (summed.b.timeframe, summed.candles_b.size) == ("15m", 24)


def test_a_preferred_timeframe_wins_over_shorter_ones_if_it_can_be_had(cache: Path) -> None:
    sides = Side("binance", "BTC"), Side("kucoin", "BTC")
    assert pair_series(cache, *sides).timeframe_ns == 900 * 10**9
    assert pair_series(cache, *sides, preferred="1h").timeframe_ns == 3600 * 10**9
    assert pair_series(cache, *sides, preferred="20m").timeframe_ns == 900 * 10**9


def test_what_does_not_choose_one_pair_says_how(cache: Path) -> None:
    for a, b, kind, message in (
        ("binance", "kucoin", ConfigError, "both have BTC, ETH; choose with --coin BTC"),
        ("binance/BTC-USDT", "kraken", ConfigError, "kraken/BTC-EUR or kraken/BTC-USD"),
        ("binance/BTC-USDT", "kucoin/ETH-USDT", ConfigError, "different coins"),
        (
            "binance/BTC-USDT",
            "bitmex",
            DataError,
            "no candles of bitmex are cached; cached exchanges: binance",
        ),
        ("okx/LTC-USDT", "kraken/BTC-USD", ConfigError, "different coins"),
        ("okx/LTC-USDT", "kraken", DataError, "have no LTC in common"),
    ):
        with pytest.raises(kind, match=message):
            pair_series(cache, Side.parsed(a), Side.parsed(b))


def test_compare_prints_figures_and_fails_above_the_tolerance(cache: Path) -> None:
    result = run("compare", "binance", "kucoin", "--coin", "eth")
    assert result.exit_code == 0
    assert "binance ETH-USDT 15m against kucoin ETH-USDT 15m: 1000 common 15m candles" in result.stdout
    assert "mean 0.0999 %   median 0.0999 %   99 % 0.0999 %   maximum 0.0999 %" in result.stdout
    assert "correlation of returns 1.00000   adjustment factor 0.999001" in result.stdout
    with pytest.raises(DataError, match=r"diverge by 0\.990 % \(max\), above the tolerance of 0\.5 %"):
        run("compare", "binance", "kucoin", "--coin", "BTC")
    assert run("compare", "binance", "kucoin", "--coin", "BTC", "--tolerance", "1").exit_code == 0
    with pytest.raises(DataError, match="median"):
        run("compare", "binance", "kucoin", "--coin", "BTC", "--measure", "median", "--json")
    with pytest.raises(ConfigError, match="above 0"):
        run("compare", "binance", "kucoin", "--coin", "BTC", "--tolerance", "0")
    with pytest.raises(DataError, match="no candle in common between these dates"):
        run("compare", "binance", "kucoin", "--coin", "BTC", "--start-date", "2025-01-01")


def test_compare_for_machines(cache: Path) -> None:
    words = ("compare", "binance/ETH-USDT", "kucoin/ETH-USDT/15m", "--json", "--end-date", "2024-01-02")
    found = json.loads(run(*words).stdout)
    assert (found["candles"], found["timeframe"], len(found["worst"])) == (96, "15m", 10)
    assert found["adjustment_factor"] == pytest.approx(1 / 1.001)
    assert found["worst"][0]["time"].startswith("2024-01-01T")


def test_bars() -> None:
    assert bars([0, 1, 2, 4], 2) == ["   █", " ▄██"]
    assert bars([0.0, 0.0], 1) == ["  "]
