"""Records, rows and manifests for the tests of runs/."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np

from orchestrator.runs.manifest import RunManifest
from orchestrator.runs.records import (
    CashFlowRecord,
    EquityRows,
    FillRecord,
    OrderEventRecord,
    OrderRecord,
    SignalRecord,
)
from orchestrator.runs.writer import RunWriter

COINS = ("BTC", "ETH")
STEP_NS = 300 * 1_000_000_000
START_NS = 1_704_067_200 * 1_000_000_000


def time_ns(sequence: int) -> int:
    return START_NS + sequence * STEP_NS


def manifest(**changes: object) -> RunManifest:
    fields: dict[str, object] = {
        "status": "running",
        "seed": 7,
        "sim_start": "2024-01-01T00:00:00Z",
        "sim_end": "2024-02-01T00:00:00Z",
        "coins": COINS,
        "timeframe": "5m",
        "started_at": "2025-05-05T05:05:05Z",
    }
    return RunManifest(**{**fields, **changes})  # type: ignore[arg-type]


def order(sequence: int, *, state: str = "accepted", qty: str = "0.50") -> OrderRecord:
    return OrderRecord(
        sim_time_ns=time_ns(sequence),
        sequence=sequence,
        client_order_id=f"trader-{sequence}",
        component="trader",
        side="buy",
        symbol="BTC-USD",
        qty=Decimal(qty),
        order_type="market",
        limit_price=None,
        stop_price=None,
        time_in_force="GTC",
        state=state,
        reason="insufficient_balance" if state == "rejected" else None,
    )


def order_event(sequence: int) -> OrderEventRecord:
    return OrderEventRecord(
        sim_time_ns=time_ns(sequence) + 123_456_789,
        sequence=sequence,
        client_order_id=f"trader-{sequence}",
        component="trader",
        event="arrived",
        reason=None,
    )


def fill(
    sequence: int, *, side: str = "buy", qty: str = "0.5", price: str = "42001.5", fees: str = "8.4"
) -> FillRecord:
    return FillRecord(
        sim_time_ns=time_ns(sequence) + 123_456_789,
        sequence=sequence,
        fill_id=f"fill-{sequence}",
        client_order_id=f"trader-{sequence}",
        component="trader",
        side=side,
        symbol="BTC-USD",
        qty=Decimal(qty),
        fill_price=Decimal(price),
        fees=Decimal(fees),
        slippage_bps=Decimal("5.1"),
        state="filled",
        liquidity="taker",
        reference_price=Decimal("42000.00"),
        reference_candle=time_ns(sequence) // 1_000_000_000,
        latency_ms=Decimal("123.456789"),
        slippage_parts={"base": Decimal(5), "rounding": Decimal("0.1")},
        participation=Decimal("0.0001"),
        rule="taker_open",
    )


def signal(sequence: int) -> SignalRecord:
    values: dict[str, int | float | str | bool] = {
        "short": 0,
        "long": 3,
        "score": 0.1,
        "armed": True,
        "mood": "é\n",
    }
    return SignalRecord(
        sim_time_ns=time_ns(sequence), sequence=sequence, component="thinker", coin="BTC", values=values
    )


def cash_flow(sequence: int, *, symbol: str | None = "BTC-USD") -> CashFlowRecord:
    return CashFlowRecord(
        sim_time_ns=time_ns(sequence),
        sequence=sequence,
        account="main",
        kind="funding",
        symbol=symbol,
        amount=Decimal("-0.12"),
        basis=Decimal(1_200),
        rate=Decimal("0.0001"),
    )


def equity(first: int, last: int) -> EquityRows:
    """Rows of sequences first..last, both included."""
    sequences = np.arange(first, last + 1, dtype=np.int64)
    return EquityRows(
        sequences=sequences,
        sim_times_ns=START_NS + sequences * STEP_NS,
        cash=10_000.0 - sequences / 7,
        equity=10_000.0 + sequences / 3,
        quantities=np.column_stack((sequences / 10, np.zeros(len(sequences)))),
    )


def write_run(
    directory: Path,
    *,
    n_sequences: int = 25,
    flush_every: int = 10,
    checkpoint_every: int = 10,
    config: str = "seed = 7\n",
) -> str:
    """Write a small complete run and return its digest; lines at every sequence divisible by five."""
    writer = RunWriter.create(directory, coins=COINS, config_toml=config, manifest=manifest())
    first = 1
    for sequence in range(1, n_sequences + 1):
        if sequence % 5 == 0:
            for record in (order(sequence), order_event(sequence), fill(sequence), signal(sequence)):
                writer.write(record)
        if sequence % flush_every == 0 or sequence % checkpoint_every == 0 or sequence == n_sequences:
            writer.write_equity(equity(first, sequence))
            first = sequence + 1
            writer.flush()
        if sequence % checkpoint_every == 0:
            writer.checkpoint(sequence)
    return writer.finish(manifest(status="complete", sequences=n_sequences))
