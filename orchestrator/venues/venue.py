"""What a dialect is: the contract that a venue's module fulfils, and what it is given to work with.

A venue is one module (or package) with a class that fulfils `Venue`, and one line in `venues.VENUES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from orchestrator.exchange.instruments import Instrument
from orchestrator.venue_settings import VenueSettings
from orchestrator.venues.desk import Desk
from orchestrator.venues.http import VenueRequest, VenueResponse, parse_query
from orchestrator.venues.ids import IdSource
from orchestrator.venues.market_data import MarketData
from orchestrator.venues.orders import OrderStore
from orchestrator.venues.router import Endpoint, Router

__all__ = ["Call", "Misses", "Venue", "VenueContext"]


class Misses:
    """Requests for what a venue has and a replay has not, such as candles finer than the run's; counted."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}

    def add(self, call: Call, what: str) -> None:
        """Count a request that cannot be answered for want of something."""
        key = (call.desk.component, f"{call.endpoint.name}: {what}")
        self.counts[key] = self.counts.get(key, 0) + 1


class VenueContext(msgspec.Struct, frozen=True):
    """What a venue is built from."""

    name: str
    settings: VenueSettings
    market: MarketData
    instruments: Mapping[str, Instrument]
    currency: str  # of the accounts
    maker_fee: Decimal  # fractions of the notional
    taker_fee: Decimal
    seed: int
    ids: IdSource
    orders: OrderStore
    misses: Misses

    @property
    def quote(self) -> str:
        """The second half of the venue's symbols."""
        return self.settings.quote or self.market.quote


class Call:
    """One request on its way through a venue.

    Attributes
    ----------
    request, desk
        What was asked, and on whose behalf.
    endpoint, args
        Who answers, and the parts of the path that its pattern names.
    now_ns
        As of when market data are shown: the desk's now, unless a fault makes them stale.
    """

    __slots__ = ("_body", "_query", "_table", "args", "desk", "endpoint", "now_ns", "request")

    def __init__(
        self, request: VenueRequest, desk: Desk, endpoint: Endpoint, args: tuple[str, ...], now_ns: int
    ) -> None:
        self.request = request
        self.desk = desk
        self.endpoint = endpoint
        self.args = args
        self.now_ns = now_ns
        self._query: list[tuple[str, str]] | None = None
        self._table: dict[str, str] | None = None
        self._body: Any = None

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Names and values of the query in their order, repeated names too."""
        if self._query is None:
            self._query = parse_query(self.request.path.partition("?")[2])
        return self._query

    @property
    def query(self) -> dict[str, str]:
        """The query as a table; of a repeated name the last value."""
        if self._table is None:
            self._table = dict(self.pairs)
        return self._table

    def json(self) -> Any:
        """Return the body as JSON; {} for an empty one.

        Raises
        ------
        msgspec.DecodeError, UnicodeDecodeError
            If it is not JSON, or not even UTF-8.
        """
        if self._body is None:
            self._body = msgspec.json.decode(self.request.body, strict=False) if self.request.body else {}
        return self._body


class Venue(Protocol):
    """One emulated exchange: pure, no socket, no file, no clock, no chance but seeded one.

    `Venues` finds the endpoint, counts, draws faults and keeps market-data answers within a base candle; for
    each request it calls `admit`, then the endpoint's `handle`, then adds `limit_headers`.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - as in `[venue.NAME]`

    @property
    def hosts(self) -> tuple[str, ...]: ...  # noqa: D102 - every host that it answers for

    @property
    def router(self) -> Router: ...  # noqa: D102 - its endpoints

    @property
    def orders(self) -> OrderStore: ...  # noqa: D102 - the context's

    def admit(self, call: Call) -> VenueResponse | None:
        """Check limits and signature in the venue's order; None lets the request through."""

    def limit_headers(self, call: Call) -> tuple[tuple[str, str], ...]:
        """Return the headers that tell how much is left, added to every answer."""

    def spend(self, call: Call, count: int) -> None:
        """Count requests that the component's own cache answered against the limits; nothing can be ordered."""

    def not_found(self, request: VenueRequest) -> VenueResponse:
        """Return the venue's error for a path that it does not know."""

    def too_many_requests(self, call: Call) -> VenueResponse:
        """Return the venue's error for one request too many."""

    def server_error(self, call: Call) -> VenueResponse:
        """Return the venue's error when it is in trouble itself."""
