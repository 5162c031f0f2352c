"""From the body of a KuCoin order to one of the simulated exchange: rules, conversions, refusals."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec

from orchestrator.config import NS_PER_SECOND
from orchestrator.exchange.events import OrderRejected
from orchestrator.exchange.money import EXACT, ONE, ZERO, is_multiple, quotient
from orchestrator.exchange.vocabulary import Reason
from orchestrator.protocol import OrderType, Side, TimeInForce
from orchestrator.venues.desk import NewOrder
from orchestrator.venues.ids import IdSource
from orchestrator.venues.kucoin.envelope import Refusal
from orchestrator.venues.kucoin.market_pages import milliseconds
from orchestrator.venues.kucoin.pairs import PRICE_LIMIT_RATE, QUOTE_INCREMENT, Pairs
from orchestrator.venues.numbers import parse_number, round_to, text, text_at
from orchestrator.venues.orders import OrderStore, VenueOrder
from orchestrator.venues.quotes import Quote, Quotes
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["Placing"]

_OWN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_LIVE_ORDERS_MAX: Final = 200
_SECONDS_MAX: Final = 10**9
_TIMES_IN_FORCE: Final = {
    "GTC": TimeInForce.GTC,
    "GTT": TimeInForce.GTD,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
}
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


class _Ask(NamedTuple):
    """An order as it was asked for, judged by the rules of its pair."""

    order: NewOrder
    own_id: str | None
    details: dict[str, Any]


class Placing:
    """Everything that makes new orders."""

    def __init__(self, context: VenueContext, pairs: Pairs, quotes: Quotes) -> None:
        self._pairs = pairs
        self._quotes = quotes
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
        ask = self._judge(call, body_of(call))
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
        ask = self._judge(call, body, is_own_id_needed=is_own_id_needed)
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

    # ------------------------------------------------------------ rules

    def _judge(self, call: Call, body: dict[str, Any], *, is_own_id_needed: bool = True) -> _Ask:
        own_id = self._own_id(call, body, is_needed=is_own_id_needed)
        self._check_window(call, body)
        symbol = body.get("symbol")
        coin = self._pairs.coin(symbol) if isinstance(symbol, str) else None
        if coin is None:
            raise Refusal("900001", "symbol not exists")
        quote = self._quotes.at(coin, call.now_ns)
        side, kind = (
            _one_of(body, "side", ("buy", "sell")),
            _one_of(body, "type", ("limit", "market"), "limit"),
        )
        if quote is None:
            raise Refusal("400600", "validation.createOrder.symbolNotAvailable")
        if _one_of(body, "tradeType", ("TRADE", "MARGIN_TRADE", "MARGIN_ISOLATED_TRADE"), "TRADE") != "TRADE":
            raise Refusal("400200", "Forbidden to place an order")
        live = sum(order.coin == coin for order in self._orders.open_orders(call.desk.account))
        if live >= _LIVE_ORDERS_MAX:
            raise Refusal("200003", f"Active orders of the pair are limited to {_LIVE_ORDERS_MAX}")
        stop, stop_price = self._stop(body, Side(side), coin, quote)
        price = self._price(body, Side(side), coin, quote, stop_price) if kind == "limit" else None
        qty, funds = self._size(body, Side(side), kind, coin, quote, stop_price or price)
        details = {
            "type": kind,
            "stop": stop,
            "stop_price": stop_price,
            "price": price,
            "funds": funds,
            "body": {key: body[key] for key in _KEPT if body.get(key) not in (None, "")},
        }
        order = self._order(call, body, coin, Side(side), qty, price, stop, stop_price)
        if price is not None and stop_price is None and _is_true(body.get("postOnly")):
            self._check_post_only(order, quote)
        return _Ask(order, own_id, details)

    def _own_id(self, call: Call, body: dict[str, Any], *, is_needed: bool) -> str | None:
        own_id = body.get("clientOid")
        if own_id is None or own_id == "":
            # The older endpoints demand one; SDKs send it always, hand-written clients of the newer may not.
            if is_needed and not call.endpoint.pattern.startswith("/api/v1/hf/"):
                raise Refusal("400100", "validation.createOrder.clientOidIsRequired")
            return None
        if not isinstance(own_id, str) or not _OWN_ID.fullmatch(own_id):
            raise Refusal("400100", "validation.createOrder.clientOidInvalid")
        if self._orders.find_own(call.desk.account, own_id) is not None:
            raise Refusal("400100", "validation.createOrder.clientOidDuplicated")
        return own_id

    @staticmethod
    def _check_window(call: Call, body: dict[str, Any]) -> None:
        sent, window = parse_number(body.get("clientTimestamp")), parse_number(body.get("allowMaxTimeWindow"))
        if sent is not None and window is not None and milliseconds(call.desk.now_ns) > sent + window:
            raise Refusal("400100", "The order creation timeout has exceeded allowMaxTimeWindow")

    def _stop(
        self, body: dict[str, Any], side: Side, coin: str, quote: Quote
    ) -> tuple[str | None, Decimal | None]:
        if body.get("stopPrice") in (None, "", "0", 0):
            return None, None
        stop_price = self._number(body, "stopPrice", self._pairs.instrument(coin).tick_size, "Price")
        named = body.get("stop")
        if named in ("loss", "entry"):
            return named, stop_price
        if named not in (None, ""):
            raise Refusal("400100", "stop is not allowed; use loss or entry")
        # Not named: it waits for the price to go to where it is, from the last price.
        if stop_price == quote.last:
            return ("entry" if side is Side.BUY else "loss"), stop_price
        return ("entry" if stop_price > quote.last else "loss"), stop_price

    def _price(
        self, body: dict[str, Any], side: Side, coin: str, quote: Quote, stop_price: Decimal | None
    ) -> Decimal:
        tick = self._pairs.instrument(coin).tick_size
        price = self._number(body, "price", tick, "Price")
        # The band lies round the best opposite price, for stops round the price at which they wake.
        best = stop_price or (quote.ask if side is Side.BUY else quote.bid)
        if side is Side.BUY:
            highest = round_to(EXACT.multiply(best, ONE + PRICE_LIMIT_RATE), tick, "floor")
            if price > highest:
                raise Refusal("400370", f"Max. price: {text_at(highest, tick)}")
        else:
            lowest = round_to(EXACT.multiply(best, ONE - PRICE_LIMIT_RATE), tick, "ceiling")
            if price < lowest:
                raise Refusal("400760", f"order price should be more than {text_at(lowest, tick)}")
        return price

    def _size(
        self,
        body: dict[str, Any],
        side: Side,
        kind: str,
        coin: str,
        quote: Quote,
        price: Decimal | None,
    ) -> tuple[Decimal, Decimal | None]:
        # A market order may give funds instead: what they buy at the best price, rounded down to a lot.
        lot = self._pairs.instrument(coin).lot_size
        has_funds = kind == "market" and body.get("size") in (None, "", "0", 0)
        if not has_funds:
            qty = self._number(body, "size", lot, "Order size")
            if qty < lot:
                raise Refusal("400100", "The quantity is below the minimum requirement.")
            return qty, None
        if body.get("funds") in (None, ""):
            raise Refusal("400100", "validation.createOrder.oneOfSizeAndFundsRequired")
        funds = self._number(body, "funds", QUOTE_INCREMENT, "Funds")
        if funds < self._pairs.instrument(coin).min_notional:
            raise Refusal("600100", "Funds below the minimum requirement.")
        best = price or (quote.ask if side is Side.BUY else quote.bid)
        qty = round_to(quotient(funds, best), lot, "floor")
        if not qty:
            raise Refusal("600100", "Funds below the minimum requirement.")
        return qty, funds

    @staticmethod
    def _number(body: dict[str, Any], name: str, increment: Decimal, word: str) -> Decimal:
        number = parse_number(body.get(name))
        if number is None or number <= ZERO:
            raise Refusal("400100", f"{name} is invalid")
        if not is_multiple(number, increment):
            raise Refusal("600100" if name != "price" else "400100", f"{word} increment invalid.")
        return number

    def _order(
        self,
        call: Call,
        body: dict[str, Any],
        coin: str,
        side: Side,
        qty: Decimal,
        price: Decimal | None,
        stop: str | None,
        stop_price: Decimal | None,
    ) -> NewOrder:
        in_force, expires_ns = self._time_in_force(call, body, is_limit=price is not None)
        limit, trigger = price, stop_price
        is_ahead = stop is not None and (stop == "entry") is (side is Side.BUY)
        if stop_price is not None and not is_ahead:
            # A stop that waits for a better price is a limit there: the exchange has no such stop.
            worse = max if side is Side.SELL else min
            limit, trigger = (stop_price if price is None else worse(price, stop_price)), None
            in_force = TimeInForce.GTC if in_force is not TimeInForce.GTD else in_force
        kinds = {
            (False, False): OrderType.MARKET,
            (True, False): OrderType.LIMIT,
            (False, True): OrderType.STOP,
            (True, True): OrderType.STOP_LIMIT,
        }
        return NewOrder(
            coin=coin,
            side=side,
            qty=qty,
            order_type=kinds[limit is not None, trigger is not None],
            limit_price=limit,
            stop_price=trigger,
            time_in_force=in_force,
            expire_time_ns=expires_ns,
            half_spread_bps=self._quotes.half_spread_bps,
            may_hold_less=True,
        )

    @staticmethod
    def _time_in_force(call: Call, body: dict[str, Any], *, is_limit: bool) -> tuple[TimeInForce, int | None]:
        if not is_limit:
            return TimeInForce.GTC, None
        name = _one_of(body, "timeInForce", tuple(_TIMES_IN_FORCE), "GTC")
        if name != "GTT":
            return _TIMES_IN_FORCE[name], None
        seconds = parse_number(body.get("cancelAfter"))
        if seconds is None or not 0 < seconds < _SECONDS_MAX:
            raise Refusal("400100", "cancelAfter is invalid")
        return TimeInForce.GTD, call.desk.now_ns + int(seconds * NS_PER_SECOND)

    @staticmethod
    def _check_post_only(order: NewOrder, quote: Quote) -> None:
        limit = order.limit_price or ZERO
        if limit >= quote.ask if order.side is Side.BUY else limit <= quote.bid:
            raise Refusal("300000", "The post only order would be matched at once")


_KEPT: Final = (
    "symbol",
    "side",
    "type",
    "price",
    "size",
    "funds",
    "timeInForce",
    "cancelAfter",
    "postOnly",
    "hidden",
    "iceberg",
    "visibleSize",
    "stp",
    "remark",
    "tags",
    "stop",
    "stopPrice",
)


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


def _one_of(body: dict[str, Any], name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
    value = body.get(name)
    if value in (None, "") and default is not None:
        return default
    if not isinstance(value, str) or value not in allowed:
        raise Refusal("400100", f"{name} is invalid")
    return value


def _is_true(value: object) -> bool:
    return value is True or value == "true"


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
