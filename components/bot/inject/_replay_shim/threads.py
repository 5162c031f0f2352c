"""Threads that run one at a time: how they begin, end and are waited for."""

from __future__ import annotations

import _thread
import sys
import threading
from typing import TYPE_CHECKING, Any

from _replay_shim import durations, real
from _replay_shim.baton import Strand

if TYPE_CHECKING:
    from collections.abc import Callable

    from _replay_shim.caller import Callers
    from _replay_shim.clock import Clock
    from _replay_shim.replacing import Replacements

__all__ = ["install"]

_STRAND = "_replay_strand"  # attribute of a `threading.Thread`


def install(clock: Clock, callers: Callers, replacements: Replacements) -> None:
    """Give every thread from now on its turn, and make waiting for one take simulated time."""
    threads = _Threads(clock, callers)
    replacements.replace(_thread, "start_new_thread", threads.start_new_thread)
    replacements.replace(_thread, "start_new", threads.start_new_thread)
    replacements.replace(_thread, "start_joinable_thread", threads.start_joinable_thread)
    replacements.replace(threading.Thread, "join", _method(threads.join))
    replacements.replace(threading.Thread, "is_alive", _method(threads.is_alive))
    # The interpreter's end waits natively for the threads that are left. So we wait for them before, and after
    # everything else that is registered: that is called in reverse.
    threading._register_atexit(threads.join_all)  # type: ignore[attr-defined]


class _Threads:
    """What `_thread` and `threading.Thread` offer."""

    def __init__(self, clock: Clock, callers: Callers) -> None:
        self._clock = clock
        self._callers = callers

    def start_new_thread(
        self, function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any] | None = None, /
    ) -> int:
        thread = getattr(function, "__self__", None)
        is_daemon = thread.daemon if isinstance(thread, threading.Thread) else True
        strand, run = self._prepare(function, is_daemon=is_daemon)
        try:
            return real.start_new_thread(run, args, kwargs or {})
        except BaseException:
            self._clock.baton.drop(strand)
            raise

    # Python 3.13
    def start_joinable_thread(
        self, function: Callable[..., object], handle: Any = None, daemon: bool = True
    ) -> Any:
        strand, run = self._prepare(function, is_daemon=daemon)
        try:
            return real.start_joinable_thread(run, handle=handle, daemon=daemon)
        except BaseException:
            self._clock.baton.drop(strand)
            raise

    def _prepare(
        self, function: Callable[..., object], *, is_daemon: bool
    ) -> tuple[Strand, Callable[..., None]]:
        baton = self._clock.baton
        strand = Strand(is_daemon=is_daemon)
        thread = getattr(function, "__self__", None)
        if isinstance(thread, threading.Thread):
            setattr(thread, _STRAND, strand)

        def run(*args: Any, **kwargs: Any) -> None:
            baton.begin(strand)
            try:
                function(*args, **kwargs)
            finally:
                baton.end(strand)

        baton.add(strand)  # before it starts, else the last thread to wait might not know of it
        return strand, run

    def join(self, thread: threading.Thread, timeout: float | None = None) -> None:
        baton = self._clock.baton
        strand = self._strand_of(thread)
        if strand is None or strand is baton.current or strand.has_ended or not real.is_alive(thread):
            real.join(thread)  # raises, or returns at once
            return
        duration_ns = durations.timeout_ns(timeout)
        is_own = (
            duration_ns is not None
            and self._clock.pace.limits(duration_ns)
            and self._callers.is_own(sys._getframe(1))
        )
        self._wait_for_end(strand, duration_ns, is_own=is_own)
        if strand.has_ended:
            real.join(thread)  # what is left of it takes microseconds

    def is_alive(self, thread: threading.Thread) -> bool:
        strand = self._strand_of(thread)
        if strand is not None and strand.has_ended:
            real.join(thread)  # else the answer would depend on how fast the native thread dies
        return real.is_alive(thread)

    def join_all(self) -> None:
        baton = self._clock.baton
        for wait in baton.main.joiners:
            baton.wake(wait)
        while True:
            strand = next((s for s in baton.begun() if s is not baton.main and not s.is_daemon), None)
            if strand is None:
                return
            self._wait_for_end(strand, None, is_own=False)

    def _strand_of(self, thread: threading.Thread) -> Strand | None:
        if thread is threading.main_thread():
            return self._clock.baton.main
        strand: Strand | None = getattr(thread, _STRAND, None)
        return strand

    def _wait_for_end(self, strand: Strand, duration_ns: int | None, *, is_own: bool) -> None:
        baton = self._clock.baton
        wait = baton.new_wait()
        strand.joiners.append(wait)
        try:
            if duration_ns is None:
                baton.block(wait, None)
            else:
                baton.wait_for(wait, duration_ns, is_own=is_own)
        finally:
            strand.joiners.remove(wait)


# A bound method of ours as a method of their class, which hands over its instance.
def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(thread: threading.Thread, *args: Any, **kwargs: Any) -> Any:
        return function(thread, *args, **kwargs)

    method.__name__ = method.__qualname__ = function.__name__
    return method
