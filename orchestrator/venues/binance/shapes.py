"""What Binance shows of an order and of its fills."""

from __future__ import annotations

from typing import Any, Final

from orchestrator.exchange.money import ZERO
from orchestrator.exchange.vocabulary import Reason
from orchestrator.protocol import Liquidity, Side, TimeInForce
from orchestrator.venues.binance.pairs import ms, number
from orchestrator.venues.orders import Execution, OrderState, VenueOrder

__all__ = ["cancelled_shape", "fill_shape", "order_shape", "placed_shape", "status_of"]

_CANCELLED: Final = (Reason.REQUESTED, Reason.END_OF_RUN)


def status_of(order: VenueOrder) -> str:
    """Return NEW, PARTIALLY_FILLED, FILLED, CANCELED or EXPIRED."""
    if order.is_open:
        return "PARTIALLY_FILLED" if order.executions else "NEW"
    if order.state is OrderState.FILLED:
        return "FILLED"
    return "CANCELED" if order.reason in _CANCELLED else "EXPIRED"


def _common(order: VenueOrder, symbol: str) -> dict[str, Any]:
    is_timed = order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
    shape = {
        "symbol": symbol,
        "orderId": int(order.venue_order_id),
        "orderListId": -1,
        "clientOrderId": order.own_id,
        "price": number(order.details["price"] or ZERO),
        "origQty": number(order.qty),
        "executedQty": number(order.filled_qty),
        "origQuoteOrderQty": number(order.details["quote_qty"]),
        "cummulativeQuoteQty": number(order.filled_quote),  # the venue's own spelling
        "status": status_of(order),
        "timeInForce": order.time_in_force.value if is_timed else "GTC",
        "type": order.details["type"],
        "side": order.side.value.upper(),
    }
    if order.details["stop_price"] is not None:
        shape["stopPrice"] = number(order.details["stop_price"])
    return shape


def order_shape(order: VenueOrder, symbol: str) -> dict[str, Any]:
    """Return an order as reads show it."""
    return {
        **_common(order, symbol),
        "stopPrice": number(order.details["stop_price"] or ZERO),
        "icebergQty": number(ZERO),
        "time": ms(order.created_ns),
        "updateTime": ms(order.updated_ns),
        "isWorking": order.details["stop_price"] is None or order.is_triggered or bool(order.executions),
        "workingTime": ms(order.created_ns),
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def placed_shape(order: VenueOrder, symbol: str, *, has_fills: bool) -> dict[str, Any]:
    """Return an order as the answer to its placing shows it."""
    shape = {
        **_common(order, symbol),
        "transactTime": ms(order.created_ns),
        "workingTime": ms(order.created_ns),
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }
    return {**shape, "fills": []} if has_fills else shape


def cancelled_shape(order: VenueOrder, symbol: str, request_id: str) -> dict[str, Any]:
    """Return an order as the answer to its cancelling shows it, with the cancel's own id.

    The cancel is on its way: what was filled until it arrives stays filled, so it is not called off yet.
    """
    shape = _common(order, symbol)
    return {
        **shape,
        "origClientOrderId": shape["clientOrderId"],
        "clientOrderId": request_id,
        "transactTime": ms(order.updated_ns),
        "status": "PENDING_CANCEL" if order.is_open else shape["status"],
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def fill_shape(order: VenueOrder, execution: Execution, *, symbol: str, quote: str) -> dict[str, Any]:
    """Return a fill; its fee is in quote currency, as the simulated exchange takes it."""
    is_maker = execution.liquidity is Liquidity.MAKER
    is_buyer = order.side is Side.BUY
    return {
        "symbol": symbol,
        "id": execution.number,
        "orderId": int(order.venue_order_id),
        "orderListId": -1,
        "price": number(execution.price),
        "qty": number(execution.qty),
        "quoteQty": number(execution.quote),
        "commission": number(execution.fee),
        "commissionAsset": quote,
        "time": ms(execution.sim_time_ns),
        "isBuyer": is_buyer,
        "isMaker": is_maker,
        "isBestMatch": True,
    }
