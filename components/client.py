"""The SDK: market snapshots in, orders and signals out.

A component is an ordinary program with one loop::

    from components import connect

    with connect() as replay:
        for snapshot in replay.snapshots():
            ...

What it says between two snapshots is one turn: it is sent together with the acknowledgement, decided when all
components of its stage have acknowledged, and known to it after the order latency.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from types import MappingProxyType, TracebackType
from typing import Any, Self

from components import checks
from components.connection import Connection
from components.history import Candles
from components.snapshot import Model, SignalBook, Snapshot, from_ns, to_model, to_ns, unknown_coin
from orchestrator.errors import ComponentError, ConfigError, ProtocolError
from orchestrator.protocol import (
    NUMBER_DIGITS_MAX,
    AccountState,
    Acknowledgement,
    CancelOrder,
    ClosedCandles,
    Frame,
    HistoryQuery,
    Instruction,
    InstrumentRules,
    OrderType,
    PublishSignal,
    QueryRefused,
    ReplaceOrder,
    SetWakeUp,
    Side,
    SignalValue,
    Stop,
    SubmitOrder,
    TimeInForce,
    Welcome,
)

__all__ = ["Account", "Replay", "connect"]

_WIDE = Context(prec=4 * NUMBER_DIGITS_MAX)  # exact for every quantity, whatever context the author has set


def connect() -> Replay:
    """Connect to the replay that started this process.

    Raises
    ------
    ConfigError
        If the process was not started by a replay.
    ProtocolError
        If the orchestrator refuses it.
    """
    return Replay(Connection(os.environ))


class Account:
    """Balances as of the start of the component's turn, in the account currency and in coins.

    Attributes
    ----------
    cash
        Total, the held part included.
    cash_available
        What new orders may use.
    holdings, holdings_available
        By coin of the run; 0 where nothing is held.
    """

    __slots__ = ("cash", "cash_available", "holdings", "holdings_available")

    def __init__(self, state: AccountState, coins: tuple[str, ...]) -> None:
        zero = Decimal(0)
        self.cash = state.cash
        self.cash_available = state.cash - state.cash_held
        self.holdings: Mapping[str, Decimal] = _ByCoin({c: state.holdings.get(c, zero) for c in coins})
        self.holdings_available: Mapping[str, Decimal] = _ByCoin(
            {c: state.holdings.get(c, zero) - state.holdings_held.get(c, zero) for c in coins}
        )


class _ByCoin(dict[str, Decimal]):
    """A mapping over the run's coins that names them when asked for another."""

    def __missing__(self, coin: str) -> Decimal:
        raise unknown_coin(coin, tuple(self))


