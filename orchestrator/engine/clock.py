"""Simulation time, its one writer: ticks are numbered 1, 2, 3 …, what happens between them 1, 2 … anew."""

from __future__ import annotations

from orchestrator.errors import CausalityError

__all__ = ["Clock"]


class Clock:
    """The current simulation time with its sequence and step.

    Invariants: time never falls and rises with every call; `step` is 0 exactly at a tick.
    """

    __slots__ = ("sequence", "sim_time_ns", "step")

    def __init__(self, sim_start_ns: int) -> None:
        self.sim_time_ns = sim_start_ns
        self.sequence = 0
        self.step = 0

    def tick(self, sim_time_ns: int) -> None:
        """Go to the next tick."""
        self._go(sim_time_ns)
        self.sequence += 1
        self.step = 0

    def advance(self, sim_time_ns: int) -> None:
        """Go to a time between two ticks."""
        self._go(sim_time_ns)
        self.step += 1

    def _go(self, sim_time_ns: int) -> None:
        if sim_time_ns <= self.sim_time_ns:
            raise CausalityError(f"the clock stands at {self.sim_time_ns} and was sent back to {sim_time_ns}")
        self.sim_time_ns = sim_time_ns
