"""Every message that crosses a process border, typed and versioned; `docs/protocol.md` is the authority.

Messages are immutable msgspec structs, encoded as msgpack arrays with a tag; a field too many, an unknown
tag or a wrong type is refused when the message is decoded. This module imports nothing of the project:
it is the one thing that the orchestrator and the components share (with `errors`).

Times are integer nanoseconds since the Unix epoch, UTC. Money, prices of orders and quantities are
`Decimal`; candle columns are little-endian float64 blocks, decoded only where they are looked at.
"""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Final

import msgspec

__all__ = [
    "ENVIRONMENT_COMPONENT",
    "ENVIRONMENT_CURVE",
    "ENVIRONMENT_ENDPOINT",
    "ENVIRONMENT_TOKEN",
    "NUMBER_DIGITS_MAX",
    "PROTOCOL_VERSION",
    "AccountState",
    "Acknowledgement",
    "CancelOrder",
    "CandleFlag",
    "ClosedCandles",
    "ComponentMessage",
    "ControlReply",
    "ControlRequest",
    "Fill",
    "FillPublished",
    "FillState",
    "Frame",
    "Hello",
    "HistoryQuery",
    "Instruction",
    "InstrumentRules",
    "Liquidity",
    "News",
    "OrchestratorMessage",
    "OrderEnd",
    "OrderType",
    "PublishSignal",
    "QueryRefused",
    "Reason",
    "Refused",
    "ReplaceOrder",
    "SetWakeUp",
    "Side",
    "Signal",
    "SignalValue",
    "Snapshot",
    "SpectatorMessage",
    "Status",
    "Stop",
    "SubmitOrder",
    "TimeInForce",
    "TrainedModel",
    "TrainerMessage",
    "TrainingQuery",
    "TrainingWelcome",
    "Welcome",
]

PROTOCOL_VERSION: Final = 2
"""Raised when a message changes shape; a hello with another version is refused."""

# What the orchestrator sets in a component's environment, and `components.connect` reads there.
ENVIRONMENT_ENDPOINT: Final = "REPLAY_ENDPOINT"
ENVIRONMENT_TOKEN: Final = "REPLAY_TOKEN"  # noqa: S105 - the name of the variable, not a secret
ENVIRONMENT_COMPONENT: Final = "REPLAY_COMPONENT"
ENVIRONMENT_CURVE: Final = "REPLAY_CURVE_SERVER_KEY"  # only where ipc:// does not exist

NUMBER_DIGITS_MAX: Final = 64
"""How many digits a quantity or price may have on either side of its point; more is no number of a market."""

SignalValue = int | float | str | bool
"""What a signal may carry under one key; floats are finite."""


class Side(enum.StrEnum):
    """Which way an order trades the base asset."""

    BUY = "buy"
    SELL = "sell"


class OrderType(enum.StrEnum):
    """What makes an order executable."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"


class TimeInForce(enum.StrEnum):
    """How long an order stays."""

    GTC = "GTC"  # until cancelled
    IOC = "IOC"  # what is possible at arrival; the rest is cancelled
    FOK = "FOK"  # all at arrival, or nothing
    GTD = "GTD"  # until a time


class FillState(enum.StrEnum):
    """Whether a fill left a remainder."""

    PARTIAL = "partial"
    FILLED = "filled"


class Liquidity(enum.StrEnum):
    """Whose resting order supplied the liquidity."""

    MAKER = "maker"
    TAKER = "taker"


class Reason(enum.IntFlag):
    """Why a component was woken; several reasons may hold at once."""

    TICK = 1  # a base candle of some coin closed
    ORDER = 2  # a fill, an end or a rejection of one of its own orders
    WAKE_UP = 4  # the time it asked for with `wake_at`
    MODEL = 8  # a model was trained; only together with another reason


class CandleFlag(enum.IntFlag):
    """What a coin's candle in a snapshot is; 0 means that the coin has no candle yet."""

    PRESENT = 1  # there is a last closed candle
    NEW = 2  # it closed at this very time
    STALE = 4  # a candle should have closed at this time and none exists (gap, or the coin's data ended)