class Replay:
    """A component's connection to a running replay; use it as a context manager.

    Attributes
    ----------
    name
        The component's name in the configuration.
    coins
        The coins of the run.
    currency
        The account currency.
    timeframe
        Length of the base candles, such as "5m".
    start, end
        First and last simulation time of the run, UTC.
    instruments
        Tick size, lot size and minimum notional by coin.
    params
        The component's `params` of replay.toml, read-only.
    models
        By coin, the trained model that is in use; coins without one are absent.
    """

    def __init__(self, connection: Connection) -> None:
        welcome = connection.welcome
        if not isinstance(welcome, Welcome):
            connection.close()
            raise ConfigError(
                "this process was started as a trainer; call connect_training() in it, not connect()"
            )
        self.name = welcome.component
        self.coins = welcome.coins
        self.currency = welcome.currency
        self.timeframe = welcome.timeframe
        self.start = from_ns(welcome.sim_start_ns)
        self.end = from_ns(welcome.sim_end_ns)
        self.instruments: Mapping[str, InstrumentRules] = MappingProxyType(welcome.instruments)
        self.params: Mapping[str, Any] = MappingProxyType(welcome.params)
        self.models: Mapping[str, Model] = MappingProxyType({})
        self._connection = connection
        self._places = {coin: place for place, coin in enumerate(self.coins)}
        self._signals = SignalBook(self.coins, {})
        self._account: Account | None = None
        self._snapshot: Snapshot | None = None  # the one in hand; None outside a turn
        self._instructions: list[Instruction] = []
        self._has_queried = False
        self._orders = 0
        self._requests = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def snapshots(self) -> Iterator[Snapshot]:
        """Yield each snapshot this component is woken with, until the replay ends.

        Asking for the next one ends the turn: what was said is sent with the acknowledgement.

        Raises
        ------
        ConfigError
            If another loop over snapshots was left in the middle of a turn.
        """
        if self._snapshot is not None:
            raise ConfigError(
                "snapshots() was called in the middle of a turn; write one loop over it and leave it only when it ends"
            )
        while True:
            message = self._connection.receive()
            if isinstance(message, Stop):
                return
            if not isinstance(message, Frame):
                raise ProtocolError(f"expected market snapshots, received {type(message).__name__}")
            yield from self._turns(message)

    def _turns(self, frame: Frame) -> Iterator[Snapshot]:
        last = len(frame.snapshots) - 1
        for place, wire in enumerate(frame.snapshots):
            if wire.news is not None:
                if wire.news.signals:
                    self._signals = self._signals.updated(wire.news.signals)
                if wire.news.account is not None:
                    self._account = Account(wire.news.account, self.coins)
                if wire.news.models:
                    models = {model.coin: to_model(model) for model in wire.news.models}
                    self.models = MappingProxyType({**self.models, **models})
            self._snapshot = snapshot = Snapshot(wire, self._places, self._signals)
            self._has_queried = False
            yield snapshot
            self._snapshot = None
            # Who spoke or asked stops here; the rest of the frame was made without knowing what was said.
            if self._instructions or self._has_queried or place == last:
                said, self._instructions = tuple(self._instructions), []
                self._connection.send(Acknowledgement(wire.sequence, wire.step, said))
                return

    # ------------------------------------------------------------------ questions

    @property
    def account(self) -> Account:
        """The component's account as of the start of this turn."""
        self._turn("account")
        self._has_queried = True
        if self._account is None:
            raise ProtocolError("the orchestrator sent no account with the first snapshot")
        return self._account

    def history(self, coin: str, timeframe: str, count: int) -> Candles:
        """Return the last `count` closed candles of a coin as of this snapshot, oldest first.

        Parameters
        ----------
        coin
            A coin of the run.
        timeframe
            The run's own, or a multiple of it such as "1h"; built from base candles closed by now.
        count
            From 1 to 100,000. Fewer are returned where the history is shorter.

        Raises
        ------
        ConfigError
            If the coin is not in the run, or the timeframe cannot be built from the run's candles.
        """
        snapshot = self._turn("history")
        self._check_coin(coin)
        name, length = checks.timeframe(timeframe), checks.history_count(count)
        self._has_queried = True
        self._connection.send(HistoryQuery(snapshot.sequence, snapshot.step, coin, name, length))
        answer = self._connection.receive()
        if isinstance(answer, QueryRefused):
            raise ConfigError(answer.reason)
        if isinstance(answer, Stop):
            raise ComponentError(f"the replay ended while history was asked for: {answer.reason}")
        if not isinstance(answer, ClosedCandles):
            raise ProtocolError(f"expected candles, received {type(answer).__name__}")
        return Candles(answer)

    # ------------------------------------------------------------------ what a component says

    def signal(self, coin: str, **values: SignalValue) -> None:
        """Say something about a coin: finite numbers, texts or booleans under names of your own.

        Later stages hear it at this same tick, the own stage at its next wake-up.
        """
        self._turn("signal")
        self._check_coin(coin)
        if not values:
            raise ConfigError(
                f'signal("{coin}") says nothing; name a value, such as signal("{coin}", long=3)'
            )
        checked = {key: checks.signal_value(key, value) for key, value in values.items()}
        self._instructions.append(PublishSignal(coin, checked))

    def buy(
        self,
        coin: str,
        *,
        qty: Decimal | int,
        limit_price: Decimal | int | None = None,
        stop_price: Decimal | int | None = None,
        time_in_force: TimeInForce | str = TimeInForce.GTC,
        expires_at: dt.datetime | None = None,
    ) -> str:
        """Place a buy order and return its client_order_id; see `sell` for the parameters."""
        return self._order(Side.BUY, coin, qty, limit_price, stop_price, time_in_force, expires_at)

    def sell(
        self,
        coin: str,
        *,
        qty: Decimal | int,
        limit_price: Decimal | int | None = None,
        stop_price: Decimal | int | None = None,
        time_in_force: TimeInForce | str = TimeInForce.GTC,
        expires_at: dt.datetime | None = None,
    ) -> str:
        """Place a sell order and return its client_order_id.

        Parameters
        ----------
        coin
            A coin of the run.
        qty
            Quantity of the coin, a positive `Decimal` or int.
        limit_price, stop_price
            `Decimal` or int in the account currency. With neither it is a market order, with the first a limit
            order, with the second a stop order, with both a stop-limit order.
        time_in_force
            "GTC" (until cancelled), "IOC", "FOK", or "GTD" with `expires_at`.
        expires_at
            Timezone-aware; with "GTD" only.

        Raises
        ------
        ConfigError
            If an argument is not of its kind. What the market refuses comes later, in `snapshot.rejections`.
        """
        return self._order(Side.SELL, coin, qty, limit_price, stop_price, time_in_force, expires_at)

    def round_qty(self, coin: str, qty: Decimal | int) -> Decimal:
        """Return the quantity rounded down to the coin's lot size; 0 when it is smaller than one lot."""
        self._check_coin(coin)
        lot = self.instruments[coin].lot_size
        return _WIDE.multiply(_WIDE.divide_int(checks.exact("qty", qty), lot), lot)

    def cancel(self, client_order_id: str) -> None:
        """Ask for the end of one of this component's orders; it takes a latency of its own to arrive."""
        self._turn("cancel")
        order = checks.order_id(client_order_id)
        self._requests += 1
        self._instructions.append(CancelOrder(self._requests, order))

    def replace(
        self,
        client_order_id: str,
        *,
        qty: Decimal | int | None = None,
        limit_price: Decimal | int | None = None,
        stop_price: Decimal | int | None = None,
    ) -> None:
        """Ask for another total quantity or price of one of this component's resting orders."""
        self._turn("replace")
        changes = {"qty": qty, "limit_price": limit_price, "stop_price": stop_price}
        order = checks.order_id(client_order_id)
        checked = {name: checks.positive(name, value) for name, value in changes.items() if value is not None}
        if not checked:
            raise ConfigError("replace changes nothing; give qty, limit_price or stop_price")
        self._requests += 1
        self._instructions.append(ReplaceOrder(self._requests, order, **checked))

    def wake_at(self, moment: dt.datetime) -> None:
        """Ask to be woken once at a simulation time later than now; a time after the end never comes."""
        snapshot = self._turn("wake_at")
        sim_time_ns = to_ns(moment)
        if sim_time_ns <= snapshot.sim_time_ns:
            raise ConfigError(
                f"wake_at({moment.isoformat()}) is not later than now, {snapshot.time.isoformat()}"
            )
        self._instructions.append(SetWakeUp(sim_time_ns))

    # ------------------------------------------------------------------ checks in the author's terms

    def _order(
        self,
        side: Side,
        coin: str,
        qty: Decimal | int,
        limit_price: Decimal | int | None,
        stop_price: Decimal | int | None,
        time_in_force: TimeInForce | str,
        expires_at: dt.datetime | None,
    ) -> str:
        self._turn(side.value)
        self._check_coin(coin)
        force = checks.time_in_force(time_in_force)
        if (expires_at is None) == (force is TimeInForce.GTD):
            raise ConfigError('expires_at belongs to time_in_force="GTD": give both or neither')
        order = SubmitOrder(
            number=self._orders + 1,
            coin=coin,
            side=side,
            qty=checks.positive("qty", qty),
            order_type=_ORDER_TYPES[limit_price is not None, stop_price is not None],
            limit_price=None if limit_price is None else checks.positive("limit_price", limit_price),
            stop_price=None if stop_price is None else checks.positive("stop_price", stop_price),
            time_in_force=force,
            expire_time_ns=None if expires_at is None else to_ns(expires_at),
        )
        self._orders += 1
        self._instructions.append(order)
        return f"{self.name}-{order.number}"

    def _turn(self, call: str) -> Snapshot:
        if self._snapshot is None:
            raise ConfigError(
                f"{call} was called outside the loop; call it inside `for snapshot in replay.snapshots():`, "
                "where simulation time stands still"
            )
        return self._snapshot

    def _check_coin(self, coin: str) -> None:
        if coin not in self._places:
            raise unknown_coin(coin, self.coins)


_ORDER_TYPES = {  # (has a limit price, has a stop price)
    (False, False): OrderType.MARKET,
    (True, False): OrderType.LIMIT,
    (False, True): OrderType.STOP,
    (True, True): OrderType.STOP_LIMIT,
}
