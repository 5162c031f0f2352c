"""Binance spot: shapes, candles, errors, signatures, limits, and the life of an order."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from orchestrator.candle import Candle
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.venue_settings import FaultSettings, VenueSettings
from tests.venues.simulated_run import DAY, HOUR, MINUTE, MS, SECOND, SimulatedRun, small_market
from tests.venues.test_venues_kucoin_market import market_of

HOST = "https://api.binance.com"
API = f"{HOST}/api/v3"
MARKET = small_market()


def run_with(market: Any = MARKET, **settings: Any) -> SimulatedRun:
    more = {key: settings.pop(key) for key in ("cash", "model", "accounts") if key in settings}
    return SimulatedRun({"binance": VenueSettings(**settings)}, market=market, **more)


@pytest.fixture
def run() -> SimulatedRun:
    return run_with()


def order_query(**change: Any) -> str:
    fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01", **change}
    return urlencode({name: value for name, value in fields.items() if value is not None})


LIMIT = {"type": "LIMIT", "timeInForce": "GTC", "price": "30000"}


def place(run: SimulatedRun, **change: Any) -> dict[str, Any]:
    # The parameters of a new order may be in the query or in the body.
    answer = run.send("POST", f"{API}/order", body=order_query(**change))
    assert answer.status == 200, answer.body
    return dict(json.loads(answer.body))


def last_closed(run: SimulatedRun, coin: str = "BTC") -> Candle:
    candle = MARKET.last_closed(coin, run.now_ns)
    assert candle is not None
    return candle


# ---------------------------------------------------------------- market data


def test_binance_exchange_info_lists_the_pairs_of_the_run(run: SimulatedRun) -> None:
    info = run.json("GET", f"{API}/exchangeInfo")
    assert [pair["symbol"] for pair in info["symbols"]] == ["BTCUSDT", "ETHUSDT", "DOGEUSDT"]
    filters = {row["filterType"]: row for row in info["symbols"][0]["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    for query in ("symbol=ETHUSDT", "symbols=%5B%22ETHUSDT%22%5D"):
        assert len(run.json("GET", f"{API}/exchangeInfo?{query}")["symbols"]) == 1
    for host in ("fapi.binance.com/fapi", "dapi.binance.com/dapi"):
        assert run.json("GET", f"https://{host}/v1/exchangeInfo")["symbols"] == []


def test_binance_ping_and_time(run: SimulatedRun) -> None:
    run.advance(1_234 * MS)
    assert run.json("GET", f"{API}/ping") == {}
    assert run.json("GET", f"{API}/time") == {"serverTime": run.now_ns // MS}


def opens(rows: list[Any]) -> list[int]:
    return [row[0] * MS for row in rows]


def test_binance_klines_are_oldest_first_with_the_open_one_last(run: SimulatedRun) -> None:
    run.advance(25 * MINUTE + SECOND)
    rows = run.json("GET", f"{API}/klines?symbol=BTCUSDT&interval=1h&limit=3")
    start = MARKET.start_ns
    assert opens(rows) == [start - 2 * HOUR, start - HOUR, start]
    assert [len(row) for row in rows] == [12] * 3
    minutes = run.json("GET", f"{API}/klines?symbol=BTCUSDT&interval=1m&limit=26")
    opened = rows[-1]
    # The open candle is what is closed of it by now: 25 minutes, no more.
    assert opens(minutes)[-1] == start + 25 * MINUTE
    assert minutes[-1][5] == "0.00000000", "of the open minute nothing is known"
    parts = minutes[:25]
    assert opened[1] == parts[0][1]
    assert Decimal(opened[2]) == max(Decimal(row[2]) for row in parts)
    assert Decimal(opened[3]) == min(Decimal(row[3]) for row in parts)
    assert opened[4] == parts[-1][4]
    assert abs(Decimal(opened[5]) - sum(Decimal(row[5]) for row in parts)) < Decimal("1e-6")
    assert opened[6] * MS == start + HOUR - MS
    assert all(isinstance(value, str) for value in opened[1:6])


@pytest.mark.parametrize(
    ("query", "first", "count"),
    [
        ("interval=1m", -499, 500),
        ("interval=1m&limit=5", -4, 5),
        ("interval=1m&limit=5000", -999, 1_000),
        ("interval=1m&limit=3&startTime={start}", 0, 1),
        ("interval=1m&limit=3&startTime={day}", -1_440, 3),
        ("interval=1m&limit=3&startTime=0", -1_440, 3),
        ("interval=1m&limit=3&endTime={day5}", -1_437, 3),
        ("interval=1m&startTime={day}&endTime={day5}", -1_440, 6),
        ("interval=1m&startTime={later}", 0, 0),
        ("interval=1m&endTime=0", 0, 0),
    ],
)
def test_binance_klines_windows(run: SimulatedRun, query: str, first: int, count: int) -> None:
    start = MARKET.start_ns // MS
    day = start - DAY // MS
    words = {"start": start, "day": day, "day5": day + 5 * 60_000, "later": start + 60_000}
    rows = run.json("GET", f"{API}/klines?symbol=BTCUSDT&{query.format(**words)}")
    assert opens(rows) == [MARKET.start_ns + (first + place) * MINUTE for place in range(count)]


@pytest.mark.parametrize("begin", [0, 12, 25, 55])
@pytest.mark.parametrize("limit", [3, 10, 30, 60, 100])
def test_binance_filled_pages_go_on_from_their_beginning(begin: int, limit: int) -> None:
    # Minutes without trades at 10 to 19, 30 to 44 and from 57 on; now is minute 60.
    rows = [
        None if m in (*range(10, 20), *range(30, 45), 57, 58, 59) else (1.0 + m,) * 4 + (1.0,)
        for m in range(61)
    ]
    market = market_of({"BTC": [None, None, *rows]})
    run = SimulatedRun({"binance": VenueSettings(holes="fill", quote="USDT")}, market=market)
    first_ns = market.start_ns + 2 * MINUTE
    run.now_ns = first_ns + 60 * MINUTE
    start = (first_ns + begin * MINUTE) // MS
    found = run.json("GET", f"{API}/klines?symbol=BTCUSDT&interval=1m&startTime={start}&limit={limit}")
    every = range(begin, min(begin + limit, 61))
    assert opens(found) == [first_ns + minute * MINUTE for minute in every]
    closes = [float(row[4]) for row in found]
    known = {m: 1.0 + max(n for n in range(m + 1) if rows[n] is not None and n < 60) for m in every}
    assert closes == list(known.values())


def test_binance_weeks_begin_on_monday() -> None:
    market = small_market(minutes=60, warm_up=15 * 1_440, coins=("BTC",))
    rows = run_with(market).json("GET", f"{API}/klines?symbol=BTCUSDT&interval=1w")
    monday = market.start_ns - DAY  # the run begins on a Tuesday
    assert opens(rows) == [monday - 2 * 7 * DAY, monday - 7 * DAY, monday][-len(rows) :]


def test_binance_months_are_those_of_the_calendar() -> None:
    market = small_market(minutes=1_440, warm_up=70 * 1_440, coins=("BTC",))
    run = run_with(market)
    run.advance(90 * MINUTE)
    rows = run.json("GET", f"{API}/klines?symbol=BTCUSDT&interval=1M")
    firsts = [
        dt.datetime(year, month, 1, tzinfo=dt.UTC)
        for year, month in ((2023, 10), (2023, 11), (2023, 12), (2024, 1), (2024, 2))
    ]
    stamps = [int(first.timestamp() * 1_000) for first in firsts]
    assert [row[0] for row in rows] == stamps[:-1]
    assert [row[6] for row in rows] == [stamp - 1 for stamp in stamps[1:]]
    days = run.json("GET", f"{API}/klines?symbol=BTCUSDT&interval=1d&startTime={stamps[2]}&limit=31")
    december = rows[2]
    assert (december[1], december[4]) == (days[0][1], days[-1][4])
    assert Decimal(december[2]) == max(Decimal(day[2]) for day in days)
    price = market.last_closed("BTC", run.now_ns)
    assert price is not None
    assert float(rows[-1][4]) == price.close
    assert run.json("GET", f"{API}/klines?symbol=BTCUSDT&interval=1M&limit=1") == rows[-1:]
    assert (
        run.json("GET", f"{API}/klines?symbol=BTCUSDT&interval=1M&limit=2&startTime={stamps[1]}") == rows[1:3]
    )
    assert run.json("GET", f"{API}/klines?symbol=BTCUSDT&interval=1M&endTime={stamps[1]}") == rows[:2]


def test_binance_tickers(run: SimulatedRun) -> None:
    last = last_closed(run).close
    day = run.json("GET", f"{API}/ticker/24hr?symbol=BTCUSDT")
    assert Decimal(day["lastPrice"]) == Decimal(str(last))
    assert Decimal(day["bidPrice"]) < Decimal(day["lastPrice"]) < Decimal(day["askPrice"])
    assert Decimal(day["lowPrice"]) <= Decimal(day["weightedAvgPrice"]) <= Decimal(day["highPrice"])
    assert day["count"] == 1_440
    assert run.json("GET", f"{API}/ticker/price?symbol=BTCUSDT") == {
        "symbol": "BTCUSDT",
        "price": day["lastPrice"],
    }
    best = run.json("GET", f"{API}/ticker/bookTicker?symbol=BTCUSDT")
    assert best == {name: day[name] for name in ("symbol", "bidPrice", "bidQty", "askPrice", "askQty")}
    for path in ("24hr", "price", "bookTicker"):
        assert [row["symbol"] for row in run.json("GET", f"{API}/ticker/{path}")] == [
            "BTCUSDT",
            "ETHUSDT",
            "DOGEUSDT",
        ]
        two = run.json("GET", f"{API}/ticker/{path}?symbols=%5B%22DOGEUSDT%22,%22BTCUSDT%22%5D")
        assert [row["symbol"] for row in two] == ["DOGEUSDT", "BTCUSDT"]


def test_binance_depth_and_trades(run: SimulatedRun) -> None:
    book = run.json("GET", f"{API}/depth?symbol=BTCUSDT&limit=5")
    assert (len(book["bids"]), len(book["asks"])) == (5, 5)
    prices = [Decimal(row[0]) for row in [*reversed(book["bids"]), *book["asks"]]]
    assert prices == sorted(prices)
    trades = run.json("GET", f"{API}/trades?symbol=BTCUSDT&limit=2")
    assert [row["time"] * MS for row in trades] == [run.now_ns - MINUTE, run.now_ns]
    aggregates = run.json("GET", f"{API}/aggTrades?symbol=BTCUSDT&limit=2")
    assert [(row["p"], row["q"], row["T"]) for row in aggregates] == [
        (row["price"], row["qty"], row["time"]) for row in trades
    ]
    since = run.json("GET", f"{API}/aggTrades?symbol=BTCUSDT&startTime={trades[0]['time'] + 1}")
    assert [row["T"] for row in since] == [trades[1]["time"]]
    until = run.json("GET", f"{API}/aggTrades?symbol=BTCUSDT&limit=1&endTime={trades[0]['time']}")
    assert [row["T"] for row in until] == [trades[0]["time"]]


def test_binance_market_answers_hold_until_the_next_candle(run: SimulatedRun) -> None:
    run.advance(10 * SECOND)
    for path in ("ticker/price", "klines?symbol=BTCUSDT&interval=1h", "depth?symbol=BTCUSDT", "exchangeInfo"):
        assert run.send("GET", f"{API}/{path}").valid_until_ns == MARKET.start_ns + MINUTE
    assert run.send("GET", f"{API}/time").valid_until_ns is None
    assert run.send("GET", f"{API}/account").valid_until_ns is None


# ---------------------------------------------------------------- orders


def test_binance_market_order(run: SimulatedRun) -> None:
    ask = run.json("GET", f"{API}/ticker/bookTicker?symbol=BTCUSDT")["askPrice"]
    placed = place(run, newClientOrderId="mine-1")
    time = run.now_ns // MS
    common = {
        "symbol": "BTCUSDT",
        "orderId": placed["orderId"],
        "orderListId": -1,
        "clientOrderId": "mine-1",
        "price": "0.00000000",
        "origQty": "0.01000000",
        "origQuoteOrderQty": "0.00000000",
        "timeInForce": "GTC",
        "type": "MARKET",
        "side": "BUY",
        "workingTime": time,
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }
    nothing = {"executedQty": "0.00000000", "cummulativeQuoteQty": "0.00000000", "status": "NEW"}
    assert placed == {**common, **nothing, "transactTime": time, "fills": []}
    run.advance(SECOND)
    spent = Decimal(ask) * Decimal("0.01")
    found = run.json("GET", f"{API}/order?symbol=BTCUSDT&origClientOrderId=mine-1")
    assert found == {
        **common,
        "executedQty": "0.01000000",
        "cummulativeQuoteQty": f"{spent:.8f}",
        "status": "FILLED",
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": time,
        "updateTime": found["updateTime"],
        "isWorking": True,
    }
    assert run.json("GET", f"{API}/myTrades?symbol=BTCUSDT") == [
        {
            "symbol": "BTCUSDT",
            "id": 1,
            "orderId": placed["orderId"],
            "orderListId": -1,
            "price": ask,
            "qty": "0.01000000",
            "quoteQty": f"{spent:.8f}",
            "commission": f"{spent / 1000:.8f}",
            "commissionAsset": "USDT",
            "time": found["updateTime"],
            "isBuyer": True,
            "isMaker": False,
            "isBestMatch": True,
        }
    ]


def test_binance_account_has_holds(run: SimulatedRun) -> None:
    place(run)
    run.advance(SECOND)
    place(run, **{**LIMIT, "side": "SELL", "quantity": "0.004", "price": "90000"})
    account = run.json("GET", f"{API}/account")
    balances = {row["asset"]: (row["free"], row["locked"]) for row in account["balances"]}
    assert balances["BTC"] == ("0.00600000", "0.00400000")
    assert balances["ETH"] == ("0.00000000", "0.00000000")
    cash = Decimal(10_000) - Decimal(
        run.json("GET", f"{API}/allOrders?symbol=BTCUSDT")[0]["cummulativeQuoteQty"]
    ) * Decimal("1.001")
    assert Decimal(balances["USDT"][0]) == cash
    assert (account["makerCommission"], account["commissionRates"]["taker"]) == (10, "0.00100000")
    short = run.json("GET", f"{API}/account?omitZeroBalances=true")
    assert [row["asset"] for row in short["balances"]] == ["BTC", "USDT"]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("ACK", {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}),
        ("RESULT", None),
        ("FULL", None),
    ],
)
def test_binance_answers_to_an_order_as_long_as_asked(
    run: SimulatedRun, kind: str, names: set[str] | None
) -> None:
    answer = place(run, newOrderRespType=kind)
    if names is not None:
        assert set(answer) == names
    assert ("fills" in answer) == (kind == "FULL")
    assert "status" not in place(
        run, **{**LIMIT, "type": "STOP_LOSS", "side": "BUY", "stopPrice": "90000", "quantity": "0.001"}
    )


def test_binance_quote_quantity(run: SimulatedRun) -> None:
    ask = Decimal(run.json("GET", f"{API}/ticker/bookTicker?symbol=BTCUSDT")["askPrice"])
    order = place(run, quantity=None, quoteOrderQty="1000")
    bought = Decimal(order["origQty"])
    assert bought * ask <= 1_000 < (bought + Decimal("0.00001")) * ask
    assert order["origQuoteOrderQty"] == "1000.00000000"


def test_binance_cancel(run: SimulatedRun) -> None:
    order = place(run, **LIMIT)
    which = f"symbol=BTCUSDT&orderId={order['orderId']}"
    assert [row["orderId"] for row in run.json("GET", f"{API}/openOrders?symbol=BTCUSDT")] == [
        order["orderId"]
    ]
    cancelled = run.json("DELETE", f"{API}/order?{which}&newClientOrderId=gone")
    assert cancelled["status"] == "PENDING_CANCEL", "it is on its way"
    assert (cancelled["clientOrderId"], cancelled["origClientOrderId"]) == ("gone", order["clientOrderId"])
    run.advance(2 * SECOND)
    assert run.json("GET", f"{API}/order?{which}")["status"] == "CANCELED"
    assert run.json("GET", f"{API}/openOrders") == []
    assert run.json("DELETE", f"{API}/order?{which}")["code"] == -2011


def test_binance_cancel_all(run: SimulatedRun) -> None:
    for symbol, price in (("BTCUSDT", "30000"), ("BTCUSDT", "29000"), ("ETHUSDT", "1000")):
        place(run, **{**LIMIT, "symbol": symbol, "price": price})
    assert len(run.json("DELETE", f"{API}/openOrders?symbol=BTCUSDT")) == 2
    run.advance(2 * SECOND)
    assert [row["symbol"] for row in run.json("GET", f"{API}/openOrders")] == ["ETHUSDT"]
    assert run.json("DELETE", f"{API}/openOrders?symbol=BTCUSDT")["code"] == -2011


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"timeInForce": "IOC", "price": "30000"}, "EXPIRED"),
        ({"timeInForce": "FOK", "price": "30000"}, "EXPIRED"),
        ({"timeInForce": "IOC", "price": "40000"}, "FILLED"),
        ({"timeInForce": "GTC", "price": "40000"}, "FILLED"),
        ({"timeInForce": "GTC", "price": "30000"}, "NEW"),
    ],
)
def test_binance_limit_orders(run: SimulatedRun, change: dict[str, str], status: str) -> None:
    order = place(run, **{**LIMIT, **change})
    run.advance(SECOND)
    found = run.json("GET", f"{API}/order?symbol=BTCUSDT&orderId={order['orderId']}")
    assert (found["status"], found["timeInForce"]) == (status, change["timeInForce"])


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"type": "STOP_LOSS", "stopPrice": "90000"}, ("0.00000000", "90000.00000000")),
        ({"type": "STOP_LOSS_LIMIT", "stopPrice": "90000", "price": "91000", "timeInForce": "GTC"},
         ("91000.00000000", "90000.00000000")),
        ({"type": "TAKE_PROFIT", "stopPrice": "30000"}, ("0.00000000", "30000.00000000")),
        ({"type": "TAKE_PROFIT_LIMIT", "stopPrice": "30000", "price": "29000", "timeInForce": "GTC"},
         ("29000.00000000", "30000.00000000")),
    ],
)  # fmt: skip
def test_binance_orders_that_wait_for_a_price(
    run: SimulatedRun, change: dict[str, str], shown: tuple[str, str]
) -> None:
    order = place(run, quantity="0.001", **change)
    run.advance(SECOND)
    found = run.json("GET", f"{API}/order?symbol=BTCUSDT&orderId={order['orderId']}")
    assert (found["type"], found["status"], found["isWorking"]) == (change["type"], "NEW", False)
    assert (found["price"], found["stopPrice"]) == shown


@pytest.mark.parametrize("kind", ["TAKE_PROFIT", "STOP_LOSS"])
def test_binance_orders_that_waited_are_filled(run: SimulatedRun, kind: str) -> None:
    ahead = [MARKET.last_closed("BTC", run.now_ns + minute * MINUTE) for minute in range(600)]
    closes = [candle.close for candle in ahead if candle is not None]
    price = min(closes) + 1 if kind == "TAKE_PROFIT" else max(closes) - 1
    order = place(run, quantity="0.001", type=kind, stopPrice=str(round(price, 2)))
    run.advance(600 * MINUTE)
    found = run.json("GET", f"{API}/order?symbol=BTCUSDT&orderId={order['orderId']}")
    assert (found["status"], found["isWorking"]) == ("FILLED", True)
    average = Decimal(found["cummulativeQuoteQty"]) / Decimal(found["executedQty"])
    assert (
        average <= Decimal(found["stopPrice"])
        if kind == "TAKE_PROFIT"
        else average >= Decimal(found["stopPrice"])
    )


def test_binance_partial_fill_and_the_end_of_the_run() -> None:
    model = ExecutionModelSettings(slippage_bps=Decimal(0), max_volume_pct=Decimal("0.01"))
    run = run_with(cash="1000000", model=model)
    order = place(run, quantity="1")
    run.advance(3 * MINUTE)
    which = f"{API}/order?symbol=BTCUSDT&orderId={order['orderId']}"
    found = run.json("GET", which)
    assert found["status"] == "PARTIALLY_FILLED"
    trades = run.json("GET", f"{API}/myTrades?symbol=BTCUSDT&orderId={order['orderId']}")
    assert sum(Decimal(row["qty"]) for row in trades) == Decimal(found["executedQty"])
    assert sum(Decimal(row["quoteQty"]) for row in trades) == Decimal(found["cummulativeQuoteQty"])
    run.end()
    assert run.json("GET", which)["status"] == "CANCELED"


def test_binance_lists_by_time_number_and_limit(run: SimulatedRun) -> None:
    orders = []
    for _ in range(5):
        orders.append(place(run)["orderId"])
        run.advance(10 * SECOND)
    place(run, symbol="ETHUSDT", quantity="0.1")
    run.advance(SECOND)
    start = MARKET.start_ns // MS

    def numbers(path: str, query: str) -> list[int]:
        return [row["orderId"] for row in run.json("GET", f"{API}/{path}?symbol=BTCUSDT&{query}")]

    for path, numbered in (("allOrders", f"orderId={orders[2]}"), ("myTrades", "fromId=3")):
        assert numbers(path, "") == orders
        assert numbers(path, "limit=2") == orders[-2:]
        assert numbers(path, numbered) == orders[2:]
        assert numbers(path, f"{numbered}&limit=2") == orders[2:4]
        assert numbers(path, f"startTime={start + 10_000}&limit=2") == orders[1:3]
        assert numbers(path, f"endTime={start + 15_000}") == orders[:2]


def test_binance_own_ids_are_given_and_are_not_taken_twice_while_open(run: SimulatedRun) -> None:
    made = {place(run, **LIMIT)["clientOrderId"] for _ in range(3)}
    assert len(made) == 3
    first = place(run, **{**LIMIT, "newClientOrderId": "mine"})
    again = run.send("POST", f"{API}/order?{order_query(**LIMIT, newClientOrderId='mine')}")
    assert json.loads(again.body) == {"code": -2010, "msg": "Duplicate order sent."}
    run.json("DELETE", f"{API}/order?symbol=BTCUSDT&origClientOrderId=mine")
    run.advance(2 * SECOND)
    assert place(run, **{**LIMIT, "newClientOrderId": "mine"})["orderId"] > first["orderId"]


def test_binance_test_orders_do_nothing(run: SimulatedRun) -> None:
    assert run.json("POST", f"{API}/order/test?{order_query()}") == {}
    assert run.json("POST", f"{API}/order/test?{order_query(side='HOLD')}")["code"] == -1117
    assert run.json("GET", f"{API}/allOrders?symbol=BTCUSDT") == []


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"symbol": "FOOUSDT"}, -1121, "Invalid symbol."),
        ({"symbol": None}, -1102, "Mandatory parameter 'symbol'"),
        ({"side": "LONG"}, -1117, "Invalid side."),
        ({"type": "OCO"}, -1116, "Invalid orderType."),
        ({"type": "TAKE_PROFIT"}, -1102, "'stopPrice'"),
        ({"type": "TAKE_PROFIT", "stopPrice": "40000"}, -2010, "trigger immediately"),
        ({"quantity": None}, -1102, "'quoteOrderQty'"),
        ({"quantity": "much"}, -1100, "'quantity'"),
        ({"quantity": "-1"}, -1100, "'quantity'"),
        ({"quantity": "0.000001"}, -1013, "LOT_SIZE"),
        ({"quantity": "0.0100001"}, -1013, "LOT_SIZE"),
        ({"quantity": "0.0001"}, -1013, "NOTIONAL"),
        ({"quantity": "1"}, -2010, "insufficient balance"),
        ({"side": "SELL"}, -2010, "insufficient balance"),
        ({"type": "LIMIT"}, -1102, "'timeInForce'"),
        ({**LIMIT, "timeInForce": "GTD"}, -1115, "Invalid timeInForce."),
        ({**LIMIT, "price": None}, -1102, "'price'"),
        ({**LIMIT, "price": "30000.001"}, -1013, "PRICE_FILTER"),
        ({"type": "LIMIT_MAKER", "price": "40000"}, -2010, "immediately match"),
        ({"type": "LIMIT_MAKER", "price": "30000", "side": "SELL"}, -2010, "immediately match"),
        ({"type": "STOP_LOSS", "stopPrice": "30000"}, -2010, "trigger immediately"),
        ({"type": "STOP_LOSS", "stopPrice": "40000", "side": "SELL"}, -2010, "trigger immediately"),
        ({"newClientOrderId": "no spaces"}, -1100, "'newClientOrderId'"),
    ],
)
def test_binance_refused_orders(run: SimulatedRun, change: dict[str, Any], code: int, words: str) -> None:
    answer = run.send("POST", f"{API}/order?{order_query(**change)}")
    assert answer.status == 400
    body = json.loads(answer.body)
    assert body["code"] == code
    assert words in body["msg"]
    assert run.json("GET", f"{API}/allOrders?symbol=BTCUSDT") == []


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v3/unknown", 404, -5000),
        ("PUT", "/api/v3/order", 404, -5000),
        ("GET", "/api/v3/klines?symbol=BTCUSDT", 400, -1102),
        ("GET", "/api/v3/klines?interval=1h", 400, -1102),
        ("GET", "/api/v3/klines?symbol=BTCUSDT&interval=7m", 400, -1120),
        ("GET", "/api/v3/klines?symbol=BTCUSDT&interval=1s", 400, -1120),
        ("GET", "/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=x", 400, -1100),
        ("GET", "/api/v3/ticker/price?symbol=BTC-USDT", 400, -1121),
        ("GET", "/api/v3/ticker/price?symbols=BTCUSDT", 400, -1100),
        ("GET", "/api/v3/ticker/price?symbols=%5B%22FOOUSDT%22%5D", 400, -1121),
        ("GET", "/api/v3/order?symbol=BTCUSDT", 400, -1102),
        ("GET", "/api/v3/order?symbol=BTCUSDT&orderId=7", 400, -2013),
        ("DELETE", "/api/v3/order?symbol=BTCUSDT&orderId=7", 400, -2011),
        ("GET", "/api/v3/order?symbol=BTCUSDT&orderId=x", 400, -1100),
        ("GET", "/api/v3/allOrders", 400, -1102),
    ],
)
def test_binance_errors(run: SimulatedRun, method: str, path: str, status: int, code: int) -> None:
    answer = run.send(method, HOST + path)
    assert answer.status == status
    assert json.loads(answer.body)["code"] == code


def test_binance_order_of_another_pair_or_account_is_not_found() -> None:
    run = run_with(accounts=("main", "other"))
    which = f"orderId={place(run, **LIMIT)['orderId']}"
    assert run.json("GET", f"{API}/order?symbol=ETHUSDT&{which}")["code"] == -2013
    assert run.json("GET", f"{API}/order?symbol=BTCUSDT&{which}", account="other")["code"] == -2013
    assert run.json("GET", f"{API}/openOrders", account="other") == []


# ---------------------------------------------------------------- limits and signatures


def test_binance_weights_are_told_and_bounded(run: SimulatedRun) -> None:
    run.advance(10 * SECOND)
    first = run.send("GET", f"{API}/ticker/24hr")
    assert ("X-MBX-USED-WEIGHT-1M", "80") in first.headers
    for _ in range(74):
        run.send("GET", f"{API}/ticker/24hr")
    refused = run.send("GET", f"{API}/ticker/24hr")
    assert refused.status == 429
    assert json.loads(refused.body)["code"] == -1003
    assert ("Retry-After", "50") in refused.headers
    run.advance(50 * SECOND)
    assert ("X-MBX-USED-WEIGHT", "2") in run.send("GET", f"{API}/ticker/24hr?symbol=BTCUSDT").headers


@pytest.mark.parametrize(("limit", "weight"), [(None, 5), (100, 5), (101, 25), (1_000, 50), (5_000, 250)])
def test_binance_depth_weighs_what_it_shows(run: SimulatedRun, limit: int | None, weight: int) -> None:
    query = "" if limit is None else f"&limit={limit}"
    assert ("X-MBX-USED-WEIGHT", str(weight)) in run.send("GET", f"{API}/depth?symbol=BTCUSDT{query}").headers


def test_binance_orders_are_counted(run: SimulatedRun) -> None:
    for count in range(1, 101):
        answer = run.send("POST", f"{API}/order?{order_query(**LIMIT, quantity='0.0002')}")
        assert ("X-MBX-ORDER-COUNT-10S", str(count)) in answer.headers
    refused = run.send("POST", f"{API}/order?{order_query(**LIMIT)}")
    assert (refused.status, json.loads(refused.body)["code"]) == (429, -1015)


KEY, SECRET = "test-key", "test-secret"


def signed(run: SimulatedRun, change: dict[str, Any]) -> str:
    fields: dict[str, Any] = {"recvWindow": 5_000, "timestamp": run.now_ns // MS + change.get("shift_ms", 0)}
    fields.update(change.get("fields", {}))
    text = urlencode({name: value for name, value in fields.items() if value is not None})
    signature = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"{text}&signature={change.get('signature', signature)}"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({}, 200, None),
        ({"shift_ms": -5_000}, 200, None),
        ({"shift_ms": 999}, 200, None),
        ({"shift_ms": -5_001}, 400, -1021),
        ({"shift_ms": 1_000}, 400, -1021),
        ({"shift_ms": -50_000, "fields": {"recvWindow": 60_000}}, 200, None),
        ({"shift_ms": -61_000, "fields": {"recvWindow": 90_000}}, 400, -1021),
        ({"fields": {"timestamp": None}}, 400, -1102),
        ({"signature": "00"}, 400, -1022),
        ({"signature": ""}, 400, -1102),
        ({"headers": {}}, 401, -2014),
        ({"headers": {"X-MBX-APIKEY": "other"}}, 401, -2015),
    ],
)
def test_binance_verifies_signatures_on_the_simulated_clock(
    change: dict[str, Any], status: int, code: int | None
) -> None:
    run = run_with(signatures="verify", api_key=KEY, api_secret=SECRET)
    run.advance(90 * MINUTE + 700 * MS)
    headers = change.get("headers", {"X-MBX-APIKEY": KEY})
    answer = run.send("GET", f"{API}/account?{signed(run, change)}", headers=headers)
    assert answer.status == status, answer.body
    assert json.loads(answer.body).get("code") == code


def test_binance_signs_query_and_body_together() -> None:
    run = run_with(signatures="verify", api_key=KEY, api_secret=SECRET)
    query, body = "symbol=BTCUSDT&side=BUY", f"type=MARKET&quantity=0.01&timestamp={run.now_ns // MS}"
    signature = hmac.new(SECRET.encode(), f"{query}{body}".encode(), hashlib.sha256).hexdigest()
    headers = {"X-MBX-APIKEY": KEY}
    url = f"{API}/order?{query}"
    assert run.send("POST", url, body=f"{body}&signature={signature}", headers=headers).status == 200
    assert run.send("POST", f"{url}&signature={signature}", body=body, headers=headers).status == 200
    assert (
        run.send(
            "POST", url, body=body.replace("0.01", "0.02") + f"&signature={signature}", headers=headers
        ).status
        == 400
    )


def test_binance_public_data_need_no_key() -> None:
    run = run_with(signatures="verify", api_key=KEY, api_secret=SECRET)
    assert run.send("GET", f"{API}/ticker/price").status == 200
    assert run_with(signatures="present").send("GET", f"{API}/account").status == 401


def test_binance_faults_speak_the_venues_language() -> None:
    for fault, status, code in (("http_429", 429, -1003), ("http_500", 500, -1001)):
        run = run_with(faults=FaultSettings(**{fault: Decimal(1)}))
        answer = run.send("GET", f"{API}/time")
        assert (answer.status, json.loads(answer.body)["code"]) == (status, code)
