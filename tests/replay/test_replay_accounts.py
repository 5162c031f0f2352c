"""Whole runs with accounts of one's own, and with accounts that may owe: the books follow from the files alone."""

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


def recount(run: Run, initial_cash: int) -> tuple[Decimal, Decimal]:
    """Return cash and quantity of the only coin after all fills and cash flows."""
    cash, qty = Decimal(initial_cash), Decimal(0)
    for fill in exact_rows(run, "fills.jsonl"):
        sign = 1 if fill["side"] == "buy" else -1
        cash -= sign * fill["qty"] * fill["fill_price"] + fill["fees"]
        qty += sign * fill["qty"]
    return cash + sum(flow["amount"] for flow in exact_rows(run, "cash_flows.jsonl")), qty


def assert_equity_follows(run: Run, cash: Decimal, qty: Decimal) -> None:
    last = pq.read_table(run.directory / "equity.parquet").to_pylist()[-1]
    assert last["cash"] == pytest.approx(float(cash))
    assert last["qty_BTC"] == pytest.approx(float(qty))


def test_a_margin_account_pays_for_what_it_borrows(place: Place, half_of_it: Decimal) -> None:
    config = place.config(
        [bot("trader", 1, "swinger", qty=str(half_of_it), every=20)],
        end="2024-01-01T12:00",
        coins=("BTC",),
        account={"kind": "margin", "initial_cash": 5_000, "max_leverage": 4},
        execution_model={"max_volume_pct": 100},
    )
    run = place.run(config)
    assert run.status == "complete"
    flows = exact_rows(run, "cash_flows.jsonl")
    assert {flow["kind"] for flow in flows} == {"interest_base"}  # 3000 long of 5000 borrows no cash
    assert all(flow["ts"] % 3_600 == 0 and flow["amount"] < 0 for flow in flows)
    cash, qty = recount(run, 5_000)
    assert_equity_follows(run, cash, qty)
    again = place.run(run.directory / "config.toml", "again")
    assert again.digest == run.digest
    assert "cash_flows.jsonl" in run.manifest["file_digests"]


def test_a_position_too_large_is_liquidated_and_its_owner_hears_of_it(
    place: Place, half_of_it: Decimal
) -> None:
    config = place.config(
        [bot("trader", 1, "swinger", qty=str(half_of_it * 60), every=100_000)],
        end="2024-01-05",
        coins=("BTC",),
        account={"kind": "margin", "initial_cash": 11_000, "max_leverage": 20, "maintenance_margin_pct": 4},
        execution_model={"max_volume_pct": 100},
    )
    run = place.run(config)
    assert run.status == "complete"
    orders = run.rows("orders.jsonl")
    assert [order["client_order_id"] for order in orders] == ["trader-1", "exchange-1"]
    closing = [fill for fill in exact_rows(run, "fills.jsonl") if fill["component"] == "exchange"]
    assert closing
    assert {(fill["rule"], fill["side"]) for fill in closing} == {("liquidation", "buy")}
    fees = [flow for flow in exact_rows(run, "cash_flows.jsonl") if flow["kind"] == "liquidation_fee"]
    assert len(fees) == len(closing)
    cash, qty = recount(run, 11_000)
    assert qty == 0
    assert_equity_follows(run, cash, qty)
    assert Decimal(run.rows("signals.jsonl")[-1]["values"]["cash"]) == cash


def test_perpetual_contracts_pay_funding(place: Place, half_of_it: Decimal) -> None:
    config = place.config(
        [bot("trader", 1, "swinger", qty=str(half_of_it), every=100_000)],
        coins=("BTC",),
        account={"kind": "perpetual"},
        execution_model={"max_volume_pct": 100},
    )
    missing = place.replay("start", "--config", config, "--quiet")
    assert missing.status == 3
    assert "--missing-funding zero" in missing.stderr
    rates = place.root / "rates.csv"
    rates.write_text(
        "time,rate\n2024-01-01T08:00,0.0001\n2024-01-01T16:00,-0.0003\n2024-01-02T00:00,0.0002\n"
    )
    done = place.replay("data", "import-funding", rates, "--exchange", "synthetic", "--coin", "BTC")
    assert done.status == 0
    run = place.run(config)
    flows = exact_rows(run, "cash_flows.jsonl")
    assert [(flow["kind"], flow["rate"]) for flow in flows] == [
        ("funding", Decimal("0.0001")),
        ("funding", Decimal("-0.0003")),
        ("funding", Decimal("0.0002")),
    ]
    assert [flow["amount"] > 0 for flow in flows] == [True, False, True]  # a short receives positive rates
    for flow in flows:
        assert flow["basis"] < 0
        assert abs(flow["amount"] + flow["basis"] * flow["rate"]) < Decimal("1e-8")
    assert_equity_follows(run, *recount(run, 10_000))
