"""What goes into the simulated exchange and what comes out of it: requests, judgements, outcomes, timers.

`Exchange.handle(input)` returns a list of outcomes and timers, in the order in which they happened. The
exchange owns no clock: a timer asks whoever owns it to call `handle(TimerDue(...))` at that time.
"""

from __future__ import annotations

import enum
from decimal import Decimal

import msgspec

from orchestrator.protocol import FillState, Liquidity, OrderType, Side, TimeInForce

__all__ = [
    "CancelRequested",
    "CandlesClosed",
    "CashFlowBooked",
    "CoinEnded",
    "Input",
    "OrderAccepted",
    "OrderArrived",
    "OrderCancelled",
    "OrderExpired",
    "OrderFilled",
    "OrderOutcome",
    "OrderRejected",
    "OrderReplaced",
    "OrderRequested",
    "OrderTriggered",
    "Outcome",
    "ReplaceRequested",
    "RequestRefused",
    "RunEnded",
    "SetTimer",
    "TimerDue",
    "TimerKind",
]


class TimerKind(enum.IntEnum):
    """What a timer is for; the engine maps each to its place in the order of events."""

    FUNDING = 1  # interest or funding is due
    LIQUIDATION = 2  # an account that owes is judged
    EXPIRY = 3  # a GTD order reaches its time
    CANCEL = 4  # a cancel or replace arrives at the market
    OPENING = 5  # a candle opens for which the remainder of an earlier taker waits
    ARRIVAL = 6  # a new order arrives at the market


class _Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of inputs and outcomes: immutable, with the simulation time at which it happens."""

    sim_time_ns: int


# ---------------------------------------------------------------- inputs


class OrderRequested(_Event, frozen=True, kw_only=True):
    """A component asked for an order; decided (held or rejected) at once, arrives after the latency."""

    component: str
    source: int  # the component's place in the declared order, 0, 1, 2 …
    number: int  # the component's own order counter; keys the latency draw
    client_order_id: str
    account: str
    coin: str
    side: Side
    qty: Decimal
    order_type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expire_time_ns: int | None = None
    half_spread_bps: Decimal | None = None  # its venue's, 0 to below 10000; None: the model's
    may_hold_less: bool = False  # a spot buy may hold its likely price where margin and fee do not fit on top


class CancelRequested(_Event, frozen=True, kw_only=True):
    """A component asked to cancel one of its orders; takes effect after its own latency."""

    component: str
    source: int
    number: int  # the component's own counter of cancels and replaces; keys the latency draw
    client_order_id: str


class ReplaceRequested(_Event, frozen=True, kw_only=True):
    """A component asked to change one of its orders; takes effect after its own latency."""

    component: str
    source: int
    number: int
    client_order_id: str
    qty: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


class CandlesClosed(_Event, frozen=True, kw_only=True):
    """Base candles closed at this time: judge resting orders and stops on them."""


class TimerDue(_Event, frozen=True, kw_only=True):
    """A timer that the exchange set has come due."""

    timer: SetTimer


class CoinEnded(_Event, frozen=True, kw_only=True):
    """The data of a coin ended: its open orders are cancelled with reason `end_of_data`."""

    coin: str


class RunEnded(_Event, frozen=True, kw_only=True):
    """The run is over: open orders are cancelled with reason `end_of_run`."""

    reason: str = "end_of_run"


# ---------------------------------------------------------------- outcomes


class SetTimer(_Event, frozen=True, kw_only=True):
    """Call back with `TimerDue` at `sim_time_ns`; ties are ordered by (kind, source, counter)."""

    kind: TimerKind
    source: int  # the component's place in the declared order, or that of a coin or an account
    counter: int  # unique per (kind, source)
    subject: str  # client_order_id; the coin of an opening or of funding; the account of what it owes


class _Outcome(_Event, frozen=True, kw_only=True):
    """Base of what happens to an order."""

    client_order_id: str
    component: str
    source: int
    coin: str


class OrderAccepted(_Outcome, frozen=True, kw_only=True):
    """The order holds what it may cost and is on its way to the market."""

    request: OrderRequested


class OrderRejected(_Outcome, frozen=True, kw_only=True):
    """The order was refused; its component hears of it at `notify_time_ns`."""

    request: OrderRequested
    reason: str
    notify_time_ns: int


class OrderArrived(_Outcome, frozen=True, kw_only=True):
    """The order reached the market."""


class OrderTriggered(_Outcome, frozen=True, kw_only=True):
    """A stop price was reached."""


class OrderReplaced(_Outcome, frozen=True, kw_only=True):
    """Quantity or prices of the order changed."""

    reason: str  # what changed, such as "limit_price 100 -> 101"


class OrderCancelled(_Outcome, frozen=True, kw_only=True):
    """The order ended with a remainder unfilled."""

    reason: str


class OrderExpired(_Outcome, frozen=True, kw_only=True):
    """The order reached the end of its time in force."""

    reason: str


class RequestRefused(_Outcome, frozen=True, kw_only=True):
    """A cancel or replace came to nothing (unknown order, already ended, rules of the instrument)."""

    reason: str
    notify_time_ns: int


class OrderFilled(_Outcome, frozen=True, kw_only=True):
    """One execution, with everything that explains its price."""

    fill_number: int  # 1, 2, 3 … over the whole run
    account: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal  # quote currency
    state: FillState
    liquidity: Liquidity
    reference_price: Decimal
    reference_open_time_ns: int  # open time of the candle the reference price is from
    slippage_bps: Decimal  # against the reference price, positive is worse for the trader
    slippage_parts: tuple[tuple[str, Decimal], ...]  # (name, bp); with rounding they sum to slippage_bps
    participation: Decimal  # quantity over the volume that bounded it; 0 when unbounded
    latency_ns: int  # from the request to the arrival
    rule: str  # which rule of the fill model made it, such as "taker_open"


class CashFlowBooked(_Event, frozen=True, kw_only=True):
    """Cash came to an account or left it without a fill."""

    account: str
    kind: str  # such as "funding"
    coin: str | None  # None for quote currency
    amount: Decimal  # what it did to cash; negative was paid
    basis: Decimal  # quote currency: what the rate is of; of funding with the sign of the position
    rate: Decimal  # a fraction of the basis; of interest a fraction per year


Input = OrderRequested | CancelRequested | ReplaceRequested | CandlesClosed | TimerDue | CoinEnded | RunEnded
OrderOutcome = (
    OrderAccepted
    | OrderRejected
    | OrderArrived
    | OrderTriggered
    | OrderReplaced
    | OrderCancelled
    | OrderExpired
    | RequestRefused
    | OrderFilled
)
Outcome = OrderOutcome | CashFlowBooked
