"""KuCoin: its endpoints, who may call them, and how often."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from orchestrator.config import NS_PER_SECOND
from orchestrator.venues.http import VenueRequest, VenueResponse, header
from orchestrator.venues.kucoin.accounts import AccountPages
from orchestrator.venues.kucoin.envelope import Refusal, answering, failure
from orchestrator.venues.kucoin.klines import Klines
from orchestrator.venues.kucoin.market_pages import MarketPages, milliseconds
from orchestrator.venues.kucoin.order_pages import OrderPages
from orchestrator.venues.kucoin.order_words import OrderWords
from orchestrator.venues.kucoin.pairs import Pairs
from orchestrator.venues.kucoin.placing import Placing
from orchestrator.venues.limits import Usage, WindowLimit
from orchestrator.venues.quotes import Quotes
from orchestrator.venues.router import Endpoint, Router
from orchestrator.venues.signatures import hmac_base64, is_equal
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["DEFAULT_SPREAD_BPS", "KuCoin"]

DEFAULT_SPREAD_BPS: Final = 2
"""From bid to ask where `spread_bps` is not set: large pairs are tighter, small ones wider."""

HOSTS: Final = ("api.kucoin.com", "api-futures.kucoin.com")
"""The second is asked for contracts by clients that only trade spot; it has none."""

_SKEW_MS_MAX: Final = 5_000
_WINDOW_NS: Final = 30 * NS_PER_SECOND
_QUOTAS: Final = {"public": 2_000, "spot": 4_000, "management": 2_000}  # of a customer without privileges
_KEY, _SIGN = "kc-api-key", "kc-api-sign"
_TIME, _PASSPHRASE = "kc-api-timestamp", "kc-api-passphrase"
_VERSION: Final = "kc-api-key-version"


class KuCoin:
    """KuCoin spot.

    Parameters
    ----------
    context
        What a venue is built from.
    """

    def __init__(self, context: VenueContext) -> None:
        self.name = context.name
        self.hosts = HOSTS
        self.orders = context.orders
        self._settings = context.settings
        spread_bps = context.settings.spread_bps
        quotes = Quotes(
            context.market,
            context.instruments,
            spread_bps=Decimal(DEFAULT_SPREAD_BPS) if spread_bps is None else spread_bps,
            depth_levels=context.settings.depth_levels,
        )
        pairs = Pairs(context, quotes)
        words = OrderWords(context, pairs)
        self.router = Router(
            [
                *_market_endpoints(pairs, Klines(context, pairs), MarketPages(context, pairs, quotes)),
                *_account_endpoints(AccountPages(context, pairs)),
                *_placing_endpoints(Placing(context, pairs, quotes)),
                *_order_endpoints(OrderPages(context, pairs, words)),
            ]
        )
        self._limits = {pool: WindowLimit(quota, _WINDOW_NS) for pool, quota in _QUOTAS.items()}

    # ------------------------------------------------------------ who may call, and how often

    def admit(self, call: Call) -> VenueResponse | None:
        """Refuse what is one request too many, then what is not signed as it should be."""
        if self._settings.rate_limits:
            limit = self._limits[call.endpoint.pool]
            usage = limit.take(call.desk.component, call.endpoint.weight, call.desk.now_ns)
            if not usage.is_allowed:
                return _too_many(limit, usage)
        # The service does not look at signatures of public requests; SDKs send empty ones with them.
        if call.endpoint.is_private and self._settings.signatures != "ignore":
            try:
                self._check_signature(call.request, call.desk.now_ns)
            except Refusal as refusal:
                return failure(refusal)
        return None

    def limit_headers(self, call: Call) -> tuple[tuple[str, str], ...]:
        """Return what is left of the quota."""
        if not self._settings.rate_limits:
            return ()
        limit = self._limits[call.endpoint.pool]
        return _headers(limit, limit.look(call.desk.component, call.desk.now_ns))

    def spend(self, call: Call, count: int) -> None:
        """Count requests that the component's own cache answered."""
        if self._settings.rate_limits:
            limit = self._limits[call.endpoint.pool]
            limit.spend(call.desk.component, call.endpoint.weight * count, call.desk.now_ns)

    def _check_signature(self, request: VenueRequest, now_ns: int) -> None:
        key, sign = header(request, _KEY), header(request, _SIGN)
        sent, passphrase = header(request, _TIME), header(request, _PASSPHRASE)
        if not key or not sign or not sent or passphrase is None:
            raise Refusal(
                "400001",
                "Please check the header of your request for KC-API-KEY, KC-API-SIGN, KC-API-TIMESTAMP, "
                "KC-API-PASSPHRASE",
                401,
            )
        if self._settings.signatures != "verify":
            return
        if not sent.isdecimal() or abs(milliseconds(now_ns) - int(sent[:20])) > _SKEW_MS_MAX:
            raise Refusal("400002", "KC-API-TIMESTAMP Invalid", 400)
        if key != self._settings.api_key:
            raise Refusal("400003", "KC-API-KEY not exists", 401)
        secret = self._settings.api_secret or ""
        expected = self._settings.api_passphrase
        if expected is not None and header(request, _VERSION) in ("2", "3"):
            expected = hmac_base64(secret, expected.encode())
        if expected is not None and not is_equal(passphrase, expected):
            raise Refusal("400004", "Invalid KC-API-PASSPHRASE", 401)
        message = f"{sent}{request.method}{request.path}".encode() + request.body
        if not is_equal(sign, hmac_base64(secret, message)):
            raise Refusal("400005", "Invalid KC-API-SIGN", 401)

    # ------------------------------------------------------------ what goes wrong

    def not_found(self, request: VenueRequest) -> VenueResponse:  # noqa: ARG002 - the protocol
        """Return KuCoin's error for a path that is not emulated."""
        return failure(Refusal("404000", "Url Not Found", 404))

    def too_many_requests(self, call: Call) -> VenueResponse:
        """Return KuCoin's error for one request too many."""
        limit = self._limits[call.endpoint.pool]
        usage = limit.look(call.desk.component, call.desk.now_ns)
        return _too_many(limit, Usage(False, limit.quota, 0, usage.reset_ns))

    def server_error(self, call: Call) -> VenueResponse:  # noqa: ARG002 - the protocol
        """Return KuCoin's error for trouble of its own."""
        return failure(Refusal("500000", "Internal Server Error", 500))


