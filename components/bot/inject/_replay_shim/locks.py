"""Locks whose waiting takes simulated time and is served in order.

Everything in `threading`, `queue` and `concurrent.futures` that waits does so in one of these two locks. The
standard library has a `SimpleQueue` in Python: with our lock below it, it is ours.
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
    from _replay_shim.baton import Strand, Wait
    from _replay_shim.caller import Callers
    from _replay_shim.clock import Clock
    from _replay_shim.replacing import Replacements

__all__ = ["Lock", "RLock", "install"]


class _Waited:
    """What both kinds of lock have: those who wait for it, in order."""

    clock: Clock
    callers: Callers
    __slots__ = ("__weakref__", "_waits")

    def __init__(self) -> None:
        self._waits: deque[Wait] | None = None  # made by the first who waits

    def release(self) -> None:
        raise NotImplementedError

    # Who waited longest; threads that a fork has left behind wait for nothing.
    def _next_wait(self) -> Wait | None:
        while self._waits:
            wait = self._waits.popleft()
            if not wait.strand.has_ended:
                return wait
        return None

    # True when the one who releases the lock has handed it over.
    def _wait(self, blocking: bool, timeout: float) -> bool:
        duration_ns = durations.lock_timeout_ns(blocking, timeout)
        if duration_ns == 0:
            return False
        baton = self.clock.baton
        wait = baton.new_wait()
        if self._waits is None:
            self._waits = deque()
        self._waits.append(wait)
        try:
            if duration_ns is None:
                return baton.block(wait, None)
            is_own = self.clock.pace.limits(duration_ns) and self.callers.is_own(sys._getframe(1))
            return baton.wait_for(wait, duration_ns, is_own=is_own)
        except BaseException:
            if wait.was_woken:
                self.release()
            raise
        finally:
            if not wait.was_woken:
                self._waits.remove(wait)


class Lock(_Waited):
    """Stands for `threading.Lock`: free, or held, by whichever thread."""

    __slots__ = ("_is_locked",)

    def __init__(self) -> None:
        self._is_locked = False
        self._waits = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; the thread that waited longest gets it from the hand of its holder."""
        if self._is_locked:
            return self._wait(blocking, timeout)
        if timeout != -1:
            durations.lock_timeout_ns(blocking, timeout)  # raises
        self._is_locked = True
        return True

    def release(self) -> None:
        """Free the lock, or hand it to the next."""
        if not self._is_locked:
            raise RuntimeError("release unlocked lock")
        wait = self._next_wait() if self._waits else None
        if wait is None:
            self._is_locked = False
        else:
            self.clock.baton.wake(wait)

    def locked(self) -> bool:
        """Return whether the lock is held."""
        return self._is_locked

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<{'locked' if self._is_locked else 'unlocked'} _thread.lock object at {id(self):#x}>"

    def _at_fork_reinit(self) -> None:
        self._is_locked = False
        self._waits = None

    acquire_lock = acquire
    release_lock = release
    locked_lock = locked


class RLock(_Waited):
    """Stands for `threading.RLock`: free, or held so many times by one thread."""

    __slots__ = ("_count", "_owner")

    def __init__(self) -> None:
        self._owner: Strand | None = None
        self._count = 0
        self._waits = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock once more, or for the first time when it is this thread's turn."""
        me = self.clock.baton.current
        if self._owner is not None and self._owner is not me:
            return self._wait(blocking, timeout)
        if timeout != -1:
            durations.lock_timeout_ns(blocking, timeout)  # raises
        self._owner, self._count = me, self._count + 1
        return True

    def release(self) -> None:
        """Give the lock back once; the last time it is free, or the next one's."""
        if self._owner is not self.clock.baton.current:
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1
        if not self._count:
            self._pass_on()

    def locked(self) -> bool:
        """Return whether the lock is held (Python 3.14)."""
        return self._owner is not None

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        self.release()

    def __repr__(self) -> str:
        state = "unlocked" if self._owner is None else "locked"
        return f"<{state} _thread.RLock object count={self._count} at {id(self):#x}>"

    def _pass_on(self) -> None:
        wait = self._next_wait() if self._waits else None
        if wait is None:
            self._owner, self._count = None, 0
        else:
            self._owner, self._count = wait.strand, 1
            self.clock.baton.wake(wait)

    def _at_fork_reinit(self) -> None:
        self._owner = None
        self._count = 0
        self._waits = None

    # What `threading.Condition` asks of a reentrant lock.
    def _is_owned(self) -> bool:
        return self._owner is self.clock.baton.current

    def _recursion_count(self) -> int:
        return self._count if self._is_owned() else 0

    def _release_save(self) -> int:
        if not self._is_owned():
            raise RuntimeError("cannot release un-acquired lock")
        count = self._count
        self._pass_on()
        return count

    def _acquire_restore(self, count: int) -> None:
        self.acquire()
        self._count = count


def install(clock: Clock, callers: Callers, replacements: Replacements) -> None:
    """Make every lock from now on one of ours."""
    _Waited.clock, _Waited.callers = clock, callers
    replacements.replace(_thread, "allocate_lock", Lock)
    replacements.replace(_thread, "allocate", Lock)
    replacements.replace(threading, "Lock", Lock)
    replacements.replace(_thread, "RLock", RLock)
    on_import("queue", _replace_simple_queue)


def _replace_simple_queue(queue: Any) -> None:
    queue.SimpleQueue = queue._PySimpleQueue
