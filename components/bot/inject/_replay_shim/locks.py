"""Locks whose waiting takes simulated time and is served in order.

Everything in `threading`, `queue` and `concurrent.futures` that waits does so in such a lock. The standard
library has its own reentrant lock and its own `SimpleQueue` in Python: with this lock below them they are ours.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from _replay_shim import durations
from _replay_shim.hooks import on_import

if TYPE_CHECKING:
    from _replay_shim.baton import Wait
    from _replay_shim.caller import Callers
    from _replay_shim.clock import Clock
    from _replay_shim.replacing import Replacements

__all__ = ["Lock", "install"]


class Lock:
    """Stands for `threading.Lock`: free, or held with those who wait for it in order."""

    clock: Clock
    callers: Callers
    __slots__ = ("__weakref__", "_is_locked", "_waits")

    def __init__(self) -> None:
        self._is_locked = False
        self._waits: deque[Wait] | None = None  # made by the first who waits

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; the thread that waited longest gets it from the hand of its holder."""
        if not self._is_locked:
            if timeout != -1:
                durations.lock_timeout_ns(blocking, timeout)
            self._is_locked = True
            return True
        duration_ns = durations.lock_timeout_ns(blocking, timeout)
        if duration_ns == 0:
            return False
        wait = self.clock.baton.new_wait()
        if self._waits is None:
            self._waits = deque()
        self._waits.append(wait)
        try:
            if duration_ns is None:
                return self.clock.baton.block(wait, None)
            is_own = self.clock.pace.limits(duration_ns) and self.callers.is_own(sys._getframe(1))
            return self.clock.baton.wait_for(wait, duration_ns, is_own=is_own)
        except BaseException:
            if wait.was_woken:
                self.release()
            raise
        finally:
            if not wait.was_woken:
                self._waits.remove(wait)

    def release(self) -> None:
        """Free the lock, or hand it to the next."""
        if not self._is_locked:
            raise RuntimeError("release unlocked lock")
        if self._waits:
            self.clock.baton.wake(self._waits.popleft())
        else:
            self._is_locked = False

    def locked(self) -> bool:
        """Return whether the lock is held."""
        return self._is_locked

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def __repr__(self) -> str:
        state = "locked" if self._is_locked else "unlocked"
        return f"<{state} _thread.lock object at {id(self):#x}>"

    def _at_fork_reinit(self) -> None:
        self._is_locked = False
        self._waits = None

    acquire_lock = acquire
    release_lock = release
    locked_lock = locked


def install(clock: Clock, callers: Callers, replacements: Replacements) -> None:
    """Make every lock from now on one of ours."""
    Lock.clock, Lock.callers = clock, callers
    reentrant: Any = threading._PyRLock  # type: ignore[attr-defined]
    replacements.replace(_thread, "allocate_lock", Lock)
    replacements.replace(_thread, "allocate", Lock)
    replacements.replace(threading, "Lock", Lock)
    replacements.replace(_thread, "RLock", reentrant)
    on_import("queue", _replace_simple_queue)


def _replace_simple_queue(queue: Any) -> None:
    queue.SimpleQueue = queue._PySimpleQueue
