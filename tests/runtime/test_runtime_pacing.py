"""Speed: when the next tick is due on the wall clock, with a clock that the test turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import SPEED_MAX, SPEED_MIN
from orchestrator.runtime import pacing
from orchestrator.runtime.pacing import Pacer

SECOND = 1_000_000_000
T0 = 1_704_067_200 * SECOND


class FakeClock:
    def __init__(self) -> None:
        self.now = 5 * SECOND

    def monotonic_ns(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(pacing, "wall_clock", clock)
    return clock


def test_max_never_waits(clock: FakeClock) -> None:
    pacer = Pacer(None)
    assert [pacer.wait_ns(T0 + n * 300 * SECOND) for n in range(5)] == [0] * 5


def test_the_first_tick_is_due_at_once_and_later_ones_follow_from_it(clock: FakeClock) -> None:
    pacer = Pacer(60)
    assert pacer.wait_ns(T0) == 0
    assert pacer.wait_ns(T0 + 300 * SECOND) == 5 * SECOND
    clock.now += 4 * SECOND
    assert pacer.wait_ns(T0 + 300 * SECOND) == 1 * SECOND
    clock.now += 1 * SECOND
    assert pacer.wait_ns(T0 + 300 * SECOND) == 0
    assert pacer.wait_ns(T0 + 600 * SECOND) == 5 * SECOND


def test_what_is_late_is_due_and_the_time_is_made_up(clock: FakeClock) -> None:
    pacer = Pacer(60)
    pacer.wait_ns(T0)
    clock.now += 9 * SECOND
    assert pacer.wait_ns(T0 + 300 * SECOND) == -4 * SECOND
    assert pacer.wait_ns(T0 + 600 * SECOND) == 1 * SECOND  # as if nothing had been late


def test_another_speed_holds_from_now_on(clock: FakeClock) -> None:
    pacer = Pacer(60)
    pacer.wait_ns(T0)
    clock.now += 2 * SECOND
    pacer.set_speed(300)
    assert pacer.wait_ns(T0 + 300 * SECOND) == 0
    assert pacer.wait_ns(T0 + 600 * SECOND) == 1 * SECOND
    pacer.set_speed(None)
    assert pacer.wait_ns(T0 + 900 * SECOND) == 0


def test_after_a_pause_nothing_is_made_up(clock: FakeClock) -> None:
    pacer = Pacer(60)
    pacer.wait_ns(T0)
    clock.now += 3_600 * SECOND
    pacer.release()
    assert pacer.wait_ns(T0 + 300 * SECOND) == 0
    assert pacer.wait_ns(T0 + 600 * SECOND) == 5 * SECOND


@given(st.floats(SPEED_MIN, SPEED_MAX), st.integers(0, 100 * 366 * 86_400 * SECOND))
def test_every_speed_that_is_allowed_gives_a_time(speed: float, ahead_ns: int) -> None:
    pacer = Pacer(speed)
    pacer.wait_ns(0)
    pacer.wait_ns(ahead_ns)
