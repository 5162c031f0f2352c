"""Every outcome of the exchange becomes the lines that DESIGN 7 names."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from orchestrator.engine.journal import Journal
from orchestrator.exchange import events
from orchestrator.exchange.events import (
    OrderAccepted,
    OrderArrived,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderReplaced,
    OrderRequested,
    OrderTriggered,
    Outcome,
    RequestRefused,
)
from orchestrator.protocol import FillState, Liquidity, OrderType, Side, TimeInForce
from orchestrator.runs.lines import encode_line
from orchestrator.runs.records import FillRecord, OrderEventRecord, OrderRecord

REQUEST = OrderRequested(
    sim_time_ns=1_500_000_000,
    component="trader",
    source=1,
    number=3,
    client_order_id="trader-3",
    account="main",
    coin="BTC",
    side=Side.SELL,
    qty=Decimal("0.50"),
    order_type=OrderType.STOP_LIMIT,
    limit_price=Decimal(99),
    stop_price=Decimal(100),
    time_in_force=TimeInForce.GTD,
    expire_time_ns=9_000_000_000,
)
WHO = {
    "sim_time_ns": 2_000_000_000,
    "client_order_id": "trader-3",
    "component": "trader",
    "source": 1,
    "coin": "BTC",
}
FILL = {
    "fill_number": 12,
    "account": "main",
    "side": Side.SELL,
    "qty": Decimal("0.2"),
    "price": Decimal("99.95"),
    "fee": Decimal("0.03998"),
    "state": FillState.PARTIAL,
    "liquidity": Liquidity.TAKER,
    "reference_price": Decimal(100),
    "reference_open_time_ns": 1_704_067_200_000_000_000,
    "slippage_bps": Decimal(5),
    "slippage_parts": (("base", Decimal(4)), ("rounding", Decimal(1))),
    "participation": Decimal("0.01"),
    "latency_ns": 123_456_789,
    "rule": "taker_open",
}


def line(outcome: object) -> list[object]:
    return [
        (record.event, record.reason) if isinstance(record, OrderEventRecord) else type(record)
        for record in Journal("USD").records(outcome, 7)  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (OrderAccepted(**WHO, request=REQUEST), [OrderRecord]),  # type: ignore[arg-type]
        (OrderRejected(**WHO, request=REQUEST, reason="no", notify_time_ns=5), [OrderRecord]),  # type: ignore[arg-type]
        (OrderArrived(**WHO), [("arrived", None)]),  # type: ignore[arg-type]
        (OrderTriggered(**WHO), [("triggered", None)]),  # type: ignore[arg-type]
        (OrderReplaced(**WHO, reason="qty 1 -> 2"), [("replaced", "qty 1 -> 2")]),  # type: ignore[arg-type]
        (OrderCancelled(**WHO, reason="requested"), [("cancelled", "requested")]),  # type: ignore[arg-type]
        (OrderExpired(**WHO, reason="expired"), [("expired", "expired")]),  # type: ignore[arg-type]
        (RequestRefused(**WHO, reason="unknown_order", notify_time_ns=5), [("refused", "unknown_order")]),  # type: ignore[arg-type]
        (OrderFilled(**WHO, **FILL), [FillRecord]),  # type: ignore[arg-type]
        (OrderFilled(**WHO, **{**FILL, "state": FillState.FILLED}), [FillRecord, ("filled", None)]),  # type: ignore[arg-type]
    ],
)
def test_table_of_outcomes(outcome: Outcome, expected: list[object]) -> None:
    assert line(outcome) == expected


def test_every_outcome_of_an_order_has_a_case_above() -> None:
    (mark,) = test_table_of_outcomes.pytestmark  # type: ignore[attr-defined]
    of_orders = {kind for kind in events.Outcome.__args__ if "client_order_id" in kind.__struct_fields__}
    assert {type(case[0]) for case in mark.args[1]} == of_orders


def test_an_order_is_written_as_it_was_asked_for() -> None:
    (record,) = Journal("EUR").records(OrderAccepted(**WHO, request=REQUEST), 7)  # type: ignore[arg-type]
    assert msgspec.structs.asdict(record) == {
        "sim_time_ns": 2_000_000_000,
        "sequence": 7,
        "client_order_id": "trader-3",
        "component": "trader",
        "side": "sell",
        "symbol": "BTC-EUR",
        "qty": Decimal("0.50"),
        "order_type": "stop_limit",
        "limit_price": Decimal(99),
        "stop_price": Decimal(100),
        "time_in_force": "GTD",
        "state": "accepted",
        "reason": None,
    }


def test_a_fill_says_why_it_has_its_price() -> None:
    (record,) = Journal("USD").records(OrderFilled(**WHO, **FILL), 7)  # type: ignore[arg-type]
    assert isinstance(record, FillRecord)
    assert (record.fill_id, record.symbol, record.sequence, record.state) == ("F12", "BTC-USD", 7, "partial")
    assert (record.reference_candle, record.latency_ms) == (1_704_067_200, Decimal("123.456789"))
    assert record.slippage_parts == {"base": Decimal(4), "rounding": Decimal(1)}
    assert b'"latency_ms":123.456789,' in encode_line(record)
