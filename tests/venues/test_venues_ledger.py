"""One order store, one ledger: whatever a bot does, KuCoin's pages agree with one another and with the exchange."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest

from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.venue_settings import VenueSettings
from tests.venues.simulated_run import MINUTE, SECOND, SimulatedRun, small_market

HOST = "https://api.kucoin.com"
CASH = 3_000
PRICES = {"BTC": 37_000, "ETH": 2_100, "DOGE": 0.08}
DECIMALS = {"BTC": 1, "ETH": 2, "DOGE": 5}
MARKET = small_market(minutes=600, warm_up=30)
MODELS = {
    "plain": ExecutionModelSettings(slippage_bps=Decimal(5), fee_bps=Decimal(10)),
    "thin": ExecutionModelSettings(max_volume_pct=Decimal("0.0005"), fee_bps=Decimal(25)),
    "free": ExecutionModelSettings(slippage_bps=Decimal(0), fee_bps=Decimal(0), touch="touch"),
}


class Trader:
    """A bot that does all sorts of things at random."""

    def __init__(self, seed: int, model: str) -> None:
        settings = VenueSettings(rate_limits=False)
        self.run = SimulatedRun({"kucoin": settings}, market=MARKET, cash=str(CASH), model=MODELS[model])
        self.chance = random.Random(seed)  # noqa: S311 - it plays, no secrets
        self.number = 0
        self.ids: list[str] = []

    def get(self, path: str) -> Any:
        answer = self.run.json("GET", HOST + path)
        assert answer["code"] == "200000", answer
        return answer["data"]

    def act(self) -> None:
        """Wait, order or cancel."""
        chance = self.chance
        self.run.advance(chance.choice([0, SECOND // 20, SECOND, 20 * SECOND, 3 * MINUTE]))
        if self.ids and chance.random() < 0.25:
            wanted = chance.choice(self.ids)
            path = chance.choice(
                [f"orders/{wanted}", f"hf/orders/{wanted}", f"stop-order/{wanted}", "orders"]
            )
            self.run.send("DELETE", f"{HOST}/api/v1/{path}")
            return
        self.number += 1
        path, body = self.order()
        answer = self.run.json("POST", HOST + path, body=json.dumps(body))
        if answer["code"] == "200000":
            self.ids.append(answer["data"]["orderId"])

    def order(self) -> tuple[str, dict[str, Any]]:
        chance = self.chance
        coin = chance.choice(list(PRICES))
        near = Decimal(PRICES[coin] * chance.uniform(0.97, 1.03))
        price = str(round(near, DECIMALS[coin]))
        size = str(round(Decimal(chance.choice([20, 300, 1_500]) / PRICES[coin]), 4))
        body: dict[str, Any] = {
            "clientOid": f"c{self.number}",
            "symbol": f"{coin}-USDT",
            "side": chance.choice(["buy", "sell"]),
        }
        kind = chance.choice(["funds", "size", "limit", "limit", "stop", "stop limit"])
        if kind == "funds":
            body |= {"type": "market", "funds": str(chance.choice([10, 200, 2_900, 3_000]))}
        elif kind == "size":
            body |= {"type": "market", "size": size}
        else:
            body |= {"type": "limit", "size": size, "price": price}
            body["timeInForce"] = chance.choice(["GTC", "GTC", "IOC", "FOK"])
        if kind.startswith("stop"):
            body |= {"stopPrice": price, "stop": chance.choice(["loss", "entry", None])}
            body["type"] = "limit" if kind == "stop limit" else "market"
        return "/api/v1/stop-order" if "stopPrice" in body else "/api/v1/orders", body

    # ------------------------------------------------------------ what must be true

    def check(self) -> None:
        """Compare all pages with one another."""
        orders = {order.venue_order_id: order for order in self.store.newest_first("main")}
        assert set(orders) == set(self.ids)
        active = self.get("/api/v1/orders?status=active&pageSize=500")["items"]
        done = self.get("/api/v1/orders?status=done&pageSize=500")["items"]
        stops = self.get("/api/v1/stop-order?pageSize=500")["items"]
        listed = [row["id"] for row in (*active, *done, *stops)]
        assert len(listed) == len(set(listed))
        # Only stops that ended without ever waking are listed nowhere.
        assert all(orders[gone].details["stop"] for gone in set(orders) - set(listed))
        fills = self.get("/api/v1/fills?pageSize=500")["items"]
        newer = [row["id"] for coin in PRICES for row in self.current_orders(coin)]
        assert sorted(newer) == sorted(row["id"] for row in (*active, *done))
        self.check_fills([*active, *done], fills)
        self.check_balances(fills)
        self.run.exchange.validate()
        open_ids = set(self.run.exchange._open)
        assert {order.client_order_id for order in orders.values() if order.is_open} == open_ids

    @property
    def store(self) -> Any:
        return self.run.venues._venues["kucoin"].orders

    def current_orders(self, coin: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.get(f"/api/v1/hf/orders/active?symbol={coin}-USDT")
        last = 0
        while True:
            page = self.get(f"/api/v1/hf/orders/done?symbol={coin}-USDT&limit=100&lastId={last}")
            if not page["items"]:
                return rows
            rows, last = [*rows, *page["items"]], page["lastId"]

    @staticmethod
    def check_fills(rows: list[dict[str, Any]], fills: list[dict[str, Any]]) -> None:
        for row in rows:
            own = [fill for fill in fills if fill["orderId"] == row["id"]]
            for total, part in (("dealSize", "size"), ("dealFunds", "funds"), ("fee", "fee")):
                assert Decimal(row[total]) == sum((Decimal(fill[part]) for fill in own), Decimal(0)), row
            if row["type"] == "limit":
                limit, sign = Decimal(row["price"]), 1 if row["side"] == "buy" else -1
                assert all(sign * Decimal(fill["price"]) <= sign * limit for fill in own), row
        assert {fill["orderId"] for fill in fills} <= {row["id"] for row in rows}

    def check_balances(self, fills: list[dict[str, Any]]) -> None:
        expected = {"USDT": Decimal(CASH)}
        for fill in fills:
            coin, sign = fill["symbol"].split("-")[0], 1 if fill["side"] == "buy" else -1
            expected[coin] = expected.get(coin, Decimal(0)) + sign * Decimal(fill["size"])
            expected["USDT"] -= sign * Decimal(fill["funds"]) + Decimal(fill["fee"])
        rows = self.get("/api/v1/accounts")
        for row in rows:
            balance, available, holds = (Decimal(row[key]) for key in ("balance", "available", "holds"))
            assert balance == available + holds
            assert min(balance, available, holds) >= 0
            assert balance == expected.pop(row["currency"], 0)
        assert not expected
        # The ledger runs back to what there was in the beginning.
        ledger = self.get("/api/v1/accounts/ledgers?pageSize=500&currency=USDT")["items"]
        if ledger:
            first = ledger[-1]
            change = Decimal(first["amount"]) * (1 if first["direction"] == "in" else -1)
            assert Decimal(first["balance"]) - change == CASH
            assert ledger[0]["balance"] == rows[0]["balance"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("seed", range(4))
def test_the_pages_agree(seed: int, model: str) -> None:
    trader = Trader(seed, model)
    for step in range(110):
        trader.act()
        if step % 10 == 9:
            trader.check()
    assert len(trader.ids) > 20
    trader.run.advance(10 * MINUTE)
    trader.check()
    trader.run.end()
    assert trader.get("/api/v1/orders?status=active")["items"] == []
    assert trader.get("/api/v1/stop-order")["items"] == []
    for row in trader.get("/api/v1/accounts"):
        assert row["holds"] == "0"
