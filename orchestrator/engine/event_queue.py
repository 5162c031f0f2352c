"""Future events in their declared order."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

from orchestrator.engine.events import EventKey
from orchestrator.errors import CausalityError

__all__ = ["EventQueue"]

Payload = TypeVar("Payload")


class EventQueue(Generic[Payload]):
    """A heap of (key, payload); equal keys and events earlier than the last one taken are errors.

    Invariant: every key in the heap is greater than the last key popped, and no key is in it twice.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[EventKey, Payload]] = []
        self._keys: set[EventKey] = set()  # membership only, never iterated
        self._last: EventKey | None = None

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_time_ns(self) -> int | None:
        """Simulation time of the earliest event, None when there is none."""
        return self._heap[0][0][0] if self._heap else None

    def push(self, key: EventKey, payload: Payload) -> None:
        """Add an event.

        Raises
        ------
        CausalityError
            If the key is not later than the last event taken, or stands in the queue already.
        """
        if self._last is not None and key <= self._last:
            raise CausalityError(
                f"event {key} was scheduled at or before the event just handled, {self._last}"
            )
        if key in self._keys:
            raise CausalityError(f"two events have the key {key}; their order is not defined")
        self._keys.add(key)
        heapq.heappush(self._heap, (key, payload))

    def pop_due(self, sim_time_ns: int) -> tuple[EventKey, Payload] | None:
        """Remove and return the next event at or before the time, None when there is none.

        Raises
        ------
        CausalityError
            If the event lies before the time: the clock has run past it.
        """
        if not self._heap or self._heap[0][0][0] > sim_time_ns:
            return None
        key = self._heap[0][0]
        if key.sim_time_ns < sim_time_ns:
            raise CausalityError(f"the clock reached {sim_time_ns} before the event {key} was handled")
        _, payload = heapq.heappop(self._heap)
        self._keys.discard(key)
        self._last = key
        return key, payload
