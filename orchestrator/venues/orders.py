"""The order store of one venue: every order that was placed with it, as the exchange says it fares.

All endpoints of a venue, old and new, read this one store. It is filled by `place` and follows the exchange
through `note`; nothing else changes what an order has become.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

from orchestrator.exchange.events import (
    OrderAccepted,
    OrderArrived,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderTriggered,
    Outcome,
    RequestRefused,
)
from orchestrator.exchange.money import EXACT, ZERO, quotient
from orchestrator.protocol import FillState, Liquidity, OrderType, Side, TimeInForce
from orchestrator.venues.desk import Desk, NewOrder

__all__ = ["Execution", "OrderState", "OrderStore", "VenueOrder"]


class OrderState(enum.Enum):
    """What has become of an order; all but the first are final."""

    OPEN = "open"  # on its way, resting, or partly filled
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Execution(msgspec.Struct, frozen=True):
    """One fill of an order."""

    number: int  # of the fill over the whole run
    qty: Decimal
    price: Decimal
    quote: Decimal  # price x qty
    fee: Decimal  # quote currency
    liquidity: Liquidity
    sim_time_ns: int


class VenueOrder:
    """One order as its venue knows it.

    Attributes
    ----------
    number
        1, 2, 3 … over all orders of the venue, in the order of placing.
    venue_order_id, client_order_id, own_id
        The venue's id, the simulated exchange's, and the one that the bot gave (None: none).
    details
        What the dialect remembers besides: remarks, the words of the request.
    filled_qty, filled_quote, fee
        Sums over `executions`.
    is_arrived, is_triggered, is_cancel_requested
        Whether it has reached the market, its stop price was reached, its bot asked for its end.
    reason
        Why it ended, a word of the exchange; None while it is open or when it was filled.
    """

    __slots__ = (
        "account",
        "client_order_id",
        "coin",
        "component",
        "created_ns",
        "details",
        "executions",
        "expire_time_ns",
        "fee",
        "filled_qty",
        "filled_quote",
        "is_arrived",
        "is_cancel_requested",
        "is_triggered",
        "limit_price",
        "number",
        "order_type",
        "own_id",
        "qty",
        "reason",
        "side",
        "state",
        "stop_price",
        "time_in_force",
        "updated_ns",
        "venue_order_id",
    )

    def __init__(
        self,
        number: int,
        venue_order_id: str,
        own_id: str | None,
        accepted: OrderAccepted,
        details: dict[str, Any],
    ) -> None:
        request = accepted.request
        self.number = number
        self.venue_order_id = venue_order_id
        self.own_id = own_id
        self.details = details
        self.client_order_id = request.client_order_id
        self.component = request.component
        self.account = request.account
        self.coin = request.coin
        self.side: Side = request.side
        self.qty = request.qty
        self.order_type: OrderType = request.order_type
        self.limit_price = request.limit_price
        self.stop_price = request.stop_price
        self.time_in_force: TimeInForce = request.time_in_force
        self.expire_time_ns = request.expire_time_ns
        self.created_ns = accepted.sim_time_ns
        self.updated_ns = accepted.sim_time_ns
        self.executions: list[Execution] = []
        self.filled_qty = ZERO
        self.filled_quote = ZERO
        self.fee = ZERO
        self.state = OrderState.OPEN
        self.reason: str | None = None
        self.is_arrived = False
        self.is_triggered = False
        self.is_cancel_requested = False

    @property
    def is_open(self) -> bool:
        """Whether anything may still happen to it."""
        return self.state is OrderState.OPEN

    @property
    def remaining_qty(self) -> Decimal:
        """What is neither filled nor given up."""
        return EXACT.subtract(self.qty, self.filled_qty) if self.is_open else ZERO

    @property
    def cancelled_qty(self) -> Decimal:
        """What was given up."""
        return ZERO if self.is_open else EXACT.subtract(self.qty, self.filled_qty)

    @property
    def average_price(self) -> Decimal | None:
        """Quote over base of what is filled, 34 digits; None while nothing is."""
        return quotient(self.filled_quote, self.filled_qty) if self.filled_qty else None


class OrderStore:
    """All orders of one venue.

    Notes
    -----
    Invariants: an order is in `open_orders` exactly while it is open; own ids are unique per account.
    """

    def __init__(self) -> None:
        self._by_client_id: dict[str, VenueOrder] = {}
        self._by_venue_id: dict[str, VenueOrder] = {}
        self._by_own_id: dict[tuple[str, str], VenueOrder] = {}
        self._by_account: dict[str, list[VenueOrder]] = {}
        self._open: dict[str, dict[str, VenueOrder]] = {}  # account -> client_order_id -> order
        self._fills: dict[str, list[tuple[VenueOrder, Execution]]] = {}
        self._count = 0

    # ------------------------------------------------------------ changes

    def place(
        self,
        desk: Desk,
        order: NewOrder,
        *,
        own_id: str | None,
        make_id: Callable[[], str],
        details: dict[str, Any] | None = None,
    ) -> VenueOrder | OrderRejected:
        """Send an order to the exchange and remember it; a rejection is returned and forgotten.

        Parameters
        ----------
        own_id
            The bot's own id, None without one; the caller has looked whether it is taken.
        make_id
            Gives the venue's id of an order that is accepted.
        """
        verdict = desk.submit(order)
        if isinstance(verdict, OrderRejected):
            return verdict
        self._count += 1
        placed = VenueOrder(self._count, make_id(), own_id, verdict, details or {})
        self._by_client_id[placed.client_order_id] = placed
        self._by_venue_id[placed.venue_order_id] = placed
        self._by_account.setdefault(placed.account, []).append(placed)
        self._open.setdefault(placed.account, {})[placed.client_order_id] = placed
        if own_id is not None:
            self._by_own_id[placed.account, own_id] = placed
        return placed

    def cancel(self, desk: Desk, order: VenueOrder) -> RequestRefused | None:
        """Ask for the end of an order; a second request for the same one is as good as the first."""
        if order.is_cancel_requested and order.is_open:
            return None
        refused = desk.cancel(order.client_order_id)
        if refused is None:
            order.is_cancel_requested = True
        return refused

    def note(self, outcome: Outcome) -> None:
        """Follow what the exchange says; what is not about an order of this venue is ignored."""
        change = _CHANGES.get(type(outcome))
        if change is None:
            return
        order = self._by_client_id.get(outcome.client_order_id)  # type: ignore[union-attr]  # all of _CHANGES have it
        if order is None or not order.is_open:
            return
        change(order, outcome)
        if isinstance(outcome, OrderFilled):
            self._fills.setdefault(order.account, []).append((order, order.executions[-1]))
        if not order.is_open:
            del self._open[order.account][order.client_order_id]

    # ------------------------------------------------------------ questions

    def find(self, account: str, venue_order_id: str) -> VenueOrder | None:
        """Return an account's order by the venue's id."""
        order = self._by_venue_id.get(venue_order_id)
        return order if order is not None and order.account == account else None

    def find_own(self, account: str, own_id: str) -> VenueOrder | None:
        """Return an account's order by the id that its bot gave."""
        return self._by_own_id.get((account, own_id))

    def newest_first(self, account: str) -> Iterator[VenueOrder]:
        """Return an account's orders, the latest placed first."""
        return reversed(self._by_account.get(account, []))

    def open_orders(self, account: str) -> list[VenueOrder]:
        """Return an account's open orders, oldest first."""
        return list(self._open.get(account, {}).values())

    def fills_newest_first(self, account: str) -> Iterator[tuple[VenueOrder, Execution]]:
        """Return the fills of an account's orders, latest first."""
        return reversed(self._fills.get(account, []))


