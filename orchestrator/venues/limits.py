"""How many requests a venue allows, judged by simulation time."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["TokenBucket", "Usage", "WindowLimit"]


class Usage(NamedTuple):
    """What a request met."""

    is_allowed: bool
    used: int
    remaining: int
    reset_ns: int  # how long until there is room again, or until the window ends


class WindowLimit:
    """A quota for each window; a window begins with a caller's first request, or on a grid.

    Parameters
    ----------
    quota
        Sum of weights that a window allows.
    window_ns
        Its length.
    is_aligned
        Whether windows lie on a grid from the epoch, instead of beginning with the first request.
    """

    def __init__(self, quota: int, window_ns: int, *, is_aligned: bool = False) -> None:
        self.quota = quota
        self._window_ns = window_ns
        self._is_aligned = is_aligned
        self._windows: dict[str, tuple[int, int]] = {}  # caller -> (begin, used)

    def take(self, caller: str, weight: int, sim_time_ns: int) -> Usage:
        """Count a request if it fits; what does not fit is refused and not counted."""
        begin, used = self._window(caller, sim_time_ns)
        is_allowed = used + weight <= self.quota
        used += weight if is_allowed else 0
        self._windows[caller] = (begin, used)
        return Usage(is_allowed, used, self.quota - used, begin + self._window_ns - sim_time_ns)

    def look(self, caller: str, sim_time_ns: int) -> Usage:
        """Return how things stand without counting anything."""
        begin, used = self._window(caller, sim_time_ns)
        return Usage(True, used, self.quota - used, begin + self._window_ns - sim_time_ns)

    def spend(self, caller: str, weight: int, sim_time_ns: int) -> None:
        """Count what was answered already, up to the quota."""
        begin, used = self._window(caller, sim_time_ns)
        self._windows[caller] = (begin, min(self.quota, used + weight))

    def _window(self, caller: str, sim_time_ns: int) -> tuple[int, int]:
        begin, used = self._windows.get(caller, (0, -1))
        if used >= 0 and sim_time_ns < begin + self._window_ns:
            return begin, used
        return sim_time_ns - sim_time_ns % self._window_ns if self._is_aligned else sim_time_ns, 0


class TokenBucket:
    """So many requests at once, and one more for each step of time.

    Parameters
    ----------
    burst
        What a full bucket holds.
    step_ns
        How long one token takes to come back.
    """

    def __init__(self, burst: int, step_ns: int) -> None:
        self.quota = burst
        self._step_ns = step_ns
        self._full_ns: dict[str, int] = {}  # caller -> when the bucket is full again

    def take(self, caller: str, weight: int, sim_time_ns: int) -> Usage:
        """Count a request if there are tokens for it."""
        full_ns = max(self._full_ns.get(caller, 0), sim_time_ns)
        missing = -((sim_time_ns - full_ns) // self._step_ns)
        is_allowed = missing + weight <= self.quota
        if is_allowed:
            self._full_ns[caller] = full_ns + weight * self._step_ns
            return Usage(True, missing + weight, self.quota - missing - weight, 0)
        wait_ns = full_ns + weight * self._step_ns - self.quota * self._step_ns - sim_time_ns
        return Usage(False, missing, self.quota - missing, wait_ns)

    def spend(self, caller: str, weight: int, sim_time_ns: int) -> None:
        """Count what was answered already, until the bucket is empty."""
        full_ns = max(self._full_ns.get(caller, 0), sim_time_ns) + weight * self._step_ns
        self._full_ns[caller] = min(full_ns, sim_time_ns + self.quota * self._step_ns)
