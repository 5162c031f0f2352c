"""Trainers of several processes while the clock stands still: one at a time, the earliest first."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from orchestrator.engine.bots import BotCall, BotProcess
from orchestrator.engine.commands import Command, GrantTurn
from orchestrator.engine.trainer_floor import TrainerFloor

T = 1_000
FIRST, CHILD = BotProcess(0, (0,)), BotProcess(0, (0, 1))


def floor(takes_ns: int | None = None) -> TrainerFloor:
    def answer(request: Any) -> Any:
        return SimpleNamespace(takes_ns=takes_ns, to=request)

    made = TrainerFloor(answer, request_latency_ns=50)
    made.begins(FIRST)
    return made


def granted(commands: list[Command]) -> GrantTurn:
    (command,) = commands
    assert isinstance(command, GrantTurn)
    return command


def test_a_sleep_ends_at_its_own_time_at_once() -> None:
    turn = granted(floor().blocks(FIRST, BotCall(T, T + 10**12)))
    assert (turn.process, turn.sim_time_ns) == (FIRST, T + 10**12)
    assert turn.horizon_ns > T + 10**17  # who is alone may sleep for years without asking
    assert not turn.has_open_orders


def test_a_request_costs_its_own_time_alone() -> None:
    turn = granted(floor().blocks(FIRST, BotCall(T, T, "candles")))
    assert turn.sim_time_ns == T + 50
    assert turn.answer.to == "candles"
    assert granted(floor(takes_ns=7).blocks(FIRST, BotCall(T, T, "candles"))).sim_time_ns == T + 7


def test_one_works_at_a_time_and_the_earliest_goes_on() -> None:
    it = floor()
    it.begins(CHILD)
    assert it.at_work == (FIRST, CHILD)
    assert it.blocks(FIRST, BotCall(T, T + 500)) == []
    turn = granted(it.blocks(CHILD, BotCall(T, T + 400)))
    assert (turn.process, turn.sim_time_ns) == (CHILD, T + 400)
    assert turn.horizon_ns == T + 499  # then the other is to go on
    turn = granted(it.blocks(CHILD, BotCall(T + 400, T + 500)))
    assert turn.process == FIRST  # of two at one time the first
    assert it.is_any_at_work


def test_who_waits_for_a_child_goes_on_at_its_end() -> None:
    it = floor()
    it.begins(CHILD)
    assert it.blocks(FIRST, BotCall(T, None)) == []
    assert it.may_go_on(FIRST, T + 5) == []  # the child is at work
    turn = granted(it.ends(CHILD))
    assert (turn.process, turn.sim_time_ns) == (FIRST, T + 5)
    assert it.may_go_on(FIRST, T + 5) == []  # it has no call
    assert it.ends(FIRST) == []
    assert not it.is_any_at_work
