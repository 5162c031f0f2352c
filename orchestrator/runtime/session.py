"""One replay from its first process to its last: start, lock-step, end, whatever the end is."""

from __future__ import annotations

import contextlib
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

import msgspec

from orchestrator.errors import ComponentError, InvariantError, ReplayError
from orchestrator.protocol import (
    ENVIRONMENT_COMPONENT,
    ENVIRONMENT_CURVE,
    ENVIRONMENT_ENDPOINT,
    ENVIRONMENT_TOKEN,
    Status,
    Stop,
)
from orchestrator.runs.bot_facts import BotFacts, write_bot_facts
from orchestrator.runs.layout import write_failure
from orchestrator.runs.manifest import Counts, process_start_time
from orchestrator.runs.writer import RunWriter
from orchestrator.runtime import wall_clock
from orchestrator.runtime.affinity import Affinity
from orchestrator.runtime.bus import Bus
from orchestrator.runtime.control import ControlDesk
from orchestrator.runtime.interrupts import Interrupts
from orchestrator.runtime.launch import component_environment
from orchestrator.runtime.live import LiveFolder, LiveRun
from orchestrator.runtime.lockstep import LockStep, Shell
from orchestrator.runtime.logs import RunLog
from orchestrator.runtime.pacing import Pacer
from orchestrator.runtime.plan import RunPlan
from orchestrator.runtime.plan_parts import make_engine, welcome
from orchestrator.runtime.run_facts import component_manifests, first_manifest
from orchestrator.runtime.supervisor import ComponentExited, Supervisor
from orchestrator.runtime.transport import Endpoints

if TYPE_CHECKING:
    from orchestrator.runtime.bot_run import BotRun
    from orchestrator.runtime.trainings import Trainings

__all__ = ["RunResult", "run_replay"]

_GRACE_SECONDS = 5.0
_TERM_SECONDS = 2.0
_BOTS_GO_SECONDS = 0.2  # the system's SIGTERM ends most of them at once
_FAILED_GRACE_SECONDS = 1.0  # a run that failed has nothing to wait for
_REPORT = "this is a defect of Replay: please report it with logs/orchestrator.jsonl, which has the traceback"

