"""KuCoin's market pages, body by body: golden ones from a small market, candles against a naive reading of them."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from orchestrator.config import parse_date_ns
from orchestrator.market.candles import Candles
from orchestrator.market.market import Market
from orchestrator.venue_settings import VenueSettings
from orchestrator.venues import candle_rows
from tests.venues.simulated_run import DAY, HOUR, MINUTE, SECOND, SimulatedRun, small_market

HOST = "https://api.kucoin.com"
START = parse_date_ns("2024-01-31T22:00")  # the month ends inside
LENGTHS = {
    "1min": 1,
    "3min": 3,
    "5min": 5,
    "15min": 15,
    "30min": 30,
    "1hour": 60,
    "2hour": 120,
    "4hour": 240,
    "6hour": 360,
    "8hour": 480,
    "12hour": 720,
    "1day": 1_440,
    "1week": 10_080,
}

Row = tuple[float, float, float, float, float]  # open, high, low, close, volume


def market_of(rows: Mapping[str, Sequence[Row | None]], *, begin_ns: int = START, warm_up: int = 0) -> Market:
    """Return one-minute candles; None is a hole. The run begins after the warm-up."""
    candles, longest = {}, max(map(len, rows.values()))
    for coin, series in rows.items():
        kept = [(place, row) for place, row in enumerate(series) if row is not None]
        times = np.array([begin_ns + place * MINUTE for place, _ in kept], dtype=np.int64)
        columns = np.array([row for _, row in kept], dtype=np.float64).T
        candles[coin] = Candles(times, *np.ascontiguousarray(columns))
    return Market(
        candles,
        exchange="kucoin",
        quote="USDT",
        timeframe_ns=MINUTE,
        start_ns=begin_ns + warm_up * MINUTE,
        end_ns=begin_ns + longest * MINUTE,
    )


SMALL: dict[str, list[Row | None]] = {
    "BTC": [
        (100.0, 102.0, 99.5, 101.0, 10.0),
        (101.0, 101.5, 100.0, 100.5, 0.5),
        (100.5, 110.0, 90.0, 95.0, 7.0),
    ],
    "SHIB": [
        None,
        (0.00001, 0.000012, 0.000009, 0.0000105, 1e9),
        (0.0000105, 0.00002, 0.00001, 0.00001, 1e9),
    ],
}


@pytest.fixture
def run() -> SimulatedRun:
    """Return a run two minutes and ten seconds after its beginning."""
    settings = VenueSettings(spread_bps=Decimal(20), depth_levels=2, rate_limits=False)
    run = SimulatedRun({"kucoin": settings}, market=market_of(SMALL))
    run.advance(2 * MINUTE + 10 * SECOND)
    return run


BTC_TICKER = {
    "buy": "100.3",  # 100.5 - 0.1 % = 100.3995, down to the tick of 0.1
    "bestBidSize": "0.005",  # a hundredth of the volume of the last candle
    "sell": "100.7",
    "bestAskSize": "0.005",
    "changeRate": "0.005",
    "changePrice": "0.5",
    "high": "102.0",
    "low": "99.5",
    "vol": "10.5",
    # 10 x (102 + 99.5 + 101) / 3 + 0.5 x (101.5 + 100 + 100.5) / 3
    "volValue": "1058.66666667",
    "last": "100.5",
    "averagePrice": "100.82539683",
    "takerFeeRate": "0.001",
    "makerFeeRate": "0.001",
    "takerCoefficient": "1",
    "makerCoefficient": "1",
}
SHIB_TICKER = {
    **BTC_TICKER,
    "buy": "0.000010489",
    "bestBidSize": "10000000",
    "sell": "0.000010511",
    "bestAskSize": "10000000",
    "changeRate": "0.05",
    "changePrice": "0.0000005",
    "high": "0.000012000",
    "low": "0.000009000",
    "vol": "1000000000",
    "volValue": "10500",
    "last": "0.000010500",
    "averagePrice": "0.0000105",
}
NOW_MS = 1_706_738_530_000
TICK_MS = 1_706_738_520_000
SYMBOL = {
    "symbol": "BTC-USDT",
    "name": "BTC-USDT",
    "baseCurrency": "BTC",
    "quoteCurrency": "USDT",
    "feeCurrency": "USDT",
    "market": "USDS",
    "baseMinSize": "0.00001",
    "quoteMinSize": "0.1",
    "baseMaxSize": "10000000000",
    "quoteMaxSize": "99999999",
    "baseIncrement": "0.00001",
    "quoteIncrement": "0.000001",
    "priceIncrement": "0.1",
    "priceLimitRate": "0.1",
    "minFunds": "0.1",
    "isMarginEnabled": False,
    "enableTrading": True,
    "feeCategory": 1,
    "makerFeeCoefficient": "1.00",
    "takerFeeCoefficient": "1.00",
    "st": False,
    "callauctionIsEnabled": False,
    "callauctionPriceFloor": None,
    "callauctionPriceCeiling": None,
    "callauctionFirstStageStartTime": None,
    "callauctionSecondStageStartTime": None,
    "callauctionThirdStageStartTime": None,
    "tradingStartTime": None,
}
BOOK = {
    "time": TICK_MS,
    "sequence": "306738520000",
    "bids": [["100.3", "0.005"], ["100.2", "0.005"]],
    "asks": [["100.7", "0.005"], ["100.8", "0.005"]],
}
OLD_CURRENCY = {
    "currency": "BTC",
    "name": "BTC",
    "fullName": "BTC",
    "precision": 8,
    "confirms": None,
    "contractAddress": None,
    "withdrawalMinSize": "0",
    "withdrawalMinFee": "0",
    "isWithdrawEnabled": False,
    "isDepositEnabled": False,
    "isMarginEnabled": False,
    "isDebitEnabled": False,
}
GOLDEN: dict[str, Any] = {
    "/api/v1/timestamp": NOW_MS,
    "/api/v1/status": {"status": "open", "msg": ""},
    "/api/v1/market/orderbook/level1?symbol=BTC-USDT": {
        "time": TICK_MS,
        "sequence": "306738520000",
        "price": "100.5",
        "size": "0.005",
        "bestBid": "100.3",
        "bestBidSize": "0.005",
        "bestAsk": "100.7",
        "bestAskSize": "0.005",
    },
    "/api/v1/market/orderbook/level2_20?symbol=BTC-USDT": BOOK,
    "/api/v1/market/orderbook/level2_100?symbol=BTC-USDT": BOOK,
    "/api/v3/market/orderbook/level2?symbol=BTC-USDT": BOOK,
    "/api/v1/market/stats?symbol=BTC-USDT": {"time": TICK_MS, "symbol": "BTC-USDT", **BTC_TICKER},
    "/api/v1/market/allTickers": {
        "time": TICK_MS,
        "ticker": [
            {"symbol": "BTC-USDT", "symbolName": "BTC-USDT", **BTC_TICKER},
            {"symbol": "SHIB-USDT", "symbolName": "SHIB-USDT", **SHIB_TICKER},
        ],
    },
    "/api/v1/market/histories?symbol=BTC-USDT": [
        {"sequence": "306738460000", "price": "101.0", "size": "10", "side": "buy", "time": START + MINUTE},
        {
            "sequence": "306738520000",
            "price": "100.5",
            "size": "0.5",
            "side": "sell",
            "time": START + 2 * MINUTE,
        },
    ],
    "/api/v1/markets": ["USDS"],
    "/api/v2/symbols/BTC-USDT": SYMBOL,
    "/api/v2/symbols?market=ALTS": [],
    "/api/v1/currencies/BTC": OLD_CURRENCY,
    "/api/v1/prices": {"BTC": "100.5", "SHIB": "0.000010500", "USDT": "1"},
    "/api/v1/prices?base=USD&currencies=BTC": {"BTC": "100.5"},
    "/api/v1/prices?base=EUR": {},
    "/api/v1/mark-price/BTC-USDT/current": {
        "symbol": "BTC-USDT",
        "granularity": 1000,
        "timePoint": TICK_MS,
        "value": 100.5,
    },
    "/api/v1/contracts/active": [],
    "/api/v1/isolated/symbols": [],
    "/api/v3/margin/symbols": {"timestamp": NOW_MS, "items": []},
    "/api/v1/hf/accounts/opened": False,
    "/api/ua/v1/account/mode": {"selfAccountMode": "CLASSIC"},
    "/api/v1/base-fee": {"takerFeeRate": "0.001", "makerFeeRate": "0.001"},
    "/api/v1/trade-fees?symbols=BTC-USDT,SHIB-USDT": [
        {"symbol": "BTC-USDT", "takerFeeRate": "0.001", "makerFeeRate": "0.001"},
        {"symbol": "SHIB-USDT", "takerFeeRate": "0.001", "makerFeeRate": "0.001"},
    ],
}


@pytest.mark.parametrize("path", GOLDEN)
def test_a_golden_body(run: SimulatedRun, path: str) -> None:
    answer = run.send("GET", HOST + path)
    assert answer.status == 200
    # Byte for byte: order of keys, no blanks, numbers as they are written.
    expected = json.dumps({"code": "200000", "data": GOLDEN[path]}, separators=(",", ":"))
    assert answer.body.decode() == expected


def test_lists_have_what_single_pages_have(run: SimulatedRun) -> None:
    symbols = run.json("GET", HOST + "/api/v2/symbols")["data"]
    assert symbols[0] == SYMBOL
    assert [rules["symbol"] for rules in symbols] == ["BTC-USDT", "SHIB-USDT"]
    older = run.json("GET", HOST + "/api/v1/symbols?market=USDS")["data"]
    assert older[0].items() <= SYMBOL.items()
    assert "st" not in older[0]
    for version in (1, 2, 3):
        one = run.json("GET", f"{HOST}/api/v{version}/currencies/BTC")["data"]
        assert (one["currency"], len(one.get("chains", []))) == ("BTC", version > 1)
    many = run.json("GET", HOST + "/api/v3/currencies")["data"]
    assert [row["currency"] for row in many] == ["BTC", "SHIB", "USDT"]
    assert len(run.json("GET", HOST + "/api/v1/currencies")["data"]) == 3


ERRORS = {
    "/api/v1/market/candles?symbol=NO-USDT&type=1min": ("400100", "This pair is not provided at present"),
    "/api/v1/market/candles?symbol=BTC-USDT&type=2min": ("400100", "Incorrect candlestick type."),
    "/api/v1/market/candles?symbol=BTC-USDT": ("400100", "Incorrect candlestick type."),
    "/api/v1/market/candles?symbol=BTC-USDT&type=1min&startAt=x": ("400100", "Invalid time."),
    "/api/v1/market/candles?symbol=BTC-USDT&type=1min&endAt=1706738400000": ("400100", "Invalid time."),
    "/api/v1/market/orderbook/level1?symbol=BTC-EUR": ("900001", "symbol not exists"),
    "/api/v1/market/stats": ("900001", "symbol not exists"),
    "/api/v2/symbols/NO-USDT": ("900001", "symbol not exists"),
    "/api/v3/currencies/NO": ("900003", "currency not exists"),
    "/api/v1/trade-fees?symbols=NO-USDT": ("900001", "symbol not exists"),
}


@pytest.mark.parametrize("path", ERRORS)
def test_an_error_keeps_the_envelope(run: SimulatedRun, path: str) -> None:
    answer = run.send("GET", HOST + path)
    code, message = ERRORS[path]
    assert (answer.status, answer.body) == (200, f'{{"code":"{code}","msg":"{message}"}}'.encode())


def test_an_unknown_path_is_refused_and_counted(run: SimulatedRun) -> None:
    for path in ("/api/v9/thing?x=1", "/api/v9/thing", "/api/v1/market/candles/"):
        answer = run.send("GET", HOST + path)
        assert (answer.status, answer.body) == (404, b'{"code":"404000","msg":"Url Not Found"}')
    assert run.send("POST", HOST + "/api/v1/timestamp").status == 404
    assert [tuple(row) for row in run.venues.unknown] == [
        ("bot", "kucoin", "GET /api/v1/market/candles/", 1),
        ("bot", "kucoin", "GET /api/v9/thing", 2),
        ("bot", "kucoin", "POST /api/v1/timestamp", 1),
    ]


# ---------------------------------------------------------------- candles


def naive(market: Market, coin: str, kind: str, now_ns: int, *, is_filled: bool = False) -> list[list[str]]:
    """Return all rows of a type as of a time, newest first, from the base candles one by one."""
    series = market._visible[coin]
    rows: dict[int, list[float]] = {}
    last = None
    for time, *values in zip(
        series.open_times_ns.tolist(), *(c.tolist() for c in series.values), strict=True
    ):
        if time + MINUTE > now_ns:
            break
        last = values[3]
        begin = begin_of(kind, time)
        if begin in rows:
            row = rows[begin]
            row[1:5] = max(row[1], values[1]), min(row[2], values[2]), values[3], row[4] + values[4]
        else:
            rows[begin] = list(values)
    if last is None:
        return []
    rows.setdefault(begin_of(kind, now_ns), [last] * 4 + [0.0])
    if is_filled:
        length, begins = LENGTHS[kind] * MINUTE, sorted(rows)
        for begin in range(begins[0], begins[-1], length):
            if begin not in rows:
                rows[begin] = [rows[begin - length][3]] * 4 + [0.0]
    return [spelled(begin, rows[begin]) for begin in sorted(rows, reverse=True)]


def begin_of(kind: str, time_ns: int) -> int:
    if kind != "1month":
        length = LENGTHS[kind] * MINUTE
        return time_ns // length * length
    day = dt.datetime.fromtimestamp(time_ns // SECOND, dt.UTC).replace(day=1, hour=0, minute=0, second=0)
    return int(day.timestamp()) * SECOND


def spelled(begin_ns: int, row: list[float]) -> list[str]:
    opened, high, low, close, volume = row
    turnover = round(volume * ((high + low + close) / 3.0), 8)
    prices = [f"{value:.2f}" for value in (opened, close, high, low)]
    amounts = [np.format_float_positional(round(v, 8), trim="-") for v in (volume, turnover)]
    return [str(begin_ns // SECOND), *prices, *amounts]


WALK = small_market(minutes=600, warm_up=1_700)
TIMES = [0, 1, MINUTE - 1, MINUTE, 59 * MINUTE + 30 * SECOND, HOUR, HOUR + 1, 2 * HOUR + 7 * MINUTE]


@pytest.fixture(scope="module")
def walking() -> SimulatedRun:
    """Return a run on a market that wanders; its clock is moved by hand."""
    return SimulatedRun({"kucoin": VenueSettings(rate_limits=False)}, market=WALK)


def rows_of(run: SimulatedRun, query: str) -> list[list[str]]:
    found: list[list[str]] = run.json("GET", f"{HOST}/api/v1/market/candles?{query}")["data"]
    return found


@pytest.mark.parametrize("kind", LENGTHS)
@pytest.mark.parametrize("after_ns", TIMES)
def test_candles_as_a_naive_reading_has_them(walking: SimulatedRun, kind: str, after_ns: int) -> None:
    walking.now_ns = WALK.start_ns + after_ns
    expected = naive(WALK, "ETH", kind, walking.now_ns)
    assert rows_of(walking, f"symbol=ETH-USDT&type={kind}") == expected[:100]
    assert rows_of(walking, f"symbol=ETH-USDT&type={kind}&startAt=1") == expected[:1500]
    assert rows_of(walking, f"symbol=ETH-USDT&type={kind}&startAt=0&endAt=0") == expected[:100]


@pytest.mark.parametrize("kind", ["1min", "5min", "1hour", "4hour", "1day", "1week"])
def test_bounds_are_about_open_times_and_the_end_does_not_belong(walking: SimulatedRun, kind: str) -> None:
    walking.now_ns = WALK.start_ns + 3 * HOUR + 90 * SECOND
    every = naive(WALK, "BTC", kind, walking.now_ns)
    now_s = walking.now_ns // SECOND
    for begin in (now_s - 7_200, now_s - 86_400, int(every[len(every) // 2][0])):
        for end in (0, now_s, int(every[0][0]), int(every[0][0]) + 1, now_s - 3_600, now_s + 99_999, begin):
            expected = [row for row in every if begin <= int(row[0]) and (not end or int(row[0]) < end)]
            found = rows_of(walking, f"endAt={end}&startAt={begin}&symbol=BTC-USDT&type={kind}")
            assert found == expected[:1500], (begin, end)


@pytest.mark.parametrize("after_ns", [MINUTE, HOUR, 9 * HOUR + 1])
@pytest.mark.parametrize("query", ["", "&startAt=1704067199", "&endAt=1704067201&startAt=1"])
def test_months_are_those_of_the_calendar(after_ns: int, query: str) -> None:
    market = small_market(minutes=600, warm_up=11 * 1_440)  # from 29 December on
    run = SimulatedRun({"kucoin": VenueSettings()}, market=market)
    run.now_ns += after_ns
    found = rows_of(run, f"symbol=BTC-USDT&type=1month{query}")
    expected = naive(market, "BTC", "1month", run.now_ns)
    assert [row[0] for row in expected] == ["1704067200", "1701388800"]
    if query.startswith("&startAt"):
        expected = expected[:1]
    assert [row[:5] for row in found] == [row[:5] for row in expected]
    # Sums of days, not of minutes: the last digits may differ.
    sums, others = ([float(value) for row in rows for value in row[5:]] for rows in (found, expected))
    assert sums == pytest.approx(others, rel=1e-12)


def test_an_end_alone_gives_the_hundred_rows_before_it(walking: SimulatedRun) -> None:
    walking.now_ns = WALK.start_ns + 5 * HOUR
    end = walking.now_ns // SECOND - 600
    every = naive(WALK, "BTC", "1min", walking.now_ns)
    expected = [row for row in every if int(row[0]) < end][:100]
    assert rows_of(walking, f"symbol=BTC-USDT&type=1min&endAt={end}") == expected


def test_the_open_candle_comes_first_and_is_flat_until_something_of_it_closes(walking: SimulatedRun) -> None:
    walking.now_ns = WALK.start_ns + 2 * HOUR
    first, second = rows_of(walking, "symbol=BTC-USDT&type=1hour")[:2]
    assert first == [str(walking.now_ns // SECOND), *[second[2]] * 4, "0", "0"]
    walking.now_ns += MINUTE + 1
    opened = rows_of(walking, "symbol=BTC-USDT&type=1hour")[0]
    assert opened[0] == first[0]
    assert Decimal(opened[5]) > 0
    walking.now_ns += 58 * MINUTE
    later = rows_of(walking, "symbol=BTC-USDT&type=1hour")[0]
    walking.now_ns += HOUR
    final = rows_of(walking, "symbol=BTC-USDT&type=1hour")[1]
    assert opened[0] == later[0] == final[0]
    assert opened[2:] != later[2:] != final[2:]


@pytest.mark.parametrize("kind", ["1min", "3min", "15min", "1hour"])
@pytest.mark.parametrize("after", [1, 45, 400, 401, 500])
@pytest.mark.parametrize("holes", ["keep", "fill"])
def test_holes_are_kept_or_filled(kind: str, after: int, holes: str) -> None:
    missing = [*range(20, 30), *range(61, 200), 300, 350, 399, 400]
    candles = WALK._visible["BTC"].take(slice(0, 600))
    thin = {"BTC": candles.take(np.delete(np.arange(600), missing))}
    begin_ns = int(candles.open_times_ns[0])
    market = Market(
        thin,
        exchange="kucoin",
        quote="USDT",
        timeframe_ns=MINUTE,
        start_ns=begin_ns,
        end_ns=begin_ns + 600 * MINUTE,
    )
    settings = VenueSettings(rate_limits=False, holes="fill" if holes == "fill" else "keep")
    run = SimulatedRun({"kucoin": settings}, market=market)
    run.now_ns = begin_ns + after * MINUTE
    # The tick of KuCoin's BTC is 0.1; these prices have two decimals and keep them.
    found = [
        [row[0], *map(Decimal, row[1:])] for row in rows_of(run, f"symbol=BTC-USDT&type={kind}&startAt=1")
    ]
    expected = naive(market, "BTC", kind, run.now_ns, is_filled=holes == "fill")
    assert found == [[row[0], *map(Decimal, row[1:])] for row in expected]
    bounded = rows_of(
        run, f"symbol=BTC-USDT&type={kind}&startAt={begin_ns // SECOND + 1500}&endAt=9999999999"
    )
    kept = [row[0] for row in expected if int(row[0]) >= begin_ns // SECOND + 1500]
    assert [row[0] for row in bounded] == kept


def test_a_timeframe_finer_than_the_run_is_refused_by_name() -> None:
    candles = WALK._visible["BTC"].take(slice(0, 600, 5))
    market = Market(
        {"BTC": candles},
        exchange="kucoin",
        quote="USDT",
        timeframe_ns=5 * MINUTE,
        start_ns=int(candles.open_times_ns[0]),
        end_ns=int(candles.open_times_ns[-1]) + 5 * MINUTE,
    )
    run = SimulatedRun({"kucoin": VenueSettings()}, market=market)
    run.now_ns += HOUR
    for kind in ("1min", "3min"):
        answer = run.json("GET", f"{HOST}/api/v1/market/candles?symbol=BTC-USDT&type={kind}")
        assert answer["code"] == "400100"
        assert f"No {kind} candles in this replay" in answer["msg"]
    name = "GET /api/v1/market/candles"
    assert [tuple(row) for row in run.venues.unknown] == [
        ("bot", "kucoin", f"{name}: 1min candles cannot be made of the run's", 1),
        ("bot", "kucoin", f"{name}: 3min candles cannot be made of the run's", 1),
    ]
    now_s = run.now_ns // SECOND
    assert rows_of(run, "symbol=BTC-USDT&type=15min")[0][0] == str(now_s - now_s % 900)


def test_rows_are_texts_without_exponents(run: SimulatedRun) -> None:
    body = run.send("GET", HOST + "/api/v1/market/candles?symbol=SHIB-USDT&type=1min").body.decode()
    rows = json.loads(body)["data"]
    assert rows[1] == [
        "1706738460",
        "0.000010000",
        "0.000010500",
        "0.000012000",
        "0.000009000",
        "1000000000",
        "10500",
    ]
    everything = "".join(run.send("GET", HOST + path).body.decode() for path in GOLDEN)
    assert not re.search(r'"[0-9.]+[eE][-+]?[0-9]+"', everything + body)


# ---------------------------------------------------------------- what can be seen, and for how long


def test_a_pair_is_there_from_its_first_closed_candle_until_a_day_after_its_last() -> None:
    rows: dict[str, list[Row | None]] = {
        "BTC": [(100.0, 102.0, 99.5, 101.0, 10.0)] * (2 * 1_440 + 10),
        "ETH": [None] * 5 + [(10.0, 11.0, 9.0, 10.0, 1.0)] * 5,
    }
    run = SimulatedRun({"kucoin": VenueSettings(rate_limits=False)}, market=market_of(rows))
    seen = []
    for after_ns in (MINUTE - 1, MINUTE, 6 * MINUTE - 1, 6 * MINUTE, 10 * MINUTE + DAY, 11 * MINUTE + DAY):
        run.now_ns = START + after_ns
        listed = [rules["baseCurrency"] for rules in run.json("GET", HOST + "/api/v2/symbols")["data"]]
        tickers = run.json("GET", HOST + "/api/v1/market/allTickers")["data"]["ticker"]
        assert [ticker["symbol"].removesuffix("-USDT") for ticker in tickers] == listed
        seen.append(listed)
    assert seen == [[], ["BTC"], ["BTC"], ["BTC", "ETH"], ["BTC", "ETH"], ["BTC"]]


def test_answers_about_the_market_last_until_the_next_candle(run: SimulatedRun) -> None:
    public = {
        path for path in GOLDEN if path.startswith(("/api/v1/market/", "/api/v2/symbols", "/api/v1/prices"))
    }
    before = {path: run.send("GET", HOST + path) for path in GOLDEN}
    assert {answer.valid_until_ns for path, answer in before.items() if path in public} == {
        START + 3 * MINUTE
    }
    assert before["/api/v1/timestamp"].valid_until_ns is None
    assert before["/api/v1/base-fee"].valid_until_ns is None
    run.advance(50 * SECOND - 1)
    assert all(run.send("GET", HOST + path) == before[path] for path in public)
    run.advance(1)
    level1 = "/api/v1/market/orderbook/level1?symbol=BTC-USDT"
    assert run.send("GET", HOST + level1).body != before[level1].body
    assert run.send("GET", HOST + level1).valid_until_ns == START + 4 * MINUTE


def test_the_quote_of_symbols_can_be_chosen() -> None:
    run = SimulatedRun({"kucoin": VenueSettings(quote="USD")}, market=market_of(SMALL))
    run.now_ns += MINUTE
    assert run.json("GET", HOST + "/api/v2/symbols")["data"][0]["symbol"] == "BTC-USD"
    assert run.json("GET", HOST + "/api/v1/accounts")["data"][0]["currency"] == "USD"


def test_a_book_stands_round_the_price_in_order(walking: SimulatedRun) -> None:
    walking.now_ns = WALK.start_ns + HOUR
    for coin in ("BTC", "ETH", "DOGE"):
        book = walking.json("GET", f"{HOST}/api/v1/market/orderbook/level2_100?symbol={coin}-USDT")["data"]
        last = Decimal(walking.json("GET", f"{HOST}/api/v1/market/stats?symbol={coin}-USDT")["data"]["last"])
        bids, asks = ([Decimal(price) for price, _ in book[side]] for side in ("bids", "asks"))
        assert (len(bids), len(asks)) == (100, 100)
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        assert bids[0] <= last * (1 - Decimal("0.0001")) < last * (1 + Decimal("0.0001")) <= asks[0]
        assert asks[0] / bids[0] < Decimal("1.0005")
        twenty = walking.json("GET", f"{HOST}/api/v1/market/orderbook/level2_20?symbol={coin}-USDT")["data"]
        assert (twenty["bids"], twenty["asks"]) == (book["bids"][:20], book["asks"][:20])


def test_rows_are_written_anew_when_too_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candle_rows, "_ROWS_MAX", 150)
    run = SimulatedRun({"kucoin": VenueSettings(rate_limits=False)}, market=WALK)
    for step in range(30):
        run.now_ns = WALK.start_ns + step * 7 * MINUTE
        for coin in ("BTC", "ETH"):
            found = rows_of(run, f"symbol={coin}-USDT&type=1min")
            assert found == naive(WALK, coin, "1min", run.now_ns)[:100]
