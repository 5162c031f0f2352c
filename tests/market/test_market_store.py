"""Loading the market of a run: what is chosen, what is refused, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestrator.config import parse_duration_ns
from orchestrator.errors import ConfigError, DataError, ReplayError
from orchestrator.market.cache import store_series
from orchestrator.market.gaps import duration_text
from orchestrator.market.series import SeriesKey
from tests.market.builders import cache_coins, candles_from, open_market, without

DAY = 288  # candles of 5m


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Three days of 5m candles of two coins, an hour missing in one; one of them also in 1h, for longer."""
    missing = range(DAY + 12, DAY + 24)
    coins = {
        "BTC": without(candles_from("2024-01-01", 3 * DAY), *missing),
        "ETH": candles_from("2024-01-01", 3 * DAY),
    }
    cache_coins(tmp_path, coins)
    cache_coins(tmp_path, {"BTC": candles_from("2023-12-01", 60 * 24, "1h")}, "1h")
    return tmp_path


def refused(cache: Path, kind: type[ReplayError], *args: object, **options: object) -> str:
    with pytest.raises(kind) as caught:
        open_market(cache, *args, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_all_is_found_by_itself_where_one_choice_fits(cache: Path) -> None:
    market = open_market(cache, ("ETH", "BTC"), "2024-01-01", "2024-01-02")
    assert (market.exchange, market.quote, market.timeframe) == ("binance", "USDT", "5m")
    assert market.coins == ("ETH", "BTC")
    assert market.tick_count == DAY
    assert market.notes == ("candles are quoted in USDT, taken 1:1 as the account's currency",)
    assert open_market(cache, ("BTC",), "2024-01-01", "2024-01-02").timeframe == "5m"
    assert open_market(cache, ("BTC",), "2023-12-02", "2024-01-02", timeframe="60m").timeframe == "1h"


def test_an_empty_cache_says_how_to_fill_it(tmp_path: Path) -> None:
    message = refused(tmp_path / "none", DataError, ("BTC",), "2024-01-01", "2024-01-02")
    assert "replay data import" in message
    assert "replay data synth" in message


def test_an_unknown_coin_lists_what_is_cached(cache: Path) -> None:
    message = refused(cache, DataError, ("BTC", "ETC"), "2024-01-01", "2024-01-02")
    assert "no cached candles of ETC; cached coins: BTC, ETH; did you mean" in message


@pytest.mark.parametrize("field", ["exchange", "quote"])
def test_an_unknown_exchange_or_quote_lists_what_is_cached(field: str, cache: Path) -> None:
    message = refused(cache, DataError, ("BTC",), "2024-01-01", "2024-01-02", **{field: "kraken"})
    assert f"no cached candles with {field} kraken".lower() in message.lower()


def test_a_timeframe_that_is_not_cached_lists_those_that_are(cache: Path) -> None:
    message = refused(cache, DataError, ("BTC",), "2024-01-01", "2024-01-02", timeframe="1m")
    assert "timeframe 1m is not cached for these coins; cached: 5m, 1h; give --timeframe 5m" in message


def test_coins_that_no_exchange_has_together(cache: Path) -> None:
    store_series(cache, SeriesKey("kraken", "DOGE", "USD", "1h"), candles_from("2024-01-01", 48, "1h"))
    message = refused(cache, DataError, ("BTC", "DOGE"), "2024-01-01", "2024-01-02")
    assert "DOGE: kraken USD 1h" in message


def test_several_exchanges_need_a_flag_unless_the_dates_decide(cache: Path) -> None:
    cache_coins(cache, {"BTC": candles_from("2024-01-01", 9 * DAY)}, exchange="kucoin")
    message = refused(cache, ConfigError, ("BTC",), "2024-01-01", "2024-01-02")
    assert "choose with --exchange binance or --exchange kucoin" in message
    assert open_market(cache, ("BTC",), "2024-01-05", "2024-01-06", timeframe="5m").exchange == "kucoin"
    refused(cache, ConfigError, ("BTC",), "2024-01-05", "2024-01-06")  # binance has 1h candles of that day
    assert open_market(cache, ("BTC",), "2024-01-01", "2024-01-02", exchange="Binance").exchange == "binance"


def test_several_quotes_need_a_flag(cache: Path) -> None:
    store_series(cache, SeriesKey("binance", "BTC", "USD", "5m"), candles_from("2024-01-01", DAY))
    message = refused(cache, ConfigError, ("BTC",), "2024-01-01", "2024-01-02")
    assert "choose with --quote USD or --quote USDT" in message
    assert open_market(cache, ("BTC",), "2024-01-01", "2024-01-02", quote="usd").notes == ()


@pytest.mark.parametrize(
    ("start", "end"),
    [("2023-12-31", "2024-01-02"), ("2024-01-02", "2024-01-05"), ("2025-01-01", "2025-02-01")],
)
def test_dates_outside_the_data_tell_the_range(start: str, end: str, cache: Path) -> None:
    message = refused(cache, DataError, ("BTC", "ETH"), start, end)
    assert "lies outside the data; binance USDT 5m has BTC 2024-01-01 00:00 to 2024-01-04 00:00" in message
    assert "--start-date and --end-date" in message


def test_dates_that_another_timeframe_covers(cache: Path) -> None:
    assert open_market(cache, ("BTC",), "2023-12-02", "2024-01-02").timeframe == "1h"
    message = refused(cache, DataError, ("BTC",), "2023-12-02", "2024-01-02", timeframe="5m")
    assert message.endswith("or give --timeframe 1h, which reaches further")
    message = refused(cache, DataError, ("BTC", "ETH"), "2023-12-02", "2024-01-02", timeframe="5m")
    assert "--timeframe 1h" not in message  # ETH has none


def test_dates_between_two_candles_mean_the_candles_between_them(cache: Path) -> None:
    market = open_market(cache, ("ETH",), "2024-01-01T00:02", "2024-01-04T00:00")
    assert market.tick_count == 3 * DAY
    assert market.next_open_time("ETH", 0) == market.start_ns + 3 * 60 * 10**9
    assert open_market(cache, ("ETH",), "2023-12-31T23:56", "2024-01-04T00:04").tick_count == 3 * DAY


def test_a_coin_without_candles_in_the_run_is_named(cache: Path) -> None:
    cache_coins(cache, {"LATE": candles_from("2024-01-03", DAY)})
    message = refused(cache, DataError, ("ETH", "LATE"), "2024-01-01", "2024-01-02")
    assert message.startswith(
        "LATE has no candles between 2024-01-01 00:00 and 2024-01-02 00:00; it has 2024-01-03"
    )
    message = refused(cache, DataError, ("BTC", "ETH"), "2024-01-02T01:00", "2024-01-02T02:00", gaps="stale")
    assert message.startswith("BTC has no candles between")


def test_a_run_too_short_for_a_candle(cache: Path) -> None:
    message = refused(cache, DataError, ("ETH",), "2024-01-01T00:01", "2024-01-01T00:06")
    assert message.startswith("no 5m candle lies between 2024-01-01 00:01 and 2024-01-01 00:06")


def test_synthetic_candles_never_compete_with_real_ones(cache: Path) -> None:
    cache_coins(cache, {"BTC": candles_from("2024-01-01", 9 * DAY)}, exchange="synthetic")
    assert open_market(cache, ("BTC",), "2024-01-01", "2024-01-02").exchange == "binance"
    assert open_market(cache, ("BTC",), "2024-01-05", "2024-01-06").timeframe == "1h"  # of the real one
    assert open_market(cache, ("BTC",), "2024-01-05", "2024-01-06", timeframe="5m").exchange == "synthetic"
    assert (
        open_market(cache, ("BTC",), "2024-01-01", "2024-01-02", exchange="synthetic").exchange == "synthetic"
    )


def test_a_coin_that_begins_or_ends_inside_is_a_note_not_a_gap(cache: Path) -> None:
    cache_coins(cache, {"LATE": candles_from("2024-01-02", 2 * DAY), "GONE": candles_from("2024-01-01", DAY)})
    market = open_market(cache, ("ETH", "LATE", "GONE"), "2024-01-01", "2024-01-04")
    assert market.notes[1:] == (
        "LATE begins inside the run, at 2024-01-02 00:00",
        "GONE ends inside the run, at 2024-01-02 00:00",
    )


def test_gaps_are_refused_with_the_flag_that_accepts_them(cache: Path) -> None:
    message = refused(cache, DataError, ("BTC", "ETH"), "2024-01-01", "2024-01-04")
    assert message.startswith("1 gap(s) in the candles: BTC 2024-01-02 01:00 (1h)")
    assert message.endswith("accept them with --gaps stale, or with --gaps stale --max-gap 1h")


def test_gaps_that_are_accepted_are_noted(cache: Path) -> None:
    market = open_market(cache, ("BTC", "ETH"), "2024-01-01", "2024-01-04", gaps="stale")
    assert market.notes[-1] == "BTC: 1 gap, longest 1h, kept stale"
    assert market.tick_count == 3 * DAY
    hour = parse_duration_ns("1h")
    same = open_market(cache, ("BTC", "ETH"), "2024-01-01", "2024-01-04", gaps="stale", max_gap_ns=hour)
    assert same.data_digest == market.data_digest
    options = {"gaps": "stale", "max_gap_ns": hour - 1}
    message = refused(cache, DataError, ("BTC", "ETH"), "2024-01-01", "2024-01-04", **options)
    assert message.startswith("1 gap(s) longer than 59m59s in the candles")
    assert message.endswith("accept them with --gaps stale --max-gap 1h")


def test_a_gap_outside_the_run_does_not_matter_and_one_across_its_end_does(cache: Path) -> None:
    assert len(open_market(cache, ("BTC",), "2024-01-01", "2024-01-02T01:00").notes) == 1
    assert len(open_market(cache, ("BTC",), "2024-01-02T02:00", "2024-01-04").notes) == 1
    message = refused(cache, DataError, ("BTC", "ETH"), "2024-01-01", "2024-01-02T01:30")
    assert "BTC 2024-01-02 01:00 (30m)" in message
    message = refused(cache, DataError, ("BTC", "ETH"), "2024-01-02T01:30", "2024-01-03")
    assert "BTC 2024-01-02 01:30 (30m)" in message


def test_many_gaps_are_counted_and_the_first_few_listed(tmp_path: Path) -> None:
    whole = candles_from("2024-01-01", DAY)
    cache_coins(tmp_path, {"BTC": whole.take(np.arange(DAY) % 20 != 6)})
    message = refused(tmp_path, DataError, ("BTC",), "2024-01-01", "2024-01-02")
    assert message.startswith("15 gap(s) in the candles: BTC 2024-01-01 00:30 (5m), ")
    assert " and 10 more; " in message


@pytest.mark.parametrize(
    ("minutes", "text", "flag"),
    [(5, "5m", "5m"), (80, "1h20m", "80m"), (284, "4h44m", "5h"), (1440, "1d", "1d"), (1500, "1d1h", "25h")],
)
def test_the_flag_for_a_gap_is_one_number_and_never_too_short(
    minutes: int, text: str, flag: str, tmp_path: Path
) -> None:
    assert duration_text(minutes * 60 * 10**9) == text
    whole = candles_from("2024-01-01", 3 * 1440, "1m")
    cache_coins(tmp_path, {"BTC": without(whole, *range(100, 100 + minutes))}, "1m")
    message = refused(tmp_path, DataError, ("BTC",), "2024-01-01", "2024-01-03")
    assert message.endswith(f"--max-gap {flag}")
    limit = parse_duration_ns(flag)
    assert open_market(
        tmp_path, ("BTC",), "2024-01-01", "2024-01-03", gaps="stale", max_gap_ns=limit
    ).tick_count
