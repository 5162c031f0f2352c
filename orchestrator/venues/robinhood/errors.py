"""The errors of Robinhood Crypto, with the texts that bots look for in them."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from orchestrator.exchange.instruments import Instrument
from orchestrator.exchange.money import is_multiple
from orchestrator.exchange.vocabulary import Reason
from orchestrator.protocol import Side
from orchestrator.venues.desk import NewOrder
from orchestrator.venues.http import JSON_HEADERS, VenueResponse
from orchestrator.venues.numbers import decimals_of, text

__all__ = [
    "EXPIRED_SIGNATURE",
    "INVALID_CURSOR",
    "INVALID_KEY",
    "INVALID_SIGNATURE",
    "MISSING_HEADERS",
    "NOT_CANCELLABLE",
    "NOT_FOUND",
    "SERVER_ERROR",
    "client_error",
    "invalid",
    "invalid_symbol",
    "not_allowed",
    "refusal",
    "throttled",
    "too_large",
]

_QUANTITY: Final = "asset_quantity"


def _error(status: int, kind: str, detail: str, attr: str | None) -> VenueResponse:
    errors = {"type": kind, "errors": [{"detail": detail, "attr": attr}]}
    return VenueResponse(status, msgspec.json.encode(errors))


def client_error(status: int, detail: str) -> VenueResponse:
    """Return an error that is about no field."""
    return _error(status, "client_error", detail, None)


def invalid(detail: str, attr: str | None) -> VenueResponse:
    """Return the error of a field, by its name."""
    return _error(400, "validation_error", detail, attr)


def invalid_symbol(symbol: str) -> VenueResponse:
    """Return the error of a pair that is not traded."""
    return invalid(f"Invalid symbol: {symbol}", "symbol")


def not_allowed(method: str) -> VenueResponse:
    """Return the error of a path that exists for another method."""
    return client_error(405, f'Method "{method}" not allowed.')


def throttled(wait_seconds: int) -> VenueResponse:
    """Return the error of one request too many."""
    detail = f"Request was throttled. Expected available in {wait_seconds} seconds."
    answer = client_error(429, detail)
    return msgspec.structs.replace(answer, headers=(*JSON_HEADERS, ("Retry-After", str(wait_seconds))))


# Of a real answer, word for word.
MISSING_HEADERS: Final = VenueResponse(
    400,
    b"Request missing required headers. Required headers: x-api-key, x-signature, x-timestamp. "
    b"Please refer to API documentation for more information.",
    (("Content-Type", "text/plain"),),
)
INVALID_KEY: Final = client_error(401, "Invalid API key.")
INVALID_SIGNATURE: Final = client_error(401, "Invalid signature.")
EXPIRED_SIGNATURE: Final = client_error(401, "Signature has expired.")
INVALID_CURSOR: Final = client_error(404, "Invalid cursor")
NOT_FOUND: Final = client_error(404, "Not found.")
NOT_CANCELLABLE: Final = client_error(400, "Order cannot be canceled: it has ended already.")
SERVER_ERROR: Final = _error(500, "server_error", "A server error occurred.", None)


def _at_least_one_decimal(increment: Decimal) -> str:
    # Bots count the decimals after the point, and expect one.
    return f"{increment:.{max(8, decimals_of(increment))}f}"


def too_large(coin: str, limit: Decimal) -> VenueResponse:
    """Return the error of a quantity above what a pair allows."""
    return invalid(f"Order quantity must be less than or equal to {text(limit)} {coin}", _QUANTITY)


def refusal(reason: str, order: NewOrder, rules: Instrument, quote: str) -> VenueResponse:
    """Return the venue's words for an order that the simulated exchange refused.

    Parameters
    ----------
    reason
        A word of `exchange.vocabulary.Reason`.
    rules
        Of the order's coin.
    quote
        The currency that it is priced in.
    """
    coin = order.coin
    lot, tick = _at_least_one_decimal(rules.lot_size), _at_least_one_decimal(rules.tick_size)
    is_limit_right = order.limit_price is None or is_multiple(order.limit_price, rules.tick_size)
    price = "stop_price" if is_limit_right else "limit_price"
    short = "Not enough buying power." if order.side is Side.BUY else f"Not enough {coin} available to sell."
    details: dict[str, tuple[str, str | None]] = {
        Reason.QTY_OFF_LOT: (
            f"Order quantity has too much precision. Round to nearest {lot} {coin}",
            _QUANTITY,
        ),
        Reason.BELOW_LOT: (f"Order quantity must be greater than or equal to {lot} {coin}", _QUANTITY),
        Reason.BELOW_MIN_NOTIONAL: (
            f"Order amount must be greater than or equal to {text(rules.min_notional)} {quote}",
            _QUANTITY,
        ),
        Reason.PRICE_OFF_TICK: (
            f"Order price has too much precision. Round to nearest {tick} {quote}",
            price,
        ),
        Reason.INVALID_QTY: ("A valid number is required.", _QUANTITY),
        Reason.INVALID_PRICE: ("A valid number is required.", price),
        Reason.INSUFFICIENT_BALANCE: (short, None),
        Reason.INSUFFICIENT_MARGIN: (short, None),
    }
    detail, attr = details.get(reason, (f"{coin}-{quote} cannot be traded now", "symbol"))
    return invalid(detail, attr)
