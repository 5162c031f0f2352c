"""Whatever a bot does on Robinhood or Binance, the venue's answers agree with the exchange and with one another."""

from __future__ import annotations

import json
import random
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import pytest

from orchestrator.exchange.events import OrderFilled
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.protocol import Side
from orchestrator.venue_settings import VenueSettings
from tests.venues.simulated_run import MINUTE, SECOND, SimulatedRun, small_market

ROBINHOOD = "https://trading.robinhood.com/api/v1/crypto/trading"
BINANCE = "https://api.binance.com/api/v3"
PRICES = {"BTC": 37_000, "ETH": 2_100, "DOGE": 0.08}
DECIMALS = {"BTC": 2, "ETH": 2, "DOGE": 5}
TERMINAL = {"filled", "canceled", "failed"}
MARKET = small_market(minutes=400, warm_up=30)
MODELS = {
    "plain": ExecutionModelSettings(slippage_bps=Decimal(5), fee_bps=Decimal(10)),
    "thin": ExecutionModelSettings(max_volume_pct=Decimal("0.001"), fee_bps=Decimal(0)),
}


class Bot:
    """Orders and cancels at random; `place` and `cancel` speak a venue's language."""

    def __init__(self, venue: str, model: str, seed: int) -> None:
        settings = VenueSettings(rate_limits=False)
        self.run = SimulatedRun({venue: settings}, market=MARKET, cash="3000", model=MODELS[model])
        self.chance = random.Random(seed)  # noqa: S311 - it plays, no secrets
        self.number = 0

    def act(self) -> None:
        self.run.advance(self.chance.choice([SECOND, 10 * SECOND, MINUTE, 7 * MINUTE]))
        if self.chance.random() < 0.2:
            self.cancel()
            return
        self.number += 1
        coin = self.chance.choice(list(PRICES))
        price = round(Decimal(PRICES[coin] * self.chance.uniform(0.97, 1.03)), DECIMALS[coin])
        amount = self.chance.choice([8, 40, 300, 2_000, 5_000])
        qty = round(Decimal(amount / PRICES[coin]), {"BTC": 5, "ETH": 4, "DOGE": 0}[coin])
        kind = self.chance.choice(["market", "market", "limit", "stop"])
        self.place(coin, self.chance.choice(list(Side)), kind, qty, price)

    def place(self, coin: str, side: Side, kind: str, qty: Decimal, price: Decimal) -> None:
        raise NotImplementedError

    def cancel(self) -> None:
        raise NotImplementedError

    def check(self) -> None:
        raise NotImplementedError

    def fills(self) -> list[OrderFilled]:
        return [outcome for outcome in self.run.outcomes if isinstance(outcome, OrderFilled)]


class RobinhoodBot(Bot):
    def place(self, coin: str, side: Side, kind: str, qty: Decimal, price: Decimal) -> None:
        kind = "stop_loss" if kind == "stop" else kind
        config = {"asset_quantity": str(qty)}
        if kind != "market":
            config |= {f"{kind.removesuffix('_loss')}_price": str(price), "time_in_force": "gtc"}
        body = {
            "client_order_id": f"00000000-0000-4000-8000-{self.number:012d}",
            "side": side,
            "type": kind,
            "symbol": f"{coin}-USD",
            f"{kind}_order_config": config,
        }
        answer = self.run.send("POST", f"{ROBINHOOD}/orders/", body=json.dumps(body))
        assert answer.status in (201, 400), answer.body

    def orders(self, query: str = "") -> list[dict[str, Any]]:
        rows, url = [], f"{ROBINHOOD}/orders/?limit=7{query}"
        while url:
            page = self.run.json("GET", url)
            rows += page["results"]
            url = page["next"]
        return rows

    def cancel(self) -> None:
        for order in self.orders("&state=open")[:1]:
            assert self.run.send("POST", f"{ROBINHOOD}/orders/{order['id']}/cancel/").status == 200

    def check(self) -> None:
        state = self.run.exchange.account_state("main")
        power = Decimal(self.run.json("GET", f"{ROBINHOOD}/accounts/")["buying_power"])
        free = (state.cash - state.cash_held).quantize(Decimal("0.0001"), ROUND_FLOOR)
        assert power == max(free, Decimal(0))
        held = {
            row["asset_code"]: (
                Decimal(row["total_quantity"]),
                Decimal(row["quantity_available_for_trading"]),
            )
            for row in self.run.json("GET", f"{ROBINHOOD}/holdings/")["results"]
        }
        assert held == {
            coin: (qty, qty - state.holdings_held.get(coin, Decimal(0)))
            for coin, qty in state.holdings.items()
            if qty
        }
        orders = self.orders()
        assert [row["created_at"] for row in orders] == sorted(
            (row["created_at"] for row in orders), reverse=True
        )
        rows = [execution for order in orders for execution in order["executions"]]
        assert sum(Decimal(row["quantity"]) for row in rows) == sum(fill.qty for fill in self.fills())
        for order in orders:
            done = sum(Decimal(row["quantity"]) for row in order["executions"])
            assert Decimal(order["filled_asset_quantity"]) == done
            asked = Decimal(next(order[key] for key in order if key.endswith("_config"))["asset_quantity"])
            assert (order["state"] == "filled") == (done == asked)
        if not self.run.now_ns < MARKET.end_ns:
            assert {order["state"] for order in orders} <= TERMINAL


