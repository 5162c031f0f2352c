"""The orchestrator's side of component processes: asks the guardian, hears its reports, owns their ends.

Nothing here waits except where a name says so (`wait_exits`, `stop`, `kill`, `close`), and each of these has
a deadline. `guardian` says what the process at the other end of the socket does.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from orchestrator.errors import ReplayError
from orchestrator.runtime.launch import component_environment, resolve_command

__all__ = [
    "ComponentExited",
    "ComponentStarted",
    "LogLost",
    "Supervisor",
    "SupervisorEvent",
    "component_environment",
    "resolve_command",
]

# Isolated and without site packages: the guardian needs none, and starts in half the time.
GUARDIAN_COMMAND: Final = (sys.executable, "-I", "-S", str(Path(__file__).with_name("guardian.py")))

_SEND_SECONDS_MAX: Final = 5.0  # the guardian reads at once; longer means that it is stopped
_KILL_SECONDS_MAX: Final = 2.0
_CLOSE_SECONDS_MAX: Final = 5.0
_RECEIVE_BYTES: Final = 65_536


class _Report(msgspec.Struct, frozen=True):
    """Base of what the guardian reports."""


class ComponentStarted(_Report, frozen=True, tag="started"):
    """A component's process exists; its pid is its process group too."""

    name: str
    pid: int


class ComponentExited(_Report, frozen=True, tag="exited"):
    """A component's process has ended, by itself (`exit_code`) or by a signal.

    Memory and CPU include the children that it waited for; exit code 127 says that it could not be started.
    """

    name: str
    exit_code: int | None
    signal: int | None
    peak_memory_bytes: int
    cpu_seconds: float  # user and system
    last_lines: tuple[str, ...]  # of stdout and stderr, oldest first, at most 20

    def describe(self) -> str:
        """Return how it ended, to follow its name: "exited with status 1", "was killed by SIGSEGV"."""
        if self.signal is None:
            return f"exited with status {self.exit_code}"
        try:
            return f"was killed by {signal.Signals(self.signal).name}"
        except ValueError:  # a real-time signal has a number only
            return f"was killed by signal {self.signal}"


class LogLost(_Report, frozen=True, tag="log_lost"):
    """A component's log can be written no further (a full disk); its output is still drained."""

    name: str
    reason: str


class _Emptied(_Report, frozen=True, tag="emptied"):
    # No descendant of the guardian is left, after so many requests to spawn.
    spawned_count: int


class _Failed(_Report, frozen=True, tag="failed"):
    # The guardian met an error of its own and kills everything.
    reason: str


SupervisorEvent = ComponentStarted | ComponentExited | LogLost
_DECODER: Final = msgspec.json.Decoder(SupervisorEvent | _Emptied | _Failed)


