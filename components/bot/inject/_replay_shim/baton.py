"""Exactly one thread of the process runs at a time, and the order in which they run is determined.

The thread that runs holds the baton. It gives it away only where it waits, in one of the replaced primitives,
and to the thread that became runnable first. The last thread to wait lets time pass. So what threads do cannot
depend on when the interpreter would have switched between them. What this cannot do: a thread that waits in a
native call which none of our primitives stands for keeps the baton, and one that computes for ever starves the
others; the orchestrator's watchdog ends both.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from _replay_shim import ending, real
from _replay_shim.pace import Turns

if TYPE_CHECKING:
    from _replay_shim.clock import Clock

__all__ = ["Baton", "Strand", "Wait"]

Files = Sequence[tuple[int, int]]  # descriptors and the events that are waited for, as `poll` has them
_STALE_MAX = 256  # timers of waits that are over, before they are swept out


class Strand:
    """A thread, as the baton knows it.

    Attributes
    ----------
    gate
        Released when the thread gets the baton.
    ident
        Of the native thread; 0 until it runs.
    depth
        How many waits it is in: one, or more when a signal's handler waits inside another wait.
    interrupts
        Handlers of signals that it must call before it goes on; only the main thread has any.
    """

    __slots__ = ("depth", "gate", "has_ended", "ident", "interrupts", "is_daemon", "joiners", "turns")

    def __init__(self, ident: int = 0, *, is_daemon: bool = False) -> None:
        self.gate = real.allocate_lock()
        self.gate.acquire()
        self.ident = ident
        self.depth = 0
        self.is_daemon = is_daemon
        self.has_ended = False
        self.interrupts: deque[Callable[[], object]] = deque()
        self.joiners: list[Wait] = []
        self.turns = Turns()


class Wait:
    """One wait of one thread, until it is woken or its time has come.

    Attributes
    ----------
    look
        Asked before time passes: true ends the wait, as when a descriptor became ready.
    child
        The process whose end it waits for.
    function
        What the thread calls when the time has come, instead of a wait of its own that ends.
    files
        The descriptors that it waits for, with `poll`'s events.
    """

    __slots__ = ("child", "files", "function", "is_over", "is_timed", "look", "strand", "was_woken")

    def __init__(
        self,
        strand: Strand,
        look: Callable[[], bool] | None = None,
        child: int | None = None,
        files: Files = (),
    ) -> None:
        self.strand = strand
        self.function: Callable[[], object] | None = None
        self.look = look
        self.child = child
        self.files = files
        self.is_over = self.was_woken = self.is_timed = False


class Baton:
    """Who runs, who may run next, and who waits until when.

    Invariant: `current` is the only thread that executes anything but its own `gate.acquire()`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # A child that may make a descriptor ready; `children` says which are alive.
        self.living_child: Callable[[], int | None] = lambda: None
        self.current = Strand(real.get_ident())
        self.begin_anew()

    def begin_anew(self) -> None:
        """Know the calling thread alone: at the start, and in a forked child, where it is the only one."""
        for strand in getattr(self, "_strands", ()):
            strand.has_ended = strand is not self.current
        self.main = self.current
        self.main.joiners.clear()
        self._strands = [self.main]  # not ended, in the order of their start
        self._ready: deque[Strand] = deque()
        self._timers: list[tuple[int, int, Wait]] = []
        self._looking: list[Wait] = []
        self._looked: Wait | None = None  # has looked for itself, and nothing ran since
        self._counter = self._stale = 0

    # ------------------------------------------------------------------ waits of the current thread

    def new_wait(
        self,
        look: Callable[[], bool] | None = None,
        child: int | None = None,
        files: Files = (),
    ) -> Wait:
        """Return a wait of the current thread, not begun."""
        return Wait(self.current, look, child, files)

    def sleep_until(self, until_ns: int) -> None:
        """Wait until a time, which may have come already."""
        if not self._pass_alone(until_ns):
            self.block(self.new_wait(), until_ns)

    def give_way(self) -> None:
        """Let those run that became runnable before; no time passes."""
        self.sleep_until(self._clock.now_ns())

    def wait_for(self, wait: Wait, duration_ns: int, *, is_own: bool, turns: Turns | None = None) -> bool:
        """Wait for a wake-up or a duration, whichever comes first; return whether it was woken.

        A short wait of the bot's own code that lasted until its time is the end of a turn.
        """
        clock, pace = self._clock, self._clock.pace
        clock.charge()
        until_ns = clock.now_ns() + duration_ns
        if not is_own or clock.has_open_orders or not pace.limits(duration_ns):
            return self.block(wait, until_ns)
        counted = turns or wait.strand.turns
        was_woken = self.block(wait, pace.jump_ns(until_ns) if pace.is_last(counted) else until_ns)
        if not was_woken:
            pace.count(counted)
        return was_woken

    def block(self, wait: Wait, until_ns: int | None) -> bool:
        """Wait for a wake-up or a time, None: without end; return whether it was woken.

        Whatever a signal's handler raises ends the wait and is raised.
        """
        strand = wait.strand
        if strand.ident != real.get_ident():
            ending.refuse("a thread that Python did not start waits: the replay cannot tell when it runs")
        if until_ns is not None:
            if self._pass_alone(until_ns):
                return False
            self._set_timer(wait, until_ns)
        if wait.look is not None:
            self._looking.append(wait)
            self._looked = wait
        strand.depth += 1
        try:
            while not wait.is_over:
                chosen = self._choose()
                if chosen is not strand:
                    self._pass_to(chosen)
                    strand.gate.acquire()
                if strand.interrupts:
                    strand.interrupts.popleft()()
        finally:
            self._forget(wait)
            strand.depth -= 1
        self.call_interrupts()
        return wait.was_woken

    def call_interrupts(self) -> None:
        """Call the handlers of signals that came while the current thread could not be interrupted."""
        strand = self.current
        while strand.interrupts and not strand.depth:
            strand.interrupts.popleft()()

    # ------------------------------------------------------------------ what others do to a thread

    def wake(self, wait: Wait) -> None:
        """Make the thread of a wait runnable, after those that are runnable already."""
        if not wait.is_over:
            wait.is_over = wait.was_woken = True
            self._ready.append(wait.strand)

    def interrupt(self, handler: Callable[[], object]) -> None:
        """Have a handler called by the main thread: now if it runs, else as soon as it can have the baton."""
        if self.main.depth:
            self.main.interrupts.append(handler)
            self._ready.append(self.main)  # runs the handler, and waits again unless its wait is over
            self._clock.poke()
        else:
            handler()

    def call_at(self, due_ns: int, function: Callable[[], object]) -> Wait:
        """Have the main thread call a function at a time, or at its next wait after that; `is_over` ends it."""
        wait = Wait(self.main)
        wait.function = function
        self._set_timer(wait, due_ns)
        return wait

    def begun(self) -> tuple[Strand, ...]:
        """Return the threads that have not ended, in the order of their start."""
        return tuple(self._strands)

    def add(self, strand: Strand) -> None:
        """Count a thread as runnable, before it is started."""
        self._strands.append(strand)
        self._ready.append(strand)

    def begin(self, strand: Strand) -> None:
        """Wait for the baton, first thing in a new thread."""
        strand.gate.acquire()
        strand.ident = real.get_ident()

    def end(self, strand: Strand) -> None:
        """Give the baton away for good, last thing in a thread."""
        self.drop(strand)
        self._pass_to(self._choose())

    def drop(self, strand: Strand) -> None:
        """Forget a thread: it has ended or could not be started."""
        strand.has_ended = True
        self._strands.remove(strand)
        for wait in strand.joiners:
            self.wake(wait)

    # ------------------------------------------------------------------ who is next

    # Nobody else can do anything before that time, and nobody need be asked: it is now.
    def _pass_alone(self, until_ns: int) -> bool:
        timers = self._timers
        if self._ready or self._looking or until_ns > self._clock.horizon_ns:
            return False
        if timers and timers[0][0] <= until_ns:
            return False
        self._clock.jump(until_ns)
        return True

    def _pass_to(self, strand: Strand) -> None:
        self._looked = None
        self.current = strand
        strand.gate.release()

    def _choose(self) -> Strand:
        while True:
            self._collect_due()
            while self._ready:
                strand = self._ready.popleft()
                if not strand.has_ended:
                    return strand
            for wait in tuple(self._looking):
                if wait is not self._looked and not wait.is_over and wait.look is not None and wait.look():
                    self.wake(wait)
            self._looked = None
            if not self._ready:
                self._let_time_pass()

    def _set_timer(self, wait: Wait, until_ns: int) -> None:
        self._counter += 1
        heapq.heappush(self._timers, (until_ns, self._counter, wait))
        wait.is_timed = True

    def _collect_due(self) -> None:
        timers, now_ns = self._timers, self._clock.now_ns()
        while timers and timers[0][0] <= now_ns:
            _, _, wait = heapq.heappop(timers)
            wait.is_timed = False
            if wait.is_over:
                self._stale -= 1
            else:
                wait.is_over = True
                if wait.function is not None:
                    wait.strand.interrupts.append(wait.function)
                self._ready.append(wait.strand)

    def _let_time_pass(self) -> None:
        timers = self._timers
        while timers and timers[0][2].is_over:
            heapq.heappop(timers)[2].is_timed = False
            self._stale -= 1
        until_ns = timers[0][0] if timers else None
        children = [wait.child for wait in self._looking if wait.child is not None]
        child = children[0] if children else None
        files = [pair for wait in self._looking for pair in wait.files]
        if child is None and files:
            child = self.living_child()
        # The orchestrator tells of the end of one child; the others are looked at.
        has_others = any(other != child for other in children)
        self._clock.move_to(until_ns, child, files if child is not None else (), has_others=has_others)

    def _forget(self, wait: Wait) -> None:
        wait.is_over = True
        if wait.look is not None:
            self._looking.remove(wait)
        if wait.is_timed:
            self._stale += 1
            if self._stale > _STALE_MAX and 2 * self._stale > len(self._timers):
                self._timers = [timer for timer in self._timers if not timer[2].is_over]
                heapq.heapify(self._timers)
                self._stale = 0
