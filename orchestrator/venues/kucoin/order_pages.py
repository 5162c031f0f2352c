"""KuCoin's lists of orders and fills, and the ends of orders that bots ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from orchestrator.venues.kucoin.envelope import Refusal
from orchestrator.venues.kucoin.market_pages import milliseconds
from orchestrator.venues.kucoin.order_words import ID_ORIGIN, OrderWords, is_waiting_stop
from orchestrator.venues.kucoin.pages import NUMBER_MAX, after_last_id, page_of, within
from orchestrator.venues.kucoin.pairs import Pairs
from orchestrator.venues.numbers import text
from orchestrator.venues.orders import Execution, OrderStore, VenueOrder
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["OrderPages"]

_NOT_FOUND: Final = "order not exist."
_NOT_CANCELLABLE: Final = "order_not_exist_or_not_allow_to_cancel"
_RECENT_MAX: Final = 1_000
_RECENT_MS: Final = 86_400_000
_NONE: Final = (None, "")


class OrderPages:
    """Pages about orders that were placed; both generations read the one store."""

    def __init__(self, context: VenueContext, pairs: Pairs, words: OrderWords) -> None:
        self._orders: OrderStore = context.orders
        self._pairs = pairs
        self._words = words

    # ------------------------------------------------------------ finding one

    def older(self, call: Call) -> dict[str, Any]:
        """Answer an order of the older set by its id."""
        return self._words.older(self._one(call))

    def older_by_own_id(self, call: Call) -> dict[str, Any]:
        """Answer an order of the older set by the bot's own id."""
        return self._words.older(self._own(call, call.args[0]))

    def current(self, call: Call) -> dict[str, Any]:
        """Answer an order of the current set by its id."""
        return self._words.current(self._one(call))

    def current_by_own_id(self, call: Call) -> dict[str, Any]:
        """Answer an order of the current set by the bot's own id."""
        return self._words.current(self._own(call, call.args[0]))

    def stop(self, call: Call) -> dict[str, Any]:
        """Answer a stop order by its id."""
        return self._words.stop(self._one(call, is_stop=True))

    def stops_by_own_id(self, call: Call) -> list[dict[str, Any]]:
        """Answer the stop orders with one of the bot's own ids."""
        order = self._orders.find_own(call.desk.account, call.query.get("clientOid", ""))
        is_known = order is not None and order.details["stop"] is not None and not _has_vanished(order)
        return [self._words.stop(order)] if order is not None and is_known else []

    def _one(self, call: Call, *, is_stop: bool = False) -> VenueOrder:
        return self._fitting(call, self._orders.find(call.desk.account, call.args[0]), is_stop=is_stop)

    def _own(self, call: Call, own_id: str, *, is_stop: bool = False) -> VenueOrder:
        return self._fitting(call, self._orders.find_own(call.desk.account, own_id), is_stop=is_stop)

    def _fitting(self, call: Call, order: VenueOrder | None, *, is_stop: bool) -> VenueOrder:
        symbol = call.query.get("symbol")
        is_fitting = order is not None and (
            order.details["stop"] is not None and not _has_vanished(order)
            if is_stop
            else not is_waiting_stop(order)
        )
        if order is None or not is_fitting or symbol not in (*_NONE, self._pairs.symbol(order.coin)):
            raise Refusal("400100", _NOT_FOUND)
        return order

    # ------------------------------------------------------------ lists

    def older_list(self, call: Call) -> dict[str, Any]:
        """Answer a page of active or done orders, newest first; done ones where nothing is said."""
        is_active = (call.query.get("status") or "done") == "active"
        orders = self._live(call) if is_active else self._placed(call, lambda order: not order.is_open)
        return page_of(call, list(orders), self._words.older)

    def older_recent(self, call: Call) -> list[dict[str, Any]]:
        """Answer the orders of the last 24 hours, newest first, at most 1000."""
        since = milliseconds(call.desk.now_ns) - _RECENT_MS
        orders = self._placed(call, lambda order: milliseconds(order.created_ns) >= since)
        return [self._words.older(order) for order in islice(orders, _RECENT_MAX)]

    def active(self, call: Call) -> list[dict[str, Any]]:
        """Answer all live orders of a pair, newest first."""
        self._pair(call)
        return [self._words.current(order) for order in self._live(call)]

    def active_page(self, call: Call) -> dict[str, Any]:
        """Answer a page of live orders of a pair."""
        rows = self.active(call)
        number = within(call, "pageNum", low=1, default=1)
        size = within(call, "pageSize", low=1, high=50, default=20)
        return {
            "currentPage": number,
            "pageSize": size,
            "totalNum": len(rows),
            "totalPage": -(-len(rows) // size),
            "items": rows[(number - 1) * size : number * size],
        }

    def active_symbols(self, call: Call) -> dict[str, list[str]]:
        """Answer the pairs that have live orders."""
        live = [o for o in self._orders.open_orders(call.desk.account) if not is_waiting_stop(o)]
        return {"symbols": sorted({self._pairs.symbol(order.coin) for order in live})}

    def done(self, call: Call) -> dict[str, Any]:
        """Answer done orders of a pair, newest first, from `lastId` on."""
        self._pair(call)
        orders = self._placed(call, lambda order: not order.is_open)
        return after_last_id(
            call, ((ID_ORIGIN + order.number, self._words.current(order)) for order in orders)
        )

    def stops(self, call: Call) -> dict[str, Any]:
        """Answer a page of stop orders that wait, newest first."""
        return page_of(call, self._waiting(call), self._words.stop)

    def _waiting(self, call: Call) -> list[VenueOrder]:
        ids = [name for name in (call.query.get("orderIds") or "").split(",") if name]
        return [
            order
            for order in self._open(call)
            if is_waiting_stop(order) and (not ids or order.venue_order_id in ids)
        ]

    def _pair(self, call: Call) -> str:
        symbol = call.query.get("symbol")
        if self._pairs.coin(symbol) is None:
            raise Refusal("400100", "Unsupported trading pair.")
        return symbol or ""

    def _placed(self, call: Call, is_wanted: Callable[[VenueOrder], bool]) -> Iterator[VenueOrder]:
        # Newest first; stop orders that wait are listed elsewhere.
        orders = self._orders.newest_first(call.desk.account)
        return (o for o in self._fitting_all(call, orders) if is_wanted(o) and not is_waiting_stop(o))

    def _live(self, call: Call) -> Iterator[VenueOrder]:
        return (order for order in self._open(call) if not is_waiting_stop(order))

    def _open(self, call: Call) -> Iterator[VenueOrder]:
        return self._fitting_all(call, reversed(self._orders.open_orders(call.desk.account)))

    def _fitting_all(self, call: Call, orders: Iterator[VenueOrder]) -> Iterator[VenueOrder]:
        # What the query asks for; most ask for a pair, or for everything.
        query = call.query
        if query.get("tradeType") not in (*_NONE, "TRADE"):
            return iter(())
        symbol, side, kind = query.get("symbol"), query.get("side"), query.get("type")
        begins, ends = within(call, "startAt", default=0), within(call, "endAt", default=0)
        if symbol:
            coin = self._pairs.coin(symbol)
            orders = (order for order in orders if order.coin == coin)
        if side:
            orders = (order for order in orders if order.side.value == side)
        if kind:
            orders = (order for order in orders if order.details["type"] == kind)
        if begins or ends:
            last = ends or NUMBER_MAX
            orders = (order for order in orders if begins <= milliseconds(order.created_ns) <= last)
        return orders

    # ------------------------------------------------------------ fills

    def older_fills(self, call: Call) -> dict[str, Any]:
        """Answer a page of fills, newest first."""
        return page_of(call, list(self._fills(call)), lambda pair: self._words.older_fill(*pair))

    def older_recent_fills(self, call: Call) -> list[dict[str, Any]]:
        """Answer the fills of the last 24 hours, newest first, at most 1000."""
        since = milliseconds(call.desk.now_ns) - _RECENT_MS
        pairs = ((o, f) for o, f in self._fills(call) if milliseconds(f.sim_time_ns) >= since)
        return [self._words.older_fill(*pair) for pair in islice(pairs, _RECENT_MAX)]

    def current_fills(self, call: Call) -> dict[str, Any]:
        """Answer fills of a pair, newest first, from `lastId` on."""
        self._pair(call)
        rows = ((ID_ORIGIN + fill.number, self._words.current_fill(o, fill)) for o, fill in self._fills(call))
        return after_last_id(call, rows)

    def _fills(self, call: Call) -> Iterator[tuple[VenueOrder, Execution]]:
        query = call.query
        symbol, side, kind = query.get("symbol"), query.get("side"), query.get("type")
        order_id = query.get("orderId")
        begins, ends = within(call, "startAt", default=0), within(call, "endAt", default=0)
        if query.get("tradeType") not in (*_NONE, "TRADE"):
            return
        for order, fill in self._orders.fills_newest_first(call.desk.account):
            time_ms = milliseconds(fill.sim_time_ns)
            if (
                symbol in (*_NONE, self._pairs.symbol(order.coin))
                and side in (*_NONE, order.side.value)
                and kind in (*_NONE, order.details["type"])
                and order_id in (*_NONE, order.venue_order_id)
                and begins <= time_ms
                and (not ends or time_ms <= ends)
            ):
                yield order, fill

    # ------------------------------------------------------------ cancelling

    def cancel(self, call: Call) -> dict[str, Any]:
        """Ask for the end of an order by its id."""
        return {"cancelledOrderIds": [self._cancel_one(call).venue_order_id]}

    def cancel_by_own_id(self, call: Call) -> dict[str, Any]:
        """Ask for the end of an order by the bot's own id."""
        order = self._cancel_one(call, is_own=True)
        return {
            "cancelledOrderId": order.venue_order_id,
            "clientOid": order.own_id,
            "cancelledOcoOrderIds": None,
        }

    def hf_cancel(self, call: Call) -> dict[str, Any]:
        """Ask for the end of an order by its id."""
        return {"orderId": self._cancel_one(call).venue_order_id}

    def hf_cancel_by_own_id(self, call: Call) -> dict[str, Any]:
        """Ask for the end of an order by the bot's own id."""
        return {"clientOid": self._cancel_one(call, is_own=True).own_id}

    def hf_cancel_sync(self, call: Call) -> dict[str, Any]:
        """Ask for the end of an order and answer what is left of it; the cancel is still on its way."""
        return self._cancelled(self._cancel_one(call))

    def hf_cancel_sync_by_own_id(self, call: Call) -> dict[str, Any]:
        """Ask for the same by the bot's own id."""
        order = self._cancel_one(call, is_own=True)
        return {**self._cancelled(order), "clientOid": order.own_id}

    def cancel_stop(self, call: Call) -> dict[str, Any]:
        """Ask for the end of a stop order by its id."""
        return {"cancelledOrderIds": [self._cancel_one(call, is_stop=True).venue_order_id]}

    def cancel_stop_by_own_id(self, call: Call) -> dict[str, Any]:
        """Ask for the end of a stop order by the bot's own id."""
        order = self._orders.find_own(call.desk.account, call.query.get("clientOid", ""))
        self._cancel_all(
            call, [order] if order is not None and is_waiting_stop(order) else [], is_strict=True
        )
        return {
            "cancelledOrderId": order.venue_order_id if order is not None else None,
            "clientOid": order.own_id if order is not None else None,
        }

    def cancel_many(self, call: Call) -> dict[str, Any]:
        """Ask for the end of all live orders, of one pair where one is named."""
        return {"cancelledOrderIds": self._cancel_all(call, list(self._live(call)))}

    def cancel_stops(self, call: Call) -> dict[str, Any]:
        """Ask for the end of all stop orders that wait, of a pair or of a list where they are named."""
        return {"cancelledOrderIds": self._cancel_all(call, self._waiting(call))}

    def hf_cancel_pair(self, call: Call) -> str:
        """Ask for the end of all live orders of a pair."""
        self._pair(call)
        self.cancel_many(call)
        return "success"

    def hf_cancel_everything(self, call: Call) -> dict[str, list[str]]:
        """Ask for the end of all live orders."""
        symbols = self.active_symbols(call)["symbols"]
        self.cancel_many(call)
        return {"succeedSymbols": symbols, "failedSymbols": []}

    def _cancel_one(self, call: Call, *, is_own: bool = False, is_stop: bool = False) -> VenueOrder:
        try:
            order = self._own(call, call.args[0]) if is_own else self._one(call, is_stop=is_stop)
        except Refusal:
            raise Refusal("400100", _NOT_CANCELLABLE) from None
        if is_stop and not is_waiting_stop(order):
            raise Refusal("400100", _NOT_CANCELLABLE)
        self._cancel_all(call, [order], is_strict=True)
        return order

    def _cancel_all(self, call: Call, orders: list[VenueOrder], *, is_strict: bool = False) -> list[str]:
        # The ids of those whose cancel is on its way.
        ids = [
            order.venue_order_id
            for order in orders
            if order.is_open and self._orders.cancel(call.desk, order) is None
        ]
        if is_strict and not ids:
            raise Refusal("400100", _NOT_CANCELLABLE)
        return ids

    @staticmethod
    def _cancelled(order: VenueOrder) -> dict[str, Any]:
        # The truth of this moment: the cancel takes its latency, and a fill may be faster.
        return {
            "orderId": order.venue_order_id,
            "originSize": text(order.qty),
            "dealSize": text(order.filled_qty),
            "remainSize": text(order.remaining_qty),
            "canceledSize": text(order.cancelled_qty),
            "status": "open",
        }


def _has_vanished(order: VenueOrder) -> bool:
    # A stop order that ended before it was triggered is listed nowhere: its state knows no word for it.
    return is_waiting_stop(order) and not order.is_open
