"""When components are to be woken between ticks: at times they asked for, and when news reach them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from orchestrator.engine.clock import Clock
from orchestrator.engine.event_queue import EventQueue
from orchestrator.engine.events import EventKey, EventKind
from orchestrator.engine.mailbox import Notice
from orchestrator.engine.requests import ComponentPlace
from orchestrator.errors import ProtocolError

__all__ = ["WAKE_UPS_MAX", "WakeUp", "WakeUps"]

WAKE_UPS_MAX: Final = 10_000
"""How many wake-ups a component may wait for at a time."""


class WakeUp(msgspec.Struct, frozen=True):
    """A queued reason to wake a component: a time it asked for, or a notice that takes until now to reach it."""

    notice: Notice | None


class WakeUps:
    """Puts wake-ups into the queue of events.

    Parameters
    ----------
    components
        In declared order.
    clock, queue
        Of the engine.
    sim_end_ns
        Nobody is woken later.
    """

    def __init__(
        self, components: tuple[ComponentPlace, ...], clock: Clock, queue: EventQueue[Any], sim_end_ns: int
    ) -> None:
        self._components = components
        self._clock = clock
        self._queue = queue
        self._sim_end_ns = sim_end_ns
        self._counters = [0] * len(components)
        self._asked: list[set[int]] = [set() for _ in components]  # membership and size only, never iterated

    def ask(self, place: int, sim_time_ns: int) -> None:
        """Wake a component at a time it asks for; equal times wake it once.

        Raises
        ------
        ProtocolError
            If the time is not later than now, or the component waits for too many already.
        """
        name, asked = self._components[place].name, self._asked[place]
        if sim_time_ns <= self._clock.sim_time_ns:
            raise ProtocolError(
                f"{name} asked to be woken at {sim_time_ns} ns, which is not later than "
                f"now ({self._clock.sim_time_ns} ns)",
                component=name,
            )
        if sim_time_ns > self._sim_end_ns or sim_time_ns in asked:
            return
        if len(asked) >= WAKE_UPS_MAX:
            raise ProtocolError(
                f"{name} waits for {WAKE_UPS_MAX} wake-ups already; no more are allowed at a time",
                component=name,
            )
        asked.add(sim_time_ns)
        self._push(place, sim_time_ns, None)

    def bring(self, place: int, notice: Notice, sim_time_ns: int) -> None:
        """Wake a component when a notice reaches it."""
        if sim_time_ns <= self._sim_end_ns:
            self._push(place, sim_time_ns, notice)

    def came(self, place: int, sim_time_ns: int) -> None:
        """Note that a time which a component had asked for has come."""
        self._asked[place].discard(sim_time_ns)

    def _push(self, place: int, sim_time_ns: int, notice: Notice | None) -> None:
        self._counters[place] += 1
        self._queue.push(
            EventKey(sim_time_ns, EventKind.STAGES, place, self._counters[place]), WakeUp(notice)
        )
