"""One coin's open orders by where they wait, and what this candle still has for takers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from orchestrator.errors import InvariantError
from orchestrator.exchange.events import SetTimer, TimerKind
from orchestrator.exchange.instruments import Instrument
from orchestrator.exchange.liquidity import Budget, LiquidityModel
from orchestrator.exchange.market_view import Candle, MarketView
from orchestrator.exchange.money import ZERO
from orchestrator.exchange.orders import Order, OrderStatus
from orchestrator.exchange.slippage import Conditions
from orchestrator.protocol import Side

__all__ = ["Book"]


class Book:
    """The open orders of one coin that have arrived.

    Attributes
    ----------
    place
        The coin's place in the run: the source of its opening timers.
    resting
        Limits that rest and stops that are armed, by client order id; judged when a candle closes.
    waiting
        Takers that need a candle to open, by client order id.
    has_ended
        Whether the coin's data ended.

    Notes
    -----
    Invariants: an order is in `resting` when RESTING or ARMED, in `waiting` when WAITING, else in neither;
    when `waiting` is not empty, an opening timer is pending or no candle of the coin opens any more.
    """

    __slots__ = (
        "_budgets",
        "_conditions",
        "_opening_counter",
        "_opening_time_ns",
        "_stopped",
        "has_ended",
        "instrument",
        "place",
        "resting",
        "waiting",
    )

    def __init__(self, instrument: Instrument, place: int) -> None:
        self.instrument = instrument
        self.place = place
        self.resting: dict[str, Order] = {}
        self.waiting: dict[str, Order] = {}
        self.has_ended = False
        self._budgets: dict[Side, Budget] = {}
        self._stopped: dict[Side, tuple[int, Decimal]] = {}  # when stops last took, and how much
        self._conditions: Conditions | None = None
        self._opening_time_ns: int | None = None
        self._opening_counter = 0

    @property
    def coin(self) -> str:
        """The coin, as named in the run."""
        return self.instrument.coin

    def put(self, order: Order, status: OrderStatus) -> None:
        """Move an order to a place, or out of the book when the status is an end."""
        order.move(status)
        self.resting.pop(order.client_order_id, None)
        self.waiting.pop(order.client_order_id, None)
        if status is OrderStatus.WAITING:
            self.waiting[order.client_order_id] = order
        elif status in (OrderStatus.RESTING, OrderStatus.ARMED):
            self.resting[order.client_order_id] = order

    def conditions(self, market: MarketView, last: Candle) -> Conditions:
        """Return what is known after the last closed candle; kept until another one closes."""
        if self._conditions is None or self._conditions.last.open_time_ns != last.open_time_ns:
            self._conditions = Conditions(market, self.coin, last)
        return self._conditions

    def budget(
        self, side: Side, open_time_ns: int, liquidity: LiquidityModel, conditions: Conditions
    ) -> Budget:
        """Return what takers of a side may still take of the candle that opened at a time."""
        budget = self._budgets.get(side)
        if budget is None or budget.open_time_ns != open_time_ns:
            budget = self._budgets[side] = Budget(open_time_ns, liquidity.allowance(conditions.volume))
            stopped_ns, stopped = self._stopped.get(side, (None, ZERO))
            if stopped_ns == open_time_ns:
                budget.spend(stopped)
        return budget

    def note_stopped(self, side: Side, sim_time_ns: int, qty: Decimal) -> None:
        """Charge what a stop took at a close to the takers of the candle that opens at that same time."""
        stopped_ns, stopped = self._stopped.get(side, (None, ZERO))
        self._stopped[side] = (sim_time_ns, qty + stopped if stopped_ns == sim_time_ns else qty)

    def opening_timer(self, market: MarketView, sim_time_ns: int, *, includes_now: bool) -> SetTimer | None:
        """Return the timer for the next opening, None when it is pending or nothing opens any more.

        Parameters
        ----------
        includes_now
            Whether a candle that opens at this very time counts: at a close it does, at an opening or
            arrival it has been used already.
        """
        if self._opening_time_ns is not None:
            return None
        opening = market.opening_at(self.coin, sim_time_ns) if includes_now else None
        if opening is not None and opening.open_time_ns == sim_time_ns:
            self._opening_time_ns = sim_time_ns
        else:
            self._opening_time_ns = market.next_open_time(self.coin, sim_time_ns)
        if self._opening_time_ns is None:
            return None
        self._opening_counter += 1
        return SetTimer(
            sim_time_ns=self._opening_time_ns,
            kind=TimerKind.OPENING,
            source=self.place,
            counter=self._opening_counter,
            subject=self.coin,
        )

    def open(self) -> list[Order]:
        """Note that the pending opening has come; return the waiting takers, the first to be served first."""
        self._opening_time_ns = None
        return sorted(self.waiting.values(), key=lambda order: order.priority)

    def check(self, order: Order) -> None:
        """Raise unless the order is where its status says."""
        is_resting = order.status in (OrderStatus.RESTING, OrderStatus.ARMED)
        is_waiting = order.status is OrderStatus.WAITING
        if (order.client_order_id in self.resting) != is_resting or (
            order.client_order_id in self.waiting
        ) != is_waiting:
            raise InvariantError(f"{order} is in the wrong place of the book of {self.coin}; {order.story()}")

    def check_all(self, open_orders: Mapping[str, Order]) -> None:
        """Raise unless every order of the book is one of the open orders."""
        for client_order_id, order in (*self.resting.items(), *self.waiting.items()):
            if open_orders.get(client_order_id) is not order:
                raise InvariantError(f"{order} is in the book of {self.coin} and not open; {order.story()}")

    def check_opening(self, market: MarketView, sim_time_ns: int) -> None:
        """Raise when takers wait for an opening that nobody will call."""
        if not self.waiting:
            return
        if self._opening_time_ns is None:
            is_missed = market.next_open_time(self.coin, sim_time_ns) is not None
        else:
            is_missed = self._opening_time_ns < sim_time_ns
        if is_missed:
            order = next(iter(self.waiting.values()))
            raise InvariantError(
                f"{order} waits for an opening of {self.coin} that was missed; {order.story()}"
            )
