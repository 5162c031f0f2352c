"""Whether an order may become what a replace asks for, and what it would be then."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from orchestrator.exchange.admission import (
    likely_price,
    notional_reason,
    prices_reason,
    qty_reason,
)
from orchestrator.exchange.events import ReplaceRequested
from orchestrator.exchange.instruments import Instrument
from orchestrator.exchange.money import ZERO, plain
from orchestrator.exchange.orders import Order
from orchestrator.exchange.settlement import Settlement
from orchestrator.exchange.vocabulary import Reason
from orchestrator.protocol import OrderType

__all__ = ["Replacement", "propose"]


class Replacement(NamedTuple):
    """What an order becomes."""

    qty: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    hold_price: Decimal

    def changes(self, order: Order) -> str:
        """Return what differs from the order, such as "limit_price 100 -> 101"; empty when nothing does."""
        fields = (
            ("qty", order.qty, self.qty),
            ("limit_price", order.limit_price, self.limit_price),
            ("stop_price", order.stop_price, self.stop_price),
        )
        return ", ".join(
            f"{name} {plain(old)} -> {plain(new)}"
            for name, old, new in fields
            if old is not None and new is not None and old != new
        )

    def loses_place(self, order: Order) -> bool:
        """Whether others go before it from now on: a new price or a larger quantity costs the place."""
        return self.is_repriced(order) or self.qty > order.qty

    def is_repriced(self, order: Order) -> bool:
        """Whether the price that decides about the order now is another one."""
        if order.is_stop:
            return self.stop_price != order.stop_price
        return self.limit_price != order.limit_price


def propose(
    order: Order, event: ReplaceRequested, instrument: Instrument, settlement: Settlement
) -> Replacement | Reason:
    """Return what the order becomes, or why it may not."""
    order_type = order.request.order_type
    if order_type is OrderType.MARKET or (order_type is OrderType.STOP and order.is_triggered):
        return Reason.NOT_REPLACEABLE
    if event.stop_price is not None and order.is_triggered:
        return Reason.ALREADY_TRIGGERED
    qty = event.qty if event.qty is not None else order.qty
    limit_price = event.limit_price if event.limit_price is not None else order.limit_price
    stop_price = event.stop_price if event.stop_price is not None else order.stop_price
    reason = qty_reason(qty, instrument) or prices_reason(order_type, limit_price, stop_price, instrument)
    if reason is not None:
        return reason
    if qty <= order.filled_qty:
        return Reason.ALREADY_FILLED
    # Neither a limit nor a stop is valued at the last close.
    price = likely_price(limit_price, stop_price, ZERO)
    reason = notional_reason(qty, price, instrument)
    if reason is not None:
        return reason
    holding = settlement.hold_price(order.side, limit_price, stop_price, ZERO)
    replacement = Replacement(qty, limit_price, stop_price, holding)
    if not replacement.changes(order):
        return Reason.NOTHING_TO_CHANGE
    return settlement.refusal(order, qty - order.filled_qty, holding) or replacement
