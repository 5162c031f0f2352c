"""The loop round the engine: performs its commands, waits for components, and looks after everything else.

Between two moments of simulation time nothing is in flight. That is where pauses, pacing and stops act, and why
none of them can reach a result.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from orchestrator.engine.commands import (
    Checkpoint,
    Command,
    GrantTurn,
    PublishFill,
    PublishSnapshot,
    PutModelsInUse,
    TrainModels,
    WakeComponent,
    Write,
    WriteEquity,
)
from orchestrator.engine.engine import Engine
from orchestrator.errors import ComponentError, InvariantError
from orchestrator.protocol import Acknowledgement, ControlReply, FillPublished, Snapshot, Status
from orchestrator.runs.records import FillRecord, SignalRecord
from orchestrator.runs.writer import RunWriter
from orchestrator.runtime import wall_clock
from orchestrator.runtime.affinity import Affinity
from orchestrator.runtime.bus import Bus
from orchestrator.runtime.control import ControlDesk
from orchestrator.runtime.interrupts import Interrupts
from orchestrator.runtime.live import LiveFolder
from orchestrator.runtime.logs import RunLog
from orchestrator.runtime.pacing import Pacer
from orchestrator.runtime.supervisor import ComponentExited, ComponentStarted, LogLost, Supervisor

if TYPE_CHECKING:  # most runs have neither, and start sooner without
    from orchestrator.runtime.bot_run import BotRun
    from orchestrator.runtime.trainings import Trainings

__all__ = ["LockStep", "Shell"]

_NS_PER_MS = 1_000_000
_CHORES_NS = 20 * _NS_PER_MS
_SHOW_NS = 100 * _NS_PER_MS  # mirror, status and progress: at most ten times a second
_FLUSH_NS = 1_000 * _NS_PER_MS
_FINISH_SECONDS_MAX = 2.0  # how long an interrupted sequence may take to end
_EXIT_REPORT_SECONDS_MAX = 1.0  # a dead process is reported within this time after its connection is lost
_GATE_SLICE_MS = 50
_BOT_SLICE_MS = 20
_STOP_SECONDS = 2.0  # for a bot to go by itself before a training
_KILL_SECONDS_MAX = 5.0
_STOP_POLL_SECONDS = 0.005
_CONTROL_REQUESTS_MAX = 16  # answered at one time


class Shell(msgspec.Struct, frozen=True, kw_only=True):
    """What the loop works with: the doors to sockets, processes, files and the operator."""

    bus: Bus
    supervisor: Supervisor
    writer: RunWriter
    log: RunLog
    live: LiveFolder
    desk: ControlDesk
    pacer: Pacer
    interrupts: Interrupts
    affinity: Affinity
    bots: BotRun | None = None  # the unmodified ones
    show: Callable[[Status], None]  # progress for the one who started the run
    trainings: Trainings | None = None


class LockStep:
    """Runs an engine to its end.

    Parameters
    ----------
    engine
        At its beginning, all components connected.
    shell
        The doors to the world.
    run_id
        Name of the run, for spectators.
    names
        Components in declared order.
    coins
        Coins of the run.
    sequences
        Number of ticks of the run.
    component_timeout
        Wall seconds that a turn may last.
    """

    def __init__(
        self,
        engine: Engine,
        shell: Shell,
        *,
        run_id: str,
        names: tuple[str, ...],
        coins: tuple[str, ...],
        sequences: int,
        component_timeout: float,
    ) -> None:
        self._engine = engine
        self._shell = shell
        self._run_id = run_id
        self._names = names
        self._coins = coins
        self._sequences = sequences
        self._timeout_ns = int(component_timeout * 1e9)
        self._woken_ns = 0
        self._chores_due_ns = 0
        self._show_due_ns = 0
        self._flush_due_ns = 0
        self._measured = (0, wall_clock.monotonic_ns())  # (sequence, wall) since when ticks are timed
        self._snapshot: Snapshot | None = None  # of the last tick
        self._perform_one: dict[type[Command], Callable[..., None]] = {
            WakeComponent: self._wake,
            GrantTurn: self._grant,
            TrainModels: self._train,
            PutModelsInUse: self._put_models_in_use,
            PublishSnapshot: self._publish_snapshot,
            PublishFill: self._publish_fill,
            Write: self._write,
            WriteEquity: lambda command: shell.writer.write_equity(command.rows),
            Checkpoint: lambda command: shell.writer.checkpoint(command.sequence),
        }

    def run(self) -> bool:
        """Go to the end of the replay; return False when it was interrupted before.

        Raises
        ------
        ComponentError
            If a component ends, stalls or speaks out of turn.
        ReplayError
            If results cannot be written, or do not add up.
        """
        engine, interrupts = self._engine, self._shell.interrupts
        self._woken_ns = wall_clock.monotonic_ns()  # bots are starting
        gc.freeze()  # what was loaded by now stays; the collector need not walk over it again and again
        while not engine.is_over:
            if wall_clock.monotonic_ns() >= self._chores_due_ns:
                self._do_chores()
            if interrupts.count:
                return False
            if self._is_gated and engine.is_next_a_tick and not self._pass_gate():
                continue
            if not engine.is_waiting:  # bots have a first turn before the first tick, models come before it
                bots = None if engine.is_training_first else self._shell.bots
                if bots is not None and bots.start_waiting(self._shell.supervisor):
                    self._woken_ns = wall_clock.monotonic_ns()
                    continue
                self._perform(engine.advance())
            if engine.is_training:  # it was interrupted
                return False
            if engine.is_waiting:
                self._finish_stages()
                if engine.is_waiting:
                    return False
        return True

    def finish(self, reason: str) -> None:
        """Write the end of a run that did not reach its last tick."""
        commands: list[Command] = []
        self._engine.finish(commands, reason)
        self._perform(commands)

    def keep(self) -> None:
        """Write what had happened when a failure ended the moment, and the rows of the ticks that were reached."""
        for command in self._engine.take_unfinished():
            if isinstance(command, Write | WriteEquity):
                self._perform([command])
        self._perform(self._engine.flush_equity())

    def status(self, status: str) -> Status:
        """Return where the run is."""
        clock = self._engine.clock
        return Status(
            run_id=self._run_id,
            status=status,
            sequence=clock.sequence,
            sequences=self._sequences,
            sim_time_ns=clock.sim_time_ns,
            speed=self._shell.pacer.speed,
            equity=self._engine.equity() if clock.sequence else 0.0,
            fills=self._engine.fills,
            coins=self._coins,
        )

    def show(self, status: str) -> None:
        """Tell spectators, the mirror and the one who started the run where it is."""
        now = self.status(status)
        self._shell.bus.publish(now)
        self._shell.show(now)
        if self._snapshot is not None:
            self._shell.live.mirror(self._coins, self._snapshot, status)

    # ------------------------------------------------------------------ commands

    def _perform(self, commands: list[Command]) -> None:
        perform_one = self._perform_one
        for command in commands:
            perform_one[type(command)](command)

    def _wake(self, command: WakeComponent) -> None:
        self._woken_ns = wall_clock.monotonic_ns()
        try:
            self._shell.bus.send_snapshot(command.component, command.snapshot)
        except ComponentError:
            self._report_loss()
            raise

    def _grant(self, command: GrantTurn) -> None:
        self._woken_ns = wall_clock.monotonic_ns()
        if self._shell.bots is not None:
            self._perform(self._shell.bots.host.grant(command))

    def _train(self, command: TrainModels) -> None:
        # The clock stands still; everything else is looked after meanwhile.
        trainings = self._trainings
        self._shell.log.sim_time_ns = command.sim_time_ns
        self._stop_bots(trainings.stopped_bots)
        outcomes = trainings.train(command.sim_time_ns, self._may_go_on)
        self._measured = (self._engine.clock.sequence, wall_clock.monotonic_ns())  # waiting is not working
        self._shell.pacer.release()
        if outcomes is None:
            return
        if self._shell.bots is not None:
            self._shell.bots.start(self._shell.supervisor)
        self._woken_ns = wall_clock.monotonic_ns()
        self._perform(self._engine.trained(outcomes))

    def _stop_bots(self, names: tuple[str, ...]) -> None:
        bots, supervisor = self._shell.bots, self._shell.supervisor
        if bots is None or not names:
            return
        for signum, seconds in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, _KILL_SECONDS_MAX)):
            bots.stop(supervisor, names, signum)
            deadline = wall_clock.monotonic_ns() + int(seconds * 1e9)
            while any(map(bots.host.is_stopping, names)) and wall_clock.monotonic_ns() < deadline:
                self._poll_supervisor()
                wall_clock.sleep(_STOP_POLL_SECONDS)
        left = [name for name in names if bots.host.is_stopping(name)]
        if left:
            raise ComponentError(
                f"{' and '.join(left)} could not be stopped for a training", component=left[0]
            )

    def _may_go_on(self) -> bool:
        if wall_clock.monotonic_ns() >= self._chores_due_ns:
            self._do_chores()
        return not self._shell.interrupts.count

    def _put_models_in_use(self, command: PutModelsInUse) -> None:
        self._trainings.put_in_use(command.models)

    @property
    def _trainings(self) -> Trainings:
        if self._shell.trainings is None:
            raise InvariantError("models were to be trained in a run without training")
        return self._shell.trainings

    def _publish_snapshot(self, command: PublishSnapshot) -> None:
        self._snapshot = command.snapshot
        self._shell.bus.publish_snapshot(command.snapshot)

    def _publish_fill(self, command: PublishFill) -> None:
        self._shell.bus.publish(FillPublished(command.component, command.fill))

    def _write(self, command: Write) -> None:
        record = command.record
        self._shell.writer.write(record)
        if isinstance(record, FillRecord):
            self._shell.log.sim_time_ns = record.sim_time_ns
            self._shell.log.info(
                "trade_execution",
                sequence=record.sequence,
                component=record.component,
                side=record.side,
                symbol=record.symbol,
                qty=record.qty,
                fill_price=record.fill_price,
                fees=record.fees,
            )
        elif isinstance(record, SignalRecord):
            self._shell.log.sim_time_ns = record.sim_time_ns
            self._shell.log.info(
                "neural_signal",
                sequence=record.sequence,
                component=record.component,
                coin=record.coin,
                values=record.values,
            )

    # ------------------------------------------------------------------ the barrier

    def _finish_stages(self) -> None:
        # Ends with the engine still waiting only when an interrupt has lasted too long.
        engine, bus = self._engine, self._shell.bus
        while engine.is_waiting:
            if engine.bots is not None and engine.bots.is_any_at_work:
                self._hear_bots()
                if self._is_cut_short:
                    return
                continue
            received = bus.receive()
            if received is None:
                self._look_after_components()
                if self._is_cut_short:
                    return
                continue
            number, message = received
            if isinstance(message, Acknowledgement):
                self._perform(engine.handle(number, message))
                continue
            # Who asks without end is never silent: deadline and operator are looked at here too.
            self._check_deadline()
            if self._is_cut_short:
                return
            bus.send(number, engine.answer(number, message))

    def _hear_bots(self) -> None:
        bots = self._shell.bots
        if bots is None:
            return
        commands, has_heard = bots.receive(_BOT_SLICE_MS)
        self._perform(commands)
        if not has_heard:
            self._perform(bots.host.look_for_ended())
            self._look_after_components()

    @property
    def _is_cut_short(self) -> bool:
        interrupts = self._shell.interrupts
        return interrupts.count > 1 or interrupts.has_lasted(_FINISH_SECONDS_MAX)

    def _look_after_components(self) -> None:
        self._poll_supervisor()
        self._check_deadline()
        if wall_clock.monotonic_ns() >= self._chores_due_ns:
            self._do_chores()

    def _check_deadline(self) -> None:
        if wall_clock.monotonic_ns() - self._woken_ns > self._timeout_ns:
            clock = self._engine.clock
            if self._shell.bots is not None and self._shell.bots.host.is_any_at_work:
                where = self._shell.bots.find_stuck(self._shell.supervisor)
                raise ComponentError(
                    f"{' and '.join(self._engine.awaited)} neither slept nor asked for anything for "
                    f"{self._timeout_ns / 1e9:g} s (component_timeout) at sequence {clock.sequence}: {where}"
                )
            raise ComponentError(
                f"{' and '.join(self._engine.awaited)} did not acknowledge sequence {clock.sequence} within "
                f"{self._timeout_ns / 1e9:g} s (component_timeout); it may hang, or need a longer component_timeout"
            )

    def _poll_supervisor(self) -> None:
        for event in self._shell.supervisor.poll():
            bots = self._shell.bots
            if isinstance(event, ComponentStarted) and bots is not None and bots.host.is_bot(event.name):
                bots.host.note_pid(event.name, event.pid)
            elif isinstance(event, ComponentExited) and bots is not None and bots.host.is_bot(event.name):
                self._shell.log.warning("bot_ended", component=event.name, how=event.describe())
                self._perform(bots.host.component_ended(event.name, event.describe()))
            elif isinstance(event, ComponentExited):
                # Who left in peace does not know the rule; who crashed has said why in its last lines.
                rule = (
                    "; a component stays in its loop until snapshots() ends" if event.exit_code == 0 else ""
                )
                raise ComponentError(
                    f"{event.name} {event.describe()} at sequence {self._engine.clock.sequence}, "
                    f"before the replay ended{rule}"
                )
            elif isinstance(event, LogLost):
                self._shell.log.warning("log_lost", component=event.name, reason=event.reason)

    def _report_loss(self) -> None:
        # A connection that is gone is the shadow of a process that is gone; say the cause, not the shadow.
        deadline = wall_clock.monotonic_ns() + int(_EXIT_REPORT_SECONDS_MAX * 1e9)
        while wall_clock.monotonic_ns() < deadline:
            self._poll_supervisor()
            wall_clock.sleep(0.01)

    # ------------------------------------------------------------------ between sequences

    @property
    def _is_gated(self) -> bool:
        return self._shell.pacer.speed is not None or self._shell.desk.is_paused

    def _pass_gate(self) -> bool:
        # Returns whether the next tick may pass now; waits a slice when it may not.
        tick = self._engine.next_tick_ns
        if tick is None:
            return True
        desk = self._shell.desk
        wait_ms = _GATE_SLICE_MS
        if not desk.is_paused:
            wait_ns = self._shell.pacer.wait_ns(tick)
            if wait_ns <= 0:
                return True
            wait_ms = min(wait_ms, max(1, wait_ns // _NS_PER_MS))
        elif desk.may_tick():
            return True
        self._answer_control(wait_ms)
        self._measured = (self._engine.clock.sequence, wall_clock.monotonic_ns())  # waiting is not working
        return False

    def _do_chores(self) -> None:
        now = wall_clock.monotonic_ns()
        self._chores_due_ns = now + _CHORES_NS
        self._poll_supervisor()
        strangers = self._shell.bus.take_strangers()
        if self._shell.bots is not None:
            strangers += self._shell.bots.take_strangers()
        for why in strangers:
            self._shell.log.warning("stranger_refused", reason=why)
        self._answer_control(0)
        self._time_ticks(now)
        if now >= self._show_due_ns:
            self._show_due_ns = now + _SHOW_NS
            self.show(self._shell.desk.status)
        if now >= self._flush_due_ns:
            self._flush_due_ns = now + _FLUSH_NS
            self._flush()

    def _time_ticks(self, now: int) -> None:
        if self._shell.affinity.is_settled:
            return
        sequence, since = self._measured
        self._shell.affinity.observe(self._engine.clock.sequence - sequence, now - since)
        self._measured = (self._engine.clock.sequence, wall_clock.monotonic_ns())

    def _flush(self) -> None:
        clock = self._engine.clock
        if clock.sequence:
            self._perform(self._engine.flush_equity())
            self._shell.log.sim_time_ns = clock.sim_time_ns
            self._shell.log.info("replay_tick", sequence=clock.sequence, sequences=self._sequences)
        self._shell.writer.flush()

    def _answer_control(self, timeout_ms: int) -> None:
        for _ in range(_CONTROL_REQUESTS_MAX):  # who asks without end must not stop the clock
            received = self._shell.bus.receive_control(timeout_ms)
            if received is None or self._shell.interrupts.count > 1:
                return
            identity, request = received
            is_accepted, message = self._shell.desk.handle(request)
            reply = ControlReply(is_accepted, message, self.status(self._shell.desk.status))
            self._shell.bus.reply_control(identity, reply)
            if request.action != "status":
                self._shell.log.info(
                    "control", action=request.action, value=request.value, is_accepted=is_accepted
                )
            timeout_ms = 0
