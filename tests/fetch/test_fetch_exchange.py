"""The real ccxt client against a local exchange in two dialects: paging, limits, faults, resuming."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from orchestrator.config import parse_date_ns
from orchestrator.errors import ConfigError, DataError
from orchestrator.fetch.fetching import Fetcher
from orchestrator.fetch.job import FetchJob, run_job
from orchestrator.fetch.source import CcxtSource, reset_seconds
from orchestrator.market.cache import series_in, store_series
from orchestrator.market.missing import missing_spans, read_absences
from orchestrator.market.spans import Span
from orchestrator.market.verify import verify_series
from tests.fetch.exchange_server import FAULTS, ExchangeServer
from tests.fetch.fetches import MINUTE, SPAN, START, cached, exchange, fetch_both, fetcher, keys, silent
from tests.market.builders import assert_equal, candles_from

DIALECTS = ("kucoin", "binance")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("is_inclusive", [True, False])
def test_fetched_is_what_the_exchange_has(dialect: str, is_inclusive: bool, tmp_path: Path) -> None:
    there = exchange(dialect, is_end_inclusive=is_inclusive)
    with ExchangeServer(there) as server:
        outcomes = fetch_both(fetcher(tmp_path, server.url, dialect=dialect, page_candles=100), dialect)
        asked = len(there.asked)
        again = fetch_both(fetcher(tmp_path, server.url, dialect=dialect), dialect)
    for outcome, coin in zip(outcomes, ("BTC", "ETH"), strict=True):
        assert_equal(cached(tmp_path, outcome.key), there.coins[coin])
        assert (outcome.error, outcome.missing, outcome.refused, outcome.is_cut) == (None, (), (), False)
    btc, eth = outcomes
    assert eth.absent == ()
    assert [span.length_ns // MINUTE for span in btc.absent] == [2, 40, 150, 3]
    assert btc.added == 1440 - 195
    # A second fetch asks for the markets and the time, and for no candle.
    assert {one.path for one in there.asked[asked:]} <= {
        "/api/v2/symbols", "/api/v3/exchangeInfo", "/api/v1/timestamp", "/api/v3/time"
    }  # fmt: skip
    assert [outcome.added for outcome in again] == [0, 0]
    assert again[0].absent == btc.absent


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_fault_is_survived(dialect: str, tmp_path: Path) -> None:
    quiet = exchange(dialect)
    with ExchangeServer(quiet) as server:
        fetch_both(fetcher(tmp_path / "quiet", server.url, dialect=dialect, page_candles=100), dialect)
    chance = np.random.default_rng(11)
    script = [str(chance.choice(FAULTS)) if chance.random() < 0.4 else None for _ in range(200)]
    script[: len(FAULTS)] = FAULTS
    there = exchange(dialect, faults=lambda number: script[number % 200], slow_seconds=2.0)
    with ExchangeServer(there) as server:
        made = fetcher(tmp_path / "loud", server.url, dialect=dialect, page_candles=100, timeout_seconds=1.5)
        outcomes = fetch_both(made, dialect)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert {one.fault for one in there.candle_requests} >= set(FAULTS)
    for key in keys(dialect):
        expected, found = (verify_series(tmp_path / name, key) for name in ("quiet", "loud"))
        assert (found.digest, found.problems) == (expected.digest, ())
        assert read_absences(tmp_path / "loud", key) == read_absences(tmp_path / "quiet", key)


def test_the_reset_header_is_respected_by_all(tmp_path: Path) -> None:
    there = exchange(faults=lambda number: "limit" if number == 3 else None, reset_ms=400)
    with ExchangeServer(there) as server:
        fetch_both(fetcher(tmp_path, server.url, page_candles=200, parallel=2))
    requests = there.candle_requests
    refused = next(number for number, one in enumerate(requests) if one.fault == "limit")
    # One request of another thread may be on its way when the refusal comes.
    later = [one.at - requests[refused].at for one in requests[refused + 2 :]]
    assert later
    assert min(later) >= 0.35
    assert min(later) < 4  # a refusal without the header is waited out for 5 s


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_exchange_that_wants_to_be_left_alone_for_long_is(dialect: str, tmp_path: Path) -> None:
    there = exchange(dialect, faults=lambda number: "limit" if number >= 5 else None, reset_ms=300_000)
    with ExchangeServer(there) as server:
        made = fetcher(tmp_path, server.url, dialect=dialect, page_candles=100, parallel=1)
        btc, eth = fetch_both(made, dialect)
    refused = [one for one in there.candle_requests if one.fault == "limit"]
    assert len(refused) == 1
    assert there.asked[-1] is refused[0]
    assert btc.added > 0
    for outcome in (btc, eth):
        assert "it asks to be left alone for 300 s; the same command goes on later" in str(outcome.error)
    there.faults = lambda _number: None
    with ExchangeServer(there) as server:
        outcomes = fetch_both(fetcher(tmp_path, server.url, dialect=dialect), dialect)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert_equal(cached(tmp_path, eth.key), there.coins["ETH"])


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"gw-ratelimit-reset": "400"}, 0.4),
        ({"gw-ratelimit-reset": "0"}, 0.0),
        ({"gw-ratelimit-reset": "300000", "retry-after": "7"}, 300.0),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "86400"}, 86_400.0),
        ({"gw-ratelimit-reset": "soon", "retry-after": "2.5"}, 2.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
    ],
)
def test_what_the_reset_headers_say(headers: dict[str, str], seconds: float | None) -> None:
    assert reset_seconds(headers) == seconds


def test_a_quota_is_kept_in_the_end(tmp_path: Path) -> None:
    there = exchange(quota=4, window_seconds=1.0, reset_ms=500)
    with ExchangeServer(there) as server:
        outcomes = fetch_both(fetcher(tmp_path, server.url, page_candles=100))
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert any(one.fault == "limit" for one in there.candle_requests)


def test_requests_keep_their_distance_however_many_series(tmp_path: Path) -> None:
    there = exchange()
    with ExchangeServer(there) as server:
        started = time.monotonic()
        job = FetchJob(
            exchange="kucoin", coins=("BTC", "ETH"), timeframes=("1m", "1h"), span=SPAN, base_url=server.url
        )
        run_job(tmp_path, job, silent)
        took = time.monotonic() - started
    assert len(there.asked) >= 8
    assert took >= 0.1 * (len(there.asked) - 1)
    at = [one.at for one in there.asked]
    assert max(at) - min(at) >= 0.05 * (len(at) - 1)  # as they arrive: the first may come late


def test_one_length_by_two_names_is_fetched_once(tmp_path: Path) -> None:
    there = exchange()
    with ExchangeServer(there) as server:
        job = FetchJob(
            exchange="kucoin", coins=("BTC",), timeframes=("60m", "1h"), span=SPAN, base_url=server.url
        )
        result = run_job(tmp_path, job, silent)
    assert [str(outcome.key) for outcome in result.outcomes] == ["kucoin BTC-USDT 1h"]
    assert len({tuple(one.query.items()) for one in there.candle_requests}) == len(there.candle_requests)


class HangingThread:
    """A thread whose request never ends; the first wait for one is interrupted."""

    waits: ClassVar[list[float]] = []

    def __init__(self, **_options: object) -> None: ...

    def start(self) -> None: ...

    def is_alive(self) -> bool:
        return True

    def join(self, seconds: float) -> None:
        self.waits.append(seconds)
        if len(self.waits) == 1:
            raise KeyboardInterrupt
        time.sleep(seconds)


def test_an_interruption_waits_once_for_all_that_is_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExchangeServer(exchange()) as server:
        made = fetcher(tmp_path, server.url)
    monkeypatch.setattr("orchestrator.fetch.fetching._STOP_SECONDS", 0.2)
    monkeypatch.setattr("orchestrator.fetch.fetching.threading.Thread", HangingThread)
    with pytest.raises(KeyboardInterrupt):
        made.fetch([*keys(), *keys(timeframe="1h")], SPAN, watch=silent)
    assert len(HangingThread.waits) == 5
    assert sum(HangingThread.waits[1:]) < 0.21


def test_the_distance_can_only_grow(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"0\.05 s between requests is too short; at least 0\.1"):
        Fetcher(tmp_path, CcxtSource("kucoin"), request_seconds=0.05)


def test_a_candle_that_is_still_open_is_never_stored(tmp_path: Path) -> None:
    there = exchange()
    there.now_ns = parse_date_ns("2024-01-05T15:30:30")
    with ExchangeServer(there) as server:
        made = fetcher(tmp_path, server.url)
        outcomes = made.fetch(keys(), SPAN, watch=silent)
        hourly = made.fetch(keys(timeframe="1h"), SPAN, watch=silent)
    for outcome in outcomes:
        assert outcome.is_cut
        assert outcome.span.end_ns == parse_date_ns("2024-01-05T15:30")
        assert cached(tmp_path, outcome.key).open_times_ns[-1] == parse_date_ns("2024-01-05T15:29")
    assert cached(tmp_path, hourly[0].key).open_times_ns[-1] == parse_date_ns("2024-01-05T14:00")
    eth = there.coins["ETH"]
    assert_equal(cached(tmp_path, keys()[1]), eth.take(slice(0, 930)))
    # Later the rest comes, and the candle that was open comes whole.
    there.now_ns = parse_date_ns("2024-03-01")
    with ExchangeServer(there) as server:
        fetch_both(fetcher(tmp_path, server.url))
    assert_equal(cached(tmp_path, keys()[1]), eth)


def test_an_absence_of_the_last_hour_is_named_but_asked_for_again(tmp_path: Path) -> None:
    there = exchange()
    late = there.coins["ETH"]
    there.coins["ETH"] = late.take(np.arange(late.size) != 920)
    there.now_ns = parse_date_ns("2024-01-05T15:30:30")
    with ExchangeServer(there) as server:
        first = fetch_both(fetcher(tmp_path, server.url))[1]
        there.coins["ETH"] = late
        second = fetch_both(fetcher(tmp_path, server.url))[1]
    assert first.absent == (Span(SPAN.start_ns + 920 * MINUTE, SPAN.start_ns + 921 * MINUTE),)
    assert (second.absent, second.added) == ((), 1)


def test_years_before_a_listing_take_few_questions(tmp_path: Path) -> None:
    there = exchange()
    with ExchangeServer(there) as server:
        made = fetcher(tmp_path, server.url)
        outcome = made.fetch(keys()[1:], Span(parse_date_ns("2017-01-01"), SPAN.end_ns), watch=silent)[0]
    assert outcome.pages < 12
    assert [str(np.datetime64(span.end_ns, "ns"))[:10] for span in outcome.absent] == [START]
    assert_equal(cached(tmp_path, outcome.key), there.coins["ETH"])


def test_only_what_is_missing_is_asked_for(tmp_path: Path) -> None:
    there = exchange()
    eth, key = there.coins["ETH"], keys()[1]
    store_series(tmp_path, key, eth.take(slice(300, 500)))
    store_series(tmp_path, key, eth.take(slice(900, 1440)))
    with ExchangeServer(there) as server:
        fetcher(tmp_path, server.url).fetch([key], SPAN, watch=silent)
    starts = [int(one.query["startAt"]) * 10**9 for one in there.candle_requests]
    assert starts == [SPAN.start_ns, SPAN.start_ns + 500 * MINUTE]
    assert_equal(cached(tmp_path, key), eth)


def test_absences_can_be_asked_for_again(tmp_path: Path) -> None:
    there = exchange()
    whole, key = candles_from(START, 1440, "1m", seed=1), keys()[0]
    with ExchangeServer(there) as server:
        fetch_both(fetcher(tmp_path, server.url))
        there.coins["BTC"] = whole
        assert fetch_both(fetcher(tmp_path, server.url))[0].added == 0
        made = fetcher(tmp_path, server.url)
        assert made.fetch([key], SPAN, watch=silent, is_anew=True)[0].added == 195
    assert_equal(cached(tmp_path, key), whole)
    assert read_absences(tmp_path, key) == missing_spans(tmp_path, key, SPAN) == []


def test_trouble_that_stays_ends_one_series_and_keeps_what_it_had(tmp_path: Path) -> None:
    there = exchange(faults=lambda number: "error" if number >= 8 else None)
    with ExchangeServer(there) as server:
        made = fetcher(tmp_path, server.url, page_candles=100, parallel=1)
        btc, eth = fetch_both(made)
    assert "asked 12 times" in str(btc.error)
    assert "the same command goes on" in str(btc.error)
    assert eth.error is not None
    assert 0 < btc.added < 1245
    assert sum(span.length_ns for span in (*btc.missing, *btc.absent)) // MINUTE == 1440 - btc.added
    there.faults = lambda _number: None
    with ExchangeServer(there) as server:
        assert [o.error for o in fetch_both(fetcher(tmp_path, server.url))] == [None, None]
    assert_equal(cached(tmp_path, keys()[0]), there.coins["BTC"])


def test_unsound_candles_are_left_out_and_named(tmp_path: Path) -> None:
    there = exchange()
    eth = there.coins["ETH"]
    low = eth.low.copy()
    low[700] = eth.high[700] + 1
    there.coins["ETH"] = eth._replace(low=low)
    with ExchangeServer(there) as server:
        outcome = fetch_both(fetcher(tmp_path, server.url))[1]
    assert len(outcome.refused) == 1
    assert outcome.refused[0].startswith("2024-01-05 11:40: low is above high")
    assert [span.start_ns for span in outcome.absent] == [SPAN.start_ns + 700 * MINUTE]
    assert verify_series(tmp_path, outcome.key).problems == ()


def test_candles_off_the_grid_end_the_series(tmp_path: Path) -> None:
    there = exchange()
    there.shift_seconds = 7
    with ExchangeServer(there) as server:
        outcome = fetcher(tmp_path, server.url).fetch(keys()[1:], SPAN, watch=silent)[0]
    assert "unsound candles, first 2024-01-05 00:00:07: the time is off the grid of 1m candles" in str(
        outcome.error
    )
    assert series_in(tmp_path) == []


@pytest.mark.parametrize(("dialect", "weekday"), [("kucoin", 3), ("binance", 0)])
def test_weeks_begin_where_the_exchange_has_them(dialect: str, weekday: int, tmp_path: Path) -> None:
    there = exchange(dialect, count=20 * 1440)
    span = Span(parse_date_ns("2024-01-01"), parse_date_ns("2024-02-01"))
    with ExchangeServer(there) as server:
        fetcher(tmp_path, server.url, dialect=dialect).fetch(keys(dialect, "1w"), span, watch=silent)
    weeks = (
        cached(tmp_path, keys(dialect, "1w")[1])
        .open_times_ns.astype("datetime64[ns]")
        .astype("datetime64[D]")
    )
    assert weeks.size >= 2
    assert {(int(day.astype(int)) + 3) % 7 for day in weeks} == {weekday}


def test_what_cannot_be_fetched_is_refused_in_one_line(tmp_path: Path) -> None:
    there = exchange()
    with ExchangeServer(there) as server:

        def job(**changes: object) -> FetchJob:
            plain = {"exchange": "kucoin", "coins": ("BTC",), "timeframes": ("1m",), "span": SPAN}
            return FetchJob(**{**plain, "base_url": server.url, **changes})  # type: ignore[arg-type]

        for changes, kind, message in (
            ({"exchange": "kucion"}, ConfigError, "not known to ccxt; did you mean kucoin"),
            ({"timeframes": ("7m",)}, ConfigError, "kucoin has no 7m candles; it has 1m, 3m"),
            ({"coins": ("BTCC",)}, DataError, "kucoin has no BTCC/USDT; did you mean BTC"),
            ({"coins": ("BTC",), "quote": "EUR"}, DataError, r"no BTC/EUR; it has BTC in USDT \(--quote\)"),
            ({"base_url": "nowhere"}, ConfigError, "no address"),
            ({"base_url": server.url + "/other"}, DataError, "kucoin refuses.*404"),
        ):
            with pytest.raises(kind, match=message):
                run_job(tmp_path, job(**changes), silent)
    assert series_in(tmp_path) == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_fetched_hours_are_what_fetched_minutes_sum_to(dialect: str, tmp_path: Path) -> None:
    there = exchange(dialect)
    with ExchangeServer(there) as server:
        made = fetcher(tmp_path, server.url, dialect=dialect)
        made.fetch([*keys(dialect), *keys(dialect, "1h"), *keys(dialect, "4h")], SPAN, watch=silent)
    for timeframe, count in (("1h", 24), ("4h", 6)):
        for key in keys(dialect, timeframe):
            sums = verify_series(tmp_path, key).sums
            assert sums is not None
            assert (sums.finer, sums.differing) == ("1m", 0)
            assert sums.compared >= count - 2
