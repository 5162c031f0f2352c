"""The unmodified bots of one run from their working copies to what the run directory tells of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.bot_settings import parse_phase_ns
from orchestrator.engine.commands import Command
from orchestrator.engine.engine import Engine
from orchestrator.errors import ComponentError, ConfigError
from orchestrator.market.timeframes import grid_anchor_ns
from orchestrator.runs.bot_facts import BotFacts, FolderFacts, RequestFacts
from orchestrator.runs.layout import WORK_FOLDER
from orchestrator.runtime import wall_clock
from orchestrator.runtime.bot_exchange import BotExchange
from orchestrator.runtime.bot_host import BotComponent, BotHost, BotRules
from orchestrator.runtime.bot_launch import (
    bot_command,
    bot_environment,
    closed_command,
    is_namespace_available,
    replaced_variables,
)
from orchestrator.runtime.bot_line import BotLine
from orchestrator.runtime.bot_report import BotReport
from orchestrator.runtime.bot_venues import make_venues
from orchestrator.runtime.plan import PlannedComponent, RunPlan
from orchestrator.runtime.process_state import command_line_of, is_process_alive
from orchestrator.runtime.supervisor import Supervisor
from orchestrator.runtime.work_copy import WorkCopy, copy_folder, manifest_of, scripts_of
from orchestrator.venues.venues import Venues

__all__ = ["BotRun", "make_bots"]

_SOCKET = "bots"
_STACK_SIGNAL = signal.SIGRTMIN + 10
_STACK_SECONDS_MAX = 1.0
_STACK_POLL_SECONDS = 0.01


def make_bots(plan: RunPlan) -> BotRun:
    """Return the bots of a run, before anything of them exists."""
    venues, report = make_venues(plan.settings, plan.market, plan.instruments), BotReport()
    return BotRun(plan, BotExchange(venues, report), venues, report)


class BotRun:
    """The bots of one run; a context manager that closes their socket.

    Parameters
    ----------
    plan
        The run.
    exchange, report
        What answers their requests, and what is told of them.
    """

    def __init__(self, plan: RunPlan, exchange: BotExchange, venues: Venues, report: BotReport) -> None:
        self._plan = plan
        self.exchange = exchange
        self._venues = venues
        self._report = report
        self._copies: dict[Path, WorkCopy] = {}
        self._protections: dict[str, str] = {}
        self._is_closed = False
        self._planned = [(place, c) for place, c in enumerate(plan.components) if c.settings.is_bot]
        self._line: BotLine | None = None
        self._environment: Mapping[str, str] = {}
        self._to_start: list[BotComponent] = []
        self._started: set[str] = set()  # membership only

    # ------------------------------------------------------------------ the beginning

    def prepare(self, engine: Engine, sockets: Path | None, environment: Mapping[str, str]) -> None:
        """Copy the folders, find out which protections hold, and open the socket.

        Raises
        ------
        ConfigError
            If a folder cannot be copied, or a protection that is required is not to be had.
        """
        if sockets is None:
            raise ConfigError("unmodified bots need Unix sockets, which this system does not have")
        self._environment = environment
        self._copy_folders()
        self._choose_protections()
        self._line = BotLine(sockets / _SOCKET)
        settings = self._plan.settings
        market = self._plan.market
        rules = BotRules(
            seed=settings.seed,
            tick_ns=market.timeframe_ns,
            tick_anchor_ns=grid_anchor_ns(market.exchange, market.timeframe_ns),
            latency_ns=settings.bots.request_latency_ns,
            sim_end_ns=settings.end_ns,
            charge_cpu=settings.bots.charge_cpu,
        )
        components = tuple(self._component(place, planned) for place, planned in self._planned)
        if engine.bots is None:
            raise ComponentError("the engine of this run knows of no bots")
        self.host = BotHost(
            engine.bots, engine.clock, self._line, self.exchange, components, rules, self._report
        )
        self._components = {c.name: c for c in components}
        self._to_start = [c for c in components if c.start_file is None]

    def start(self, supervisor: Supervisor) -> None:
        """Start the bots that wait for nothing, and those again that were stopped."""
        waiting, self._to_start = self._to_start, []
        for component in waiting:
            self._start(supervisor, component)

    def stop(self, supervisor: Supervisor, names: Sequence[str], signum: int) -> None:
        """Tell bots that run to go; `host.is_stopping` says who has not gone yet. `start` starts them again."""
        for name in names:
            component = self._components[name]
            if name in self._started and name not in supervisor.exits:
                if not self.host.is_stopping(name) and component.start_file is None:
                    self._to_start.append(component)
                self.host.stop(name)
                supervisor.signal(name, signum)

    # ------------------------------------------------------------------ for trainers

    def working_copy(self, folder: Path) -> Path:
        """Return the working copy of a folder of the user's."""
        return self._copies[folder].copy

    def command_in_copy(self, command: tuple[str, ...], folder: Path) -> tuple[str, ...]:
        """Return a resolved command as it is started in the working copy."""
        command = bot_command(command, folder, self.working_copy(folder))
        return closed_command(command) if self._is_closed else command

    def environment_of(self, name: str, socket: Path, token: str) -> dict[str, str]:
        """Return the environment of a bot's process that calls at another socket."""
        return bot_environment(
            self._environment,
            socket=socket,
            token=token,
            component=name,
            stack=self._stack_file(name),
            kept_out=self._copies,
        )

    def start_waiting(self, supervisor: Supervisor) -> bool:
        """Start the bots whose condition has come true; return whether there was one. Nobody may be at work."""
        ready = self.host.take_startable()
        for component in ready:
            self._start(supervisor, component)
        return bool(ready)

    def _start(self, supervisor: Supervisor, component: BotComponent) -> None:
        planned = next(c for place, c in self._planned if place == component.place)
        command = bot_command(planned.command, planned.workdir, component.folder)
        environment = bot_environment(
            self._environment,
            socket=self._socket_path,
            token=self.host.token,
            component=component.name,
            stack=self._stack_file(component.name),
            kept_out=self._copies,
        )
        self.host.begin(component)
        self._started.add(component.name)
        if self._is_closed:
            command = closed_command(command)
        supervisor.start(component.name, command, component.folder, environment)

    @property
    def _socket_path(self) -> Path:
        if self._line is None:
            raise ComponentError("the bots' socket is not open yet")
        return self._line.path

    def _component(self, place: int, planned: PlannedComponent) -> BotComponent:
        settings = planned.settings
        folder = self._copies[planned.workdir].copy
        condition = settings.start_when
        return BotComponent(
            place=place,
            name=settings.name,
            folder=folder,
            burst=settings.burst,
            phase_ns=parse_phase_ns(settings.phase or "0s"),
            start_file=None if condition is None else folder / condition.file,
            start_contains={} if condition is None else condition.contains,
            fails_run_on_exit=settings.on_exit != "continue",
        )

    def _copy_folders(self) -> None:
        work = self._plan.directory / WORK_FOLDER
        keys: dict[Path, tuple[str, ...]] = {}
        for _, planned in self._planned:
            keys[planned.workdir] = (*keys.get(planned.workdir, ()), *planned.settings.replace_keys)
        for folder, replaced in keys.items():
            name, n = folder.name or "work", 1
            while (work / name).exists():
                n += 1
                name = f"{folder.name}-{n}"
            self._copies[folder] = copy_folder(folder, work / name, replaced)

    def _choose_protections(self) -> None:
        wanted = self._plan.settings.bots.network_namespace
        why_not = "switched off by bots.network_namespace" if wanted == "off" else is_namespace_available()
        if wanted == "require" and why_not is not None:
            raise ConfigError(
                f"no network namespace can be had here: {why_not}; allow unprivileged user namespaces, "
                'or set bots.network_namespace = "auto"'
            )
        self._is_closed = why_not is None
        self._protections = {
            "interception": "requests of known client libraries are answered by emulated exchanges",
            "guard": "connections by Python code are refused",
            "network_namespace": "bots have no network" if self._is_closed else f"not available: {why_not}",
            "keys": ", ".join(replaced_variables(self._environment)) or "none in the environment",
        }

    # ------------------------------------------------------------------ the end

    def find_stuck(self, supervisor: Supervisor) -> str:
        """Let the processes that are at work dump their stacks; return where they are, in one line."""
        said = []
        for process in self.host.at_work():
            name = process.name
            if process.is_first and not process.is_connected:
                said.append(
                    f"{name} never came under Replay (a Python started with -I, -E or -S, or no Python at all?)"
                )
                continue
            if process.is_connected:
                place = self._stack_of(name, process.pid or supervisor.pids.get(name))
            else:
                place = _foreign_child(process.pid)
            self._report.stuck_in(name, place, self.host.sim_time_ns)
            said.append(f"{name} is at {place}")
        return "; ".join(said)

    def _stack_file(self, name: str) -> Path:
        return self._plan.directory / "logs" / f"{name}.stack.txt"

    def _stack_of(self, name: str, pid: int | None) -> str:
        path = self._stack_file(name)
        if pid is None or not is_process_alive(pid):
            return "an unknown place: its process is gone"
        try:
            os.kill(pid, _STACK_SIGNAL)
        except OSError:
            return "an unknown place: its process is gone"
        deadline = wall_clock.monotonic_ns() + int(_STACK_SECONDS_MAX * 1e9)
        folder = str(self._components[name].folder)
        found: list[str] = []
        while wall_clock.monotonic_ns() < deadline:
            found = _frames(path)
            # Innermost first; the bot's own frame says most. It may come late: the stack is being written.
            own = next((frame for frame in found if folder in frame), None)
            if own is not None:
                return own
            wall_clock.sleep(_STACK_POLL_SECONDS)
        return next(iter(found), "an unknown place: it gave no stack")

    def facts(self) -> BotFacts:
        """Return what bots.json tells, as of the end of the run."""
        counts = [(row, True) for row in self._venues.counts] + [(row, False) for row in self._venues.unknown]
        return BotFacts(
            refused_requests=self._report.refused_count,
            refused=self._report.refusals,
            requests=tuple(
                RequestFacts(
                    component=row.component,
                    venue=row.venue,
                    endpoint=row.endpoint,
                    count=row.requests,
                    is_known=is_known,
                )
                for row, is_known in counts
            ),
            ended=tuple(self._report.ends),
            stuck=tuple(self._report.stuck),
            never_started=tuple(c.name for c in self.host.unstarted),
            folders=tuple(self._folder_facts(copy) for copy in self._copies.values()),
            protections=self._protections,
        )

    def _folder_facts(self, copy: WorkCopy) -> FolderFacts:
        return FolderFacts(
            folder=str(copy.original),
            copy=str(copy.copy.relative_to(self._plan.directory)),
            scripts_before=scripts_of(copy.manifest),
            scripts_after={
                path: digest
                for path, digest in scripts_of(manifest_of(copy.copy)).items()
                if path in copy.manifest.files
            },
            is_original_unchanged=_is_unchanged(copy),
            left_out=copy.left_out,
        )

    def take_strangers(self) -> list[str]:
        """Return why connections were refused since the last call, for the log."""
        return self._report.take_strangers()

    def receive(self, timeout_ms: int) -> tuple[list[Command], bool]:
        """Take what the bots' processes say; see `BotHost.receive`."""
        return self.host.receive(timeout_ms)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        """Close the socket: who calls from now on is told that nobody is there."""
        if self._line is not None:
            self._line.close()


def _foreign_child(pid: int | None) -> str:
    command = command_line_of(pid) if pid is not None else ""
    return (
        f"a child process that is no Python under Replay and does not end: {command or 'unknown'}; time waits for it: "
        "leave it out under replay"
    )


def _frames(path: Path) -> list[str]:
    # As faulthandler writes them: `  File "x.py", line 3 in f`. The last line may not be whole yet.
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = text[: text.rfind("\n") + 1].splitlines()
    return [line.strip() for line in lines if line.strip().startswith("File ")]


def _is_unchanged(copy: WorkCopy) -> bool:
    try:
        return manifest_of(copy.original) == copy.manifest
    except OSError:  # it was removed or moved meanwhile
        return False