EndStatus = Literal["complete", "interrupted", "failed", "quarantined"]


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended."""

    status: EndStatus
    reason: str | None
    exit_status: int
    digest: str
    sequences: int
    counts: Counts
    notes: tuple[str, ...]  # what happened in the run and is to be known before trusting it
    last_lines: dict[str, tuple[str, ...]]  # component -> what it printed last, for those that are to blame
    wall_seconds: float


class _End(msgspec.Struct, frozen=True):
    """Why the loop was left."""

    status: EndStatus
    reason: str | None
    exit_status: int


def run_replay(plan: RunPlan, *, environment: dict[str, str], show: Callable[[Status], None]) -> RunResult:
    """Run a plan to its end; whatever happens, no process is left and what was written can be read.

    Parameters
    ----------
    plan
        What to run.
    environment
        The user's environment, which components start with.
    show
        Called with the state of the run at most ten times a second.

    Raises
    ------
    ReplayError
        Only if the run directory could not be made; all other failures are in the result.
    """
    started_at, started_ns = wall_clock.utc_now(), wall_clock.monotonic_ns()
    manifest = first_manifest(plan, started_at.isoformat(timespec="seconds"))
    writer = RunWriter.create(
        plan.directory,
        coins=plan.market.coins,
        config_toml=plan.settings.to_toml(),
        manifest=manifest,
        has_cash_flows=plan.settings.account.kind != "spot",
        has_models=plan.training is not None,
    )
    with (
        Interrupts() as interrupts,
        contextlib.closing(RunLog(plan.directory / "logs" / "orchestrator.jsonl")) as log,
    ):
        session = _Session(plan, writer, interrupts, log, show)
        try:
            end = session.run(environment)
        except ReplayError as error:  # no sockets, no guardian, no live folder: it is in run.json too
            end = _End("failed", str(error), error.exit_status)
        except Exception as error:  # noqa: BLE001 - a defect of ours: run.json must not say `running` for ever
            end = _internal_error(error, log)
        wall_seconds = round((wall_clock.monotonic_ns() - started_ns) / 1e9, 3)
        final = msgspec.structs.replace(
            manifest,
            status=end.status,
            reason=end.reason,
            sequences=session.sequences_done,
            components=component_manifests(plan, session.exits),
            wall_seconds=wall_seconds,
            notes=(*manifest.notes, *session.notes),
            refused_requests=None if session.bot_facts is None else session.bot_facts.refused_requests,
            bot_files_unchanged=None if session.bot_facts is None else session.bot_facts.are_files_unchanged,
        )
        try:
            digest = writer.finish(final)
        except ReplayError as error:
            end, digest = _End("failed", str(error), error.exit_status), ""
        with contextlib.suppress(ReplayError):  # the disk may be full; run.json has the same facts
            log.sim_time_ns = session.sim_time_ns
            if end.exit_status:
                log.error("error", status=end.status, reason=end.reason)
            log.info("run_ended", status=end.status, digest=digest)
    return RunResult(
        status=end.status,
        reason=end.reason,
        exit_status=end.exit_status,
        digest=digest,
        sequences=session.sequences_done,
        counts=writer.counts,
        notes=session.notes,
        last_lines=session.last_lines_to_show(),
        wall_seconds=wall_seconds,
    )


def _internal_error(error: Exception, log: RunLog) -> _End:
    """Return the end of a run by a defect of ours; the traceback is in the log."""
    with contextlib.suppress(ReplayError):  # the disk may be full too
        log.error("internal_error", traceback="".join(traceback.format_exception(error)))
    return _End("failed", f"internal error {error!r}; {_REPORT}", 1)


class _Session:
    """The processes and sockets of one run, and the order in which they come and go."""

    def __init__(
        self,
        plan: RunPlan,
        writer: RunWriter,
        interrupts: Interrupts,
        log: RunLog,
        show: Callable[[Status], None],
    ) -> None:
        self._plan = plan
        self._writer = writer
        self._interrupts = interrupts
        self._log = log
        self._show = show
        self.exits: dict[str, ComponentExited] = {}
        self.notes: tuple[str, ...] = ()
        self.bot_facts: BotFacts | None = None
        self._blamed: tuple[str, ...] = ()
        self._names = tuple(c.settings.name for c in plan.components)
        self._bots = _make_bots(plan)
        self._engine = make_engine(plan, None if self._bots is None else self._bots.exchange)

    @property
    def sequences_done(self) -> int:
        """Ticks that were reached."""
        return self._engine.clock.sequence

    @property
    def sim_time_ns(self) -> int:
        """How far simulation time came."""
        return self._engine.clock.sim_time_ns

    def run(self, environment: dict[str, str]) -> _End:
        """Run from the first process to the last one's end."""
        run_id = self._plan.directory.name
        live = LiveFolder(self._plan.home.data, run_id)
        with (
            Endpoints() as endpoints,
            Supervisor(self._plan.directory / "logs") as supervisor,
            Bus(endpoints, self._names, self._bot_places) as bus,
            self._bots or contextlib.nullcontext(),
            contextlib.closing(self._affinity(supervisor)) as affinity,
            self._announced(live, bus, endpoints),
        ):
            if endpoints.directory is not None:
                supervisor.remove_at_end(endpoints.directory)
            if self._bots is not None:
                self._bots.prepare(self._engine, endpoints.directory, environment)
            self._start_components(supervisor, bus, endpoints, environment)
            if self._bots is not None and not self._engine.is_training_first:
                self._bots.start(supervisor)
            trainings = self._make_trainings(endpoints, environment)
            pacer = Pacer(self._plan.settings.speed_factor)
            shell = Shell(
                bus=bus,
                supervisor=supervisor,
                writer=self._writer,
                log=self._log,
                live=live,
                desk=ControlDesk(pacer, self._interrupts),
                pacer=pacer,
                interrupts=self._interrupts,
                affinity=affinity,
                bots=self._bots,
                show=self._show,
                trainings=trainings,
            )
            loop = LockStep(
                self._engine,
                shell,
                run_id=run_id,
                names=self._names,
                coins=self._plan.market.coins,
                sequences=self._plan.market.tick_count,
                component_timeout=self._plan.settings.component_timeout,
            )
            end = self._loop_to_end(loop, shell)
            end = self._end_components(end, shell)
            end = self._tell_of_bots(end)
            with contextlib.suppress(ReplayError):  # spectators and mirror; a full disk is in `end` already
                loop.show(end.status)
        self.exits = dict(supervisor.exits)
        if trainings is not None:
            self.exits |= trainings.exits
            self.notes = tuple(trainings.notes)
        return end

    def _loop_to_end(self, loop: LockStep, shell: Shell) -> _End:
        try:
            if not self._connect(shell):
                return _End("interrupted", "interrupted before the first sequence", 130)
            if loop.run():
                return _End("complete", None, 0)
            loop.finish("interrupted")
            return _End("interrupted", f"interrupted at sequence {self.sequences_done}", 130)
        except ReplayError as error:
            end = self._ended_by(error, shell.supervisor)
        except Exception as error:  # noqa: BLE001 - a defect of ours: components must end and what was written be kept
            end = _internal_error(error, self._log)
        try:
            loop.keep()
        except Exception as error:  # noqa: BLE001 - the first failure is the one that is told
            self._log.warning("not_kept", reason=repr(error))
        return end

    def _ended_by(self, error: ReplayError, supervisor: Supervisor) -> _End:
        if isinstance(error, InvariantError):
            return _End("quarantined", str(error), error.exit_status)
        if isinstance(error, ComponentError):
            # Who speaks out of turn is to blame, else who has left, else who was awaited.
            named = () if error.component is None else (error.component,)
            self._blamed = named or tuple(supervisor.exits) or self._engine.awaited or self._names
            return _End("failed", self._placed(error), error.exit_status)
        return _End("failed", str(error), error.exit_status)

    def _placed(self, error: ComponentError) -> str:
        # Who raises an error does not always know when; who reads it always wants to.
        reason = str(error)
        if "sequence" in reason or not self.sequences_done:
            return reason
        return f"{reason} (at sequence {self.sequences_done})"

    def _connect(self, shell: Shell) -> bool:
        # Every component is proven connected before sequence 1 exists. False when interrupted before that.
        deadline = wall_clock.monotonic_ns() + int(self._plan.settings.component_timeout * 1e9)
        welcomes = tuple(welcome(self._plan, c.settings) for c in self._plan.components)
        while not shell.bus.greet(welcomes):
            for why in shell.bus.take_strangers():
                self._log.warning("stranger_refused", reason=why)
            for event in shell.supervisor.poll():
                if isinstance(event, ComponentExited):
                    raise ComponentError(
                        f"{event.name} {event.describe()} before it connected; a component calls components.connect()"
                    )
            if self._interrupts.count:
                return False
            if wall_clock.monotonic_ns() > deadline:
                missing = [name for place, name in enumerate(self._names) if place not in shell.bus.connected]
                raise ComponentError(
                    f"{' and '.join(missing)} did not connect within {self._plan.settings.component_timeout:g} s "
                    "(component_timeout); a component calls components.connect() when it starts"
                )
        self._log.sim_time_ns = self.sim_time_ns
        self._log.info("run_started", components=list(self._names), sequences=self._plan.market.tick_count)
        return True

    @property
    def _bot_places(self) -> frozenset[int]:
        return frozenset(place for place, c in enumerate(self._plan.components) if c.settings.is_bot)

    def _tell_of_bots(self, end: _End) -> _End:
        if self._bots is None:
            return end
        facts = self._bots.facts()
        self.bot_facts = facts
        try:
            write_bot_facts(self._plan.directory, facts)
        except OSError as error:
            failure = write_failure(error, f"what was written is in {self._plan.directory}")
            return _End("failed", str(failure), failure.exit_status) if not end.exit_status else end
        return end

    def _end_components(self, end: _End, shell: Shell) -> _End:
        """Tell the components to stop and see to it that they do; a complete run needs them to end well."""
        for place in sorted(shell.bus.connected):
            with contextlib.suppress(ComponentError):  # it has left; its exit is in the supervisor's reports
                shell.bus.send(place, Stop(end.reason or "the replay has ended"))
        if self._bots is not None:  # they know of no end: they are told as the system tells
            for place in sorted(self._bot_places):
                shell.supervisor.signal(self._names[place], signal.SIGTERM)
            shell.supervisor.wait_exits(_BOTS_GO_SECONDS)  # who is cut off first says that it was
            self._bots.hang_up()
        is_over_early = end.status in ("failed", "quarantined") or len(shell.bus.connected) < len(
            self._names
        ) - len(self._bot_places)
        grace = (
            _FAILED_GRACE_SECONDS if is_over_early else _GRACE_SECONDS
        )  # who never connected hears no stop
        deadline = wall_clock.monotonic_ns() + int(grace * 1e9)
        while self._interrupts.count < 2 and wall_clock.monotonic_ns() < deadline:
            if shell.supervisor.wait_exits(0.05):
                break
        if self._interrupts.count >= 2:
            shell.supervisor.kill()
        else:
            shell.supervisor.stop(grace_seconds=0, term_seconds=_TERM_SECONDS)
        if end.status != "complete":
            return end
        bad = [
            e
            for place, name in enumerate(self._names)
            if place not in self._bot_places
            and (e := shell.supervisor.exits.get(name)) is not None
            and e.exit_code != 0
        ]
        if not bad:
            return end
        self._blamed = tuple(e.name for e in bad)
        what = "; ".join(f"{e.name} {e.describe()}" for e in bad)
        return _End("failed", f"the replay reached its end, but {what} instead of ending with status 0", 4)

    def last_lines_to_show(self) -> dict[str, tuple[str, ...]]:
        """Return what the components that are to blame printed last."""
        return {name: self.exits[name].last_lines for name in self._blamed if name in self.exits}

    # ------------------------------------------------------------------ the beginning

    def _start_components(
        self, supervisor: Supervisor, bus: Bus, endpoints: Endpoints, environment: dict[str, str]
    ) -> None:
        for component in self._plan.components:
            if component.settings.is_bot:
                continue
            additions = {
                ENVIRONMENT_ENDPOINT: bus.components_endpoint,
                ENVIRONMENT_TOKEN: bus.token,
                ENVIRONMENT_COMPONENT: component.settings.name,
            }
            if endpoints.server_key is not None:
                additions[ENVIRONMENT_CURVE] = endpoints.server_key.decode()
            supervisor.start(
                component.settings.name,
                component.command,
                component.workdir,
                component_environment(environment, additions),
            )

    def _make_trainings(self, endpoints: Endpoints, environment: dict[str, str]) -> Trainings | None:
        training = self._plan.training
        if training is None:
            return None
        from orchestrator.runtime.trainings import Trainings  # noqa: PLC0415 - most runs train nothing

        return Trainings(
            self._plan, training, endpoints=endpoints, environment=environment, log=self._log, bots=self._bots
        )

    def _affinity(self, supervisor: Supervisor) -> Affinity:
        # Bots start processes of their own and work as long as they like: one core would hold everybody up.
        wanted = "all" if self._plan.settings.has_bots else self._plan.settings.cpu_affinity
        return Affinity(wanted, lambda: (os.getpid(), *supervisor.pids.values()))

    @contextlib.contextmanager
    def _announced(self, live: LiveFolder, bus: Bus, endpoints: Endpoints) -> Iterator[None]:
        me = _my_process()
        live.announce(
            LiveRun(
                run_id=live.path.name,
                directory=str(self._plan.directory),
                process_id=me[0],
                process_start_time=me[1],
                components_endpoint=bus.components_endpoint,
                spectators_endpoint=bus.spectators_endpoint,
                control_endpoint=bus.control_endpoint,
                curve_server_key=endpoints.server_key.decode() if endpoints.server_key else None,
            )
        )
        try:
            yield
        finally:
            live.withdraw()


def _make_bots(plan: RunPlan) -> BotRun | None:
    if not plan.settings.has_bots:
        return None
    from orchestrator.runtime.bot_run import make_bots  # noqa: PLC0415 - most runs have none, and start sooner without

    return make_bots(plan)


def _my_process() -> tuple[int, float | None]:
    return os.getpid(), process_start_time(os.getpid())