class Supervisor:
    """The processes of one run; a context manager that leaves none of them behind.

    The guardian takes the end of this process for the end of the run; a child forked from this process
    without exec would hold the socket open and put that off.

    Parameters
    ----------
    log_directory
        Existing directory; a component's stdout and stderr go to `<name>.log` in it.

    Attributes
    ----------
    pids
        Pid (and process group) of every component that was started, by name.
    exits
        How components ended, by name.
    """

    def __init__(self, log_directory: Path) -> None:
        self.pids: dict[str, int] = {}
        self.exits: dict[str, ComponentExited] = {}
        self._log_directory = log_directory.resolve()
        self._names: list[str] = []
        self._spawned: dict[str, int] = {}  # how often each was started
        self._events: deque[SupervisorEvent] = deque()
        self._unread = b""  # the beginning of a report
        self._is_empty = True  # no process below the guardian is left
        self._gone: str | None = None  # why the guardian can be asked nothing more
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._guardian = subprocess.Popen(
                [*GUARDIAN_COMMAND, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # it would keep the user's pipes open
                stderr=subprocess.DEVNULL,
                cwd="/",
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl+C is the orchestrator's to handle
            )
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def guardian_pid(self) -> int:
        """Pid of the guardian, the parent of all components."""
        return self._guardian.pid

    def fileno(self) -> int:
        """Return the descriptor that is readable when `poll` has something new."""
        return self._socket.fileno()

    def start(self, name: str, command: tuple[str, ...], workdir: Path, environment: dict[str, str]) -> None:
        """Ask for a component and return at once; `poll` tells what came of it.

        Parameters
        ----------
        name
            Of nobody who lives; names the log. Who is started again writes into `<name>.2.log` and so on.
        command
            As `resolve_command` returns it.
        workdir, environment
            What the process starts with, complete; nothing is inherited.
        """
        if name not in self._names:
            self._names.append(name)
        elif self.exits.pop(name, None) is None:
            raise ValueError(f"a component named {name} was started before and has not ended")
        number = self._spawned[name] = self._spawned.get(name, 0) + 1
        self._is_empty = False
        log = self._log_directory / (f"{name}.log" if number == 1 else f"{name}.{number}.log")
        place = {"workdir": str(workdir), "environment": environment, "log": str(log)}
        self._request({"do": "spawn", "name": name, "command": command, **place})

    def remove_at_end(self, directory: Path) -> None:
        """Let a folder of sockets go with the guardian, who outlives this process however it ends."""
        self._request({"do": "remove", "directory": str(directory)})

    def poll(self) -> list[SupervisorEvent]:
        """Return what has happened since the last call, in order; never waits.

        Raises
        ------
        ReplayError
            If the guardian is gone (after everything it reported was returned).
        """
        self._receive()
        events = list(self._events)
        self._events.clear()
        if self._gone is not None and not events:
            raise ReplayError(self._gone)
        return events

    def wait_exits(self, deadline_seconds: float) -> bool:
        """Wait until all started components have exited, or for so many wall seconds; return if all have."""
        return self._wait(self._have_all_exited, deadline_seconds)

    def signal(self, name: str, signum: int) -> None:
        """Send a signal to the process group of a component; no effect on one that has ended."""
        self._request({"do": "signal", "name": name, "signum": int(signum)})

    def stop(self, *, grace_seconds: float = 5.0, term_seconds: float = 2.0) -> None:
        """End all components: wait, SIGTERM, wait, SIGKILL; nothing of theirs is left then.

        To be called after the bus told them to stop. The signals reach their descendants too.

        Parameters
        ----------
        grace_seconds
            Wall time for the components to exit by themselves; not waited for when there are none left.
        term_seconds
            Wall time between SIGTERM and SIGKILL, likewise.
        """
        self._wait(self._have_all_exited, grace_seconds)
        if self._is_empty:
            return
        with contextlib.suppress(ReplayError):  # without a guardian `kill` does what can be done
            self._request({"do": "signal_all", "signum": int(signal.SIGTERM)})
        if not self._wait(lambda: self._is_empty, term_seconds):
            self.kill()

    def kill(self) -> None:
        """SIGKILL everything at once, and wait (2 s at most) until nothing is left."""
        if self._is_empty:
            return
        with contextlib.suppress(ReplayError):
            self._request({"do": "kill"})
        self._wait(lambda: self._is_empty, _KILL_SECONDS_MAX)
        self._kill_orphans()

    def close(self) -> None:
        """Leave no process and no descriptor; idempotent. What `exits` knows then is final."""
        if self._socket.fileno() < 0:
            return
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)  # the guardian kills what is left, reports and ends
        self._wait(lambda: False, _CLOSE_SECONDS_MAX)
        try:
            self._guardian.wait(_CLOSE_SECONDS_MAX if self._gone else 0)
        except subprocess.TimeoutExpired:
            self._guardian.kill()  # stopped from outside; its death kills the components
            self._guardian.wait()
        self._gone = self._gone or "the components' guardian was closed"
        self._kill_orphans()
        self._socket.close()

    def _have_all_exited(self) -> bool:
        return len(self.exits) == len(self._names)

    def _kill_orphans(self) -> None:
        # Nobody reports any more, and some systems have no parent-death signal.
        if self._gone is not None and not self._is_empty:
            for name, pid in self.pids.items():
                if name not in self.exits:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(pid, signal.SIGKILL)

    def _wait(self, is_done: Callable[[], bool], seconds: float) -> bool:
        # Also ends, undone, when the guardian is gone.
        deadline = time.monotonic() + seconds
        while True:
            self._receive()
            if is_done():
                return True
            left = deadline - time.monotonic()
            if self._gone is not None or left <= 0:
                return False
            poller = select.poll()
            poller.register(self._socket, select.POLLIN)
            poller.poll(left * 1000)

    def _request(self, request: dict[str, object]) -> None:
        if self._gone is None:
            try:
                self._socket.settimeout(_SEND_SECONDS_MAX)
                self._socket.sendall(json.dumps(request).encode() + b"\n")
            except OSError as error:
                self._lose_guardian(f"it did not take a request: {error}")
            finally:
                self._socket.setblocking(False)
        if self._gone is not None:
            raise ReplayError(self._gone)

    def _receive(self) -> None:
        while self._gone is None:
            try:
                chunk = self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return
            except ConnectionError:
                chunk = b""
            if not chunk:
                self._lose_guardian(f"it ended with status {self._guardian.poll()}")
            *lines, self._unread = (self._unread + chunk).split(b"\n")
            for line in lines:
                self._note(_DECODER.decode(line))

    def _lose_guardian(self, reason: str) -> None:
        if self._gone is None:
            self._gone = (
                f"the guardian of the components (pid {self._guardian.pid}) is gone: {reason}; "
                "look for what killed it (often a lack of memory) and start the run again"
            )

    def _note(self, report: SupervisorEvent | _Emptied | _Failed) -> None:
        match report:
            case _Emptied():
                self._is_empty = report.spawned_count == sum(self._spawned.values())
            case _Failed():
                self._lose_guardian(report.reason)
            case _:
                if isinstance(report, ComponentStarted):
                    self.pids[report.name] = report.pid
                elif isinstance(report, ComponentExited):
                    self.exits[report.name] = report
                self._events.append(report)
