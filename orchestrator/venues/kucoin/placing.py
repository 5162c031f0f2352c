"""KuCoin's ways to place orders: one or many, waiting or not, in both generations."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from orchestrator.exchange.events import OrderRejected
from orchestrator.exchange.vocabulary import Reason
from orchestrator.venues.ids import IdSource
from orchestrator.venues.kucoin.envelope import Refusal
from orchestrator.venues.kucoin.judging import Judging
from orchestrator.venues.kucoin.market_pages import milliseconds
from orchestrator.venues.kucoin.pairs import Pairs
from orchestrator.venues.numbers import parse_number, text
from orchestrator.venues.orders import OrderStore, VenueOrder
from orchestrator.venues.quotes import Quotes
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["Placing"]

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuv"

# What the exchange refuses, in KuCoin's words; {} is filled with the smallest notional and the quote currency.
_REJECTIONS: Final[dict[str, tuple[str, str]]] = {
    Reason.INSUFFICIENT_BALANCE: ("200004", "Balance insufficient!"),
    Reason.INSUFFICIENT_MARGIN: ("200004", "Balance insufficient!"),
    Reason.BELOW_MIN_NOTIONAL: ("600101", "The order funds should more then {} {}."),
    Reason.NO_MARKET_DATA: ("400600", "validation.createOrder.symbolNotAvailable"),
    Reason.END_OF_DATA: ("400600", "validation.createOrder.symbolNotAvailable"),
    Reason.AFTER_END_OF_RUN: ("200001", "Order creation for this pair suspended"),
    Reason.LIQUIDATION: ("400200", "Forbidden to place an order"),
    Reason.INVALID_EXPIRY: ("400100", "cancelAfter is too short"),
}


class Placing:
    """Everything that makes new orders."""

    def __init__(self, context: VenueContext, pairs: Pairs, quotes: Quotes) -> None:
        self._pairs = pairs
        self._judging = Judging(context, pairs, quotes)
        self._orders: OrderStore = context.orders
        self._ids: IdSource = context.ids

    # ------------------------------------------------------------ pages

    def place(self, call: Call) -> dict[str, Any]:
        """Place an order; it is accepted at once and arrives after the order latency."""
        return {"orderId": self._place(call, body_of(call)).venue_order_id}

    def hf_place(self, call: Call) -> dict[str, Any]:
        """Place an order by the current set of endpoints."""
        order = self._place(call, body_of(call))
        return {"orderId": order.venue_order_id, "clientOid": order.own_id}

    def hf_place_sync(self, call: Call) -> dict[str, Any]:
        """Place an order and answer how far it has come: no farther than accepted, as matching takes time."""
        return _sync(self._place(call, body_of(call)))

    def test(self, call: Call) -> dict[str, Any]:
        """Judge an order and place nothing."""
        ask = self._judging.judge(call, body_of(call))
        return {"orderId": self._new_id(call, "test"), "clientOid": ask.own_id}

    def place_many(self, call: Call) -> dict[str, Any]:
        """Place up to five limit orders of one pair."""
        body = body_of(call)
        asks = _list_of(body, at_most=5)
        rows = []
        for ask in asks:
            merged = {"symbol": body.get("symbol"), **ask}
            try:
                order = self._place(call, merged)
            except Refusal as refusal:
                rows.append({**merged, "status": "fail", "failMsg": refusal.message, "id": None})
            else:
                rows.append({**merged, "status": "success", "failMsg": None, "id": order.venue_order_id})
        return {"data": rows}

    def hf_place_many(self, call: Call) -> list[dict[str, Any]]:
        """Place up to twenty orders."""
        return self._many(call, is_sync=False)

    def hf_place_many_sync(self, call: Call) -> list[dict[str, Any]]:
        """Place up to twenty orders and answer how far they have come."""
        return self._many(call, is_sync=True)

    def _many(self, call: Call, *, is_sync: bool) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for ask in _list_of(body_of(call), at_most=20):
            try:
                order = self._place(call, ask)
            except Refusal as refusal:
                rows.append({"success": False, "failMsg": refusal.message})
                continue
            row = _sync(order) if is_sync else {"orderId": order.venue_order_id, "clientOid": order.own_id}
            rows.append({**row, "success": True})
        return rows

    def place_stop(self, call: Call) -> dict[str, Any]:
        """Place an order that waits for a stop price."""
        body = body_of(call)
        if parse_number(body.get("stopPrice")) is None:
            raise Refusal("400100", "stopPrice can not be empty")
        order = self._place(call, body)
        return {"orderId": order.venue_order_id, "clientOid": order.own_id}

    def alter(self, call: Call) -> dict[str, Any]:
        """Place an order with a new price or size, then cancel the one that it replaces."""
        body = body_of(call)
        account = call.desk.account
        wanted, own_id = body.get("orderId"), body.get("clientOid")
        order = self._orders.find(account, str(wanted)) if wanted else None
        if order is None and own_id:
            order = self._orders.find_own(account, str(own_id))
        if order is None or not order.is_open or order.limit_price is None:
            raise Refusal("400100", "order_not_exist_or_not_allow_to_cancel")
        new = {
            **order.details["body"],
            "price": body.get("newPrice") or text(order.limit_price),
            "size": body.get("newSize") or text(order.remaining_qty),
        }
        placed = self._place(call, new, is_own_id_needed=False)
        self._orders.cancel(call.desk, order)
        return {"newOrderId": placed.venue_order_id, "clientOid": order.own_id}

    # ------------------------------------------------------------ placing

    def _place(self, call: Call, body: dict[str, Any], *, is_own_id_needed: bool = True) -> VenueOrder:
        ask = self._judging.judge(call, body, is_own_id_needed=is_own_id_needed)
        purpose = "stop order" if ask.details["stop"] else "order"
        placed = self._orders.place(
            call.desk,
            ask.order,
            own_id=ask.own_id,
            make_id=lambda: self._new_id(call, purpose),
            details=ask.details,
        )
        if isinstance(placed, OrderRejected):
            raise self._rejection(placed)
        return placed

    def _new_id(self, call: Call, purpose: str) -> str:
        component, now_ns = call.desk.component, call.desk.now_ns
        if purpose != "stop order":
            return self._ids.object_id(component, purpose, now_ns)
        # Stop orders are numbered by another service: vs, then 22 letters and digits.
        number = int.from_bytes(self._ids.digest(component, purpose)[:16], "big")
        return "vs" + "".join(_DIGITS[number >> 5 * place & 31] for place in range(22))

    def _rejection(self, rejected: OrderRejected) -> Refusal:
        coin = rejected.coin
        known = _REJECTIONS.get(rejected.reason)
        if known is None:
            return Refusal("300000", f"Order rejected: {rejected.reason}")
        least = text(self._pairs.instrument(coin).min_notional)
        return Refusal(known[0], known[1].format(least, self._pairs.quote))


def body_of(call: Call) -> dict[str, Any]:
    """Return the body as a JSON object.

    Raises
    ------
    Refusal
        400100 when it is none.
    """
    try:
        body = call.json()
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refusal("400100", "Request body is not JSON", 400) from None
    if not isinstance(body, dict):
        raise Refusal("400100", "Request body is not an object", 400)
    return body


def _list_of(body: dict[str, Any], *, at_most: int) -> list[dict[str, Any]]:
    asks = body.get("orderList")
    if not isinstance(asks, list) or not asks or not all(isinstance(ask, dict) for ask in asks):
        raise Refusal("400100", "orderList is invalid")
    if len(asks) > at_most:
        raise Refusal("400100", f"orderList is limited to {at_most} orders")
    return asks


def _sync(order: VenueOrder) -> dict[str, Any]:
    size = order.qty
    return {
        "orderId": order.venue_order_id,
        "clientOid": order.own_id,
        "orderTime": milliseconds(order.created_ns),
        "originSize": text(size),
        "dealSize": text(order.filled_qty),
        "remainSize": text(order.remaining_qty),
        "canceledSize": text(order.cancelled_qty),
        "status": "open" if order.is_open else "done",
        "matchTime": milliseconds(order.updated_ns),
    }
