"""Whole runs with accounts of one's own: nobody spends another's cash, and equity is the sum."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.replay.running import Place, Run, bot


@pytest.fixture
def half_of_it(place: Place) -> Decimal:
    """Return a quantity of BTC of which 5000 pays one and not two."""
    table = pq.read_table(next(place.cache.glob("*/BTC-*/5m/*.parquet")))
    return (Decimal(3_000) / Decimal(str(table["close"][0].as_py()))).quantize(Decimal("0.001"))


def exact_rows(run: Run, name: str) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal) for line in run.lines(name)]


def test_one_cannot_spend_the_others_cash(place: Place, half_of_it: Decimal) -> None:
    config = place.config(
        [
            {**bot("poor", 1, "spender", qty=str(half_of_it)), "account": "alice"},
            {**bot("rich", 1, "spender", qty=str(half_of_it)), "account": "bob"},
        ],
        end="2024-01-01T02:00",
        accounts={"alice": {"initial_cash": 5_000}, "bob": {"initial_cash": 1_000_000}},
        execution_model={"max_volume_pct": 100},
    )
    run = place.run(config)
    assert run.status == "complete"
    orders = [row for row in run.rows("orders.jsonl") if row["reason"] != "after_end_of_run"]
    poor = [order for order in orders if order["component"] == "poor"]
    rich = [order for order in orders if order["component"] == "rich"]
    assert [order["state"] for order in poor] == ["accepted"] + ["rejected"] * (len(poor) - 1)
    assert {order["reason"] for order in poor[1:]} == {"insufficient_balance"}
    assert {order["state"] for order in rich} == {"accepted"}

    cash = {"poor": Decimal(5_000), "rich": Decimal(1_000_000)}
    qty = dict.fromkeys(cash, Decimal(0))
    for fill in exact_rows(run, "fills.jsonl"):
        cash[fill["component"]] -= fill["qty"] * fill["fill_price"] + fill["fees"]
        qty[fill["component"]] += fill["qty"]
    assert 0 <= cash["poor"] < 3_000
    assert cash["rich"] > 900_000
    last = {signal["component"]: signal["values"] for signal in run.rows("signals.jsonl")}
    assert Decimal(last["poor"]["cash"]) == cash["poor"]  # each hears of its own account alone
    assert Decimal(last["poor"]["qty"]) == qty["poor"]
    rows = pq.read_table(run.directory / "equity.parquet").to_pylist()
    assert rows[-1]["cash"] == pytest.approx(float(sum(cash.values())))
    assert rows[-1]["qty_BTC"] == pytest.approx(float(sum(qty.values())))
