"""Robinhood Crypto, API version 1: who may ask and how often.

The spread is what trading costs here: prices are shown with it, and orders that trade at once pay it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from orchestrator.venues.http import VenueRequest, VenueResponse, header
from orchestrator.venues.limits import TokenBucket
from orchestrator.venues.quotes import Quotes
from orchestrator.venues.robinhood.errors import (
    EXPIRED_SIGNATURE,
    INVALID_KEY,
    INVALID_SIGNATURE,
    MISSING_HEADERS,
    NOT_FOUND,
    SERVER_ERROR,
    not_allowed,
    throttled,
)
from orchestrator.venues.robinhood.market import MarketEndpoints
from orchestrator.venues.robinhood.trading import TradingEndpoints
from orchestrator.venues.router import Router
from orchestrator.venues.signatures import ed25519_verifier
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["Robinhood"]

_SPREAD_BPS: Final = Decimal(50)  # from bid to ask; public bots assume this and up to four times as much
_QUOTE: Final = "USD"  # unless the settings say otherwise; whatever the candles are quoted in

_BURST: Final = 300  # requests at once, and 100 a minute
_REQUEST_STEP_NS: Final = 600_000_000
_NS_PER_SECOND: Final = 1_000_000_000
_SIGNATURE_SECONDS_MAX: Final = 30
_TIMESTAMP_DIGITS_MAX: Final = 20


class Robinhood:
    """The venue; `Venue` is its contract."""

    name = "robinhood"
    hosts = ("trading.robinhood.com",)

    def __init__(self, context: VenueContext) -> None:
        settings = context.settings
        quotes = Quotes(
            context.market,
            context.instruments,
            spread_bps=_SPREAD_BPS if settings.spread_bps is None else settings.spread_bps,
            depth_levels=1,
        )
        quote = settings.quote or _QUOTE
        self.orders = context.orders
        self.router = Router(
            [
                *MarketEndpoints(context, quotes, quote).endpoints(),
                *TradingEndpoints(context, quotes, quote).endpoints(),
            ]
        )
        self._settings = settings
        self._bucket = TokenBucket(_BURST, _REQUEST_STEP_NS)
        self._is_signed = None
        if settings.signatures == "verify":
            self._is_signed = ed25519_verifier(settings.api_secret or "", "venue.robinhood.api_secret")

    def admit(self, call: Call) -> VenueResponse | None:
        """Check key, signature and limit, in this order; every endpoint needs a key here."""
        refused = self._check_signature(call) if self._settings.signatures != "ignore" else None
        if refused is not None or not self._settings.rate_limits:
            return refused
        usage = self._bucket.take(call.desk.account, 1, call.desk.now_ns)
        return None if usage.is_allowed else throttled(-(-usage.reset_ns // _NS_PER_SECOND))

    def _check_signature(self, call: Call) -> VenueResponse | None:
        key, timestamp, signature = (
            header(call.request, name) for name in ("x-api-key", "x-timestamp", "x-signature")
        )
        if not key or not timestamp or not signature:
            return MISSING_HEADERS
        if self._is_signed is None:
            return None
        if key != self._settings.api_key:
            return INVALID_KEY
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _TIMESTAMP_DIGITS_MAX):
            return INVALID_SIGNATURE
        if abs(call.desk.now_ns // _NS_PER_SECOND - int(timestamp)) > _SIGNATURE_SECONDS_MAX:
            return EXPIRED_SIGNATURE
        request = call.request
        message = f"{key}{timestamp}{request.path}{request.method}".encode() + request.body
        return None if self._is_signed(signature, message) else INVALID_SIGNATURE

    def limit_headers(self, call: Call) -> tuple[tuple[str, str], ...]:  # noqa: ARG002 - the contract
        """Return nothing: the venue does not tell how much is left."""
        return ()

    def spend(self, call: Call, count: int) -> None:
        """Count requests that were answered elsewhere."""
        if self._settings.rate_limits:
            self._bucket.spend(call.desk.account, count, call.desk.now_ns)

    def not_found(self, request: VenueRequest) -> VenueResponse:
        """Return the error of a path that does not exist, or not for this method."""
        path = request.path.partition("?")[0]
        is_known = any(self.router.find(method, path) for method in ("GET", "POST"))
        return not_allowed(request.method) if is_known else NOT_FOUND

    def too_many_requests(self, call: Call) -> VenueResponse:  # noqa: ARG002 - the contract
        """Return the error of one request too many."""
        return throttled(1)

    def server_error(self, call: Call) -> VenueResponse:  # noqa: ARG002 - the contract
        """Return the error of a venue in trouble."""
        return SERVER_ERROR
