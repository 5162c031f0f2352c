"""The processes of unmodified bots: who they are, what they call for, and how their ends are noticed.

Stands between the socket (`bot_line`) and the engine, which decides when a call is answered. A process is in
one of three states: it starts (no connection yet), it works (connected, nothing asked), or it is blocked in a
call. Only the last lets time move.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec

from orchestrator.bot_protocol import (
    BOT_PROTOCOL_VERSION,
    BotError,
    BotHello,
    BotHttp,
    BotMessage,
    BotRefused,
    BotReply,
    BotSleep,
    BotSpawn,
    BotWait,
    BotWelcome,
    HttpReply,
    WaitReply,
)
from orchestrator.engine.bots import BotCall, BotProcess
from orchestrator.engine.clock import Clock
from orchestrator.engine.commands import Command, GrantTurn
from orchestrator.errors import ComponentError, ProtocolError
from orchestrator.runtime.bot_exchange import BotExchange, BotRequest
from orchestrator.runtime.bot_line import BotLine, Called, Lost
from orchestrator.runtime.bot_report import BotReport
from orchestrator.runtime.process_state import is_process_alive
from orchestrator.venues.http import VenueRequest

__all__ = ["AtWork", "BotComponent", "BotHost", "Floor", "is_start_condition_met"]

_FIRST = (0,)


class Floor(Protocol):
    """What decides whose turn it is: the engine's floor, or that of a trainer."""

    is_start_pending: bool

    @property
    def is_any_at_work(self) -> bool: ...  # noqa: D102 - as `BotFloor` has it

    @property
    def at_work(self) -> tuple[BotProcess, ...]: ...  # noqa: D102 - as `BotFloor` has it

    def begins(self, process: BotProcess) -> None: ...  # noqa: D102 - as `BotFloor` has it

    def blocks(self, process: BotProcess, call: BotCall) -> list[Command]: ...  # noqa: D102 - as `BotFloor` has it

    def may_go_on(self, process: BotProcess, earliest_ns: int) -> list[Command]: ...  # noqa: D102 - as `BotFloor` has it

    def breaks_off(self, process: BotProcess) -> bool: ...  # noqa: D102 - as `BotFloor` has it

    def ends(self, process: BotProcess) -> list[Command]: ...  # noqa: D102 - as `BotFloor` has it


class AtWork(NamedTuple):
    """A process that time waits for."""

    name: str  # of its component
    pid: int | None
    is_first: bool  # the one that Replay started; else a child
    is_connected: bool


class BotComponent(msgspec.Struct, frozen=True, kw_only=True):
    """One component of kind "bot", ready to be started."""

    place: int  # among all components
    name: str
    folder: Path  # the working copy
    burst: int | None
    phase_ns: int
    start_file: Path | None = None  # in the working copy
    start_contains: Mapping[str, Any] = {}
    fails_run_on_exit: bool = True


