"""Whether a KuCoin order can be, and what it is to the simulated exchange: rules and conversions."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final, NamedTuple

from orchestrator.config import NS_PER_SECOND
from orchestrator.exchange.money import EXACT, ONE, ZERO, is_multiple, quotient
from orchestrator.protocol import OrderType, Side, TimeInForce
from orchestrator.venues.desk import NewOrder
from orchestrator.venues.kucoin.envelope import Refusal
from orchestrator.venues.kucoin.market_pages import milliseconds
from orchestrator.venues.kucoin.pairs import PRICE_LIMIT_RATE, QUOTE_INCREMENT, Pairs
from orchestrator.venues.numbers import parse_number, round_to, text_at
from orchestrator.venues.orders import OrderStore
from orchestrator.venues.quotes import Quote, Quotes
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["Ask", "Judging"]

_OWN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_LIVE_ORDERS_MAX: Final = 200
_SECONDS_MAX: Final = 10**9
_TIMES_IN_FORCE: Final = {
    "GTC": TimeInForce.GTC,
    "GTT": TimeInForce.GTD,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
}

# What is shown again of the body of an order.
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


class Ask(NamedTuple):
    """An order as it was asked for, judged by the rules of its pair."""

    order: NewOrder
    own_id: str | None
    details: dict[str, Any]


class Judging:
    """The rules of a pair, and those of all of them."""

    def __init__(self, context: VenueContext, pairs: Pairs, quotes: Quotes) -> None:
        self._pairs = pairs
        self._quotes = quotes
        self._orders: OrderStore = context.orders

    def judge(self, call: Call, body: dict[str, Any], *, is_own_id_needed: bool = True) -> Ask:
        """Return an order that may be placed.

        Raises
        ------
        Refusal
            With KuCoin's code for the first rule that it breaks.
        """
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
        return Ask(order, own_id, details)

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


def _one_of(body: dict[str, Any], name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
    value = body.get(name)
    if value in (None, "") and default is not None:
        return default
    if not isinstance(value, str) or value not in allowed:
        raise Refusal("400100", f"{name} is invalid")
    return value


def _is_true(value: object) -> bool:
    return value is True or value == "true"
