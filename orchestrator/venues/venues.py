"""All emulated exchanges of a run, by host: finds who answers, counts, draws faults, keeps answers of a candle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from orchestrator.errors import ConfigError, InvariantError, ProtocolError
from orchestrator.exchange.events import OrderAccepted, OrderRejected, Outcome, RequestRefused
from orchestrator.exchange.instruments import Instrument
from orchestrator.exchange.money import BPS, EXACT
from orchestrator.market.timeframes import grid_anchor_ns
from orchestrator.protocol import AccountState
from orchestrator.venue_settings import VenueSettings, validate_venue
from orchestrator.venues.binance import Binance
from orchestrator.venues.desk import Desk, NewOrder
from orchestrator.venues.faults import FaultPlan
from orchestrator.venues.http import VenueRequest, VenueResponse
from orchestrator.venues.ids import IdSource
from orchestrator.venues.kucoin import KuCoin
from orchestrator.venues.market_data import MarketData
from orchestrator.venues.orders import OrderStore
from orchestrator.venues.robinhood import Robinhood
from orchestrator.venues.venue import Call, Misses, Venue, VenueContext

__all__ = ["VENUES", "RequestCount", "Venues"]

VENUES: Final[dict[str, Callable[[VenueContext], Venue]]] = {
    "kucoin": KuCoin,
    "robinhood": Robinhood,
    "binance": Binance,
}
"""Every exchange that can be emulated: one line each."""

_UNKNOWN_NAMES_MAX: Final = 1_000
_KEPT_BYTES_MAX: Final = 32 * 1024 * 1024
_KEPT_BYTES_EACH: Final = 512  # besides its body


class RequestCount(NamedTuple):
    """How often a component asked a venue for something."""

    component: str
    venue: str
    endpoint: str  # `GET /api/v1/orders/{orderId}`; of an unknown one its path without the query
    requests: int


class _ClosedDesk(NamedTuple):
    """Who asked, and when, of a request that was answered elsewhere: nothing can be ordered any more."""

    now_ns: int
    component: str
    account: str

    def account_state(self) -> AccountState:
        raise InvariantError(f"{self.component} asked for its account after its answer")

    def submit(self, order: NewOrder) -> OrderAccepted | OrderRejected:
        raise InvariantError(f"{self.component} placed {order} after its answer")

    def cancel(self, client_order_id: str) -> RequestRefused | None:
        raise InvariantError(f"{self.component} cancelled {client_order_id} after its answer")


class Venues:
    """The emulated exchanges of one run.

    Parameters
    ----------
    settings
        `[venue.NAME]` by name.
    market, instruments
        Candles and trading rules of the run.
    currency
        Of the accounts.
    maker_bps, taker_bps
        What fills pay, as bots are told.
    seed
        Of the run; keys identifiers and faults.

    Attributes
    ----------
    hosts
        Every host that is emulated.

    Raises
    ------
    ConfigError
        If a venue is not known or its settings cannot be used.
    """

    def __init__(
        self,
        settings: Mapping[str, VenueSettings],
        *,
        market: MarketData,
        instruments: Mapping[str, Instrument],
        currency: str,
        maker_bps: Decimal,
        taker_bps: Decimal,
        seed: int,
    ) -> None:
        self._venues: dict[str, Venue] = {}
        self._by_host: dict[str, Venue] = {}
        self._faults: dict[str, FaultPlan] = {}
        self._misses: dict[str, Misses] = {}
        for name, venue_settings in settings.items():
            if name not in VENUES:
                raise ConfigError(f"venue.{name} is not known; emulated are {', '.join(VENUES)}")
            validate_venue(name, venue_settings)
            context = VenueContext(
                name=name,
                settings=venue_settings,
                market=market,
                instruments=instruments,
                currency=currency,
                maker_fee=EXACT.multiply(maker_bps, BPS),
                taker_fee=EXACT.multiply(taker_bps, BPS),
                seed=seed,
                ids=IdSource(seed, name),
                orders=OrderStore(),
                misses=Misses(),
            )
            self._misses[name] = context.misses
            venue = self._venues[name] = VENUES[name](context)
            self._faults[name] = FaultPlan(venue_settings.faults, seed, name)
            self._by_host.update(dict.fromkeys(venue.hosts, venue))
        self.hosts = tuple(self._by_host)
        self._timeframe_ns = market.timeframe_ns
        self._anchor_ns = grid_anchor_ns(market.exchange, market.timeframe_ns)
        self._kept: dict[tuple[str, str], VenueResponse] = {}  # answers of the candle that is open now
        self._kept_ns = 0
        self._kept_bytes = 0
        self._accounts: dict[str, str] = {}  # component -> account, of all that have asked
        self._counts: dict[tuple[str, str, str], int] = {}
        self._unknown: dict[tuple[str, str, str], int] = {}

    def is_emulated(self, host: str) -> bool:
        """Return whether requests to a host are answered here."""
        return host in self._by_host

    def note(self, outcome: Outcome) -> None:
        """Follow an outcome of the exchange; every one of them is to be told, in order."""
        for venue in self._venues.values():
            venue.orders.note(outcome)

    def answer(self, request: VenueRequest, desk: Desk) -> VenueResponse:
        """Answer a component's request at the desk's now.

        Raises
        ------
        InvariantError
            If the host is not emulated: the caller is to ask first.
        """
        venue = self._by_host.get(request.host)
        if venue is None:
            raise InvariantError(f"{request.host} is not emulated; the hosts are {', '.join(self.hosts)}")
        path = request.path.partition("?")[0]
        found = venue.router.find(request.method, path)
        if found is None:
            self._count_unknown(desk.component, venue.name, f"{request.method} {path}")
            return venue.not_found(request)
        endpoint, args = found
        self._accounts[desk.component] = desk.account
        key = (desk.component, venue.name, endpoint.name)
        self._counts[key] = self._counts.get(key, 0) + 1
        call = Call(request, desk, endpoint, args, desk.now_ns)
        return self._with_faults(venue, call)

    def _with_faults(self, venue: Venue, call: Call) -> VenueResponse:
        plan = self._faults[venue.name]
        fault = plan.draw(call.desk.component)
        if fault == "timeout" or fault == "reset":  # noqa: PLR1714 - narrows the type
            return VenueResponse(status=0, failure=fault)
        if fault == "http_429":
            return venue.too_many_requests(call)
        if fault == "http_500":
            return venue.server_error(call)
        refused = venue.admit(call)
        if refused is not None:
            return refused
        if not call.endpoint.is_market_data:
            answer = call.endpoint.handle(call)
            if fault == "lost_answer" and call.request.method != "GET":
                return VenueResponse(status=0, failure="timeout")
        elif fault == "stale_quote":
            call.now_ns -= self._timeframe_ns
            answer = call.endpoint.handle(call)
        else:
            answer = self._market_answer(call, is_lasting=not plan.is_any)
        headers = venue.limit_headers(call)
        if not headers:
            return answer
        return VenueResponse(
            answer.status,
            answer.body,
            (*answer.headers, *headers),
            answer.valid_until_ns,
            answer.failure,
            answer.takes_ns,
        )

    def _market_answer(self, call: Call, *, is_lasting: bool) -> VenueResponse:
        # Nothing that is shown of the market changes between two points of the base candles' grid.
        grid_ns = call.now_ns - (call.now_ns - self._anchor_ns) % self._timeframe_ns
        if grid_ns != self._kept_ns or self._kept_bytes >= _KEPT_BYTES_MAX:
            self._kept.clear()
            self._kept_ns, self._kept_bytes = grid_ns, 0
        key = (call.request.host, call.request.path)
        answer = self._kept.get(key)
        if answer is None:
            answer = call.endpoint.handle(call)
            if answer.status == 200 and is_lasting and not call.request.body:
                answer = msgspec.structs.replace(answer, valid_until_ns=grid_ns + self._timeframe_ns)
            self._kept[key] = answer
            self._kept_bytes += len(answer.body) + len(call.request.path) + _KEPT_BYTES_EACH
        return answer

    # ------------------------------------------------------------ counts

    def count_hits(self, component: str, key: str, count: int, sim_time_ns: int) -> None:
        """Count answers that a component's process took from its own cache.

        Parameters
        ----------
        key
            `GET https://host/path?query`.
        count
            How many since it last told.
        """
        method, _, text = key.partition(" ")
        try:
            url = urlsplit(text)
            host = url.hostname or ""
        except ValueError:  # brackets that are no address
            url, host = urlsplit(""), ""
        venue = self._by_host.get(host)
        found = venue.router.find(method, url.path) if venue is not None else None
        if venue is None or found is None:
            raise ProtocolError(
                f"{component} counted answers to {key}, which nobody gave", component=component
            )
        counted = (component, venue.name, found[0].name)
        self._counts[counted] = self._counts.get(counted, 0) + count
        request = VenueRequest(method, host, f"{url.path}?{url.query}" if url.query else url.path)
        desk = _ClosedDesk(sim_time_ns, component, self._accounts.get(component, component))
        venue.spend(Call(request, desk, *found, sim_time_ns), count)

    def _count_unknown(self, component: str, venue: str, endpoint: str) -> None:
        key = (component, venue, endpoint)
        if key not in self._unknown and len(self._unknown) >= _UNKNOWN_NAMES_MAX:
            key = (component, venue, "others")
        self._unknown[key] = self._unknown.get(key, 0) + 1

    @property
    def counts(self) -> list[RequestCount]:
        """Requests that were answered, sorted."""
        return [RequestCount(*key, count) for key, count in sorted(self._counts.items())]

    @property
    def unknown(self) -> list[RequestCount]:
        """Requests for something that is not emulated, or that this replay has no data for, sorted."""
        missed = {
            (component, venue, what): count
            for venue, misses in self._misses.items()
            for (component, what), count in misses.counts.items()
        }
        return [RequestCount(*key, count) for key, count in sorted((self._unknown | missed).items())]
