"""Which orders can be: the shape of a request, the rules of the instrument, and what an order must hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from orchestrator.exchange.instruments import Instrument
from orchestrator.exchange.money import ONE, is_multiple
from orchestrator.exchange.vocabulary import Reason
from orchestrator.protocol import OrderType, Side, TimeInForce

__all__ = ["hold_price", "notional_reason", "price_reason", "prices_reason", "qty_reason"]

# Order type -> (has a limit price, has a stop price).
_PRICES: Final = {
    OrderType.MARKET: (False, False),
    OrderType.LIMIT: (True, False),
    OrderType.STOP: (False, True),
    OrderType.STOP_LIMIT: (True, True),
}
_DIGITS_MAX: Final = 20  # before the point; more is a mistake, and would overflow no context
_HOLD_MARGIN: Final = Decimal("1.05")  # a market order may fill dearer than the last price


def _is_positive_number(value: Decimal) -> bool:
    return value.is_finite() and value > 0 and value.adjusted() < _DIGITS_MAX


def qty_reason(qty: Decimal, instrument: Instrument) -> Reason | None:
    """Return why a quantity cannot be ordered, None when it can."""
    if not _is_positive_number(qty):
        return Reason.INVALID_QTY
    if qty < instrument.lot_size:
        return Reason.BELOW_LOT
    return None if is_multiple(qty, instrument.lot_size) else Reason.QTY_OFF_LOT


def price_reason(price: Decimal, instrument: Instrument) -> Reason | None:
    """Return why a limit or stop price cannot be, None when it can."""
    if not _is_positive_number(price):
        return Reason.INVALID_PRICE
    return None if is_multiple(price, instrument.tick_size) else Reason.PRICE_OFF_TICK


def prices_reason(
    order_type: OrderType, limit_price: Decimal | None, stop_price: Decimal | None, instrument: Instrument
) -> Reason | None:
    """Return what is wrong with the prices of an order type, None when nothing is."""
    for price, is_needed in zip((limit_price, stop_price), _PRICES[order_type], strict=True):
        if price is None:
            if is_needed:
                return Reason.MISSING_PRICE
            continue
        if not is_needed:
            return Reason.UNEXPECTED_PRICE
        reason = price_reason(price, instrument)
        if reason is not None:
            return reason
    return None


def expiry_reason(
    time_in_force: TimeInForce, expire_time_ns: int | None, arrival_time_ns: int
) -> Reason | None:
    """Return what is wrong with the end of an order, None when nothing is."""
    if time_in_force is not TimeInForce.GTD:
        return Reason.INVALID_EXPIRY if expire_time_ns is not None else None
    if expire_time_ns is None or expire_time_ns <= arrival_time_ns:
        return Reason.INVALID_EXPIRY
    return None


def notional_reason(qty: Decimal, price: Decimal, instrument: Instrument) -> Reason | None:
    """Return whether quantity * price is below what the instrument allows."""
    return Reason.BELOW_MIN_NOTIONAL if qty * price < instrument.min_notional else None


def likely_price(limit_price: Decimal | None, stop_price: Decimal | None, last_close: Decimal) -> Decimal:
    """Return the price that values an order before it trades: limit, else stop, else the last close."""
    if limit_price is not None:
        return limit_price
    return stop_price if stop_price is not None else last_close


def hold_price(
    side: Side,
    limit_price: Decimal | None,
    stop_price: Decimal | None,
    last_close: Decimal,
    fee_rate_max: Decimal,
) -> Decimal:
    """Return what a unit of base may cost, fees included, in quote; 0 for a sell, which holds base."""
    if side is Side.SELL:
        return Decimal(0)
    return likely_bound(limit_price, stop_price, last_close) * (ONE + fee_rate_max)


def likely_bound(limit_price: Decimal | None, stop_price: Decimal | None, last_close: Decimal) -> Decimal:
    """Return what a unit of base will hardly trade above: the limit, else stop or last close and a margin."""
    return limit_price if limit_price is not None else (stop_price or last_close) * _HOLD_MARGIN
