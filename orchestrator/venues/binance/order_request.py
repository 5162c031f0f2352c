"""A new order as Binance takes it: what each type needs, and the order that it means."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final, NamedTuple

from orchestrator.exchange.instruments import Instrument
from orchestrator.exchange.money import EXACT, ZERO
from orchestrator.protocol import OrderType, Side, TimeInForce
from orchestrator.venues.binance.errors import (
    BAD_SIDE,
    BAD_TIME_IN_FORCE,
    BAD_TYPE,
    WOULD_MATCH,
    WOULD_TRIGGER,
    malformed,
)
from orchestrator.venues.binance.params import Params, RefusedError
from orchestrator.venues.desk import NewOrder
from orchestrator.venues.quotes import Quote

__all__ = ["OrderRequest", "read_order"]

_TYPES: Final = {
    "MARKET": OrderType.MARKET,
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "STOP_LOSS": OrderType.STOP,
    "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT,
    # The simulated exchange has no stop that waits for a better price: it is a limit there.
    "TAKE_PROFIT": OrderType.LIMIT,
    "TAKE_PROFIT_LIMIT": OrderType.LIMIT,
}
_TIMED: Final = ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
_PRICED: Final = (*_TIMED, "LIMIT_MAKER")
_PROFIT: Final = ("TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
_STOPPED: Final = ("STOP_LOSS", "STOP_LOSS_LIMIT", *_PROFIT)
_TIMES_IN_FORCE: Final = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
_OWN_ID: Final = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")


class OrderRequest(NamedTuple):
    """An order as a bot asks for it."""

    order: NewOrder
    own_id: str | None
    details: dict[str, Any]  # what reads show of the request: type, quote_qty, price, stop_price


def read_order(
    params: Params, coin: str, quote: Quote, rules: Instrument, half_spread_bps: Decimal
) -> OrderRequest:
    """Return the order that the parameters ask for.

    Parameters
    ----------
    quote
        Prices of the coin, by which immediate trades are foreseen and quote amounts become quantities.
    rules
        Of the coin.
    half_spread_bps
        What the order pays beyond the middle when it trades at once.

    Raises
    ------
    RefusedError
        With the error that the bot gets.
    """
    side = {"BUY": Side.BUY, "SELL": Side.SELL}.get(params.text("side"))
    if side is None:
        raise RefusedError(BAD_SIDE)
    word = params.text("type")
    if word not in _TYPES:
        raise RefusedError(BAD_TYPE)
    order_type = _TYPES[word]
    time_in_force = _read_time_in_force(params) if word in _TIMED else TimeInForce.GTC
    qty, quote_qty = _read_qty(params, order_type, side, quote, rules)
    price = params.number("price") if word in _PRICED else None
    stop_price = params.number("stopPrice") if word in _STOPPED else None
    _foresee(word, side, price, stop_price, quote)
    own_id = params.find("newClientOrderId")
    if own_id is not None and not _OWN_ID.fullmatch(own_id):
        raise RefusedError(malformed("newClientOrderId"))
    order = NewOrder(
        coin=coin,
        side=side,
        qty=qty,
        order_type=order_type,
        limit_price=_profit_limit(side, price, stop_price) if word in _PROFIT else price,
        stop_price=None if word in _PROFIT else stop_price,
        time_in_force=time_in_force,
        half_spread_bps=half_spread_bps,
        may_hold_less=True,
    )
    details = {"type": word, "quote_qty": quote_qty, "price": price, "stop_price": stop_price}
    return OrderRequest(order, own_id, details)


def _profit_limit(side: Side, price: Decimal | None, stop_price: Decimal | None) -> Decimal | None:
    # Nothing happens before the stop price is reached, and nothing beyond the limit.
    given = [value for value in (price, stop_price) if value is not None]
    return min(given) if side is Side.BUY else max(given)


def _read_time_in_force(params: Params) -> TimeInForce:
    found = _TIMES_IN_FORCE.get(params.text("timeInForce"))
    if found is None:
        raise RefusedError(BAD_TIME_IN_FORCE)
    return found


def _read_qty(
    params: Params, order_type: OrderType, side: Side, quote: Quote, rules: Instrument
) -> tuple[Decimal, Decimal]:
    if order_type is not OrderType.MARKET or params.has("quantity"):
        return params.number("quantity"), ZERO
    # What the amount buys at the price on its side now, in whole lots.
    quote_qty = params.number("quoteOrderQty")
    price = quote.ask if side is Side.BUY else quote.bid
    lots = EXACT.divide_int(quote_qty, EXACT.multiply(price, rules.lot_size))
    return EXACT.multiply(lots, rules.lot_size), quote_qty


def _foresee(word: str, side: Side, price: Decimal | None, stop_price: Decimal | None, quote: Quote) -> None:
    # Two kinds of order must not trade at once.
    if word == "LIMIT_MAKER" and price is not None:
        crosses = price >= quote.ask if side is Side.BUY else price <= quote.bid
        if crosses:
            raise RefusedError(WOULD_MATCH)
    if stop_price is not None:
        waits_below = (side is Side.BUY) == (word in _PROFIT)
        is_reached = stop_price >= quote.last if waits_below else stop_price <= quote.last
        if is_reached:
            raise RefusedError(WOULD_TRIGGER)