class _Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Base of all messages: immutable, packed as an array, extra fields refused.

    Messages hold no references to themselves, so the garbage collector need not look at them.
    """


# ---------------------------------------------------------------- what a component says within its turn


class SubmitOrder(_Message, tag="order", frozen=True):
    """Place an order; decided when the stage's barrier closes, known to the component after the latency."""

    number: int  # the component's own order counter, 1, 2, 3 … without gaps
    coin: str
    side: Side
    qty: Decimal  # base asset, > 0
    order_type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expire_time_ns: int | None = None  # with GTD only


class CancelOrder(_Message, tag="cancel", frozen=True):
    """Ask for the end of an order; takes a latency of its own to arrive."""

    number: int  # the component's own counter of cancels and replaces
    client_order_id: str


class ReplaceOrder(_Message, tag="replace", frozen=True):
    """Ask for another quantity or price of a resting order; takes a latency of its own to arrive."""

    number: int  # the component's own counter of cancels and replaces
    client_order_id: str
    qty: Decimal | None = None  # the new total quantity, the filled part included
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


class PublishSignal(_Message, tag="signal", frozen=True):
    """Say something about a coin; heard at the same tick by later stages, at the next by the own stage."""

    coin: str
    values: dict[str, SignalValue]


class SetWakeUp(_Message, tag="wake", frozen=True):
    """Ask to be woken once at a later time; several may be outstanding, equal times wake once."""

    sim_time_ns: int


Instruction = SubmitOrder | CancelOrder | ReplaceOrder | PublishSignal | SetWakeUp

# ---------------------------------------------------------------- component -> orchestrator


class Hello(_Message, tag="hello", frozen=True):
    """First message of a connection: who it is and the run's token from the environment."""

    protocol_version: int
    token: str
    component: str
    process_id: int


class HistoryQuery(_Message, tag="history", frozen=True):
    """Ask for the last closed candles of a coin as of the snapshot in hand."""

    sequence: int
    step: int
    coin: str
    timeframe: str  # such as "1h"; the run's own or a multiple of it
    count: int


class Acknowledgement(_Message, tag="ack", frozen=True):
    """The component has finished with a snapshot; all it said meanwhile, in its order. A turn is atomic."""

    sequence: int
    step: int
    instructions: tuple[Instruction, ...] = ()


ComponentMessage = Hello | HistoryQuery | Acknowledgement


class TrainingQuery(_Message, tag="training_history", frozen=True):
    """A trainer asks for closed candles of a coin; nothing later than its training may be asked for."""

    coin: str
    timeframe: str  # such as "1h"; the run's own or a multiple of it
    count: int | None = None  # the last ones; None: all from the beginning of the window
    until_ns: int | None = None  # closed at or before; None: as late as the training sees


TrainerMessage = Hello | TrainingQuery

# ---------------------------------------------------------------- orchestrator -> component


class InstrumentRules(_Message, frozen=True):
    """What the market demands of orders in one coin."""

    tick_size: Decimal  # smallest price increment, quote currency
    lot_size: Decimal  # smallest quantity increment, base asset
    min_notional: Decimal  # smallest price x quantity, quote currency


class Welcome(_Message, tag="welcome", frozen=True):
    """Answer to a good hello: everything a component may know about the run before it begins."""

    run_id: str
    component: str
    stage: int
    coins: tuple[str, ...]  # the order of every price block
    currency: str
    timeframe: str
    timeframe_ns: int
    sim_start_ns: int
    sim_end_ns: int
    instruments: dict[str, InstrumentRules]
    params: dict[str, object]


class Refused(_Message, tag="refused", frozen=True):
    """Answer to a bad hello; the connection is of no further use."""

    reason: str


class Fill(_Message, frozen=True):
    """One execution of one of the component's own orders."""

    client_order_id: str
    coin: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal  # quote currency
    sim_time_ns: int
    state: FillState
    liquidity: Liquidity


class OrderEnd(_Message, frozen=True):
    """An order of the component that was rejected, cancelled or expired, and why."""

    client_order_id: str
    coin: str
    reason: str
    sim_time_ns: int


class Signal(_Message, frozen=True):
    """The latest value of one key of one coin, with the simulation time at which it was said."""

    coin: str
    key: str
    value: SignalValue
    sim_time_ns: int