def _arrive(order: VenueOrder, outcome: OrderArrived) -> None:
    order.is_arrived = True
    order.updated_ns = outcome.sim_time_ns


def _trigger(order: VenueOrder, outcome: OrderTriggered) -> None:
    order.is_triggered = True
    order.updated_ns = outcome.sim_time_ns


def _fill(order: VenueOrder, outcome: OrderFilled) -> None:
    quote = EXACT.multiply(outcome.price, outcome.qty)
    order.executions.append(
        Execution(
            outcome.fill_number,
            outcome.qty,
            outcome.price,
            quote,
            outcome.fee,
            outcome.liquidity,
            outcome.sim_time_ns,
        )
    )
    order.filled_qty = EXACT.add(order.filled_qty, outcome.qty)
    order.filled_quote = EXACT.add(order.filled_quote, quote)
    order.fee = EXACT.add(order.fee, outcome.fee)
    order.updated_ns = outcome.sim_time_ns
    if outcome.state is FillState.FILLED:
        order.state = OrderState.FILLED


def _cancel(order: VenueOrder, outcome: OrderCancelled) -> None:
    order.state, order.reason, order.updated_ns = OrderState.CANCELLED, outcome.reason, outcome.sim_time_ns


def _expire(order: VenueOrder, outcome: OrderExpired) -> None:
    order.state, order.reason, order.updated_ns = OrderState.EXPIRED, outcome.reason, outcome.sim_time_ns


_CHANGES: Final[dict[type, Callable[[VenueOrder, Any], None]]] = {
    OrderArrived: _arrive,
    OrderTriggered: _trigger,
    OrderFilled: _fill,
    OrderCancelled: _cancel,
    OrderExpired: _expire,
}
