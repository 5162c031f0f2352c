"""The decider of a replay: what happens next, who is woken with what, what is written down.

Events in, commands out: `advance` goes to the next simulation time at which anything happens, `handle` takes a
component's acknowledgement; both return commands for the shell and touch no socket, process, file or clock.
Every result follows from these calls, so all of it can be tested without a process.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from orchestrator.engine.barrier import Barrier
from orchestrator.engine.bot_floor import BotDue, BotFloor
from orchestrator.engine.bots import BotVenues
from orchestrator.engine.clock import Clock
from orchestrator.engine.commands import (
    Checkpoint,
    Command,
    PublishSnapshot,
    PutModelsInUse,
    TrainModels,
    WakeComponent,
    Write,
    WriteEquity,
)
from orchestrator.engine.dealing import Dealing
from orchestrator.engine.equity import EquityBook
from orchestrator.engine.event_queue import EventQueue
from orchestrator.engine.events import EventKey, EventKind
from orchestrator.engine.mailbox import Mailbox
from orchestrator.engine.price_feed import PriceFeed, TickSource
from orchestrator.engine.requests import ComponentPlace, RequestDesk
from orchestrator.engine.signals import SignalBoard
from orchestrator.engine.trainings import TrainingOutcome, TrainingTimes, model_record, new_models
from orchestrator.engine.turns import Turn, Turns, sdk_turns
from orchestrator.engine.wake_ups import WakeUp, WakeUps
from orchestrator.errors import CausalityError, ComponentError, ConfigError, ProtocolError
from orchestrator.exchange.events import (
    CandlesClosed,
    CoinEnded,
    RunEnded,
    TimerDue,
)
from orchestrator.exchange.exchange import Exchange
from orchestrator.protocol import (
    Acknowledgement,
    CancelOrder,
    ClosedCandles,
    HistoryQuery,
    Instruction,
    News,
    PublishSignal,
    QueryRefused,
    Reason,
    ReplaceOrder,
    SetWakeUp,
    Snapshot,
    SubmitOrder,
    TrainedModel,
)
from orchestrator.runs.records import SignalRecord

__all__ = ["INSTRUCTIONS_MAX", "STEPS_MAX", "ComponentPlace", "Engine", "History"]

INSTRUCTIONS_MAX = 10_000
"""How much a component may say in one turn; more is a flood and ends the run."""

STEPS_MAX = 100_000
"""How much may happen between two ticks; more is a component that wakes itself without end."""

_CHECKPOINT_SEQUENCES = 1_000
_NO_TRAININGS = TrainingTimes()

_TICK, _WAKE_UP, _MODEL = int(Reason.TICK), int(Reason.WAKE_UP), int(Reason.MODEL)

History = Callable[[str, str, int, int], tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]
"""(coin, timeframe, count, sim_time_ns) -> open times int64[n], columns float64[5, n]."""


class _TrainingDue(msgspec.Struct, frozen=True):
    """The time of a training has come."""


class _ModelsDue(msgspec.Struct, frozen=True):
    """The embargo of models is over."""

    models: tuple[TrainedModel, ...]


class Engine:
    """Clock, order of events, stages and barrier of one run.

    Parameters
    ----------
    market
        Ticks of the run.
    history
        Closed candles as of a time.
    exchange
        The simulated exchange; this engine is its only caller.
    marks
        The market whose closes value what accounts hold, with the same ticks and coins; None: `market`.
    components
        In declared order.
    currency
        Account currency, the second half of every symbol.
    sim_start_ns, sim_end_ns
        The run covers ticks in (start, end].
    coin_ends
        Close time of each coin's last candle inside the run, in the order of the market's coins.
    venues
        The emulated exchanges that bots call; without bots there are none.
    request_latency_ns
        What a bot's request costs of its time.
    trainings
        When models are trained.
    """

    def __init__(
        self,
        *,
        market: TickSource,
        history: History,
        exchange: Exchange,
        marks: TickSource | None = None,
        components: tuple[ComponentPlace, ...],
        currency: str,
        sim_start_ns: int,
        sim_end_ns: int,
        coin_ends: tuple[int, ...],
        venues: BotVenues | None = None,
        request_latency_ns: int = 0,
        trainings: TrainingTimes = _NO_TRAININGS,
    ) -> None:
        self.clock = Clock(sim_start_ns)
        self.is_over = False
        self._sim_end_ns = sim_end_ns
        self._market = market
        self._history = history
        self._exchange = exchange
        self._components = components
        self._feed = PriceFeed(market, marks)
        self._queue: EventQueue[TimerDue | WakeUp | BotDue | _TrainingDue | _ModelsDue] = EventQueue()
        self._barrier = Barrier()
        self._board = SignalBoard(tuple(c.stage for c in components))
        self._mailboxes = tuple(Mailbox() for _ in components)
        self._equity = EquityBook(exchange, {c.account for c in components}, self._feed, market.coins)
        self._unfinished: list[Command] = []
        self._wake_ups = WakeUps(components, self.clock, self._queue, sim_end_ns)
        self._dealing = Dealing(
            exchange, components, self._mailboxes, self.clock, self._queue, self._wake_ups, currency, venues
        )
        self._requests = RequestDesk(components)
        self._sdk_turns = sdk_turns(components)
        self._turns = Turns()
        self.bots: BotFloor | None = None
        if venues is not None:
            self.bots = BotFloor(
                components,
                clock=self.clock,
                queue=self._queue,
                turns=self._turns,
                feed=self._feed,
                dealing=self._dealing,
                requests=self._requests,
                exchange=exchange,
                venues=venues,
                request_latency_ns=request_latency_ns,
                sim_end_ns=sim_end_ns,
                has_sdk=bool(self._sdk_turns),
                go_on=self._go_on_when_free,
            )
        self._snapshot: Snapshot | None = None
        self._account_versions: list[int | None] = [None] * len(components)
        self._trainings = trainings
        self._is_training_due = False  # at this moment, before anyone is woken
        self.is_training = False
        for number, time_ns in enumerate(trainings.times_ns, 1):
            if time_ns == sim_start_ns:
                self._is_training_due = True  # the clock stands there already
            else:
                self._queue.push(EventKey(time_ns, EventKind.TRAINING, 0, number), _TrainingDue())
        self._coin_ends: dict[int, list[str]] = {}
        # Against the last tick, not the end of the run, which may lie inside a candle of coins that go on.
        last_tick_ns = int(market.block(market.tick_count - 1, market.tick_count).times_ns[0])
        for coin, end in zip(market.coins, coin_ends, strict=True):
            if end < last_tick_ns:
                self._coin_ends.setdefault(end, []).append(coin)

    # ------------------------------------------------------------------ what the shell asks

    @property
    def is_waiting(self) -> bool:
        """Return whether anyone is at work; then only what components say moves the run."""
        return bool(self._barrier.awaited) or (self.bots is not None and self.bots.is_any_at_work)

    @property
    def is_training_first(self) -> bool:
        """Return whether a training comes before the first sequence, and is still to come."""
        return self._is_training_due and not self.clock.sequence and not self.clock.step

    @property
    def fills(self) -> int:
        """How many fills there were."""
        return self._dealing.fills

    @property
    def awaited(self) -> tuple[str, ...]:
        """Names of the components that have not acknowledged or not blocked, in declared order."""
        bots = self.bots.at_work if self.bots is not None else ()
        places = self._barrier.awaited | {process.place for process in bots}
        return tuple(c.name for place, c in enumerate(self._components) if place in places)

    @property
    def next_tick_ns(self) -> int | None:
        """Simulation time of the next tick, None when the last one is past. Valid between sequences."""
        return self._feed.next_time_ns

    @property
    def is_next_a_tick(self) -> bool:
        """Return whether nothing is left to happen before the next tick."""
        due = self._queue.next_time_ns
        tick = self._feed.next_time_ns
        return due is None or (tick is not None and due >= tick)

    def equity(self) -> float:
        """Return the account value at the last closes, for progress and status only."""
        return self._equity.value()

    def answer(self, component: int, query: HistoryQuery) -> ClosedCandles | QueryRefused:
        """Answer a component's question as of the snapshot it has in hand.

        Raises
        ------
        ProtocolError
            If the component is not at work or asks as of another snapshot.
        """
        if component not in self._barrier.awaited or (query.sequence, query.step) != (
            self._barrier.sequence,
            self._barrier.step,
        ):
            raise ProtocolError(
                f"{self._components[component].name} asked for history out of turn "
                f"(sequence {query.sequence} step {query.step}); ask between a snapshot and its acknowledgement",
                component=self._components[component].name,
            )
        try:
            open_times, columns = self._history(
                query.coin, query.timeframe, query.count, self.clock.sim_time_ns
            )
        except ConfigError as error:
            return QueryRefused(reason=str(error))
        return ClosedCandles(
            coin=query.coin,
            timeframe=query.timeframe,
            open_times=np.ascontiguousarray(open_times, dtype="<i8").tobytes(),
            columns=np.ascontiguousarray(columns, dtype="<f8").tobytes(),
        )

    # ------------------------------------------------------------------ events in, commands out

    def advance(self) -> list[Command]:
        """Go to the next simulation time at which something happens and return what is to be done.

        Either a stage is woken (`is_waiting`) or the moment is over already; after the last tick the run ends.
        """
        if self.is_waiting:
            raise CausalityError(f"time cannot move while {', '.join(self.awaited)} are at work")
        if self.is_training:
            raise CausalityError("time cannot move while models are trained")
        commands = self._unfinished
        if self._is_training_due:  # the first training, before the first sequence
            self._begin_moment(commands)
            return self.take_unfinished()
        if self.bots is not None:
            self.bots.begin_moment()
        due = self._queue.next_time_ns
        tick = self._feed.next_time_ns
        if due is not None and (due <= self._sim_end_ns if tick is None else due < tick):
            self._advance_between_ticks(commands, due)
        elif tick is None:
            self.finish(commands, "end_of_run")
        else:
            self._advance_to_tick(commands, tick)
        return self.take_unfinished()

    def handle(self, component: int, message: Acknowledgement) -> list[Command]:
        """Take a component's acknowledgement; when its stage is complete, commit what was said and go on."""
        if len(message.instructions) > INSTRUCTIONS_MAX:
            raise ProtocolError(
                f"{self._components[component].name} said {len(message.instructions)} things in one turn; "
                f"at most {INSTRUCTIONS_MAX} are allowed",
                component=self._components[component].name,
            )
        commands = self._unfinished
        if self._barrier.acknowledge(component, self._components[component].name, message):
            for place, instructions in self._barrier.take():
                for instruction in instructions:
                    self._commit(commands, place, instruction)
            self._give_next_turn(commands)
        return self.take_unfinished()

    def trained(self, outcomes: tuple[TrainingOutcome, ...]) -> list[Command]:
        """Take what became of a training; the moment goes on."""
        commands, now = self._unfinished, self.clock.sim_time_ns
        self.is_training = False
        embargo_ns = self._trainings.embargo_ns
        for outcome in outcomes:
            commands.append(Write(model_record(outcome, now, self.clock.sequence, embargo_ns)))
        models = new_models(outcomes)
        if not embargo_ns:
            self._put_in_use(commands, models)
        elif models and now + embargo_ns <= self._sim_end_ns:
            # Of two trainings the later one's models are due later: one number is enough.
            self._queue.push(EventKey(now + embargo_ns, EventKind.TRAINING, 1, 1), _ModelsDue(models))
        return self._go_on_when_free()  # bots that were started meanwhile block first

    def take_unfinished(self) -> list[Command]:
        """Return the commands of the moment so far, once; after an error, those that came before it."""
        commands, self._unfinished = self._unfinished, []
        return commands

    def finish(self, commands: list[Command], reason: str) -> None:
        """End the run: open orders are cancelled with the reason, the last equity rows are written."""
        if self.is_over:
            return
        self._exchange.validate()  # while orders are still open: their ends would hide what is wrong with them
        if self.clock.sequence or self.bots is not None:
            self._dealing.handle(
                commands, RunEnded(sim_time_ns=self.clock.sim_time_ns, reason=reason), is_notifying=False
            )
            self._write_equity(commands, self._feed.index + 1)
        self._exchange.validate()
        self.is_over = True

    def flush_equity(self) -> list[Command]:
        """Return the equity rows that are complete; for the shell's once-a-second flush, between sequences."""
        commands: list[Command] = []
        self._write_equity(commands, self._feed.index + 1)
        return commands

    # ------------------------------------------------------------------ one moment

    def _advance_to_tick(self, commands: list[Command], sim_time_ns: int) -> None:
        self.clock.tick(sim_time_ns)
        self._feed.advance()
        self._snapshot = self._feed.snapshot(self.clock.sequence)
        commands.append(PublishSnapshot(self._snapshot))
        self._dealing.handle(commands, CandlesClosed(sim_time_ns=sim_time_ns))
        for coin in self._coin_ends.get(sim_time_ns, ()):
            self._dealing.handle(commands, CoinEnded(sim_time_ns=sim_time_ns, coin=coin))
        self._handle_due(commands, sim_time_ns)
        if self._dealing.has_balances_changed:
            self._write_equity(commands, self._feed.index)
            self._equity.take_balances()
            self._dealing.has_balances_changed = False
        for mailbox in self._mailboxes:
            mailbox.reason |= _TICK  # every component gets every tick
        self._turns.add_all(self._sdk_turns)
        self._begin_moment(commands)

    def _advance_between_ticks(self, commands: list[Command], sim_time_ns: int) -> None:
        self.clock.advance(sim_time_ns)
        if self.clock.step > STEPS_MAX and self.bots is None:  # a bot's every request takes time of its own
            raise ComponentError(
                f"more than {STEPS_MAX} things happened between sequence {self.clock.sequence} and the next tick; "
                f"a component that asks to be woken again and again (wake_at) never lets time pass"
            )
        self._snapshot = None
        self._handle_due(commands, sim_time_ns)
        if self._dealing.has_balances_changed:
            self._write_equity(commands, self._feed.index + 1)
            self._equity.take_balances()
            self._dealing.has_balances_changed = False
        for turn in self._sdk_turns:
            woken = tuple(place for place in turn.places if self._mailboxes[place].reason)
            if woken:
                self._turns.add(Turn(1, turn.stage, woken[0], (), woken))
        self._begin_moment(commands)

    def _begin_moment(self, commands: list[Command]) -> None:
        if self._is_training_due:
            self._is_training_due, self.is_training = False, True
            commands.append(TrainModels(self.clock.sim_time_ns))
        else:
            self._give_next_turn(commands)

    def _put_in_use(self, commands: list[Command], models: tuple[TrainedModel, ...]) -> None:
        if models:
            commands.append(PutModelsInUse(models))
        for place, mailbox in enumerate(self._mailboxes):
            if not self._components[place].is_bot:
                mailbox.models.extend(models)

    def _handle_due(self, commands: list[Command], sim_time_ns: int) -> None:
        while (due := self._queue.pop_due(sim_time_ns)) is not None:
            key, event = due
            if isinstance(event, TimerDue):
                self._dealing.handle(commands, event)
            elif isinstance(event, _TrainingDue):
                self._is_training_due = True
            elif isinstance(event, _ModelsDue):
                self._put_in_use(commands, event.models)
            elif isinstance(event, BotDue):
                if self.bots is not None:
                    self.bots.come_due(event, key.source_counter)
            elif event.notice is not None:
                self._mailboxes[key.source].deliver(event.notice, sim_time_ns)
            else:
                self._mailboxes[key.source].reason |= _WAKE_UP
                self._wake_ups.came(key.source, sim_time_ns)

    def _give_next_turn(self, commands: list[Command]) -> None:
        if not self._turns:
            self._end_moment(commands)
            return
        turn = self._turns.take()
        process = turn.process
        if process is not None and self.bots is not None:
            self.bots.grant(commands, process)
            return
        self._barrier.open(turn.places, self.clock.sequence, self.clock.step)
        commands.extend(WakeComponent(place, self._snapshot_for(place)) for place in turn.places)

    def _go_on_when_free(self) -> list[Command]:
        if not self.is_waiting and not self.is_training:
            self._give_next_turn(self._unfinished)
        return self.take_unfinished()

    def _end_moment(self, commands: list[Command]) -> None:
        if self.clock.step or not self.clock.sequence:
            return
        is_checkpoint = self.clock.sequence % _CHECKPOINT_SEQUENCES == 0
        # The row of a tick is final once its fills are in; it must be made before the feed leaves the block.
        if is_checkpoint or self._feed.is_last_of_block:
            self._write_equity(commands, self._feed.index + 1)
        if is_checkpoint:
            self._exchange.validate()
            commands.append(Checkpoint(self.clock.sequence))

    def _snapshot_for(self, place: int) -> Snapshot:
        clock = self.clock
        if self._snapshot is None:
            self._snapshot = self._feed.later_snapshot(clock.sequence, clock.step, clock.sim_time_ns)
        mailbox = self._mailboxes[place]
        account = self._components[place].account
        version = self._exchange.account_version(account)
        has_account_news = version != self._account_versions[place]
        has_news = has_account_news or mailbox.models or self._board.has_news(place)
        if mailbox.reason == _TICK and not has_news:
            mailbox.reason = 0
            return self._snapshot  # the same object for everyone: encoded once
        news = News(
            signals=self._board.take(place),
            fills=tuple(mailbox.fills),
            rejections=tuple(mailbox.rejections),
            ends=tuple(mailbox.ends),
            account=self._exchange.account_state(account) if has_account_news else None,
            models=tuple(mailbox.models),
        )
        self._account_versions[place] = version
        reason = mailbox.reason | (_MODEL if mailbox.models else 0)
        personal = msgspec.structs.replace(self._snapshot, reason=reason, news=news)
        mailbox.clear()
        return personal

    # ------------------------------------------------------------------ what components say

    def _commit(self, commands: list[Command], place: int, instruction: Instruction) -> None:
        match instruction:
            case SubmitOrder():
                request = self._requests.order(place, instruction, self.clock.sim_time_ns)
                self._dealing.handle(commands, request)
            case CancelOrder() | ReplaceOrder():
                change = self._requests.change(place, instruction, self.clock.sim_time_ns)
                self._dealing.handle(commands, change)
            case PublishSignal():
                self._publish(commands, place, instruction)
            case SetWakeUp():
                self._wake_ups.ask(place, instruction.sim_time_ns)

    def _publish(self, commands: list[Command], place: int, signal: PublishSignal) -> None:
        component = self._components[place]
        if signal.coin not in self._market.coins:
            raise ProtocolError(
                f"{component.name} sent a signal for {signal.coin!r}; "
                f"the run's coins are {', '.join(self._market.coins)}",
                component=component.name,
            )
        for key, value in signal.values.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ProtocolError(
                    f"{component.name} sent the signal {signal.coin} {key} = {value}; it must be finite",
                    component=component.name,
                )
        self._board.publish(place, signal.coin, signal.values, self.clock.sim_time_ns)
        record = SignalRecord(
            sim_time_ns=self.clock.sim_time_ns,
            sequence=self.clock.sequence,
            component=component.name,
            coin=signal.coin,
            values=signal.values,
        )
        commands.append(Write(record))

    def _write_equity(self, commands: list[Command], stop: int) -> None:
        rows = self._equity.rows_until(stop)
        if rows is not None:
            commands.append(WriteEquity(rows))
