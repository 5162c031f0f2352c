"""Orders and fills of Binance spot."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from orchestrator.exchange.events import OrderRejected
from orchestrator.exchange.vocabulary import Reason
from orchestrator.venues.binance.errors import (
    DUPLICATE_ORDER,
    NO_ORDER_NAMED,
    NO_SUCH_ORDER,
    UNKNOWN_ORDER,
    refusal,
)
from orchestrator.venues.binance.order_request import OrderRequest, read_order
from orchestrator.venues.binance.pairs import Pairs, json_answer, ms
from orchestrator.venues.binance.params import Handler, Params, RefusedError, with_params
from orchestrator.venues.binance.shapes import cancelled_shape, fill_shape, order_shape, placed_shape
from orchestrator.venues.http import VenueResponse
from orchestrator.venues.orders import Execution, VenueOrder
from orchestrator.venues.quotes import Quotes
from orchestrator.venues.router import Endpoint
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["TradingEndpoints"]

_ROWS_DEFAULT: Final = 500
_ROWS_MAX: Final = 1_000
_ORDER_ID_FIRST: Final = 1_000_000_000
_WITH_FILLS: Final = ("MARKET", "LIMIT")  # what is answered in full unless the bot says otherwise


class TradingEndpoints:
    """What belongs to the orders of an account."""

    def __init__(self, context: VenueContext, quotes: Quotes, pairs: Pairs) -> None:
        self._context = context
        self._orders = context.orders
        self._quotes = quotes
        self._pairs = pairs
        self._ended: dict[int, msgspec.Raw] = {}  # order number -> as reads show it
        self._written_fills: dict[int, msgspec.Raw] = {}  # number of the fill -> as reads show it

    def endpoints(self) -> list[Endpoint]:
        """Return what this part answers."""

        def private(method: str, path: str, handle: Handler, weight: int) -> Endpoint:
            answer = with_params(handle)
            return Endpoint(method, f"/api/v3/{path}", answer, weight=weight, is_private=True)

        return [
            private("POST", "order", self._place, 1),
            private("POST", "order/test", self._test, 1),
            private("GET", "order", self._get, 4),
            private("DELETE", "order", self._cancel, 1),
            private("GET", "openOrders", self._open, 6),
            private("DELETE", "openOrders", self._cancel_all, 1),
            private("GET", "allOrders", self._all, 20),
            private("GET", "myTrades", self._fills, 20),
        ]

    # ------------------------------------------------------------ placing

    def _test(self, call: Call, params: Params) -> VenueResponse:
        self._read(call, params)
        return json_answer({})

    def _read(self, call: Call, params: Params) -> OrderRequest:
        coin, quote = self._pairs.quoted(params, call.desk.now_ns)
        rules = self._context.instruments[coin]
        return read_order(params, coin, quote, rules, self._quotes.half_spread_bps)

    def _place(self, call: Call, params: Params) -> VenueResponse:
        asked, desk = self._read(call, params), call.desk
        own_id = asked.own_id or self._context.ids.digest(desk.component, "own id").hex()[:22]
        known = self._orders.find_own(desk.account, own_id)
        if known is not None and known.is_open:
            return DUPLICATE_ORDER
        placed = self._orders.place(
            desk,
            asked.order,
            own_id=own_id,
            make_id=lambda: str(_ORDER_ID_FIRST + self._context.ids.count("", "order")),
            details=asked.details,
        )
        if isinstance(placed, OrderRejected):
            return refusal(placed.reason)
        symbol = self._pairs.symbol(placed.coin)
        kind = params.find("newOrderRespType") or ("FULL" if asked.details["type"] in _WITH_FILLS else "ACK")
        shape = placed_shape(placed, symbol, has_fills=kind == "FULL")
        if kind == "ACK":
            names = ("symbol", "orderId", "orderListId", "clientOrderId", "transactTime")
            shape = {name: shape[name] for name in names}
        return json_answer(shape)

    # ------------------------------------------------------------ one order

    def _named(self, call: Call, params: Params, missing: VenueResponse) -> VenueOrder:
        coin, account = self._pairs.coin(params), call.desk.account
        number = params.whole("orderId")
        own_id = params.find("origClientOrderId")
        if number is not None:
            order = self._orders.find(account, str(number))
        elif own_id is not None:
            order = self._orders.find_own(account, own_id)
        else:
            raise RefusedError(NO_ORDER_NAMED)
        if order is None or order.coin != coin:
            raise RefusedError(missing)
        return order

    def _get(self, call: Call, params: Params) -> VenueResponse:
        return json_answer(self._shape(self._named(call, params, NO_SUCH_ORDER)))

    def _cancel(self, call: Call, params: Params) -> VenueResponse:
        order = self._named(call, params, UNKNOWN_ORDER)
        refused = self._orders.cancel(call.desk, order)
        # Too late for the run is as good as accepted: the order ends with the run.
        if refused is not None and refused.reason != Reason.AFTER_END_OF_RUN:
            return UNKNOWN_ORDER
        return json_answer(self._cancelled(call, params, order))

    def _cancel_all(self, call: Call, params: Params) -> VenueResponse:
        coin = self._pairs.coin(params)
        orders = [order for order in self._orders.open_orders(call.desk.account) if order.coin == coin]
        if not orders:
            return UNKNOWN_ORDER
        for order in orders:
            self._orders.cancel(call.desk, order)
        return json_answer([self._cancelled(call, params, order) for order in orders])

    def _cancelled(self, call: Call, params: Params, order: VenueOrder) -> dict[str, Any]:
        request_id = params.find("newClientOrderId")
        if request_id is None:
            request_id = self._context.ids.digest(call.desk.component, "cancel id").hex()[:22]
        return cancelled_shape(order, self._pairs.symbol(order.coin), request_id)

    def _shape(self, order: VenueOrder) -> msgspec.Raw:
        # Bots poll: what has ended changes no more and is written once.
        written = self._ended.get(order.number)
        if written is None:
            written = msgspec.Raw(msgspec.json.encode(order_shape(order, self._pairs.symbol(order.coin))))
            if not order.is_open:
                self._ended[order.number] = written
        return written

    def _fill(self, order: VenueOrder, execution: Execution) -> msgspec.Raw:
        written = self._written_fills.get(execution.number)
        if written is None:
            symbol, quote = self._pairs.symbol(order.coin), self._context.quote
            shape = fill_shape(order, execution, symbol=symbol, quote=quote)
            written = self._written_fills[execution.number] = msgspec.Raw(msgspec.json.encode(shape))
        return written

    # ------------------------------------------------------------ lists, oldest first

    def _open(self, call: Call, params: Params) -> VenueResponse:
        coin = self._pairs.coin(params) if params.has("symbol") else None
        orders = self._orders.open_orders(call.desk.account)
        return json_answer([self._shape(order) for order in orders if coin in (None, order.coin)])

    def _all(self, call: Call, params: Params) -> VenueResponse:
        coin = self._pairs.coin(params)
        first_id = params.whole("orderId")
        first, last = params.whole("startTime"), params.whole("endTime")
        limit = params.limit(_ROWS_DEFAULT, _ROWS_MAX)
        found = [
            order
            for order in self._orders.newest_first(call.desk.account)
            if order.coin == coin
            and (first_id is None or int(order.venue_order_id) >= first_id)
            and _is_within(order.created_ns, first, last)
        ]
        found.reverse()
        shown = found[:limit] if first_id is not None or first is not None else found[-limit:]
        return json_answer([self._shape(order) for order in shown])

    def _fills(self, call: Call, params: Params) -> VenueResponse:
        coin = self._pairs.coin(params)
        order_id, first_id = params.whole("orderId"), params.whole("fromId")
        first, last = params.whole("startTime"), params.whole("endTime")
        limit = params.limit(_ROWS_DEFAULT, _ROWS_MAX)
        found = [
            (order, execution)
            for order, execution in self._orders.fills_newest_first(call.desk.account)
            if order.coin == coin
            and (order_id is None or order.venue_order_id == str(order_id))
            and (first_id is None or execution.number >= first_id)
            and _is_within(execution.sim_time_ns, first, last)
        ]
        found.reverse()
        shown = found[:limit] if first_id is not None or first is not None else found[-limit:]
        return json_answer([self._fill(order, execution) for order, execution in shown])


def _is_within(time_ns: int, first_ms: int | None, last_ms: int | None) -> bool:
    time_ms = ms(time_ns)
    return (first_ms is None or time_ms >= first_ms) and (last_ms is None or time_ms <= last_ms)
