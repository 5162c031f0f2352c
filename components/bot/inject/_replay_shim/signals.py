"""Signals: their handlers run with the baton, also while the process waits; alarms ring in simulated time.

Handlers are called between two waits of the main thread, or end the one that it is in, as they do natively.
Alarms (`alarm`, `setitimer(ITIMER_REAL)`) call the handler of SIGALRM, or end the process, when their simulated
time has come: exactly if the main thread waits, else at its next wait. Timers of CPU time never ring, since
CPU time is free.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from _replay_shim import durations, real

if TYPE_CHECKING:
    from _replay_shim.baton import Wait
    from _replay_shim.clock import Clock
    from _replay_shim.replacing import Replacements

__all__ = ["install"]


def install(clock: Clock, replacements: Replacements) -> None:
    """Replace `signal.signal` and the timers; take over the handler that raises KeyboardInterrupt."""
    signals = _Signals(clock)
    for name in ("signal", "getsignal", "alarm", "setitimer", "getitimer", "pause"):
        replacements.replace(signal, name, getattr(signals, name))
    if real.getsignal(signal.SIGINT) is signal.default_int_handler:
        signals.signal(signal.SIGINT, signal.default_int_handler)


class _Signals:
    """What the module `signal` offers."""

    def __init__(self, clock: Clock) -> None:
        self._baton = clock.baton
        self._alarm_clock = _AlarmClock(clock)
        self._count = 0  # handlers called

    def signal(self, signalnum: int, handler: Any, /) -> Any:
        return _unwrapped(real.signal_(signalnum, self._wrapped(handler)))

    def getsignal(self, signalnum: int, /) -> Any:
        return _unwrapped(real.getsignal(signalnum))

    def alarm(self, seconds: int, /) -> int:
        left_ns, _ = self._alarm_clock.set(durations.sleep_ns(seconds), 0)
        return -(-left_ns // durations.SECOND_NS)

    def setitimer(self, which: int, seconds: float, interval: float = 0.0, /) -> tuple[float, float]:
        if seconds < 0 or interval < 0:
            raise signal.ItimerError(22, "Invalid argument")
        if which != signal.ITIMER_REAL:
            return 0.0, 0.0
        return _seconds(self._alarm_clock.set(durations.sleep_ns(seconds), durations.sleep_ns(interval)))

    def getitimer(self, which: int, /) -> tuple[float, float]:
        return _seconds(self._alarm_clock.left() if which == signal.ITIMER_REAL else (0, 0))

    def pause(self) -> None:
        before = self._count
        self._baton.block(self._baton.new_wait(lambda: self._count != before), None)

    def _wrapped(self, handler: Any) -> Any:
        if not callable(handler) or isinstance(handler, signal.Handlers):
            return handler  # SIG_IGN, SIG_DFL, or an error for the real function to raise

        def deliver(number: int, frame: Any) -> None:
            self._baton.interrupt(lambda: self._call(handler, number, frame))

        deliver.handler = handler  # type: ignore[attr-defined]
        return deliver

    def _call(self, handler: Any, number: int, frame: Any) -> None:
        self._count += 1
        handler(number, frame)


def _unwrapped(handler: Any) -> Any:
    return getattr(handler, "handler", handler)


class _AlarmClock:
    """The one alarm of a process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due_ns: int | None = None
        self._interval_ns = 0
        self._timer: Wait | None = None

    def set(self, duration_ns: int, interval_ns: int) -> tuple[int, int]:
        """Ring after a duration, and then at intervals; 0 for never. Return what was set before."""
        before = self.left()
        if self._timer is not None:
            self._timer.is_over = True
        self._due_ns = self._timer = None
        self._interval_ns = interval_ns
        if duration_ns:
            self._ring_at(self._clock.now_ns() + duration_ns)
        return before

    def left(self) -> tuple[int, int]:
        """Return the nanoseconds until it rings, 0 for never, and between two times after that."""
        if self._due_ns is None:
            return 0, 0
        return max(1, self._due_ns - self._clock.now_ns()), self._interval_ns

    def _ring_at(self, due_ns: int) -> None:
        self._due_ns = due_ns
        self._timer = self._clock.baton.call_at(due_ns, self._ring)

    def _ring(self) -> None:
        due_ns, self._due_ns = self._due_ns, None
        if self._interval_ns and due_ns is not None:
            self._ring_at(due_ns + self._interval_ns)
        signal.raise_signal(signal.SIGALRM)  # whatever the bot has set for it, to end the process if nothing


def _seconds(pair: tuple[int, int]) -> tuple[float, float]:
    return pair[0] / durations.SECOND_NS, pair[1] / durations.SECOND_NS
