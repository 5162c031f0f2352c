"""What the processes of bots say, in whichever order it arrives, and how their ends are noticed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.bot_protocol import BotError, BotHello, BotMessage, BotRefused, BotReply, BotSpawn, BotWait
from orchestrator.engine.bots import BotCall, BotProcess
from orchestrator.engine.clock import Clock
from orchestrator.engine.commands import GrantTurn
from orchestrator.runtime.bot_host import BotComponent, BotHost, BotRules
from orchestrator.runtime.bot_line import Called
from orchestrator.runtime.bot_report import BotReport

T = 1_000_000_000
FIRST, CHILD = BotProcess(0, (0,)), BotProcess(0, (0, 1))
PARENT_LINE, CHILD_LINE = 1, 2


class FakeFloor:
    """Remembers what was said of processes, and grants nothing."""

    def __init__(self) -> None:
        self.is_start_pending = False
        self.calls: dict[BotProcess, BotCall | None] = {}  # None: at work
        self.went_on: list[tuple[BotProcess, int]] = []

    @property
    def is_any_at_work(self) -> bool:
        return None in self.calls.values()

    @property
    def at_work(self) -> tuple[BotProcess, ...]:
        return tuple(process for process, call in self.calls.items() if call is None)

    def begins(self, process: BotProcess) -> None:
        self.calls[process] = None

    def blocks(self, process: BotProcess, call: BotCall) -> list[Any]:
        self.calls[process] = call
        return []

    def may_go_on(self, process: BotProcess, earliest_ns: int) -> list[Any]:
        self.went_on.append((process, earliest_ns))
        return []

    def breaks_off(self, process: BotProcess) -> bool:
        return self.calls[process] is None

    def ends(self, process: BotProcess) -> list[Any]:
        del self.calls[process]
        return []


class FakeLine:
    """Brings what is put into it, and keeps what was answered."""

    def __init__(self) -> None:
        self.coming: list[Called] = []
        self.replies: list[tuple[int, BotReply | BotError]] = []

    def receive(self, _timeout_ms: int) -> list[Called]:
        coming, self.coming = self.coming, []
        return coming

    def reply(self, connection: int, reply: BotReply | BotError, _body: bytes = b"") -> None:
        self.replies.append((connection, reply))

    def drop(self, connection: int) -> None:
        """Nothing is open."""


class FakeExchange:
    hosts = ("api.kucoin.com",)


class Told:
    """A host whose bot has said hello and works at T."""

    def __init__(self, folder: Path) -> None:
        self.floor, self.line, self.report = FakeFloor(), FakeLine(), BotReport()
        component = BotComponent(place=0, name="bot", folder=folder, burst=None, phase_ns=0)
        rules = BotRules(
            seed=1, tick_ns=60, tick_anchor_ns=0, latency_ns=50, sim_end_ns=10 * T, charge_cpu=False
        )
        line: Any = self.line
        exchange: Any = FakeExchange()
        self.host = BotHost(self.floor, Clock(T), line, exchange, (component,), rules, self.report)
        self.host.begin(component)
        self.say(PARENT_LINE, self.hello("0", os.getpid()))
        self.go_on(FIRST, T)

    def hello(self, process: str, pid: int) -> BotHello:
        return BotHello(version=1, token=self.host.token, component="bot", process=process, pid=pid)

    def say(self, connection: int, message: BotMessage) -> None:
        self.line.coming.append(Called(connection, message, b""))
        self.host.receive(0)

    def go_on(self, process: BotProcess, now_ns: int, *, has_open_orders: bool = False) -> None:
        self.floor.calls[process] = None
        self.host.grant(GrantTurn(process, now_ns, now_ns, has_open_orders, None))


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


@pytest.fixture
def living() -> Iterator[int]:
    """Yield the number of a process that lives."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.kill()
    process.communicate(timeout=10)


@pytest.mark.parametrize("is_child_faster", [False, True])
def test_a_child_begins_at_the_time_of_its_start_whoever_speaks_first(
    told: Told, living: int, is_child_faster: bool
) -> None:
    said: list[tuple[int, BotMessage]] = [
        (PARENT_LINE, BotSpawn(t=T + 7, process="0.1", pid=living)),
        (CHILD_LINE, told.hello("0.1", living)),
    ]
    for connection, message in reversed(said) if is_child_faster else said:
        told.say(connection, message)
    call = told.floor.calls[CHILD]
    assert call is not None
    assert (call.sim_time_ns, call.until_ns) == (T + 7, T + 7)


@pytest.mark.parametrize("has_open_orders", [False, True])
def test_what_is_answered_at_once_tells_of_open_orders_as_before(told: Told, has_open_orders: bool) -> None:
    told.go_on(FIRST, T, has_open_orders=has_open_orders)
    told.say(PARENT_LINE, BotRefused(t=T, what="process", target="curl"))
    _, reply = told.line.replies[-1]
    assert isinstance(reply, BotReply)
    assert reply.open_orders is has_open_orders


def test_a_second_process_of_one_name_is_told_why_it_ends(told: Told, living: int) -> None:
    told.say(PARENT_LINE, BotSpawn(t=T, process="0.1", pid=living))
    told.say(CHILD_LINE, told.hello("0.1", living))
    told.say(CHILD_LINE + 1, told.hello("0.1", living + 1))
    connection, reply = told.line.replies[-1]
    assert connection == CHILD_LINE + 1
    assert isinstance(reply, BotError)
    assert "one shell" in reply.error
    assert told.report.refused_count == 1


def test_who_waits_for_a_shell_is_told_of_its_end_and_not_of_its_programs(told: Told, living: int) -> None:
    program = subprocess.Popen([sys.executable, "-c", ""])
    told.say(PARENT_LINE, BotSpawn(t=T, process="0.1", pid=living))
    told.say(CHILD_LINE, told.hello("0.1", program.pid))
    told.go_on(CHILD, T + 3)
    told.say(PARENT_LINE, BotWait(t=T, pid=living, until=None))
    program.wait(timeout=10)
    told.host.look_for_ended()
    assert told.floor.at_work == (CHILD,)  # the shell may start another
    assert not told.floor.went_on
    os.kill(living, 9)
    os.waitid(os.P_PID, living, os.WEXITED | os.WNOWAIT)
    told.host.look_for_ended()
    assert told.floor.went_on == [(FIRST, T + 3)]
