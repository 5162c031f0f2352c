"""kucoin-python, the vendor's client, on the emulated KuCoin: its session is replaced, nothing else."""

from __future__ import annotations

import json
import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.venue_settings import VenueSettings
from orchestrator.venues.http import VenueResponse
from tests.venues.simulated_run import DAY, HOUR, MINUTE, MS, SECOND, SimulatedRun, small_market

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports pkg_resources
    from kucoin.base_request import base_request
    from kucoin.client import Market, Trade, User

KEY, SECRET, WORDS = "test-key", "test-secret", "test-words"
TIMEFRAMES = ["1hour", "2hour", "4hour", "8hour", "12hour", "1day", "1week"]


class Answer:
    """As much of a response of requests as the client looks at."""

    def __init__(self, answer: VenueResponse) -> None:
        self.status_code = answer.status
        self.content = answer.body
        self.text = answer.body.decode()

    def json(self) -> Any:
        return json.loads(self.text)


class Wire:
    """Stands where a session of requests would."""

    def __init__(self, run: SimulatedRun) -> None:
        self._run = run

    def request(
        self, method: str, url: str, headers: dict[str, Any], timeout: float, data: str | None = None
    ) -> Answer:
        assert timeout == 5
        words = {
            name: value.decode() if isinstance(value, bytes) else value for name, value in headers.items()
        }
        return Answer(self._run.send(method, url, headers=words, body=data or ""))


class Clients:
    def __init__(self, run: SimulatedRun) -> None:
        self.run = run
        self.market, self.trade, self.user = Market(), Trade(KEY, SECRET, WORDS), User(KEY, SECRET, WORDS)
        for client in (self.market, self.trade, self.user):
            client.session = Wire(run)


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Clients:
    settings = VenueSettings(signatures="verify", api_key=KEY, api_secret=SECRET, api_passphrase=WORDS)
    run = SimulatedRun({"kucoin": settings}, market=small_market(minutes=1_440, warm_up=22 * 1_440))
    run.advance(20 * MINUTE + 700 * MS)
    monkeypatch.setattr(base_request, "time", SimpleNamespace(time=lambda: run.now_ns / SECOND))
    return Clients(run)


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_kucoin_python_klines_are_newest_first_and_the_first_is_open(
    clients: Clients, timeframe: str
) -> None:
    rows = clients.market.get_kline("BTC-USDT", timeframe)
    assert all(len(row) == 7 and all(isinstance(value, str) for value in row) for row in rows)
    times = [int(row[0]) for row in rows]
    assert times == sorted(times, reverse=True)
    length_ns = {"1day": DAY, "1week": 7 * DAY}.get(timeframe) or int(timeframe.removesuffix("hour")) * HOUR
    assert times[0] * SECOND <= clients.run.now_ns < times[0] * SECOND + length_ns
    last = clients.run.market.last_closed("BTC", clients.run.now_ns)
    assert last is not None
    assert float(rows[0][2]) == last.close, "close comes third, before high and low"
    assert float(rows[0][3]) >= float(rows[0][2]) >= float(rows[0][4])
    # The habit of a public bot: the last closed candle is the second one, read out of the list's own text.
    text = str(rows).replace("]]", "], ").replace("[[", "[")
    second = text.split("], [")[1].replace("'", "").split(", ")
    assert second == rows[1]


def test_kucoin_python_klines_between_two_times(clients: Clients) -> None:
    end = clients.run.market.start_ns // SECOND
    rows = clients.market.get_kline("BTC-USDT", "1hour", startAt=end - 3 * 3_600, endAt=end)
    assert {int(row[0]) for row in rows} >= {end - 3 * 3_600, end - 2 * 3_600, end - 3_600}
    nothing = clients.market.get_kline("BTC-USDT", "1hour", startAt=1_000, endAt=2_000)
    assert nothing == {"code": "200000", "data": []}, "of an empty list the client returns the envelope"