class BotRules(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for all bots of a run."""

    seed: int
    tick_ns: int
    tick_anchor_ns: int
    latency_ns: int
    sim_end_ns: int
    charge_cpu: bool


class _Process:
    """What is known of one process."""

    def __init__(self, pid: int | None, sim_time_ns: int) -> None:
        self.pid = pid
        self.started_pid: int | None = (
            None  # what its parent started and waits for: itself, or a shell that runs it
        )
        self.sim_time_ns = sim_time_ns  # its own time as of its last grant or call
        self.has_open_orders = False  # as it was told last
        self.connection: int | None = None
        self.pending: BotMessage | None = None  # the call that it is blocked in
        self.queued: list[
            Called
        ] = []  # said while it was blocked: by a signal handler that broke out of the call
        self.has_waited_child_ended = False


class BotHost:
    """Everything between the engine and the processes of bots.

    Parameters
    ----------
    floor, clock
        Of the engine.
    line
        Their socket.
    exchange
        What answers their requests.
    components
        In declared order.
    rules
        Of the run.
    report
        What is told of them in the run directory.
    """

    def __init__(
        self,
        floor: Floor,
        clock: Clock,
        line: BotLine,
        exchange: BotExchange,
        components: tuple[BotComponent, ...],
        rules: BotRules,
        report: BotReport,
    ) -> None:
        self.token = secrets.token_hex(16)  # admits processes; never part of a result
        self._floor = floor
        self._clock = clock
        self._line = line
        self._exchange = exchange
        self._components = {c.place: c for c in components}
        self._places = {c.name: c.place for c in components}
        self._rules = rules
        self._report = report
        self._processes: dict[BotProcess, _Process] = {}
        self._by_connection: dict[int, BotProcess] = {}
        self._stopping: set[str] = set()  # whose end is wanted; membership only
        self._unstarted = [c for c in components if c.start_file is not None]
        floor.is_start_pending = bool(self._unstarted)

    @property
    def sim_time_ns(self) -> int:
        """Simulation time of the run."""
        return self._clock.sim_time_ns

    @property
    def is_any_at_work(self) -> bool:
        """Return whether a process is at work or starting."""
        return self._floor.is_any_at_work

    # ------------------------------------------------------------------ starts

    def is_bot(self, name: str) -> bool:
        """Return whether a component is one of these."""
        return name in self._places

    def begin(self, component: BotComponent) -> None:
        """Note that a component's first process is being started."""
        process = BotProcess(component.place, _FIRST)
        self._processes[process] = _Process(None, self._clock.sim_time_ns)
        self._floor.begins(process)

    def note_pid(self, name: str, pid: int) -> None:
        """Note the pid of a component's first process."""
        known = self._processes.get(BotProcess(self._places[name], _FIRST))
        if known is not None:
            known.pid = pid

    def take_startable(self) -> list[BotComponent]:
        """Return the components whose start condition has come true, once; they are to be started now."""
        ready = [
            c
            for c in self._unstarted
            if c.start_file is None or is_start_condition_met(c.start_file, c.start_contains)
        ]
        if ready:
            self._unstarted = [c for c in self._unstarted if c not in ready]
            self._floor.is_start_pending = bool(self._unstarted)
        return ready

    def stop(self, name: str) -> None:
        """Expect the end of a component's processes: they are told to go, and are started again later."""
        self._stopping.add(name)

    def is_stopping(self, name: str) -> bool:
        """Return whether a component that was to be stopped has not ended yet."""
        return name in self._stopping

    def _put_down(self, component: BotComponent) -> list[Command]:
        # The children of its first process go with it.
        commands: list[Command] = []
        for process in [p for p in self._processes if p.place == component.place]:
            known = self._processes[process]
            for pid in {known.pid, known.started_pid} - {None} if process.path != _FIRST else ():
                if pid is not None and is_process_alive(pid):
                    with contextlib.suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
            commands += self._forget(process)
        if component.start_file is not None:  # it waits for its condition once more
            self._unstarted = sorted([*self._unstarted, component], key=lambda c: c.place)
            self._floor.is_start_pending = True
        return commands

    @property
    def unstarted(self) -> tuple[BotComponent, ...]:
        """Components whose start condition has not come true."""
        return tuple(self._unstarted)

    # ------------------------------------------------------------------ calls

    def receive(self, timeout_ms: int) -> tuple[list[Command], bool]:
        """Take what processes say, waiting for it at most so long.

        Returns
        -------
        commands
            Of the engine, to be performed.
        has_heard
            Whether anyone said anything.
        """
        commands: list[Command] = []
        heard = self._line.receive(timeout_ms)
        for event in heard:
            if isinstance(event, Lost):
                process = self._by_connection.pop(event.connection, None)
                if process is not None and process in self._processes:
                    self._processes[process].connection = None
            else:
                commands += self._take(event)
        return commands, bool(heard)

    def _take(self, called: Called) -> list[Command]:
        message = called.message
        if isinstance(message, BotHello):
            return self._admit(called.connection, message)
        process = self._by_connection.get(called.connection)
        if process is None:
            self._line.drop(called.connection)  # spoke before a hello was accepted
            return []
        known = self._processes[process]
        if known.pending is not None and not self._break_off(process, known):
            known.queued.append(called)
            return []
        known.sim_time_ns = max(known.sim_time_ns, message.t)
        name = self._components[process.place].name
        for key, count in message.hits.items():
            self._exchange.count_hits(name, key, count, message.t)
        match message:
            case BotSleep():
                return self._block(process, message, message.until)
            case BotHttp():
                request = self._request(message, called.body)
                return self._block(process, message, message.t, request)
            case BotWait():
                return self._wait(process, message)
            case BotSpawn():
                commands = self._spawn(process, message)
                self._reply_at_once(known, message.t)
                return commands
            case BotRefused():
                self._report.refused(name, message.what, message.target, message.client, message.t)
        self._reply_at_once(known, message.t)
        return []

    # A signal's handler may say something while its process waits: the wait is answered before its time then.
    def _break_off(self, process: BotProcess, known: _Process) -> bool:
        if not isinstance(known.pending, BotSleep | BotWait) or not self._floor.breaks_off(process):
            return False
        known.pending = None
        known.sim_time_ns = max(known.sim_time_ns, self._clock.sim_time_ns)
        self._reply_at_once(known, known.sim_time_ns)
        return True

    def _reply_at_once(self, known: _Process, now_ns: int) -> None:
        if known.connection is not None:
            reply = BotReply(
                now=now_ns,
                horizon=self._clock.sim_time_ns,
                open_orders=known.has_open_orders,  # nothing has happened since
            )
            self._line.reply(known.connection, reply)

    def _admit(self, connection: int, hello: BotHello) -> list[Command]:
        place = self._places.get(hello.component)
        if place is None or not secrets.compare_digest(hello.token, self.token):
            self._report.stranger(f"process {hello.pid} does not know the run's token")
            self._line.drop(connection)
            return []
        if hello.version != BOT_PROTOCOL_VERSION:
            raise ProtocolError(
                f"the shim of {hello.component} speaks version {hello.version}, "
                f"this run speaks {BOT_PROTOCOL_VERSION}; install Replay again",
                component=hello.component,
            )
        process = BotProcess(place, tuple(int(part) for part in hello.process.split(".")))
        known = self._processes.get(process)
        if known is None:  # a child that nobody announced
            known = self._processes[process] = _Process(hello.pid, self._clock.sim_time_ns)
            self._floor.begins(process)
        elif known.connection is not None:
            self._refuse_second(connection, hello)
            return []
        elif known.pending is not None:  # it was replaced while one of its threads was blocked
            known.pending = None
            return self._reconnect(process, known, connection, hello)
        return self._connect(process, known, connection, hello)

    # Which of them is first is chance, so the run is marked.
    def _refuse_second(self, connection: int, hello: BotHello) -> None:
        what = f"two Pythons of one shell at the same time ({hello.component} {hello.process})"
        self._report.stranger(what)
        self._report.refused(hello.component, "process", what, "", self._clock.sim_time_ns)
        reason = f"{what} are one too many for a replay; start each by a child process of its own"
        self._line.reply(connection, BotError(error=reason))
        self._line.drop(connection)

    def _connect(
        self, process: BotProcess, known: _Process, connection: int, hello: BotHello
    ) -> list[Command]:
        known.pid, known.connection, known.pending = hello.pid, connection, hello
        self._by_connection[connection] = process
        # Its first turn comes at once, in the order of turns; after exec at the time that it had reached.
        until = max(known.sim_time_ns, self._clock.sim_time_ns)
        return self._floor.blocks(process, BotCall(known.sim_time_ns, until))

    def _reconnect(
        self, process: BotProcess, known: _Process, connection: int, hello: BotHello
    ) -> list[Command]:
        known.pid, known.connection, known.pending = hello.pid, connection, hello
        self._by_connection[connection] = process
        return self._floor.may_go_on(process, known.sim_time_ns)

    def _block(
        self, process: BotProcess, message: BotMessage, until: int | None, request: Any = None
    ) -> list[Command]:
        known = self._processes[process]
        known.pending = message
        # Threads of a process ask side by side: each at its own time, though another may be further already.
        asked_ns = message.t if isinstance(message, BotHttp) else known.sim_time_ns
        return self._floor.blocks(process, BotCall(asked_ns, until, request))

    def _request(self, message: BotHttp, body: bytes) -> BotRequest:
        try:
            url = urlsplit(message.url)
        except ValueError:  # no address at all: refused like a host that is not emulated
            url = urlsplit("//no-address/")
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        request = VenueRequest(
            method=message.method.upper(),
            host=url.hostname or "",
            path=path,
            headers=message.headers,
            body=body,
        )
        return BotRequest(request, message.client, message.timeout)

    def _spawn(self, parent: BotProcess, message: BotSpawn) -> list[Command]:
        path = tuple(int(part) for part in message.process.split("."))
        child = BotProcess(parent.place, path)
        known = self._processes.get(child)
        if known is None:
            known = self._processes[child] = _Process(message.pid, message.t)
            self._floor.begins(child)
        known.started_pid = message.pid
        if known.sim_time_ns >= message.t or not isinstance(known.pending, BotHello):
            return []
        # It was faster than its parent's word: it begins when that was said, all the same.
        known.sim_time_ns = message.t
        commands = self._floor.ends(child)
        self._floor.begins(child)
        return commands + self._floor.blocks(child, BotCall(message.t, message.t))

    def _wait(self, parent: BotProcess, message: BotWait) -> list[Command]:
        known = self._processes[parent]
        child = self._find(parent.place, message.pid)
        known.has_waited_child_ended = child is None
        return self._block(parent, message, message.t if child is None else message.until)

    def _find(self, place: int, pid: int) -> BotProcess | None:
        for process, known in self._processes.items():
            if process.place == place and pid in {known.pid, known.started_pid}:
                return process
        return None

    # ------------------------------------------------------------------ grants

    def grant(self, command: GrantTurn) -> list[Command]:
        """Answer the call that a process is blocked in; it works from now on.

        Returns the commands of what it has said meanwhile.
        """
        process, known = command.process, self._processes[command.process]
        message, known.pending = known.pending, None
        known.sim_time_ns = command.sim_time_ns
        known.has_open_orders = command.has_open_orders
        if known.connection is None:
            return []  # it is gone, which is noticed where its end is
        common: dict[str, Any] = {
            "now": command.sim_time_ns,
            "horizon": command.horizon_ns,
            "open_orders": command.has_open_orders,
        }
        body = b""
        reply: BotReply
        if isinstance(message, BotHttp):
            reply, body = self._http_reply(command.answer, common)
        elif isinstance(message, BotHello):
            reply = self._welcome(process, common)
        elif isinstance(message, BotWait):
            reply = WaitReply(**common, exited=known.has_waited_child_ended)
        else:
            reply = BotReply(**common)
        self._line.reply(known.connection, reply, body)
        return self._take(known.queued.pop(0)) if known.queued else []

    def _http_reply(self, answer: Any, common: dict[str, Any]) -> tuple[HttpReply, bytes]:
        reply = HttpReply(
            **common,
            status=answer.status,
            reason=answer.reason,
            headers=answer.headers,
            valid_until=answer.valid_until_ns,
            failure=answer.failure,
            message=answer.message,
        )
        return reply, answer.body

    def _welcome(self, process: BotProcess, common: dict[str, Any]) -> BotWelcome:
        component, rules = self._components[process.place], self._rules
        path = ".".join(map(str, process.path))
        seed = hashlib.sha256(f"{rules.seed}\n{component.name}\n{path}".encode()).hexdigest()
        return BotWelcome(
            **common,
            seed=seed,
            tick_ns=rules.tick_ns,
            tick_anchor_ns=rules.tick_anchor_ns,
            phase_ns=component.phase_ns,
            latency_ns=rules.latency_ns,
            sim_end=rules.sim_end_ns,
            hosts=self._exchange.hosts,
            folder=str(component.folder),
            burst=component.burst,
            charge_cpu=rules.charge_cpu,
        )

    # ------------------------------------------------------------------ ends

    def look_for_ended(self) -> list[Command]:
        """Notice processes below a component's first one that have ended without a word."""
        commands: list[Command] = []
        for process, known in list(self._processes.items()):
            if process.path == _FIRST or known.pid is None:
                continue
            started = known.started_pid
            if (
                started is not None
            ):  # a shell goes on when a program that it runs has ended, and the other way round
                if is_process_alive(started):
                    continue
                known.started_pid = None
                commands += self._tell_of_end(process.place, started, known.sim_time_ns)
            if known.connection is None and not is_process_alive(known.pid):
                commands += self._forget(process)
        return commands

    def component_ended(self, name: str, how: str) -> list[Command]:
        """Notice the end of a component's first process.

        Raises
        ------
        ComponentError
            If the run does not go on without it.
        """
        component = self._components[self._places[name]]
        process = BotProcess(component.place, _FIRST)
        if name in self._stopping:
            self._stopping.discard(name)
            return self._put_down(component)
        known = self._processes.get(process)
        own_time_ns = known.sim_time_ns if known is not None else 0  # it may have run ahead of the others
        self._report.ended(name, how, max(self._clock.sim_time_ns, own_time_ns))
        if component.fails_run_on_exit:
            raise ComponentError(
                f"{name} {how} at sequence {self._clock.sequence}, before the replay ended; a bot runs "
                'for ever: mend it, or set on_exit = "continue" if that is its way',
                component=name,
            )
        return self._forget(process) if process in self._processes else []

    def _forget(self, process: BotProcess) -> list[Command]:
        known = self._processes.pop(process)
        if known.connection is not None:
            self._by_connection.pop(known.connection, None)
            self._line.drop(known.connection)
        commands: list[Command] = []
        for pid in (known.pid, known.started_pid):
            if pid is not None:
                commands += self._tell_of_end(
                    process.place, pid, known.sim_time_ns
                )  # before time can move on
        return commands + self._floor.ends(process)

    def _tell_of_end(self, place: int, pid: int, sim_time_ns: int) -> list[Command]:
        # Who waits for a child goes on at the time that the child had reached: its last answer took time.
        commands: list[Command] = []
        for parent, other in list(self._processes.items()):
            is_waiting = isinstance(other.pending, BotWait) and other.pending.pid == pid
            if is_waiting and parent.place == place and not other.has_waited_child_ended:
                other.has_waited_child_ended = True
                commands += self._floor.may_go_on(parent, sim_time_ns)
        return commands

    def at_work(self) -> tuple[AtWork, ...]:
        """Return every process that is at work or starting, in the order of turns."""
        found = []
        for process in self._floor.at_work:
            known = self._processes.get(process)
            found.append(
                AtWork(
                    name=self._components[process.place].name,
                    pid=known.pid if known else None,
                    is_first=process.path == _FIRST,
                    is_connected=known is not None and known.connection is not None,
                )
            )
        return tuple(found)


def is_start_condition_met(file: Path, contains: Mapping[str, Any]) -> bool:
    """Return whether a file exists, or is JSON with some keys of some values.

    Looked at while nobody is at work: no file is half written then.
    """
    if not contains:
        return file.is_file()
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and all(key in found and found[key] == contains[key] for key in contains)
