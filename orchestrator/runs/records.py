"""The lines of the result files: one struct per file, its fields in the order in which they are written.

Times are integer nanoseconds here and become Unix seconds with decimals in the file; a `Decimal` is printed
as a JSON number, exactly.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
import numpy as np
import numpy.typing as npt

from orchestrator.protocol import SignalValue

__all__ = [
    "CashFlowRecord",
    "EquityRows",
    "FillRecord",
    "ModelRecord",
    "OrderEventRecord",
    "OrderRecord",
    "Record",
    "SignalRecord",
]


class _Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of the line records."""

    sim_time_ns: int  # written as `ts`
    sequence: int


class OrderRecord(_Record, frozen=True, kw_only=True):
    """orders.jsonl: an order as first accepted or rejected."""

    client_order_id: str
    component: str
    side: str
    symbol: str
    qty: Decimal
    order_type: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    time_in_force: str
    state: str  # accepted, rejected
    reason: str | None


class OrderEventRecord(_Record, frozen=True, kw_only=True):
    """order_events.jsonl: what became of an order."""

    client_order_id: str
    component: str
    event: str  # arrived, triggered, replaced, cancelled, expired, filled, refused (a cancel or replace)
    reason: str | None


class FillRecord(_Record, frozen=True, kw_only=True):
    """fills.jsonl: one execution and why it has its price."""

    fill_id: str
    client_order_id: str
    component: str
    side: str
    symbol: str
    qty: Decimal
    fill_price: Decimal
    fees: Decimal
    slippage_bps: Decimal
    state: str
    liquidity: str
    reference_price: Decimal
    reference_candle: int  # open time, Unix seconds
    latency_ms: Decimal
    slippage_parts: dict[str, Decimal]
    participation: Decimal
    rule: str


class SignalRecord(_Record, frozen=True, kw_only=True):
    """signals.jsonl: what a component said about a coin."""

    component: str
    coin: str
    values: dict[str, SignalValue]


class CashFlowRecord(_Record, frozen=True, kw_only=True):
    """cash_flows.jsonl: cash that came or went without a fill; only runs whose accounts may owe have it."""

    account: str
    kind: str  # interest_quote, interest_base, funding, liquidation_fee
    symbol: str | None  # None for quote currency
    amount: Decimal  # negative was paid
    basis: Decimal  # quote currency, what the rate is of
    rate: Decimal  # fraction of the basis; of interest per year


class ModelRecord(_Record, frozen=True, kw_only=True):
    """models.jsonl: what became of one training; only runs with `[training]` have it."""

    coin: str
    train_from: int  # Unix seconds; the candles that the training could see
    train_until: int
    use_from: int  # Unix seconds, when the model comes into use
    state: str  # trained, kept (the training failed and the old model stays), given (trained before the run)
    digest: str  # over the model's files: those of the model in use where the old one was kept


class EquityRows(msgspec.Struct, frozen=True, kw_only=True):
    """equity.parquet: consecutive ticks, holdings marked at the last close of each coin.

    All columns have n rows, ordered by sequence; `quantities` has one column per coin of the run.
    """

    sequences: npt.NDArray[np.int64]
    sim_times_ns: npt.NDArray[np.int64]
    cash: npt.NDArray[np.float64]
    equity: npt.NDArray[np.float64]
    quantities: npt.NDArray[np.float64]


Record = OrderRecord | OrderEventRecord | FillRecord | SignalRecord | CashFlowRecord | ModelRecord