def _headers(limit: WindowLimit, usage: Usage) -> tuple[tuple[str, str], ...]:
    return (
        ("gw-ratelimit-limit", str(limit.quota)),
        ("gw-ratelimit-remaining", str(usage.remaining)),
        ("gw-ratelimit-reset", str(milliseconds(usage.reset_ns))),
    )


def _too_many(limit: WindowLimit, usage: Usage) -> VenueResponse:
    answer = failure(
        Refusal("429000", "Too many requests in a short period of time, please retry later", 429)
    )
    return VenueResponse(answer.status, answer.body, (*answer.headers, *_headers(limit, usage)))


# ---------------------------------------------------------------- the endpoints

_Page = Callable[[Call], Any]


def _public(path: str, page: _Page, weight: int = 3) -> Endpoint:
    # What shows the market and nothing else: the same until the next base candle closes.
    return Endpoint("GET", path, answering(page), "public", weight, is_market_data=True)


def _private(method: str, path: str, page: _Page, weight: int, pool: str = "spot") -> Endpoint:
    return Endpoint(method, path, answering(page), pool, weight, is_private=True)


def _market_endpoints(pairs: Pairs, klines: Klines, market: MarketPages) -> list[Endpoint]:
    v1 = "/api/v1/market"
    return [
        Endpoint("GET", "/api/v1/timestamp", answering(market.timestamp), "public", 3),
        _public("/api/v1/status", market.status),
        _public(f"{v1}/candles", klines.page),
        _public(f"{v1}/orderbook/level1", market.level1, 2),
        _public(f"{v1}/orderbook/level2_20", market.level2_20, 2),
        _public(f"{v1}/orderbook/level2_100", market.level2_100, 2),
        _private("GET", "/api/v3/market/orderbook/level2", market.level2, 3),
        _public(f"{v1}/allTickers", market.all_tickers, 15),
        _public(f"{v1}/stats", market.stats, 15),
        _public(f"{v1}/histories", market.histories),
        _public("/api/v1/markets", pairs.markets),
        _public("/api/v1/symbols", pairs.old_symbols, 4),
        _public("/api/v2/symbols", pairs.symbols, 4),
        _public("/api/v2/symbols/{symbol}", pairs.symbol_rules, 4),
        _public("/api/v1/currencies", pairs.old_currencies),
        _public("/api/v1/currencies/{currency}", pairs.old_currency),
        _public("/api/v2/currencies/{currency}", pairs.currency),
        _public("/api/v3/currencies", pairs.currencies),
        _public("/api/v3/currencies/{currency}", pairs.currency),
        _public("/api/v1/prices", market.prices),
        _public("/api/v1/mark-price/{symbol}/current", market.mark_price, 2),
    ]


