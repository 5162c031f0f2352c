"""The processes of unmodified bots as the engine sees them: at work, or blocked until a time.

A bot's process runs until it blocks: it sleeps, sends a request, or waits for a child. Time never moves while
one is at work. What it asks is answered when simulation time has come to it, in the order of all events, so
that a request is never answered out of time.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import msgspec

from orchestrator.errors import ProtocolError
from orchestrator.exchange.events import Outcome

__all__ = ["BotCall", "BotProcess", "BotProcesses", "BotVenues", "VenueAnswer"]


class BotProcess(NamedTuple):
    """A process of a bot: its component's declared place, and which descendant of its first process it is."""

    place: int
    path: tuple[int, ...]  # (0,) is the process that was started, (0, 2) its second child


class BotCall(msgspec.Struct, frozen=True, gc=False):
    """What a process asks for before it blocks."""

    sim_time_ns: int  # its own time when it asked
    until_ns: int | None  # when it goes on; None: only when a child of it ends
    request: Any = None  # of an exchange, to be answered at `until_ns`


class VenueAnswer(Protocol):
    """What the engine needs of an exchange's answer."""

    @property
    def takes_ns(self) -> int | None:
        """How long the answer takes, None: as long as every answer does."""


class BotVenues(Protocol):
    """The emulated exchanges, as the engine calls them."""

    def answer(self, request: Any, desk: Any) -> VenueAnswer:
        """Answer a request as of the desk's time."""

    def note(self, outcome: Outcome) -> None:
        """Hear what happened to an order."""


class BotProcesses:
    """Who is at work and who is blocked until when.

    Invariant: a process that is known is either at work or has one outstanding call.
    """

    def __init__(self) -> None:
        self._at_work: set[BotProcess] = set()  # membership and size only, never iterated
        self._calls: dict[BotProcess, BotCall] = {}
        self._wake_ups: dict[BotProcess, int] = {}  # the number of its event that counts
        self._counters: dict[int, int] = {}  # place -> events so far

    def __contains__(self, process: BotProcess) -> bool:
        return process in self._at_work or process in self._calls

    @property
    def is_any_at_work(self) -> bool:
        """Return whether time must stand still."""
        return bool(self._at_work)

    @property
    def at_work(self) -> tuple[BotProcess, ...]:
        """Who is at work, in declared order."""
        return tuple(sorted(self._at_work))

    def begin(self, process: BotProcess) -> None:
        """Note that a process exists and is at work."""
        if process in self:
            raise ProtocolError(f"process {process} was begun twice")
        self._at_work.add(process)

    def block(self, process: BotProcess, call: BotCall) -> None:
        """Take a process's call: it is not at work any more.

        Raises
        ------
        ProtocolError
            If it is not at work.
        """
        if process not in self._at_work:
            raise ProtocolError(f"process {process} called while it was blocked or before it began")
        self._at_work.discard(process)
        self._calls[process] = call

    def go_on(self, process: BotProcess) -> BotCall:
        """Let a blocked process work; return what it had asked for."""
        call = self._calls.pop(process)
        self._wake_ups.pop(process, None)
        self._at_work.add(process)
        return call

    def end(self, process: BotProcess) -> None:
        """Forget a process that is gone."""
        self._at_work.discard(process)
        self._calls.pop(process, None)
        self._wake_ups.pop(process, None)

    def call_of(self, process: BotProcess) -> BotCall | None:
        """Return the outstanding call of a blocked process."""
        return self._calls.get(process)

    def schedule(self, process: BotProcess) -> int:
        """Return the number of the process's next wake-up event; earlier ones do not count any more."""
        number = self._counters[process.place] = self._counters.get(process.place, 0) + 1
        self._wake_ups[process] = number
        return number

    def is_due(self, process: BotProcess, number: int) -> bool:
        """Return whether a wake-up event of that number is the one that counts."""
        return self._wake_ups.get(process) == number

    def next_wake_ns(self, but: BotProcess) -> int | None:
        """Return when the first process other than one goes on by itself."""
        times = [c.until_ns for p, c in self._calls.items() if p != but and c.until_ns is not None]
        return min(times, default=None)

    def is_other_at_work(self, process: BotProcess) -> bool:
        """Return whether anyone else is at work or starting."""
        return len(self._at_work) > (process in self._at_work)
