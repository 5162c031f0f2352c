"""What Robinhood Crypto shows of an order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from orchestrator.exchange.money import ZERO, quotient
from orchestrator.exchange.vocabulary import Reason
from orchestrator.venues.numbers import round_half, text, text_at
from orchestrator.venues.orders import OrderState, VenueOrder
from orchestrator.venues.robinhood.order_body import CONFIG_KEYS, TYPE_WORDS
from orchestrator.venues.robinhood.stamps import stamp

__all__ = ["ORDER_STATES", "order_shape", "order_state"]

ORDER_STATES: Final = ("open", "partially_filled", "filled", "canceled", "failed")

_AVERAGE_DECIMALS: Final = 12

# An order that ended like this was not failed by the market.
_CALM_ENDS: Final = (Reason.REQUESTED, Reason.EXPIRED, Reason.END_OF_RUN, Reason.END_OF_DATA)


def order_state(order: VenueOrder) -> str:
    """Return one of `ORDER_STATES`."""
    if order.is_open:
        return "partially_filled" if order.executions else "open"
    if order.state is OrderState.FILLED:
        return "filled"
    return "canceled" if order.executions or order.reason in _CALM_ENDS else "failed"


def order_shape(order: VenueOrder, *, account_number: str, symbol: str, tick_size: Decimal) -> dict[str, Any]:
    """Return an order as reads show it."""
    average = None
    if order.filled_qty > ZERO:
        exact = quotient(order.filled_quote, order.filled_qty)
        average = text_at(round_half(exact, _AVERAGE_DECIMALS), tick_size)
    return {
        "id": order.venue_order_id,
        "account_number": account_number,
        "symbol": symbol,
        "client_order_id": order.own_id,
        "side": order.side,
        "type": TYPE_WORDS[order.order_type],
        "state": order_state(order),
        "average_price": average,
        "filled_asset_quantity": text(order.filled_qty),
        "executions": [
            {
                "effective_price": text_at(execution.price, tick_size),
                "quantity": text(execution.qty),
                "timestamp": stamp(execution.sim_time_ns),
            }
            for execution in order.executions
        ],
        "created_at": stamp(order.created_ns),
        "updated_at": stamp(order.updated_ns),
        CONFIG_KEYS[order.order_type]: order.details["config"],
    }