class AccountState(_Message, frozen=True):
    """Balances of the component's account as of the start of its stage."""

    cash: Decimal
    cash_held: Decimal  # part of `cash` reserved for open orders
    holdings: dict[str, Decimal]  # coin -> total quantity, coins never held are absent
    holdings_held: dict[str, Decimal]  # coin -> part of it reserved for open orders


class TrainedModel(_Message, frozen=True):
    """A model that is in use from now on."""

    coin: str
    train_until_ns: int  # it was made of candles that closed at or before this time
    path: str  # the folder of its files
    digest: str  # over its files


class News(_Message, frozen=True):
    """What concerns one component alone; absent from a snapshot when there is nothing of it."""

    signals: tuple[Signal, ...] = ()  # changes since the component was last woken
    fills: tuple[Fill, ...] = ()
    rejections: tuple[OrderEnd, ...] = ()
    ends: tuple[OrderEnd, ...] = ()  # cancelled and expired
    account: AccountState | None = None  # only when it changed since it was last sent
    models: tuple[TrainedModel, ...] = ()  # put in use since the component was last woken


class Snapshot(_Message, frozen=True):
    """The whole market at one simulation time: complete, or not sent at all.

    `prices` is float64[n_coins, 5] (open, high, low, close, volume), `open_times` int64[n_coins]
    (nanoseconds), `flags` uint8[n_coins] (`CandleFlag`), all little-endian and in the order of
    `Welcome.coins`. Values of a coin without a candle are NaN and 0.
    """

    sequence: int
    step: int  # 0 at the tick itself, 1, 2 … between this tick and the next
    sim_time_ns: int
    reason: int  # `Reason`
    prices: bytes
    open_times: bytes
    flags: bytes
    news: News | None = None


class Frame(_Message, tag="frame", frozen=True):
    """One or more consecutive snapshots; strict lock-step, the default, is frames of one."""

    snapshots: tuple[Snapshot, ...]


class ClosedCandles(_Message, tag="candles", frozen=True):
    """Answer to a history query, oldest candle first.

    `open_times` is int64[n], `columns` float64[5, n] (open, high, low, close, volume), little-endian.
    """

    coin: str
    timeframe: str
    open_times: bytes
    columns: bytes


class QueryRefused(_Message, tag="query_refused", frozen=True):
    """Answer to a query that cannot be answered, in the author's terms."""

    reason: str


class Stop(_Message, tag="stop", frozen=True):
    """The replay has ended; the component leaves its loop and exits with status 0."""

    reason: str


class TrainingWelcome(_Message, tag="training_welcome", frozen=True):
    """Answer to a trainer's good hello: the one training that it is there for."""

    run_id: str
    component: str
    coin: str  # whose model is to be made
    coins: tuple[str, ...]  # of the run; candles of all of them may be asked for
    currency: str
    timeframe: str
    timeframe_ns: int
    train_from_ns: int  # candles that open at or after it can be seen
    train_until_ns: int  # candles that close at or before it can be seen
    output: str  # an empty folder for the model's files
    export: str | None  # a folder of candle files that end at `train_until_ns`
    seed: int
    params: dict[str, object]


OrchestratorMessage = Welcome | Refused | Frame | ClosedCandles | QueryRefused | Stop | TrainingWelcome

# ---------------------------------------------------------------- spectators and control


class Status(_Message, tag="status", frozen=True):
    """Where a running replay is; published for spectators, answered to control requests."""

    run_id: str
    status: str  # running, paused, or an end status of run.json
    sequence: int
    sequences: int
    sim_time_ns: int
    speed: float | None  # simulated seconds per wall second; None is "max"
    equity: float
    fills: int
    coins: tuple[str, ...]


class FillPublished(_Message, tag="fill", frozen=True):
    """A fill of any component, for spectators."""

    component: str
    fill: Fill


SpectatorMessage = Frame | FillPublished | Status


class ControlRequest(_Message, tag="control", frozen=True):
    """One action of `replay control`; `value` is the number of ticks or the speed where the action has one."""

    action: str  # status, pause, resume, step, speed, stop
    value: float | None = None


class ControlReply(_Message, tag="control_reply", frozen=True):
    """What became of a control request."""

    is_accepted: bool
    message: str
    status: Status