class BinanceBot(Bot):
    def place(self, coin: str, side: Side, kind: str, qty: Decimal, price: Decimal) -> None:
        query = f"symbol={coin}USDT&side={side.value.upper()}&quantity={qty}"
        if kind == "market":
            query += "&type=MARKET"
        elif kind == "limit":
            query += f"&type=LIMIT&timeInForce={self.chance.choice(['GTC', 'IOC', 'FOK'])}&price={price}"
        else:
            query += f"&type={self.chance.choice(['STOP_LOSS', 'TAKE_PROFIT'])}&stopPrice={price}"
        answer = self.run.send("POST", f"{BINANCE}/order?{query}")
        assert answer.status in (200, 400), answer.body
        assert answer.status == 200 or json.loads(answer.body)["code"] in (-1013, -2010), answer.body

    def cancel(self) -> None:
        for order in self.run.json("GET", f"{BINANCE}/openOrders")[:1]:
            which = f"symbol={order['symbol']}&orderId={order['orderId']}"
            assert self.run.json("DELETE", f"{BINANCE}/order?{which}")["status"] == "PENDING_CANCEL"

    def check(self) -> None:
        state = self.run.exchange.account_state("main")
        balances = {
            row["asset"]: (Decimal(row["free"]), Decimal(row["locked"]))
            for row in self.run.json("GET", f"{BINANCE}/account")["balances"]
        }
        assert balances.pop("USDT") == (state.cash - state.cash_held, state.cash_held)
        for coin, (free, locked) in balances.items():
            assert free + locked == state.holdings.get(coin, Decimal(0))
            assert locked == state.holdings_held.get(coin, Decimal(0))
        is_over = not self.run.now_ns < MARKET.end_ns
        for coin in PRICES:
            orders = self.run.json("GET", f"{BINANCE}/allOrders?symbol={coin}USDT")
            trades = self.run.json("GET", f"{BINANCE}/myTrades?symbol={coin}USDT")
            fills = [fill for fill in self.fills() if fill.coin == coin]
            assert [
                (row["id"], Decimal(row["price"]), Decimal(row["qty"]), Decimal(row["commission"]))
                for row in trades
            ] == [(fill.fill_number, fill.price, fill.qty, fill.fee) for fill in fills]
            for order in orders:
                own = [row for row in trades if row["orderId"] == order["orderId"]]
                assert Decimal(order["executedQty"]) == sum(Decimal(row["qty"]) for row in own)
                assert Decimal(order["cummulativeQuoteQty"]) == sum(Decimal(row["quoteQty"]) for row in own)
                assert (order["status"] == "FILLED") == (order["executedQty"] == order["origQty"])
                assert not is_over or order["status"] in ("FILLED", "CANCELED", "EXPIRED")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("venue", "bot_class"), [("robinhood", RobinhoodBot), ("binance", BinanceBot)])
def test_answers_agree_with_the_exchange(venue: str, bot_class: type[Bot], seed: int, model: str) -> None:
    bot = bot_class(venue, model, seed)
    while bot.run.now_ns < MARKET.end_ns - 10 * MINUTE:
        bot.act()
        if bot.number % 5 == 0:
            bot.check()
    bot.check()
    bot.run.advance(MARKET.end_ns - bot.run.now_ns)
    bot.run.end()
    bot.check()
    assert len(bot.fills()) > 20
    bot.run.exchange.validate()
