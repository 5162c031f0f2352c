"""Waiting for descriptors and signals: look first, then wait in simulated time.

A descriptor that another thread of this process makes ready is seen before time passes. One that a child makes
ready is seen while the process waits for that child; nothing else outside of the process may wake it.
"""

from __future__ import annotations

import select
import signal
import sys
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from _replay_shim import durations, real
from _replay_shim.hooks import on_import

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from _replay_shim.baton import Files
    from _replay_shim.caller import Callers
    from _replay_shim.clock import Clock
    from _replay_shim.replacing import Replacements

__all__ = ["install"]

T = TypeVar("T")


class _Look(Generic[T]):
    """Looks whether there is something, and keeps it, or the exception, for the thread that waits."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._found: T | None = None
        self._error: Exception | None = None

    def __call__(self) -> bool:
        try:
            self._found = self._function()
        except Exception as error:  # noqa: BLE001 - raised where it belongs
            self._error = error
            return True
        return bool(self._found)

    def take(self) -> T | None:
        if self._error is not None:
            raise self._error
        return self._found


def install(clock: Clock, callers: Callers, replacements: Replacements) -> None:
    """Replace `select`, `poll`, `epoll` and the waits for signals."""
    waits = _Waits(clock, callers)

    class Poll(_Poll):
        _waits = waits

    class Epoll(_Epoll):
        _waits = waits

    Poll.__name__, Epoll.__name__ = "poll", "epoll"
    replacements.replace(select, "select", waits.select)
    replacements.replace(select, "poll", Poll)
    replacements.replace(select, "epoll", Epoll)
    on_import("selectors", _rebind_selectors)
    if real.sigtimedwait is not None:
        for name in ("sigtimedwait", "sigwait", "sigwaitinfo"):
            replacements.replace(signal, name, getattr(waits, name))


# Its classes keep what they were made with, if it was imported earlier.
def _rebind_selectors(selectors: Any) -> None:
    selectors.PollSelector._selector_cls = select.poll
    selectors.SelectSelector._select = select.select
    if hasattr(selectors, "EpollSelector"):
        selectors.EpollSelector._selector_cls = select.epoll


class _Waits:
    """The functions, and what the classes wait with."""

    def __init__(self, clock: Clock, callers: Callers) -> None:
        self._clock = clock
        self._callers = callers

    def wait(self, function: Callable[[], T], duration_ns: int | None, files: Files = ()) -> T | None:
        """Return what the function found first, None or empty: nothing within the duration."""
        look = _Look(function)
        if duration_ns == 0:
            self._clock.give_way()
            look()
        elif not look():
            clock, baton = self._clock, self._clock.baton
            wait = baton.new_wait(look, files=files)
            if duration_ns is None:
                baton.block(wait, None)
            else:
                is_own = clock.pace.limits(duration_ns) and self._callers.is_own(sys._getframe(1))
                baton.wait_for(wait, duration_ns, is_own=is_own)
        return look.take()

    def select(
        self, rlist: Any, wlist: Any, xlist: Any, timeout: float | None = None, /
    ) -> tuple[list[Any], list[Any], list[Any]]:
        asked = list(rlist), list(wlist), list(xlist)
        if timeout is not None and not (isinstance(timeout, (float, int)) and timeout >= 0):
            real.select_(*asked, timeout)  # raises
        files = [(_descriptor(f), real.POLLIN) for f in asked[0]]
        files += [(_descriptor(f), real.POLLOUT) for f in asked[1]]

        def look() -> Any:
            found = real.select_(*asked, 0)
            return found if any(found) else None

        return self.wait(look, durations.timeout_ns(timeout), files) or ([], [], [])

    def sigtimedwait(self, sigset: Any, timeout: float, /) -> Any:
        if timeout < 0:
            raise ValueError("timeout must be non-negative")
        return self.wait(lambda: real.sigtimedwait(sigset, 0), durations.timeout_ns(timeout))

    def sigwaitinfo(self, sigset: Any, /) -> Any:
        return self.wait(lambda: real.sigtimedwait(sigset, 0), None)

    def sigwait(self, sigset: Any, /) -> Any:
        return signal.Signals(self.sigwaitinfo(sigset).si_signo)


class _Poll:
    """Stands for `select.poll()`."""

    _waits: _Waits

    def __init__(self) -> None:
        self._real = real.poll()
        self._files: dict[int, int] = {}

    def register(self, fd: Any, eventmask: int = 7, /) -> None:
        self._real.register(fd, eventmask)
        self._files[_descriptor(fd)] = eventmask

    def modify(self, fd: Any, eventmask: int, /) -> None:
        self._real.modify(fd, eventmask)
        self._files[_descriptor(fd)] = eventmask

    def unregister(self, fd: Any, /) -> None:
        self._real.unregister(fd)
        self._files.pop(_descriptor(fd), None)

    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
        files = list(self._files.items())
        return self._waits.wait(lambda: self._real.poll(0), durations.poll_timeout_ns(timeout), files) or []


class _Epoll:
    """Stands for `select.epoll()`."""

    _waits: _Waits

    def __init__(self, sizehint: int = -1, flags: int = 0) -> None:
        self._adopt(real.epoll(sizehint, flags))

    @classmethod
    def fromfd(cls, fd: int, /) -> _Epoll:
        made = cls.__new__(cls)
        made._adopt(real.epoll.fromfd(fd))
        return made

    def _adopt(self, epoll: Any) -> None:
        self._real = epoll
        self.register, self.modify, self.unregister = epoll.register, epoll.modify, epoll.unregister
        self.close, self.fileno = epoll.close, epoll.fileno

    @property
    def closed(self) -> bool:
        return bool(self._real.closed)

    def poll(self, timeout: float | None = None, maxevents: int = -1) -> list[tuple[int, int]]:
        duration_ns = None if timeout is None or timeout < 0 else durations.timeout_ns(timeout)
        files = () if self._real.closed else ((self._real.fileno(), real.POLLIN),)
        return self._waits.wait(lambda: self._real.poll(0, maxevents), duration_ns, files) or []

    def __enter__(self) -> Self:
        self._real.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._real.close()


def _descriptor(file: Any) -> int:
    return file if isinstance(file, int) else int(file.fileno())
