"""What `replay control` may ask, as a table; and how Ctrl+C is counted."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from orchestrator.config import SPEED_MAX, SPEED_MIN
from orchestrator.protocol import ControlRequest
from orchestrator.runtime.control import ACTIONS, ControlDesk
from orchestrator.runtime.interrupts import Interrupts
from orchestrator.runtime.pacing import Pacer
from tests.processes import wait_until


class NotedPacer(Pacer):
    """Counts how often the anchor was released: what makes the next tick due at once."""

    def __init__(self) -> None:
        super().__init__(60.0)
        self.released = 0

    def release(self) -> None:
        super().release()
        self.released += 1


class Desk:
    def __init__(self) -> None:
        self.pacer = NotedPacer()
        self.interrupts = Interrupts()
        self.desk = ControlDesk(self.pacer, self.interrupts)

    def asks(self, action: str, value: float | None = None) -> tuple[bool, str]:
        return self.desk.handle(ControlRequest(action, value))

    @property
    def state(self) -> tuple[bool, int, float | None, int, str]:
        desk = self.desk
        return desk.is_paused, desk.steps, self.pacer.speed, self.interrupts.count, desk.status


@pytest.fixture
def desk() -> Desk:
    return Desk()


# What is asked, one after another -> (is paused, steps left, speed, interrupts, status).
ACCEPTED: list[tuple[list[tuple[str, float | None]], tuple[bool, int, float | None, int, str]]] = [
    ([("status", None)], (False, 0, 60.0, 0, "running")),
    ([("pause", None)], (True, 0, 60.0, 0, "paused")),
    ([("pause", None), ("pause", None)], (True, 0, 60.0, 0, "paused")),
    ([("pause", None), ("resume", None)], (False, 0, 60.0, 0, "running")),
    ([("resume", None)], (False, 0, 60.0, 0, "running")),
    ([("step", None)], (True, 1, 60.0, 0, "running")),
    ([("step", 5.0)], (True, 5, 60.0, 0, "running")),
    ([("step", 5.0), ("step", 2.0)], (True, 2, 60.0, 0, "running")),
    ([("step", 5.0), ("pause", None)], (True, 0, 60.0, 0, "paused")),
    ([("step", 5.0), ("resume", None)], (False, 0, 60.0, 0, "running")),
    ([("speed", 0.5)], (False, 0, 0.5, 0, "running")),
    ([("speed", None)], (False, 0, None, 0, "running")),
    ([("speed", SPEED_MIN), ("speed", SPEED_MAX)], (False, 0, SPEED_MAX, 0, "running")),
    ([("pause", None), ("speed", 9.0)], (True, 0, 9.0, 0, "paused")),
    ([("stop", None)], (False, 0, 60.0, 1, "running")),
    ([("stop", None), ("stop", None)], (False, 0, 60.0, 2, "running")),
]


@pytest.mark.parametrize(("asked", "expected"), ACCEPTED)
def test_what_is_accepted(
    desk: Desk, asked: list[tuple[str, float | None]], expected: tuple[bool, int, float | None, int, str]
) -> None:
    for action, value in asked:
        is_accepted, message = desk.asks(action, value)
        assert is_accepted
        assert message
    assert desk.state == expected
    assert desk.desk.is_paused or not desk.desk.steps


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("action", "value", "said"),
    [
        ("step", 0.0, "a whole number of ticks from 1"),
        ("step", -1.0, "step -1 is not allowed"),
        ("step", 1.5, "step 1.5 is not allowed"),
        ("step", 1e10, "is not allowed"),
        ("step", NAN, "step nan is not allowed"),
        ("step", INFINITY, "step inf is not allowed"),
        ("speed", 0.0, "speed 0 is not allowed; use max, or simulated seconds per wall second"),
        ("speed", -2.0, "speed -2 is not allowed"),
        ("speed", NAN, "speed nan is not allowed"),
        ("speed", INFINITY, "speed inf is not allowed"),
        ("speed", 1e-320, "is not allowed"),
        ("rewind", None, "'rewind' is not known; use status, pause, resume, step, speed, stop"),
        ("", None, "is not known"),
    ],
)
@pytest.mark.parametrize("is_paused", [False, True])
def test_what_is_refused_changes_nothing(
    desk: Desk, is_paused: bool, action: str, value: float | None, said: str
) -> None:
    if is_paused:
        desk.asks("pause")
    before = desk.state
    is_accepted, message = desk.asks(action, value)
    assert not is_accepted
    assert said in message
    assert desk.state == before


def test_every_action_is_in_the_table() -> None:
    assert {action for asked, _ in ACCEPTED for action, _ in asked} == set(ACTIONS)


def test_steps_let_as_many_ticks_pass_and_no_more(desk: Desk) -> None:
    assert desk.desk.may_tick()
    desk.asks("step", 2.0)
    assert [desk.desk.may_tick() for _ in range(4)] == [True, True, False, False]
    assert desk.desk.status == "paused"
    desk.asks("resume")
    assert desk.desk.may_tick()


def test_who_goes_on_goes_on_at_once(desk: Desk) -> None:
    # After a pause no lost time is made up, and a wait in progress is over.
    for count, (action, value) in enumerate((("resume", None), ("step", 1.0), ("speed", 5.0)), 1):
        desk.asks(action, value)
        assert desk.pacer.released == count


class TestInterrupts:
    @pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
    def test_signals_are_counted_and_handlers_restored(self, signum: signal.Signals) -> None:
        before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
        with Interrupts() as interrupts:
            assert interrupts.count == 0
            for count in (1, 2, 3):
                os.kill(os.getpid(), signum)
                assert wait_until(lambda count=count: interrupts.count == count, 5)  # type: ignore[misc]
        assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before

    @pytest.mark.parametrize(("signum", "said"), [(signal.SIGINT, 1), (signal.SIGTERM, 0)])
    def test_the_first_ctrl_c_is_answered_on_a_terminal(
        self, signum: signal.Signals, said: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        terminal, line = os.openpty()
        with os.fdopen(line, "w") as stderr, os.fdopen(terminal, "rb", buffering=0) as screen:
            monkeypatch.setattr(sys, "stderr", stderr)
            with Interrupts() as interrupts:
                for count in (1, 2):
                    os.kill(os.getpid(), signum)
                    assert wait_until(lambda count=count: interrupts.count == count)  # type: ignore[misc]
            stderr.write("end")
            stderr.flush()
            shown = b""
            while not shown.endswith(b"end"):
                shown += screen.read(1000)
        assert shown.count(b"stopping; Ctrl+C again ends it now") == said

    def test_handlers_are_restored_after_an_error_too(self) -> None:
        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(RuntimeError), Interrupts():
            raise RuntimeError
        assert signal.getsignal(signal.SIGINT) == before

    def test_lasting_counts_from_the_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [10_000_000_000]
        monkeypatch.setattr("orchestrator.runtime.wall_clock.monotonic_ns", lambda: now[0])
        interrupts = Interrupts()
        assert not interrupts.has_lasted(0)
        interrupts.stop()
        now[0] += 1_500_000_000
        interrupts.stop()
        assert not interrupts.has_lasted(2)
        now[0] += 600_000_000
        assert interrupts.has_lasted(2)