def _account_endpoints(accounts: AccountPages) -> list[Endpoint]:
    management = "management"
    return [
        _private("GET", "/api/v1/accounts", accounts.accounts, 5, management),
        _private("GET", "/api/v1/accounts/ledgers", accounts.ledgers, 2, management),
        _private("GET", "/api/v1/accounts/transferable", accounts.transferable, 20, management),
        _private("GET", "/api/v1/accounts/{accountId}", accounts.account, 5, management),
        _private("GET", "/api/v1/hf/accounts/ledgers", accounts.hf_ledgers, 2),
        _private("GET", "/api/v1/hf/accounts/opened", accounts.is_high_frequency, 30),
        _private("GET", "/api/ua/v1/account/mode", accounts.mode, 30, management),
        _private("GET", "/api/v2/user-info", accounts.user, 20, management),
        _private("GET", "/api/v1/sub-accounts", accounts.nothing, 20, management),
        _private("GET", "/api/v1/deposits", accounts.empty_page, 5, management),
        _private("GET", "/api/v1/withdrawals", accounts.empty_page, 20, management),
        _private("GET", "/api/v1/base-fee", accounts.base_fee, 3),
        _private("GET", "/api/v1/trade-fees", accounts.trade_fees, 3),
        _private("GET", "/api/v3/margin/symbols", accounts.no_margin, 3),
        _private("GET", "/api/v1/isolated/symbols", accounts.nothing, 3),
        _public("/api/v1/contracts/active", accounts.nothing),
    ]


def _placing_endpoints(placing: Placing) -> list[Endpoint]:
    hf = "/api/v1/hf/orders"
    return [
        _private("POST", "/api/v1/orders", placing.place, 2),
        _private("POST", "/api/v1/orders/test", placing.test, 2),
        _private("POST", "/api/v1/orders/multi", placing.place_many, 3),
        _private("POST", "/api/v1/stop-order", placing.place_stop, 1),
        _private("POST", hf, placing.hf_place, 1),
        _private("POST", f"{hf}/sync", placing.hf_place_sync, 1),
        _private("POST", f"{hf}/test", placing.test, 1),
        _private("POST", f"{hf}/multi", placing.hf_place_many, 1),
        _private("POST", f"{hf}/multi/sync", placing.hf_place_many_sync, 1),
        _private("POST", f"{hf}/alter", placing.alter, 3),
    ]


def _order_endpoints(orders: OrderPages) -> list[Endpoint]:
    hf, stop = "/api/v1/hf/orders", "/api/v1/stop-order"
    return [
        _private("GET", "/api/v1/orders", orders.older_list, 2),
        _private("GET", "/api/v1/orders/{orderId}", orders.older, 2),
        _private("GET", "/api/v1/order/client-order/{clientOid}", orders.older_by_own_id, 3),
        _private("GET", "/api/v1/limit/orders", orders.older_recent, 3),
        _private("GET", "/api/v1/fills", orders.older_fills, 10),
        _private("GET", "/api/v1/limit/fills", orders.older_recent_fills, 20),
        _private("DELETE", "/api/v1/orders", orders.cancel_many, 20),
        _private("DELETE", "/api/v1/orders/{orderId}", orders.cancel, 3),
        _private("DELETE", "/api/v1/order/client-order/{clientOid}", orders.cancel_by_own_id, 5),
        _private("GET", stop, orders.stops, 8),
        _private("GET", f"{stop}/queryOrderByClientOid", orders.stops_by_own_id, 3),
        _private("GET", f"{stop}/{{orderId}}", orders.stop, 3),
        _private("DELETE", f"{stop}/cancel", orders.cancel_stops, 3),
        _private("DELETE", f"{stop}/cancelOrderByClientOid", orders.cancel_stop_by_own_id, 5),
        _private("DELETE", f"{stop}/{{orderId}}", orders.cancel_stop, 3),
        _private("GET", f"{hf}/active", orders.active, 2),
        _private("GET", f"{hf}/active/page", orders.active_page, 2),
        _private("GET", f"{hf}/active/symbols", orders.active_symbols, 2),
        _private("GET", f"{hf}/done", orders.done, 2),
        _private("GET", "/api/v1/hf/fills", orders.current_fills, 2),
        _private("GET", f"{hf}/client-order/{{clientOid}}", orders.current_by_own_id, 2),
        _private("GET", f"{hf}/{{orderId}}", orders.current, 2),
        _private("DELETE", hf, orders.hf_cancel_pair, 2),
        _private("DELETE", f"{hf}/cancelAll", orders.hf_cancel_everything, 30),
        _private("DELETE", f"{hf}/client-order/{{clientOid}}", orders.hf_cancel_by_own_id, 1),
        _private("DELETE", f"{hf}/sync/client-order/{{clientOid}}", orders.hf_cancel_sync_by_own_id, 1),
        _private("DELETE", f"{hf}/sync/{{orderId}}", orders.hf_cancel_sync, 1),
        _private("DELETE", f"{hf}/{{orderId}}", orders.hf_cancel, 1),
    ]
