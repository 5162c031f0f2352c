"""Replay speed: when, on the wall clock, the next tick is due. Results never depend on it."""

from __future__ import annotations

from orchestrator.runtime import wall_clock

__all__ = ["Pacer"]


class Pacer:
    """Maps simulation time to wall time from an anchor that moves when the speed changes or a pause ends.

    Parameters
    ----------
    speed
        Simulated seconds per wall second; None never waits.
    """

    def __init__(self, speed: float | None) -> None:
        self.speed = speed
        self._anchor: tuple[int, int] | None = None  # (simulation, wall) nanoseconds

    def set_speed(self, speed: float | None) -> None:
        """Change the speed from now on."""
        self.speed = speed
        self.release()

    def release(self) -> None:
        """Forget the anchor: the next tick is due at once, later ones follow from it."""
        self._anchor = None

    def wait_ns(self, sim_time_ns: int) -> int:
        """Return how long to wait for the tick at the simulation time; 0 or less means that it is due."""
        if self.speed is None:
            return 0
        now = wall_clock.monotonic_ns()
        if self._anchor is None:
            self._anchor = (sim_time_ns, now)
            return 0
        sim_anchor_ns, wall_anchor_ns = self._anchor
        return wall_anchor_ns + int((sim_time_ns - sim_anchor_ns) / self.speed) - now
