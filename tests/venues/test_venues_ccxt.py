"""ccxt's own parsers on the answers of the emulated exchanges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ccxt
import pytest

from orchestrator.venue_settings import VenueSettings
from tests.venues.ccxt_client import ccxt_client
from tests.venues.simulated_run import HOUR, MINUTE, MS, SECOND, SimulatedRun, small_market

KEYS: dict[str, Any] = {"api_key": "test-key", "api_secret": "test-secret"}
SYMBOL = "BTC/USDT"
SECURED = {
    "binance": VenueSettings(signatures="verify", **KEYS),
    "kucoin": VenueSettings(signatures="verify", api_passphrase="test-words", **KEYS),  # noqa: S106 - of no account
}


class Session:
    """A client that signs, on an exchange that checks."""

    def __init__(self, name: str) -> None:
        market = small_market(minutes=1_440, warm_up=1_440)
        self.run = SimulatedRun({name: SECURED[name]}, market=market)
        self.run.advance(20 * MINUTE + SECOND)
        keys = {"apiKey": "test-key", "secret": "test-secret", "password": "test-words"}
        self.client: Any = ccxt_client(name, self.run, **keys)

    def price(self) -> float:
        candle = self.run.market.last_closed("BTC", self.run.now_ns)
        assert candle is not None
        return candle.close


@pytest.fixture(params=["binance", "kucoin"])
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    made = Session(request.param)
    yield made
    assert made.run.venues.unknown == [], "everything that ccxt asks for is emulated"


def test_ccxt_markets_are_those_of_the_run(session: Session) -> None:
    markets = session.client.load_markets()
    assert {name for name, market in markets.items() if market["spot"]} == {
        "BTC/USDT",
        "ETH/USDT",
        "DOGE/USDT",
    }
    rules = session.run.instruments["BTC"]
    assert markets[SYMBOL]["active"]
    assert markets[SYMBOL]["precision"]["price"] == float(rules.tick_size)
    assert markets[SYMBOL]["precision"]["amount"] == float(rules.lot_size)


def test_ccxt_fetch_ohlcv(session: Session) -> None:
    rows = session.client.fetch_ohlcv(SYMBOL, "1h", limit=5)
    start = session.run.market.start_ns
    assert [row[0] * MS for row in rows] == [start + place * HOUR for place in range(-4, 1)]
    assert rows[-1][4] == session.price(), "the open candle is as far as the market is"
    closed = session.run.market.history("BTC", "1h", 4, session.run.now_ns)
    for row, values in zip(rows, closed.values.T.tolist(), strict=False):
        assert row[1:5] == values[:4]
        assert row[5] == pytest.approx(values[4])


def test_ccxt_fetch_ohlcv_from_a_time_on(session: Session) -> None:
    since = session.run.market.start_ns - 3 * HOUR
    rows = session.client.fetch_ohlcv(SYMBOL, "1h", since=since // MS, limit=2)
    assert [row[0] * MS for row in rows] == [since, since + HOUR]


def test_ccxt_fetch_ticker_and_order_book(session: Session) -> None:
    ticker = session.client.fetch_ticker(SYMBOL)
    assert ticker["last"] == session.price()
    assert ticker["bid"] < ticker["last"] < ticker["ask"]
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert ticker["timestamp"] * MS <= session.run.now_ns
    book = session.client.fetch_order_book(SYMBOL, 20)
    assert (book["bids"][0][0], book["asks"][0][0]) == (ticker["bid"], ticker["ask"])
    assert len(book["bids"]) == 20
    assert SYMBOL in session.client.fetch_tickers([SYMBOL])
    assert session.client.fetch_trades(SYMBOL)[-1]["price"] == session.price()


def test_ccxt_fetch_time_and_status(session: Session) -> None:
    assert session.client.fetch_time() == session.run.now_ns // MS
    assert session.client.fetch_status()["status"] == "ok"
    assert session.client.fetch_trading_fee(SYMBOL)["taker"] == pytest.approx(0.001)


def test_ccxt_market_order(session: Session) -> None:
    client, run = session.client, session.run
    before = client.fetch_balance()
    assert before["USDT"] == {"free": 10_000.0, "used": 0.0, "total": 10_000.0}
    ask = client.fetch_ticker(SYMBOL)["ask"]
    placed = client.create_order(SYMBOL, "market", "buy", 0.01)
    run.advance(SECOND)
    order = client.fetch_order(placed["id"], SYMBOL)
    assert (order["status"], order["type"], order["side"]) == ("closed", "market", "buy")
    assert (order["filled"], order["remaining"]) == (0.01, 0.0)
    assert order["average"] == pytest.approx(ask, rel=1e-3)
    (trade,) = client.fetch_my_trades(SYMBOL)
    assert trade["order"] == placed["id"]
    assert trade["takerOrMaker"] == "taker"
    assert trade["cost"] == pytest.approx(order["cost"])
    assert trade["fee"] == {"currency": "USDT", "cost": pytest.approx(order["cost"] * 0.001), **_rate(trade)}
    after = client.fetch_balance()
    assert after["BTC"]["total"] == 0.01
    assert after["USDT"]["total"] == pytest.approx(10_000 - order["cost"] - trade["fee"]["cost"])


def _rate(trade: dict[str, Any]) -> dict[str, float]:
    return {"rate": 0.001} if "rate" in trade["fee"] else {}


def test_ccxt_limit_order_and_its_cancel(session: Session) -> None:
    client, run = session.client, session.run
    placed = client.create_order(SYMBOL, "limit", "buy", 0.01, 30_000)
    run.advance(SECOND)
    order = client.fetch_order(placed["id"], SYMBOL)
    assert (order["status"], order["price"], order["filled"]) == ("open", 30_000.0, 0.0)
    assert client.fetch_balance()["USDT"]["used"] >= 300.0
    assert [row["id"] for row in client.fetch_open_orders(SYMBOL)] == [placed["id"]]
    client.cancel_order(placed["id"], SYMBOL)
    run.advance(SECOND)
    assert client.fetch_order(placed["id"], SYMBOL)["status"] == "canceled"
    assert client.fetch_open_orders(SYMBOL) == []
    assert client.fetch_balance()["USDT"]["used"] == 0.0
    assert client.fetch_my_trades(SYMBOL) == []


def test_ccxt_limit_order_that_is_filled(session: Session) -> None:
    client, run = session.client, session.run
    placed = client.create_order(SYMBOL, "limit", "buy", 0.01, round(session.price() * 1.01, 1))
    run.advance(SECOND)
    order = client.fetch_order(placed["id"], SYMBOL)
    assert (order["status"], order["filled"]) == ("closed", 0.01)
    assert client.fetch_closed_orders(SYMBOL)[-1]["id"] == placed["id"]


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda client: client.create_order(SYMBOL, "market", "buy", 10), ccxt.InsufficientFunds),
        (lambda client: client.create_order(SYMBOL, "limit", "sell", 1, 50_000), ccxt.InsufficientFunds),
        (lambda client: client.fetch_ohlcv("FOO/USDT", "1h"), ccxt.BadSymbol),
        (lambda client: client.create_order(SYMBOL, "limit", "buy", 0.00001, 1), ccxt.BaseError),
    ],
)
def test_ccxt_errors_are_of_its_own_kinds(session: Session, ask: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        ask(session.client)


def test_ccxt_tells_of_orders_that_do_not_exist(session: Session) -> None:
    for call in (session.client.fetch_order, session.client.cancel_order):
        with pytest.raises(ccxt.ExchangeError):
            call("123456", SYMBOL)


def test_ccxt_signature_of_a_wrong_key_is_refused(session: Session) -> None:
    session.client.load_markets()
    session.client.secret = "another"  # noqa: S105 - of no account
    with pytest.raises(ccxt.AuthenticationError):
        session.client.fetch_balance()


def test_ccxt_binance_asks_all_markets_first() -> None:
    session = Session("binance")
    session.client.load_markets()
    assert [line.partition("?")[0].partition(".com")[2] for line in session.client.sent] == [
        "/sapi/v1/capital/config/getall",
        "/sapi/v1/margin/allPairs",
        "/api/v3/exchangeInfo",
        "/sapi/v1/margin/allPairs",
        "/sapi/v1/margin/isolated/allPairs",
        "/fapi/v1/exchangeInfo",
        "/dapi/v1/exchangeInfo",
    ]
