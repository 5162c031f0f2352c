"""What is remembered of orders that have ended: as much as a late cancel needs, in two bytes."""

from __future__ import annotations

import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InvariantError
from orchestrator.exchange.ended import EndedOrders
from orchestrator.exchange.events import OrderRequested
from orchestrator.protocol import Side

COINS = ("BTC", "ETH", "DOGE")


def request(component: str, number: int, coin: str = "BTC", order_id: str | None = None) -> OrderRequested:
    return OrderRequested(
        sim_time_ns=0,
        component=component,
        source=0,
        number=number,
        client_order_id=order_id or f"{component}-{number}",
        account="main",
        coin=coin,
        side=Side.BUY,
        qty=Decimal(1),
    )


orders = st.tuples(st.sampled_from(["t", "t-1", "u"]), st.integers(1, 40), st.sampled_from(COINS))


@given(added=st.lists(orders, unique_by=lambda item: item[:2]), asked=orders)
def test_it_is_a_dictionary(added: list[tuple[str, int, str]], asked: tuple[str, int, str]) -> None:
    ended, known = EndedOrders(COINS), dict[str, tuple[str, str]]()
    for component, number, coin in added:
        ended.add(request(component, number, coin))
        known[f"{component}-{number}"] = (component, coin)
    for order_id in [*known, f"{asked[0]}-{asked[1]}"]:
        assert ended.find(order_id) == known.get(order_id)


@pytest.mark.parametrize(
    "order_id",
    [
        "",
        "-",
        "t",
        "t-",
        "-7",
        "t-07",
        "t-7 ",
        "t-+7",
        "t-\u0667",
        "t-²",
        "t-0",
        "t-8",
        "u-7",
        "t--7",
        "t-" + "7" * 5_000,
    ],
)
def test_another_id_is_no_order(order_id: str) -> None:
    ended = EndedOrders(COINS)
    ended.add(request("t", 7))
    assert ended.find("t-7") == ("t", "BTC")
    assert ended.find(order_id) is None


def test_an_id_is_made_of_component_and_number() -> None:
    with pytest.raises(InvariantError, match="order mine is number 7 of t"):
        EndedOrders(COINS).add(request("t", 7, order_id="mine"))


def test_an_order_costs_two_bytes_or_little_more() -> None:
    ended = EndedOrders(COINS)
    tracemalloc.start()
    try:
        for number in range(1, 50_001):
            ended.add(request("t", number))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used / 50_000 < 3
