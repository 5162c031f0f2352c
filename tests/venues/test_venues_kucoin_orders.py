"""KuCoin's orders: one store behind both generations, stop orders, refusals, holds, ids."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from orchestrator.market.market import Market
from orchestrator.venue_settings import VenueSettings
from tests.venues.simulated_run import HOUR, MINUTE, SECOND, SimulatedRun
from tests.venues.test_venues_kucoin_market import START, Row, market_of

HOST = "https://api.kucoin.com"
FLAT: Row = (100.0, 101.0, 99.0, 100.0, 1_000.0)
DIP: Row = (100.0, 100.0, 89.0, 95.0, 1_000.0)
RISE: Row = (95.0, 112.0, 95.0, 110.0, 1_000.0)
NOW_MS = START // 1_000_000 + 60_000
ORDER_ID = r"[0-9a-f]{24}"


def market() -> Market:
    """Return five flat minutes, a dip, a rise, and an hour at 110."""
    high: Row = (110.0, 110.5, 109.5, 110.0, 1_000.0)
    return market_of({"BTC": [*[FLAT] * 5, DIP, RISE, *[high] * 60], "ETH": [*[FLAT] * 67]})


class Bot:
    """A bot that trades on KuCoin; no spread, no slippage, 0.1 % fees, orders take 100 ms."""

    def __init__(self, settings: VenueSettings | None = None, **options: Any) -> None:
        settings = settings or VenueSettings(spread_bps=Decimal(0), rate_limits=False)
        self.run = SimulatedRun({"kucoin": settings}, market=market(), **options)
        self.run.advance(MINUTE)
        self._number = 0

    def send(self, method: str, path: str, **body: Any) -> Any:
        answer = self.run.send(method, HOST + path, body=json.dumps(body) if body else b"")
        assert answer.status == 200
        return json.loads(answer.body)

    def get(self, path: str) -> Any:
        return self.good(self.send("GET", path))

    def delete(self, path: str) -> Any:
        return self.good(self.send("DELETE", path))

    def post(self, path: str, **body: Any) -> Any:
        self._number += 1
        return self.send("POST", path, **{"clientOid": f"c{self._number}", "symbol": "BTC-USDT", **body})

    @staticmethod
    def good(envelope: Any) -> Any:
        assert list(envelope) == ["code", "data"], envelope
        assert envelope["code"] == "200000"
        return envelope["data"]

    def buy(self, path: str = "/api/v1/orders", **body: Any) -> str:
        placed: str = self.good(self.post(path, **{"side": "buy", "type": "limit", **body}))["orderId"]
        return placed

    def sell(self, path: str = "/api/v1/orders", **body: Any) -> str:
        return self.buy(path, side="sell", **body)

    def has(self, currency: str) -> tuple[str, str, str]:
        rows = [row for row in self.get("/api/v1/accounts?type=trade") if row["currency"] == currency]
        return (rows[0]["balance"], rows[0]["available"], rows[0]["holds"]) if rows else ("0", "0", "0")


@pytest.fixture
def bot() -> Bot:
    return Bot()


# ---------------------------------------------------------------- an order's life, in both generations


def test_a_limit_order_from_placing_to_its_fill(bot: Bot) -> None:
    placed = bot.post(
        "/api/v1/hf/orders", side="buy", type="limit", price="90", size="2", remark="x", tags="y", stp="CN"
    )
    order_id = placed["data"]["orderId"]
    assert placed == {"code": "200000", "data": {"orderId": order_id, "clientOid": "c1"}}
    assert re.fullmatch(ORDER_ID, order_id)
    common = {
        "id": order_id,
        "clientOid": "c1",
        "symbol": "BTC-USDT",
        "opType": "DEAL",
        "type": "limit",
        "side": "buy",
        "price": "90",
        "size": "2",
        "funds": "180",
        "dealSize": "0",
        "dealFunds": "0",
        "fee": "0",
        "feeCurrency": "USDT",
        "timeInForce": "GTC",
        "postOnly": False,
        "hidden": False,
        "iceberg": False,
        "visibleSize": "0",
        "cancelAfter": 0,
        "channel": "API",
        "remark": "x",
        "tags": "y",
        "cancelExist": False,
        "tradeType": "TRADE",
        "createdAt": NOW_MS,
    }
    current = {
        **common,
        "stp": "CN",
        "remainSize": "2",
        "remainFunds": "180",
        "cancelledSize": "0",
        "cancelledFunds": "0",
        "inOrderBook": False,
        "active": True,
        "tax": "0",
        "lastUpdatedAt": NOW_MS,
    }
    older = {**common, "stp": "CN", "stop": "", "stopTriggered": False, "stopPrice": "0", "isActive": True}
    # Listed at once, before it has arrived; 2 x 90 and the fee are held.
    assert bot.get(f"/api/v1/hf/orders/{order_id}?symbol=BTC-USDT") == current
    assert bot.get("/api/v1/hf/orders/client-order/c1?symbol=BTC-USDT") == current
    assert bot.get("/api/v1/hf/orders/active?symbol=BTC-USDT") == [current]
    assert bot.get("/api/v1/hf/orders/active/page?symbol=BTC-USDT") == {
        "currentPage": 1,
        "pageSize": 20,
        "totalNum": 1,
        "totalPage": 1,
        "items": [current],
    }
    assert bot.get("/api/v1/hf/orders/active/symbols") == {"symbols": ["BTC-USDT"]}
    assert bot.get(f"/api/v1/orders/{order_id}") == older
    assert bot.get("/api/v1/order/client-order/c1") == older
    assert bot.get("/api/v1/limit/orders") == [older]
    assert bot.get("/api/v1/orders?status=active&tradeType=TRADE&symbol=BTC-USDT")["items"] == [older]
    assert bot.get("/api/v1/orders") == {
        "currentPage": 1,
        "pageSize": 50,
        "totalNum": 0,
        "totalPage": 0,
        "items": [],
    }
    assert bot.has("USDT") == ("10000", "9819.82", "180.18")

    bot.run.advance(10 * SECOND)
    assert bot.get(f"/api/v1/hf/orders/{order_id}")["inOrderBook"] is True
    bot.run.advance(6 * MINUTE)  # the dip goes through it
    current = bot.get(f"/api/v1/hf/orders/{order_id}")
    assert {key: current[key] for key in ("active", "cancelExist", "dealSize", "dealFunds", "fee")} == {
        "active": False,
        "cancelExist": False,
        "dealSize": "2",
        "dealFunds": "180",
        "fee": "0.18",
    }
    assert (current["remainSize"], current["remainFunds"], current["inOrderBook"]) == ("0", "0", False)
    assert bot.get("/api/v1/hf/orders/active?symbol=BTC-USDT") == []
    assert bot.get("/api/v1/orders?status=done")["items"][0]["isActive"] is False
    assert bot.get("/api/v1/hf/orders/done?symbol=BTC-USDT") == {
        "lastId": 19_800_000_000_001,
        "items": [current],
    }
    assert bot.has("USDT") == ("9819.82", "9819.82", "0")
    assert bot.has("BTC") == ("2", "2", "0")


def test_a_fill_in_both_generations_and_in_the_ledger(bot: Bot) -> None:
    order_id = bot.buy(type="market", size="1.5")
    bot.run.advance(SECOND)
    older = bot.get("/api/v1/fills?tradeType=TRADE")["items"]
    assert len(older) == 1
    fill = older[0]
    assert re.fullmatch(ORDER_ID, fill.pop("tradeId"))
    assert re.fullmatch(ORDER_ID, fill.pop("counterOrderId"))
    created = fill.pop("createdAt")
    assert NOW_MS < created < NOW_MS + 1_000
    expected = {
        "orderId": order_id,
        "symbol": "BTC-USDT",
        "side": "buy",
        "liquidity": "taker",
        "type": "market",
        "forceTaker": False,
        "price": "100",
        "size": "1.5",
        "funds": "150",
        "fee": "0.15",
        "feeRate": "0.001",
        "feeCurrency": "USDT",
        "stop": "",
        "tradeType": "TRADE",
    }
    assert fill == expected
    page = bot.get("/api/v1/hf/fills?symbol=BTC-USDT")
    assert page["lastId"] == 19_800_000_000_001
    assert expected.items() <= page["items"][0].items()
    assert isinstance(page["items"][0]["tradeId"], int)
    assert bot.get("/api/v1/limit/fills")[0]["orderId"] == order_id
    for query in ("symbol=ETH-USDT", "side=sell", "orderId=x", "type=limit", f"startAt={created + 1}"):
        assert bot.get(f"/api/v1/fills?{query}")["items"] == []
    assert (
        len(bot.get(f"/api/v1/fills?startAt={created}&endAt={created}&symbol=BTC-USDT&side=buy")["items"])
        == 1
    )
    ledger = bot.get("/api/v1/accounts/ledgers")["items"]
    told = [(row["currency"], row["direction"], row["amount"], row["fee"], row["balance"]) for row in ledger]
    assert told == [("BTC", "in", "1.5", "0", "1.5"), ("USDT", "out", "150.15", "0.15", "9849.85")]
    assert [row["currency"] for row in bot.get("/api/v1/hf/accounts/ledgers?currency=BTC")] == ["BTC"]
    assert bot.get(f"/api/v1/hf/accounts/ledgers?lastId={ledger[0]['id']}")[0]["currency"] == "USDT"


def test_a_market_order_by_funds_buys_lots_at_the_best_price(bot: Bot) -> None:
    order_id = bot.buy(type="market", funds="333.333333", size="")
    bot.run.advance(SECOND)
    order = bot.get(f"/api/v1/orders/{order_id}")
    # KuCoin's BTC has a tick of 0.1: the ask is 100.1, and 333.333333 / 100.1 = 3.33000… in lots of 0.00001.
    assert (order["size"], order["funds"], order["price"]) == ("0", "333.333333", "0")
    assert order["dealSize"] == "3.33"
    assert order["dealFunds"] == "333"
    current = bot.get(f"/api/v1/hf/orders/{order_id}")
    assert (current["remainFunds"], current["cancelledFunds"], current["cancelExist"]) == (
        "0",
        "0.333333",
        False,
    )


def test_all_the_money_can_be_spent() -> None:
    bot = Bot(cash="500")
    order_id = bot.buy(type="market", funds="500")
    bot.run.advance(SECOND)
    order = bot.get(f"/api/v1/orders/{order_id}")
    balance, available, holds = bot.has("USDT")
    assert Decimal(order["dealFunds"]) + Decimal(order["fee"]) + Decimal(balance) == 500
    assert (Decimal(balance) < 1, available, holds) == (True, balance, "0")


def test_a_cancel_takes_its_time_and_releases_what_is_held(bot: Bot) -> None:
    order_id = bot.buy(price="90", size="2")
    bot.run.advance(SECOND)
    assert bot.delete(f"/api/v1/orders/{order_id}") == {"cancelledOrderIds": [order_id]}
    assert bot.get(f"/api/v1/orders/{order_id}")["isActive"] is True
    assert bot.delete(f"/api/v1/orders/{order_id}") == {
        "cancelledOrderIds": [order_id]
    }  # once more is no error
    bot.run.advance(SECOND)
    order = bot.get(f"/api/v1/hf/orders/{order_id}")
    assert (order["active"], order["cancelExist"], order["cancelledSize"], order["cancelledFunds"]) == (
        False,
        True,
        "2",
        "180",
    )
    assert bot.has("USDT") == ("10000", "10000", "0")
    gone = bot.send("DELETE", f"/api/v1/orders/{order_id}")
    assert gone == {"code": "400100", "msg": "order_not_exist_or_not_allow_to_cancel"}


CANCELS = {
    "/api/v1/orders/{id}": {"cancelledOrderIds": ["{id}"]},
    "/api/v1/order/client-order/c1": {
        "cancelledOrderId": "{id}",
        "clientOid": "c1",
        "cancelledOcoOrderIds": None,
    },
    "/api/v1/orders": {"cancelledOrderIds": ["{id}"]},
    "/api/v1/orders?symbol=BTC-USDT&tradeType=TRADE": {"cancelledOrderIds": ["{id}"]},
    "/api/v1/hf/orders/{id}?symbol=BTC-USDT": {"orderId": "{id}"},
    "/api/v1/hf/orders/client-order/c1?symbol=BTC-USDT": {"clientOid": "c1"},
    "/api/v1/hf/orders/sync/{id}?symbol=BTC-USDT": {
        "orderId": "{id}",
        "originSize": "2",
        "dealSize": "0",
        "remainSize": "2",
        "canceledSize": "0",
        "status": "open",
    },
    "/api/v1/hf/orders/sync/client-order/c1?symbol=BTC-USDT": {
        "orderId": "{id}",
        "originSize": "2",
        "dealSize": "0",
        "remainSize": "2",
        "canceledSize": "0",
        "status": "open",
        "clientOid": "c1",
    },
    "/api/v1/hf/orders?symbol=BTC-USDT": "success",
    "/api/v1/hf/orders/cancelAll": {"succeedSymbols": ["BTC-USDT"], "failedSymbols": []},
}


@pytest.mark.parametrize("path", CANCELS)
def test_every_way_to_cancel(bot: Bot, path: str) -> None:
    order_id = bot.buy(price="90", size="2")
    bot.run.advance(SECOND)
    said = bot.delete(path.replace("{id}", order_id))
    assert said == json.loads(json.dumps(CANCELS[path]).replace("{id}", order_id))
    bot.run.advance(SECOND)
    assert bot.get(f"/api/v1/orders/{order_id}")["cancelExist"] is True


def test_cancelling_a_pair_leaves_the_others(bot: Bot) -> None:
    first, second = bot.buy(price="90", size="1"), bot.buy(price="91", size="1", symbol="ETH-USDT")
    assert bot.delete("/api/v1/orders?symbol=ETH-USDT") == {"cancelledOrderIds": [second]}
    bot.run.advance(SECOND)
    assert [order["id"] for order in bot.get("/api/v1/orders?status=active")["items"]] == [first]


# ---------------------------------------------------------------- other ways to place


def test_a_synchronous_order_tells_the_truth_of_the_moment(bot: Bot) -> None:
    said = Bot.good(bot.post("/api/v1/hf/orders/sync", side="buy", type="market", size="1"))
    order_id = said.pop("orderId")
    assert said == {
        "clientOid": "c1",
        "orderTime": NOW_MS,
        "originSize": "1",
        "dealSize": "0",
        "remainSize": "1",
        "canceledSize": "0",
        "status": "open",
        "matchTime": NOW_MS,
    }
    bot.run.advance(SECOND)
    assert bot.get(f"/api/v1/hf/orders/{order_id}")["dealSize"] == "1"


@pytest.mark.parametrize("path", ["/api/v1/orders/test", "/api/v1/hf/orders/test"])
def test_a_test_places_nothing(bot: Bot, path: str) -> None:
    said = Bot.good(bot.post(path, side="buy", type="limit", price="90", size="2"))
    assert re.fullmatch(ORDER_ID, said["orderId"])
    assert bot.has("USDT") == ("10000", "10000", "0")
    assert bot.get("/api/v1/limit/orders") == []
    assert bot.post(path, side="buy", type="limit", price="0", size="2")["code"] == "400100"


def test_several_orders_at_once_fail_one_by_one(bot: Bot) -> None:
    asks = [
        {"clientOid": "a", "side": "buy", "type": "limit", "price": "90", "size": "1"},
        {"clientOid": "b", "side": "buy", "type": "limit", "price": "90", "size": "0"},
    ]
    rows = Bot.good(bot.send("POST", "/api/v1/orders/multi", symbol="BTC-USDT", orderList=asks))["data"]
    assert [(row["status"], row["failMsg"]) for row in rows] == [
        ("success", None),
        ("fail", "size is invalid"),
    ]
    assert rows[0]["id"] == bot.get("/api/v1/order/client-order/a")["id"]
    many = [{**ask, "symbol": "BTC-USDT", "clientOid": ask["clientOid"] + "2"} for ask in asks]
    rows = Bot.good(bot.send("POST", "/api/v1/hf/orders/multi", orderList=many))
    assert [(row["success"], row.get("failMsg")) for row in rows] == [
        (True, None),
        (False, "size is invalid"),
    ]
    again = [{**many[0], "clientOid": "z"}]
    rows = Bot.good(bot.send("POST", "/api/v1/hf/orders/multi/sync", orderList=again))
    assert (rows[0]["success"], rows[0]["status"]) == (True, "open")
    for wrong in ([], "x", [1], asks * 3):
        refused = bot.send("POST", "/api/v1/orders/multi", symbol="BTC-USDT", orderList=wrong)
        assert refused["code"] == "400100"


def test_altering_places_anew_and_cancels_the_old(bot: Bot) -> None:
    order_id = bot.buy(price="90", size="2")
    bot.run.advance(SECOND)
    said = Bot.good(
        bot.send("POST", "/api/v1/hf/orders/alter", symbol="BTC-USDT", orderId=order_id, newPrice="91")
    )
    assert said["clientOid"] == "c1"
    bot.run.advance(SECOND)
    assert bot.get(f"/api/v1/orders/{order_id}")["cancelExist"] is True
    order = bot.get(f"/api/v1/orders/{said['newOrderId']}")
    assert (order["price"], order["size"], order["isActive"]) == ("91", "2", True)
    gone = bot.send("POST", "/api/v1/hf/orders/alter", symbol="BTC-USDT", orderId=order_id, newPrice="91")
    assert gone["code"] == "400100"


def test_times_in_force(bot: Bot) -> None:
    timed = bot.buy(price="90", size="1", timeInForce="GTT", cancelAfter=30)
    taking = bot.buy(price="98", size="1", timeInForce="IOC")
    whole = bot.buy(price="98", size="1", timeInForce="FOK")
    bot.run.advance(SECOND)
    assert bot.get(f"/api/v1/orders/{timed}")["cancelAfter"] == 30
    for order_id in (taking, whole):
        order = bot.get(f"/api/v1/orders/{order_id}")
        assert (order["isActive"], order["cancelExist"], order["dealSize"]) == (False, True, "0")
    bot.run.advance(28 * SECOND)
    assert bot.get(f"/api/v1/orders/{timed}")["isActive"] is True
    bot.run.advance(SECOND)
    assert bot.get(f"/api/v1/orders/{timed}")["cancelExist"] is True


# ---------------------------------------------------------------- stops


def test_a_stop_order_waits_apart_and_joins_the_orders_when_it_is_triggered(bot: Bot) -> None:
    bot.buy(type="market", size="2")
    bot.run.advance(SECOND)
    stop_id = bot.sell("/api/v1/stop-order", type="market", size="1", stopPrice="94", stop="loss")
    assert re.fullmatch(r"vs[0-9a-v]{22}", stop_id)
    waiting = bot.get("/api/v1/stop-order?symbol=BTC-USDT")["items"]
    assert [order["id"] for order in waiting] == [stop_id]
    assert waiting[0] == bot.get(f"/api/v1/stop-order/{stop_id}")
    assert bot.get("/api/v1/stop-order/queryOrderByClientOid?clientOid=c2&symbol=BTC-USDT") == waiting
    wanted = {
        "status": "NEW",
        "type": "market",
        "side": "sell",
        "price": None,
        "size": "1.00000000000000000000",
        "funds": None,
        "cancelAfter": -1,
        "domainId": "kucoin",
        "stop": "loss",
        "stopTriggerTime": None,
        "stopPrice": "94.00000000000000000000",
        "takerFeeRate": "0.00100000000000000000",
    }
    assert wanted.items() <= waiting[0].items()
    assert bot.send("GET", f"/api/v1/orders/{stop_id}") == {"code": "400100", "msg": "order not exist."}
    assert bot.get("/api/v1/orders?status=active")["items"] == []
    bot.run.advance(6 * MINUTE)
    assert bot.get("/api/v1/stop-order")["items"] == []
    order = bot.get(f"/api/v1/orders/{stop_id}")
    assert (order["stop"], order["stopTriggered"], order["stopPrice"], order["dealSize"]) == (
        "loss",
        True,
        "94",
        "1",
    )
    assert bot.get(f"/api/v1/stop-order/{stop_id}")["status"] == "TRIGGERED"


@pytest.mark.parametrize(
    ("side", "stop", "price", "kind", "limit", "deal"),
    [
        ("sell", "loss", "94", "market", None, "94"),
        ("sell", "entry", "108", "market", None, "108"),
        ("sell", "entry", "108", "limit", "107", "108"),
        ("sell", "entry", "105", "limit", "107", "107"),
        ("buy", "entry", "105", "market", None, "105"),
        ("buy", "loss", "93", "market", None, "93"),
        ("buy", "loss", "93", "limit", "91", "91"),
        ("buy", None, "105", "market", None, "105"),
        ("sell", None, "94", "market", None, "94"),
    ],
)
def test_stops_of_every_kind(
    bot: Bot, side: str, stop: str | None, price: str, kind: str, limit: str | None, deal: str
) -> None:
    bot.buy(type="market", size="2")
    bot.run.advance(SECOND)
    body = {"side": side, "type": kind, "size": "1", "stopPrice": price}
    body |= {"price": limit} if limit else {}
    body |= {"stop": stop} if stop else {}
    stop_id = bot.good(bot.post("/api/v1/stop-order", **body))["orderId"]
    bot.run.advance(20 * SECOND)
    assert bot.get("/api/v1/stop-order")["totalNum"] == 1
    bot.run.advance(10 * MINUTE)
    fills = bot.get(f"/api/v1/fills?orderId={stop_id}")["items"]
    assert [(fill["price"], fill["size"]) for fill in fills] == [(deal, "1")]


def test_stops_are_cancelled_by_their_own_endpoints(bot: Bot) -> None:
    ids = [bot.buy("/api/v1/stop-order", type="market", size="1", stopPrice="120") for _ in range(4)]
    assert bot.send("DELETE", f"/api/v1/orders/{ids[0]}")["code"] == "400100"
    assert bot.delete(f"/api/v1/stop-order/{ids[0]}") == {"cancelledOrderIds": [ids[0]]}
    assert bot.delete("/api/v1/stop-order/cancelOrderByClientOid?clientOid=c2") == {
        "cancelledOrderId": ids[1],
        "clientOid": "c2",
    }
    assert bot.delete(f"/api/v1/stop-order/cancel?orderIds={ids[2]}") == {"cancelledOrderIds": [ids[2]]}
    bot.run.advance(SECOND)
    assert bot.delete("/api/v1/stop-order/cancel?symbol=BTC-USDT") == {"cancelledOrderIds": [ids[3]]}
    bot.run.advance(SECOND)
    assert bot.get("/api/v1/stop-order")["items"] == []
    assert bot.has("USDT") == ("10000", "10000", "0")
    for path in (f"/api/v1/stop-order/{ids[0]}", "/api/v1/stop-order/cancelOrderByClientOid?clientOid=c2"):
        assert bot.send("DELETE", path)["code"] == "400100"
    # Gone without a word: a bot that asks on sees an error, and not a stop that waits for ever.
    gone = {"code": "400100", "msg": "order not exist."}
    assert (
        bot.send("GET", f"/api/v1/stop-order/{ids[0]}") == bot.send("GET", f"/api/v1/orders/{ids[0]}") == gone
    )
    assert bot.get("/api/v1/stop-order/queryOrderByClientOid?clientOid=c2") == []


# ---------------------------------------------------------------- refusals

LIMIT = {"side": "buy", "type": "limit", "price": "90", "size": "1"}
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"symbol": "NO-USDT"}, "900001", "symbol not exists"),
    ({"side": "hold"}, "400100", "side is invalid"),
    ({"type": "iceberg"}, "400100", "type is invalid"),
    ({"clientOid": ""}, "400100", "validation.createOrder.clientOidIsRequired"),
    ({"clientOid": "with blanks"}, "400100", "validation.createOrder.clientOidInvalid"),
    ({"clientOid": "x" * 41}, "400100", "validation.createOrder.clientOidInvalid"),
    ({"size": "0"}, "400100", "size is invalid"),
    ({"size": "-1"}, "400100", "size is invalid"),
    ({"size": "1e-300"}, "400100", "size is invalid"),
    ({"size": "NaN"}, "400100", "size is invalid"),
    ({"size": None}, "400100", "size is invalid"),
    ({"size": [1]}, "400100", "size is invalid"),
    ({"size": "0.000001"}, "600100", "Order size increment invalid."),
    ({"size": "1.000001"}, "600100", "Order size increment invalid."),
    ({"price": "90.01"}, "400100", "Price increment invalid."),
    ({"price": "abc"}, "400100", "price is invalid"),
    ({"price": "110.2"}, "400370", "Max. price: 110.1"),
    ({"side": "sell", "price": "89.9"}, "400760", "order price should be more than 90.0"),
    ({"size": "0.00001"}, "600101", "The order funds should more then 0.1 USDT."),
    ({"size": "1000"}, "200004", "Balance insufficient!"),
    ({"side": "sell", "price": "100"}, "200004", "Balance insufficient!"),
    ({"type": "market", "size": "", "funds": "0.01"}, "600100", "Funds below the minimum requirement."),
    ({"type": "market", "size": "", "funds": "1.0000001"}, "600100", "Funds increment invalid."),
    ({"type": "market", "size": ""}, "400100", "validation.createOrder.oneOfSizeAndFundsRequired"),
    ({"type": "market", "size": "", "funds": "20000"}, "200004", "Balance insufficient!"),
    ({"timeInForce": "DAY"}, "400100", "timeInForce is invalid"),
    ({"timeInForce": "GTT"}, "400100", "cancelAfter is invalid"),
    ({"timeInForce": "GTT", "cancelAfter": -1}, "400100", "cancelAfter is invalid"),
    ({"postOnly": True, "price": "100.1"}, "300000", "The post only order would be matched at once"),
    ({"tradeType": "MARGIN_TRADE"}, "400200", "Forbidden to place an order"),
    (
        {"clientTimestamp": NOW_MS - 501, "allowMaxTimeWindow": 500},
        "400100",
        "The order creation timeout has exceeded allowMaxTimeWindow",
    ),
]


@pytest.mark.parametrize(("change", "code", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_refused_order(bot: Bot, change: dict[str, Any], code: str, message: str) -> None:
    assert bot.post("/api/v1/orders", **{**LIMIT, **change}) == {"code": code, "msg": message}
    assert bot.has("USDT") == ("10000", "10000", "0")
    assert bot.get("/api/v1/limit/orders") == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b'{"a":', b"\xff\xfe", b'"x"'])
def test_a_body_that_is_no_order(bot: Bot, body: bytes) -> None:
    for path in ("/api/v1/orders", "/api/v1/stop-order", "/api/v1/hf/orders/alter", "/api/v1/orders/multi"):
        answer = bot.run.send("POST", HOST + path, body=body)
        assert json.loads(answer.body)["code"] == "400100"


def test_a_pair_that_is_not_listed_yet_or_any_more() -> None:
    rows: list[Row | None] = [FLAT] * (2 * 1_440)
    late: list[Row | None] = [*[None] * 10, *[FLAT] * 10]
    run = SimulatedRun({"kucoin": VenueSettings()}, market=market_of({"BTC": rows, "ETH": late}))
    closed = {"code": "400600", "msg": "validation.createOrder.symbolNotAvailable"}
    said = []
    for after_ns in (5 * MINUTE, 11 * MINUTE, 20 * MINUTE + 25 * HOUR):
        run.now_ns = run.market.start_ns + after_ns
        order = {**LIMIT, "clientOid": f"c{after_ns}", "symbol": "ETH-USDT"}
        said.append(run.json("POST", HOST + "/api/v1/orders", body=json.dumps(order)))
    assert (said[0], said[1]["code"], said[2]) == (closed, "200000", closed)


def test_an_own_id_is_taken_once_for_all(bot: Bot) -> None:
    order_id = bot.buy(clientOid="mine", price="90", size="1")
    duplicated = {"code": "400100", "msg": "validation.createOrder.clientOidDuplicated"}
    assert bot.post("/api/v1/orders", **{**LIMIT, "clientOid": "mine"}) == duplicated
    assert bot.post("/api/v1/hf/orders", **{**LIMIT, "clientOid": "mine"}) == duplicated
    bot.delete(f"/api/v1/orders/{order_id}")
    bot.run.advance(SECOND)
    assert bot.post("/api/v1/orders", **{**LIMIT, "clientOid": "mine"}) == duplicated
    # A refused order takes no id, and the newer endpoints do without one.
    assert bot.post("/api/v1/orders", **{**LIMIT, "clientOid": "other", "size": "1000"})["code"] == "200004"
    assert bot.buy(clientOid="other", price="90", size="1")
    assert Bot.good(bot.post("/api/v1/hf/orders", **{**LIMIT, "clientOid": None}))["clientOid"] is None


def test_a_pair_has_at_most_200_live_orders(bot: Bot) -> None:
    for _ in range(200):
        bot.buy(price="50", size="0.01")
    refused = bot.post("/api/v1/orders", **LIMIT)
    assert refused == {"code": "200003", "msg": "Active orders of the pair are limited to 200"}
    assert bot.buy(price="50", size="0.01", symbol="ETH-USDT")
    bot.delete("/api/v1/orders?symbol=BTC-USDT")
    bot.run.advance(SECOND)
    assert bot.buy(**{**LIMIT, "price": "91"})


def test_orders_of_another_account_are_not_seen() -> None:
    settings = VenueSettings(spread_bps=Decimal(0), rate_limits=False)
    run = SimulatedRun({"kucoin": settings}, market=market(), accounts=("main", "second"))
    run.advance(MINUTE)
    body = json.dumps({"clientOid": "a", "symbol": "BTC-USDT", **LIMIT})
    order_id = run.json("POST", HOST + "/api/v1/orders", body=body)["data"]["orderId"]
    for path in (
        f"/api/v1/orders/{order_id}",
        "/api/v1/order/client-order/a",
        f"/api/v1/stop-order/{order_id}",
    ):
        assert run.json("GET", HOST + path, account="second")["code"] == "400100"
        assert run.json("DELETE", HOST + path, account="second")["code"] == "400100"
    assert run.json("GET", HOST + "/api/v1/limit/orders", account="second")["data"] == []
    assert run.json("POST", HOST + "/api/v1/orders", body=body, account="second")["code"] == "200000"


# ---------------------------------------------------------------- pages and ids


def test_pages_of_orders(bot: Bot) -> None:
    ids = [bot.buy(price="50", size="0.01") for _ in range(25)]
    bot.delete("/api/v1/orders")
    bot.run.advance(SECOND)
    newest = ids[::-1]
    page = bot.get("/api/v1/orders?currentPage=2&pageSize=10")
    assert (page["totalNum"], page["totalPage"], page["currentPage"], page["pageSize"]) == (25, 3, 2, 10)
    assert [order["id"] for order in page["items"]] == newest[10:20]
    too_many = bot.send("GET", "/api/v1/orders?pageSize=501")
    assert too_many == {"code": "400100", "msg": "pageSize should not greater than 500"}
    assert bot.send("GET", "/api/v1/orders?pageSize=x")["code"] == "400100"
    seen, last = [], 0
    for _ in range(4):
        done = bot.get(f"/api/v1/hf/orders/done?symbol=BTC-USDT&limit=10&lastId={last}")
        seen += [order["id"] for order in done["items"]]
        last = done["lastId"]
    assert (seen, last) == (newest, 0)
    assert bot.get("/api/v1/orders?side=sell")["items"] == []
    assert bot.get("/api/v1/orders?type=market")["items"] == []
    assert bot.get(f"/api/v1/orders?endAt={NOW_MS - 1}")["items"] == []
    assert bot.get("/api/v1/orders?tradeType=MARGIN_TRADE")["items"] == []


def test_ids_are_the_same_in_every_run_and_different_for_every_order() -> None:
    runs = []
    for _ in range(2):
        bot = Bot()
        ids = [bot.buy(price="50", size="0.01") for _ in range(20)]
        ids += [bot.buy("/api/v1/stop-order", type="market", size="1", stopPrice="120")]
        runs.append([*ids, *[row["id"] for row in bot.get("/api/v1/accounts")]])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == len(runs[0])
    assert all(order_id.startswith(f"{START // SECOND + 60:x}") for order_id in runs[0][:20])


def test_an_order_after_the_end_of_the_run_is_refused_as_suspended() -> None:
    bot = Bot()
    bot.run.advance(bot.run.market.end_ns - bot.run.now_ns)
    refused = bot.post("/api/v1/orders", side="buy", type="market", size="1")
    assert refused == {"code": "200001", "msg": "Order creation for this pair suspended"}


def test_accounts_and_their_kinds(bot: Bot) -> None:
    rows = bot.get("/api/v1/accounts")
    assert [(row["currency"], row["type"], row["balance"]) for row in rows] == [("USDT", "trade", "10000")]
    assert bot.get("/api/v1/accounts?type=main") == bot.get("/api/v1/accounts?type=margin") == []
    assert bot.get("/api/v1/accounts?currency=BTC") == []
    one = bot.get(f"/api/v1/accounts/{rows[0]['id']}")
    assert one == {"currency": "USDT", "balance": "10000", "available": "10000", "holds": "0"}
    assert bot.send("GET", "/api/v1/accounts/nobody") == {"code": "400100", "msg": "account not exist"}
    assert bot.get("/api/v1/accounts/transferable?currency=USDT&type=TRADE")["transferable"] == "10000"
    assert bot.get("/api/v2/user-info")["level"] == 0
    assert bot.get("/api/v1/sub-accounts") == []
    for path in ("deposits", "withdrawals"):
        assert bot.get(f"/api/v1/{path}?pageSize=10")["items"] == []


def test_a_quiet_market_fills_later_and_says_so(bot: Bot) -> None:
    # 1 % of 1000 a candle: 25 coins need three.
    order_id = bot.buy(type="market", size="25")
    bot.run.advance(SECOND)
    order = bot.get(f"/api/v1/hf/orders/{order_id}")
    assert (order["dealSize"], order["remainSize"], order["active"]) == ("10", "15", True)
    bot.run.advance(HOUR)
    order = bot.get(f"/api/v1/hf/orders/{order_id}")
    assert (order["dealSize"], order["active"], order["cancelExist"]) == ("25", False, False)
    assert len(bot.get(f"/api/v1/fills?orderId={order_id}")["items"]) == 3
