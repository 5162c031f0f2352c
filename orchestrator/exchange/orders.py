"""An order's life inside the exchange: what is fixed, what changes, and which changes are allowed.

Life of an order::

    IN_FLIGHT -> ARMED    a stop that is not reached yet            judged when a candle closes
              -> RESTING  a limit that is not marketable            judged when a candle closes
              -> WAITING  a taker that needs a candle to open       served when a candle opens
    and each of them -> FILLED, CANCELLED or EXPIRED, after which nothing happens any more.
"""

from __future__ import annotations

import enum
from collections import deque
from decimal import Decimal
from typing import Final

from orchestrator.errors import CausalityError, InvariantError
from orchestrator.exchange.events import OrderOutcome, OrderRequested
from orchestrator.exchange.money import ONE, ZERO, round_up_8
from orchestrator.protocol import OrderType, Side, TimeInForce

__all__ = ["Order", "OrderStatus"]


class OrderStatus(enum.Enum):
    """Where an order is in its life."""

    IN_FLIGHT = "in flight"
    ARMED = "armed"
    RESTING = "resting"
    WAITING = "waiting"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


_PLACES: Final = frozenset({OrderStatus.ARMED, OrderStatus.RESTING, OrderStatus.WAITING})
_ENDS: Final = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED})
_ALLOWED: Final = {
    OrderStatus.IN_FLIGHT: _PLACES | {OrderStatus.FILLED, OrderStatus.CANCELLED},
    OrderStatus.ARMED: _PLACES | _ENDS,
    OrderStatus.RESTING: _PLACES | _ENDS,
    OrderStatus.WAITING: _PLACES | _ENDS,
    OrderStatus.FILLED: frozenset[OrderStatus](),
    OrderStatus.CANCELLED: frozenset[OrderStatus](),
    OrderStatus.EXPIRED: frozenset[OrderStatus](),
}
_HISTORY_LENGTH_MAX: Final = 50


class Order:
    """One order that was accepted and has not been forgotten.

    Parameters
    ----------
    request
        What the component asked for; prices and quantity on tick and lot.
    arrival_time_ns
        When it reaches the market.
    hold_price
        Quote currency per unit of base that a buy holds, fees included; 0 for a sell, which holds base.
    side_factor
        What the middle, which candles are taken for, is multiplied by for the side that the order trades with.

    Notes
    -----
    Invariants: 0 <= filled_qty <= qty; hold >= 0 and 0 once ended; hold <= `need()`, and less only when an
    earlier fill left the account with less cash than that.
    """

    __slots__ = (
        "active_since_ns",
        "arrival_time_ns",
        "client_order_id",
        "coin",
        "filled_qty",
        "history",
        "hold",
        "hold_price",
        "is_triggered",
        "latest_request_ns",
        "limit_price",
        "priority_time_ns",
        "qty",
        "request",
        "side",
        "side_factor",
        "status",
        "stop_price",
    )

    def __init__(
        self,
        request: OrderRequested,
        *,
        arrival_time_ns: int,
        hold_price: Decimal,
        side_factor: Decimal = ONE,
    ) -> None:
        self.request = request
        self.client_order_id = request.client_order_id
        self.coin = request.coin
        self.side = request.side
        self.qty = request.qty
        self.limit_price = request.limit_price
        self.stop_price = request.stop_price
        self.arrival_time_ns = arrival_time_ns
        self.priority_time_ns = arrival_time_ns  # later than the arrival once a replace cost it its place
        self.active_since_ns = arrival_time_ns  # candles before it say nothing about the order
        self.latest_request_ns = arrival_time_ns  # cancels and replaces do not overtake one another
        self.hold_price = hold_price
        self.side_factor = side_factor
        self.hold = ZERO  # quote for a buy, base for a sell
        self.filled_qty = ZERO
        self.is_triggered = False
        self.status = OrderStatus.IN_FLIGHT
        self.history: deque[OrderOutcome] = deque(maxlen=_HISTORY_LENGTH_MAX)

    @property
    def remaining_qty(self) -> Decimal:
        """The quantity that is neither filled nor given up."""
        return self.qty - self.filled_qty

    @property
    def priority(self) -> tuple[int, int, int]:
        """Who is served first: earlier arrival, then declared order, then the component's counter."""
        return (self.priority_time_ns, self.request.source, self.request.number)

    @property
    def has_ended(self) -> bool:
        """Whether nothing happens to it any more."""
        return self.status in _ENDS

    @property
    def is_stop(self) -> bool:
        """Whether it waits for a stop price before it may trade."""
        return self.stop_price is not None and not self.is_triggered

    @property
    def is_immediate(self) -> bool:
        """Whether what is not possible at once is cancelled."""
        return self.request.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)

    @property
    def is_all_or_nothing(self) -> bool:
        """Whether a partial fill is not allowed."""
        return self.request.time_in_force is TimeInForce.FOK

    @property
    def is_replaceable(self) -> bool:
        """Whether its quantity and prices may be changed."""
        return self.request.order_type is not OrderType.MARKET

    def need(self) -> Decimal:
        """Return what the remainder may cost: quote currency for a buy, base for a sell."""
        return self.need_of(self.remaining_qty, self.hold_price)

    def need_of(self, qty: Decimal, hold_price: Decimal) -> Decimal:
        """Return what a quantity of this order may cost at a price that includes fees."""
        return qty if self.side is Side.SELL else round_up_8(qty * hold_price)

    def move(self, status: OrderStatus) -> None:
        """Change the status by the table above."""
        if status not in _ALLOWED[self.status]:
            raise InvariantError(f"{self} cannot become {status.value}; {self.story()}")
        self.status = status

    def check(self, sim_time_ns: int) -> None:
        """Raise unless the order's own invariants hold."""
        if not ZERO <= self.filled_qty <= self.qty:
            raise InvariantError(f"{self} has {self.filled_qty} of {self.qty} filled; {self.story()}")
        if self.hold and (self.hold < 0 or self.has_ended or self.hold > self.need()):
            raise InvariantError(f"{self} holds {self.hold} and needs {self.need()}; {self.story()}")
        if (self.status is OrderStatus.FILLED) != (self.filled_qty == self.qty):
            raise InvariantError(f"{self} has {self.filled_qty} of {self.qty} filled; {self.story()}")
        if self.filled_qty and sim_time_ns < self.arrival_time_ns:
            raise CausalityError(f"{self} filled at {sim_time_ns}, before it arrived; {self.story()}")

    def story(self) -> str:
        """Return what happened to the order, oldest first, for an error message."""
        events = ", ".join(f"{type(outcome).__name__} at {outcome.sim_time_ns}" for outcome in self.history)
        return f"history: {events or 'none'}"

    def __repr__(self) -> str:
        return f"order {self.client_order_id} ({self.status.value})"
