"""Turns outcomes of the exchange into the lines of the result files."""

from __future__ import annotations

from decimal import Decimal

from orchestrator.config import EXCHANGE_NAME, NS_PER_SECOND
from orchestrator.exchange.events import (
    CashFlowBooked,
    OrderAccepted,
    OrderArrived,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderOutcome,
    OrderRejected,
    OrderReplaced,
    OrderTriggered,
    Outcome,
    RequestRefused,
)
from orchestrator.protocol import FillState
from orchestrator.runs.records import CashFlowRecord, FillRecord, OrderEventRecord, OrderRecord, Record

__all__ = ["Journal"]

_EVENT_NAMES = {
    OrderArrived: "arrived",
    OrderTriggered: "triggered",
    OrderReplaced: "replaced",
    OrderCancelled: "cancelled",
    OrderExpired: "expired",
    RequestRefused: "refused",
}


class Journal:
    """Writes down what happened, under the sequence in which it was committed.

    Parameters
    ----------
    currency
        Account currency; a symbol is `COIN-CURRENCY`.
    """

    def __init__(self, currency: str) -> None:
        self._currency = currency

    def records(self, outcome: Outcome, sequence: int) -> tuple[Record, ...]:
        """Return the lines of one outcome, in the order in which they are written."""
        if isinstance(outcome, OrderFilled):
            fill = self._fill(outcome, sequence)
            if outcome.state is FillState.PARTIAL:
                return (fill,)
            return (fill, self._event(outcome, sequence, "filled", None))
        if isinstance(outcome, OrderAccepted):
            return (self._order(outcome, sequence, "accepted", _why_placed(outcome)),)
        if isinstance(outcome, OrderRejected):
            return (self._order(outcome, sequence, "rejected", outcome.reason),)
        if isinstance(outcome, CashFlowBooked):
            return (self._cash_flow(outcome, sequence),)
        return (
            self._event(outcome, sequence, _EVENT_NAMES[type(outcome)], getattr(outcome, "reason", None)),
        )

    def _order(
        self, outcome: OrderAccepted | OrderRejected, sequence: int, state: str, reason: str | None
    ) -> OrderRecord:
        request = outcome.request
        return OrderRecord(
            sim_time_ns=outcome.sim_time_ns,
            sequence=sequence,
            client_order_id=request.client_order_id,
            component=request.component,
            side=request.side.value,
            symbol=f"{request.coin}-{self._currency}",
            qty=request.qty,
            order_type=request.order_type.value,
            limit_price=request.limit_price,
            stop_price=request.stop_price,
            time_in_force=request.time_in_force.value,
            state=state,
            reason=reason,
        )

    def _cash_flow(self, flow: CashFlowBooked, sequence: int) -> CashFlowRecord:
        return CashFlowRecord(
            sim_time_ns=flow.sim_time_ns,
            sequence=sequence,
            account=flow.account,
            kind=flow.kind,
            symbol=None if flow.coin is None else f"{flow.coin}-{self._currency}",
            amount=flow.amount,
            basis=flow.basis,
            rate=flow.rate,
        )

    @staticmethod
    def _event(outcome: OrderOutcome, sequence: int, event: str, reason: str | None) -> OrderEventRecord:
        return OrderEventRecord(
            sim_time_ns=outcome.sim_time_ns,
            sequence=sequence,
            client_order_id=outcome.client_order_id,
            component=outcome.component,
            event=event,
            reason=reason,
        )

    def _fill(self, fill: OrderFilled, sequence: int) -> FillRecord:
        return FillRecord(
            sim_time_ns=fill.sim_time_ns,
            sequence=sequence,
            fill_id=f"F{fill.fill_number}",
            client_order_id=fill.client_order_id,
            component=fill.component,
            side=fill.side.value,
            symbol=f"{fill.coin}-{self._currency}",
            qty=fill.qty,
            fill_price=fill.price,
            fees=fill.fee,
            slippage_bps=fill.slippage_bps,
            state=fill.state.value,
            liquidity=fill.liquidity.value,
            reference_price=fill.reference_price,
            reference_candle=fill.reference_open_time_ns // NS_PER_SECOND,
            latency_ms=Decimal(fill.latency_ns).scaleb(-6),
            slippage_parts=dict(fill.slippage_parts),
            participation=fill.participation,
            rule=fill.rule,
        )


def _why_placed(outcome: OrderAccepted) -> str | None:
    # A component's reasons are its own; the exchange says whose positions it closes.
    if outcome.component != EXCHANGE_NAME:
        return None
    return f"liquidation of account {outcome.request.account}"
