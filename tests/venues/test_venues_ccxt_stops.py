"""ccxt's trigger orders on KuCoin: placed, seen, cancelled and triggered by their own endpoints."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest

from orchestrator.venue_settings import VenueSettings
from tests.venues.ccxt_client import ccxt_client
from tests.venues.simulated_run import HOUR, SECOND, SimulatedRun
from tests.venues.test_venues_kucoin_orders import market

TRIGGER = {"trigger": True}
SETTINGS = VenueSettings(signatures="verify", api_key="k", api_secret="s", api_passphrase="p")  # noqa: S106 - test keys


@pytest.fixture
def run() -> SimulatedRun:
    run = SimulatedRun({"kucoin": SETTINGS}, market=market())
    run.advance(60 * SECOND)
    return run


@pytest.fixture
def client(run: SimulatedRun) -> Any:
    client = ccxt_client("kucoin", run, apiKey="k", secret="s", password="p")  # noqa: S106 - test keys
    client.create_order("BTC/USDT", "market", "buy", 3)
    run.advance(SECOND)
    return client


def test_a_stop_loss_that_is_triggered(run: SimulatedRun, client: Any) -> None:
    order_id = client.create_order("BTC/USDT", "market", "sell", 1, None, {"stopLossPrice": 94})["id"]
    waiting = client.fetch_order(order_id, "BTC/USDT", TRIGGER)
    assert (waiting["status"], waiting["triggerPrice"], waiting["side"]) == ("open", 94.0, "sell")
    assert [order["id"] for order in client.fetch_open_orders("BTC/USDT", None, None, TRIGGER)] == [order_id]
    assert client.fetch_open_orders("BTC/USDT") == []
    run.advance(HOUR)
    assert client.fetch_open_orders("BTC/USDT", None, None, TRIGGER) == []
    order = client.fetch_order(order_id, "BTC/USDT")
    assert (order["status"], order["filled"], order["type"]) == ("closed", 1.0, "market")
    assert [trade["order"] for trade in client.fetch_my_trades("BTC/USDT")][-1] == order_id


def test_a_take_profit_that_is_reached(run: SimulatedRun, client: Any) -> None:
    order_id = client.create_order("BTC/USDT", "market", "sell", 1, None, {"takeProfitPrice": 108})["id"]
    run.advance(HOUR)
    assert client.fetch_order(order_id, "BTC/USDT")["average"] == pytest.approx(108)


def test_triggers_are_cancelled_one_by_one_and_all_at_once(run: SimulatedRun, client: Any) -> None:
    ids = [
        client.create_order("BTC/USDT", "limit", "buy", 1, 125, {"triggerPrice": 120 + n})["id"]
        for n in range(3)
    ]
    client.cancel_order(ids[0], "BTC/USDT", TRIGGER)
    run.advance(SECOND)
    assert len(client.fetch_open_orders("BTC/USDT", None, None, TRIGGER)) == 2
    with pytest.raises(ccxt.OrderNotFound):
        client.fetch_order(ids[0], "BTC/USDT", TRIGGER)
    with pytest.raises(ccxt.OrderNotFound):
        client.cancel_order(ids[0], "BTC/USDT", TRIGGER)
    client.cancel_all_orders("BTC/USDT", TRIGGER)
    run.advance(SECOND)
    assert client.fetch_open_orders("BTC/USDT", None, None, TRIGGER) == []
