"""Binance spot: who may ask, how often, and which hosts answer."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from orchestrator.venues.binance.account import AccountEndpoints
from orchestrator.venues.binance.errors import (
    INVALID_KEY,
    INVALID_SIGNATURE,
    OUTSIDE_WINDOW,
    SERVER_ERROR,
    error,
    mandatory,
    too_many,
)
from orchestrator.venues.binance.pairs import Pairs, ms
from orchestrator.venues.binance.params import Params, RefusedError
from orchestrator.venues.binance.prices import MarketEndpoints
from orchestrator.venues.binance.trading import TradingEndpoints
from orchestrator.venues.http import VenueRequest, VenueResponse, header
from orchestrator.venues.limits import WindowLimit
from orchestrator.venues.quotes import Quotes
from orchestrator.venues.router import Router
from orchestrator.venues.signatures import hmac_hex, is_equal
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["Binance"]

_SPREAD_BPS: Final = Decimal(2)  # from bid to ask, of a liquid pair

_NS_PER_SECOND: Final = 1_000_000_000
_WEIGHT_MAX: Final = 6_000  # of all requests a minute, for one address
_EVERYBODY: Final = ""  # bots of one run share the machine's address
_ORDERS_MAX: Final = 100  # in ten seconds, for one account

_WINDOW_MS_DEFAULT: Final = 5_000
_WINDOW_MS_MAX: Final = 60_000
_AHEAD_MS_MAX: Final = 1_000

# What costs more when it is asked of all pairs at once.
_WEIGHTS_OF_ALL: Final = {
    "/api/v3/ticker/24hr": 80,
    "/api/v3/ticker/price": 4,
    "/api/v3/ticker/bookTicker": 4,
    "/api/v3/openOrders": 80,
}
_LIMIT_DIGITS_MAX: Final = 9
_DEPTH_WEIGHTS: Final = ((100, 5), (500, 25), (1_000, 50), (5_000, 250))


class Binance:
    """The venue; `Venue` is its contract."""

    name = "binance"
    hosts = (
        "api.binance.com",
        "api1.binance.com",
        "api2.binance.com",
        "api3.binance.com",
        "api4.binance.com",
        "api-gcp.binance.com",
        "data-api.binance.vision",
        "fapi.binance.com",
        "dapi.binance.com",
    )

    def __init__(self, context: VenueContext) -> None:
        settings = context.settings
        quotes = Quotes(
            context.market,
            context.instruments,
            spread_bps=_SPREAD_BPS if settings.spread_bps is None else settings.spread_bps,
            depth_levels=settings.depth_levels,
        )
        pairs = Pairs(context, quotes)
        self.orders = context.orders
        self.router = Router(
            [
                *MarketEndpoints(context, quotes, pairs).endpoints(),
                *AccountEndpoints(context, pairs).endpoints(),
                *TradingEndpoints(context, quotes, pairs).endpoints(),
            ]
        )
        self._settings = settings
        self._weights = WindowLimit(_WEIGHT_MAX, 60 * _NS_PER_SECOND, is_aligned=True)
        self._placed = WindowLimit(_ORDERS_MAX, 10 * _NS_PER_SECOND, is_aligned=True)

    # ------------------------------------------------------------ limits

    def admit(self, call: Call) -> VenueResponse | None:
        """Check the limits, then key and signature of private requests."""
        refused = self._check_limits(call) if self._settings.rate_limits else None
        if refused is None and call.endpoint.is_private and self._settings.signatures != "ignore":
            try:
                return self._check_signature(call, Params(call))
            except RefusedError as error_found:
                return error_found.answer
        return refused

    def _check_limits(self, call: Call) -> VenueResponse | None:
        usage = self._weights.take(_EVERYBODY, _weight(call), call.desk.now_ns)
        if not usage.is_allowed:
            return too_many(_WEIGHT_MAX, -(-usage.reset_ns // _NS_PER_SECOND))
        if _is_new_order(call) and not self._placed.take(call.desk.account, 1, call.desk.now_ns).is_allowed:
            return error(-1015, "Too many new orders; current limit is 100 orders per 10 SECOND.", 429)
        return None

    def limit_headers(self, call: Call) -> tuple[tuple[str, str], ...]:
        """Return what is used up."""
        if not self._settings.rate_limits:
            return ()
        used = str(self._weights.look(_EVERYBODY, call.desk.now_ns).used)
        headers = (("X-MBX-USED-WEIGHT", used), ("X-MBX-USED-WEIGHT-1M", used))
        if not _is_new_order(call):
            return headers
        count = self._placed.look(call.desk.account, call.desk.now_ns).used
        return (*headers, ("X-MBX-ORDER-COUNT-10S", str(count)))

    def spend(self, call: Call, count: int) -> None:
        """Count requests that were answered elsewhere."""
        if self._settings.rate_limits:
            self._weights.spend(_EVERYBODY, count * _weight(call), call.desk.now_ns)

    # ------------------------------------------------------------ signatures

    def _check_signature(self, call: Call, params: Params) -> VenueResponse | None:
        key = header(call.request, "x-mbx-apikey")
        if not key:
            return error(-2014, "API-key format invalid.", 401)
        timestamp = params.whole("timestamp")
        if timestamp is None:
            return mandatory("timestamp")
        signature = params.text("signature")
        if self._settings.signatures != "verify":
            return None
        if key != self._settings.api_key:
            return INVALID_KEY
        now_ms = ms(call.desk.now_ns)
        window_ms = min(params.whole("recvWindow") or _WINDOW_MS_DEFAULT, _WINDOW_MS_MAX)
        if timestamp >= now_ms + _AHEAD_MS_MAX:
            return error(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if now_ms - timestamp > window_ms:
            return OUTSIDE_WINDOW
        expected = hmac_hex(self._settings.api_secret or "", _signed_text(call.request))
        return None if is_equal(signature, expected) else INVALID_SIGNATURE

    # ------------------------------------------------------------ errors

    def not_found(self, request: VenueRequest) -> VenueResponse:
        """Return the error of a path that does not exist."""
        path = request.path.partition("?")[0]
        return error(-5000, f"Path {path}, Method {request.method} is invalid", 404)

    def too_many_requests(self, call: Call) -> VenueResponse:  # noqa: ARG002 - the contract
        """Return the error of one request too many."""
        return too_many(_WEIGHT_MAX, 1)

    def server_error(self, call: Call) -> VenueResponse:  # noqa: ARG002 - the contract
        """Return the error of a venue in trouble."""
        return SERVER_ERROR


def _is_new_order(call: Call) -> bool:
    return call.endpoint.method == "POST" and call.endpoint.pattern == "/api/v3/order"


def _weight(call: Call) -> int:
    path, query = call.endpoint.pattern, call.query
    if path == "/api/v3/depth":
        limit = query.get("limit", "")
        levels = int(limit[:_LIMIT_DIGITS_MAX]) if limit.isascii() and limit.isdigit() else 0
        return next((weight for bound, weight in _DEPTH_WEIGHTS if levels <= bound), _DEPTH_WEIGHTS[-1][1])
    is_of_all = "symbol" not in query and "symbols" not in query
    return _WEIGHTS_OF_ALL.get(path, call.endpoint.weight) if is_of_all else call.endpoint.weight


def _signed_text(request: VenueRequest) -> bytes:
    # Query and body one after the other, without the signature, which is the last of either.
    query = request.path.partition("?")[2].encode()
    return b"".join(_without_signature(part) for part in (query, request.body))


def _without_signature(part: bytes) -> bytes:
    return b"&".join(pair for pair in part.split(b"&") if not pair.startswith(b"signature="))
