"""What subprocess and multiprocessing wait for natively: ends of children, pipes, semaphores.

A read from a child's pipe would hold simulated time while the child waits for it. So each such wait looks first,
and then waits for the child in simulated time.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
from typing import TYPE_CHECKING, Any

from _replay_shim import durations
from _replay_shim.hooks import on_import
from _replay_shim.terminal import is_clear

if TYPE_CHECKING:
    from _replay_shim.children import Family

__all__ = ["install"]

_NO_PID = 4_194_304  # no process has it: the largest is one less
_PIPE_BYTES = 1_048_576  # a program without the shim then mostly ends without anyone having read
_SET_PIPE_SIZE = getattr(fcntl, "F_SETPIPE_SZ", None)  # Linux
_STEP_NS = 1_000_000
_STEP_NS_MAX = 100_000_000


def install(family: Family) -> None:
    """Take over subprocess and multiprocessing when they are imported."""
    on_import("subprocess", lambda module: _take_over_subprocess(module, family))
    on_import("multiprocessing.popen_fork", lambda module: _take_over_process(module, family))
    on_import("multiprocessing.connection", lambda module: _take_over_connection(module, family))
    on_import("multiprocessing.synchronize", lambda module: _take_over_semaphores(module, family))


def _take_over_subprocess(module: Any, family: Family) -> None:
    popen = module.Popen
    plain_init = popen.__init__
    plain_execute = popen._execute_child

    def init(self: Any, *arguments: Any, **options: Any) -> None:
        plain_init(self, *arguments, **options)
        self.stdout = _in_simulated_time(self.stdout, family)
        self.stderr = _in_simulated_time(self.stderr, family)

    # The positions are those of every version since 3.9: what to run, … , the six ends of three pipes.
    def execute_child(self: Any, command: Any, *rest: Any) -> None:
        if not is_clear(command):
            plain_execute(self, command, *rest)
            return
        self.pid = _NO_PID
        self.returncode = 0
        self._close_pipe_fds(*rest[9:15])

    def wait(self: Any, timeout: float | None) -> Any:
        if self.returncode is None:
            if not family.wait(self.pid, timeout):
                raise module.TimeoutExpired(self.args, timeout)
            with self._waitpid_lock:
                if self.returncode is None:
                    self._handle_exitstatus(self._try_wait(0)[1])
        return self.returncode

    init.__wrapped__ = plain_init  # type: ignore[attr-defined]
    popen.__init__ = init
    popen._execute_child = execute_child
    popen._wait = wait


def _take_over_process(module: Any, family: Family) -> None:
    def wait(self: Any, timeout: float | None = None) -> Any:
        if self.returncode is None and not family.wait(self.pid, timeout):
            return None
        return self.poll(0)

    module.Popen.wait = wait


def _take_over_connection(module: Any, family: Family) -> None:
    plain = module.Connection._recv

    def receive(self: Any, size: int, *rest: Any) -> Any:
        if size:
            family.wait_readable(self._handle)
        return plain(self, size, *rest)

    module.Connection._recv = receive


def _take_over_semaphores(module: Any, family: Family) -> None:
    plain = module.SemLock._make_methods
    clock = family.clock

    def make_methods(self: Any) -> None:
        plain(self)
        try_acquire = self._semlock.acquire

        def acquire(block: bool = True, timeout: float | None = None) -> bool:
            if try_acquire(False):
                return True
            duration_ns = durations.timeout_ns(timeout)
            end_ns = None if duration_ns is None else clock.now_ns() + duration_ns
            step_ns = _STEP_NS
            while block and (end_ns is None or clock.now_ns() < end_ns):
                clock.sleep_ns(step_ns, is_own=False)
                if try_acquire(False):
                    return True
                step_ns = min(2 * step_ns, _STEP_NS_MAX)
            return False

        self.acquire = acquire

    module.SemLock._make_methods = make_methods
    module.SemLock.__enter__ = lambda self: self.acquire()


def _in_simulated_time(stream: Any, family: Family) -> Any:
    if isinstance(stream, io.TextIOWrapper):
        encoding, errors = stream.encoding, stream.errors
        return io.TextIOWrapper(_in_simulated_time(stream.detach(), family), encoding, errors)
    if isinstance(stream, io.BufferedReader):
        return io.BufferedReader(_PipeReader(stream.detach(), family))
    return _PipeReader(stream, family) if isinstance(stream, io.FileIO) else stream


class _PipeReader(io.RawIOBase):
    """The end of a pipe that a child writes to."""

    def __init__(self, raw: Any, family: Family) -> None:
        super().__init__()
        self._raw = raw
        self._family = family
        if _SET_PIPE_SIZE is not None:
            with contextlib.suppress(OSError):  # no pipe, or the system allows no more
                fcntl.fcntl(raw.fileno(), _SET_PIPE_SIZE, _PIPE_BYTES)

    @property
    def name(self) -> Any:
        return self._raw.name

    @property
    def mode(self) -> Any:
        return self._raw.mode

    def fileno(self) -> int:
        return int(self._raw.fileno())

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Any:
        if os.get_blocking(self._raw.fileno()):
            self._family.wait_readable(self._raw.fileno())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
