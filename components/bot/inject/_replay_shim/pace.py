"""How often a polling bot may look: natural sleeps, or bursts of turns after each tick.

A turn is a pass of the bot's own loop that ends in a short sleep. At natural pace every sleep lasts what it
says. In bursts the sleep that ends the last turn of a burst lasts until a tick (and the phase after it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _replay_shim.turns import TurnLog

__all__ = ["Pace", "Turns"]


class Turns:
    """Turns since the last jump, of one thread or task."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Pace:
    """The rule of bursts.

    Parameters
    ----------
    welcome
        The orchestrator's answer to hello: "burst" (None: natural pace), "tick_ns", "tick_anchor_ns" and
        "phase_ns".
    log
        Where turns are written down, at any pace.
    """

    def __init__(self, welcome: dict[str, Any], log: TurnLog | None = None) -> None:
        self._burst: int | None = welcome["burst"]
        self._log = log
        self._is_counting = self._burst is not None or log is not None
        self._tick_ns: int = welcome["tick_ns"]
        self._offset_ns: int = welcome["tick_anchor_ns"] + welcome["phase_ns"]

    def limits(self, duration_ns: int) -> bool:
        """Return whether sleeps of this length are counted: those shorter than a tick, and not of nothing."""
        return self._is_counting and 0 < duration_ns < self._tick_ns

    def is_last(self, turns: Turns) -> bool:
        """Return whether the turn that ends now is the burst's last."""
        return self._burst is not None and turns.count + 1 >= self._burst

    def jump_ns(self, earliest_ns: int) -> int:
        """Return the first tick, phase added, at or after a time: no sleep is ever shorter than asked."""
        return earliest_ns + (self._offset_ns - earliest_ns) % self._tick_ns

    def count(self, turns: Turns) -> None:
        """Count a turn that has ended; the last of a burst begins the count again."""
        if self._log is not None:
            self._log.end_turn()
        turns.count = 0 if self.is_last(turns) else turns.count + 1