def test_kucoin_python_market(clients: Clients) -> None:
    market = clients.market
    assert market.get_server_timestamp() == clients.run.now_ns // MS
    assert market.get_server_status()["status"] == "open"
    symbols = {row["symbol"] for row in market.get_symbol_list_v2()}
    assert (
        symbols
        == {row["symbol"] for row in market.get_symbol_list()}
        == {"BTC-USDT", "ETH-USDT", "DOGE-USDT"}
    )
    ticker = market.get_ticker("BTC-USDT")
    assert float(ticker["bestBid"]) < float(ticker["bestAsk"])
    assert market.get_24h_stats("BTC-USDT")["last"] == ticker["price"]
    assert {row["symbol"] for row in market.get_all_tickers()["ticker"]} == symbols
    book = market.get_part_order(20, "BTC-USDT")
    assert (book["bids"][0][0], book["asks"][0][0]) == (ticker["bestBid"], ticker["bestAsk"])
    assert {row["price"] for row in market.get_trade_histories("BTC-USDT")} >= {ticker["price"]}
    assert float(market.get_fiat_price(base="USD", currencies="BTC")["BTC"]) == float(ticker["price"])


def test_kucoin_python_market_order(clients: Clients) -> None:
    before = {row["currency"]: row for row in clients.user.get_account_list(account_type="trade")}
    assert float(before["USDT"]["available"]) == 10_000
    order_id = clients.trade.create_market_order("BTC-USDT", "buy", size="0.01")["orderId"]
    assert clients.trade.get_order_details(order_id)["isActive"] is True, "known at once"
    clients.run.advance(SECOND)
    order = clients.trade.get_order_details(order_id)
    assert (order["isActive"], order["cancelExist"], order["dealSize"]) == (False, False, "0.01")
    (fill,) = clients.trade.get_fill_list("TRADE", orderId=order_id)["items"]
    assert fill["funds"] == order["dealFunds"]
    assert fill["fee"] == order["fee"]
    after = {row["currency"]: row for row in clients.user.get_account_list()}
    assert after["BTC"]["balance"] == "0.01"
    spent = float(order["dealFunds"]) + float(order["fee"])
    assert float(after["USDT"]["balance"]) == pytest.approx(10_000 - spent)
    assert clients.user.get_base_fee()["takerFeeRate"] == "0.001"
    assert clients.user.get_actual_fee("BTC-USDT")[0]["takerFeeRate"] == "0.001"


def test_kucoin_python_market_order_by_funds(clients: Clients) -> None:
    order_id = clients.trade.create_market_order("BTC-USDT", "buy", funds="1000")["orderId"]
    clients.run.advance(SECOND)
    order = clients.trade.get_order_details(order_id)
    assert order["isActive"] is False
    assert 990 < float(order["dealFunds"]) <= 1_000


def test_kucoin_python_limit_order_and_its_cancel(clients: Clients) -> None:
    placed = clients.trade.create_limit_order("BTC-USDT", "buy", "0.01", "30000", clientOid="mine")
    clients.run.advance(SECOND)
    (listed,) = clients.trade.get_order_list(status="active", symbol="BTC-USDT")["items"]
    assert (listed["id"], listed["clientOid"], listed["price"]) == (placed["orderId"], "mine", "30000")
    assert clients.trade.get_client_order_details("mine")["id"] == placed["orderId"]
    assert clients.trade.cancel_order(placed["orderId"]) == {"cancelledOrderIds": [placed["orderId"]]}
    clients.run.advance(SECOND)
    order = clients.trade.get_order_details(placed["orderId"])
    assert (order["isActive"], order["cancelExist"]) == (False, True)
    assert clients.trade.get_order_list(status="active")["items"] == []


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda c: c.market.get_kline("FOO-USDT", "1hour"), "400100"),
        (lambda c: c.market.get_kline("BTC-USDT", "7hour"), "400100"),
        (lambda c: c.trade.create_market_order("BTC-USDT", "buy", size="10"), "200004"),
        (
            lambda c: c.trade.create_limit_order("BTC-USDT", "buy", "0.0100000001", "30000"),
            "increment invalid",
        ),
        (lambda c: c.trade.get_order_details("5c35c02703aa673ceec2a168"), "order not exist"),
    ],
)
def test_kucoin_python_errors_are_in_the_text_of_its_exception(
    clients: Clients, ask: Any, words: str
) -> None:
    with pytest.raises(Exception, match=r"^\d{3}-\{") as failure:
        ask(clients)
    assert words in str(failure.value)


def test_kucoin_python_wrong_secret_is_refused(clients: Clients) -> None:
    stranger = User(KEY, "another", WORDS)
    stranger.session = Wire(clients.run)
    with pytest.raises(Exception, match=r"40000[45]"):
        stranger.get_account_list()
