"""The errors of Binance: a negative code and a text, `{"code":-2010,"msg":"…"}`."""

from __future__ import annotations

from typing import Final

import msgspec

from orchestrator.exchange.vocabulary import Reason
from orchestrator.venues.http import JSON_HEADERS, VenueResponse

__all__ = [
    "BAD_SIDE",
    "BAD_TIME_IN_FORCE",
    "BAD_TYPE",
    "DUPLICATE_ORDER",
    "INVALID_INTERVAL",
    "INVALID_KEY",
    "INVALID_SIGNATURE",
    "INVALID_SYMBOL",
    "NO_ORDER_NAMED",
    "NO_SUCH_ORDER",
    "OUTSIDE_WINDOW",
    "SERVER_ERROR",
    "UNKNOWN_ORDER",
    "WOULD_MATCH",
    "WOULD_TRIGGER",
    "error",
    "malformed",
    "mandatory",
    "refusal",
    "too_many",
]


def error(code: int, text: str, status: int = 400) -> VenueResponse:
    """Return an error."""
    return VenueResponse(status, msgspec.json.encode({"code": code, "msg": text}))


def mandatory(name: str) -> VenueResponse:
    """Return the error of a parameter that is missing."""
    return error(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def malformed(name: str) -> VenueResponse:
    """Return the error of a parameter with characters that it cannot have."""
    return error(-1100, f"Illegal characters found in parameter '{name}'.")


def too_many(quota: int, wait_seconds: int) -> VenueResponse:
    """Return the error of more requests than a minute allows."""
    text = (
        f"Too much request weight used; current limit is {quota} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )
    answer = error(-1003, text, 429)
    return msgspec.structs.replace(answer, headers=(*JSON_HEADERS, ("Retry-After", str(wait_seconds))))


SERVER_ERROR: Final = error(-1001, "Internal error; unable to process your request. Please try again.", 500)
OUTSIDE_WINDOW: Final = error(-1021, "Timestamp for this request is outside of the recvWindow.")
INVALID_SIGNATURE: Final = error(-1022, "Signature for this request is not valid.")
BAD_TIME_IN_FORCE: Final = error(-1115, "Invalid timeInForce.")
BAD_SIDE: Final = error(-1117, "Invalid side.")
BAD_TYPE: Final = error(-1116, "Invalid orderType.")
INVALID_INTERVAL: Final = error(-1120, "Invalid interval.")
INVALID_SYMBOL: Final = error(-1121, "Invalid symbol.")
WOULD_MATCH: Final = error(-2010, "Order would immediately match and take.")
WOULD_TRIGGER: Final = error(-2010, "Stop price would trigger immediately.")
DUPLICATE_ORDER: Final = error(-2010, "Duplicate order sent.")
UNKNOWN_ORDER: Final = error(-2011, "Unknown order sent.")
NO_SUCH_ORDER: Final = error(-2013, "Order does not exist.")
NO_ORDER_NAMED: Final = error(
    -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
)
INVALID_KEY: Final = error(-2015, "Invalid API-key, IP, or permissions for action.", 401)

_REFUSALS: Final = {
    Reason.INVALID_QTY: error(-1013, "Invalid quantity."),
    Reason.BELOW_LOT: error(-1013, "Filter failure: LOT_SIZE"),
    Reason.QTY_OFF_LOT: error(-1013, "Filter failure: LOT_SIZE"),
    Reason.INVALID_PRICE: error(-1013, "Invalid price."),
    Reason.PRICE_OFF_TICK: error(-1013, "Filter failure: PRICE_FILTER"),
    Reason.BELOW_MIN_NOTIONAL: error(-1013, "Filter failure: NOTIONAL"),
    Reason.INSUFFICIENT_BALANCE: error(-2010, "Account has insufficient balance for requested action."),
    Reason.INSUFFICIENT_MARGIN: error(-2010, "Account has insufficient balance for requested action."),
}
_CLOSED: Final = error(-1013, "Market is closed.")


def refusal(reason: str) -> VenueResponse:
    """Return the venue's words for an order that the simulated exchange refused, by its reason."""
    return _REFUSALS.get(Reason(reason), _CLOSED)
