"""The guardian: a small process that is the parent of all components and outlives nobody.

Started first, as `python -I -S guardian.py FD`, where FD is one end of a socket pair. It starts components
on request, drains what they print into log files, reaps them, reports how they ended, and passes signals on.
When its socket reaches the end - the orchestrator closed it, or died in any way - it kills every descendant
and exits.

Three things make "every descendant" true on Linux: each component leads its own session, dies with the
guardian (PR_SET_PDEATHSIG), and orphans below a component become children of the guardian
(PR_SET_CHILD_SUBREAPER), so that having no child means that nothing is left. Elsewhere it knows the process
groups of the components only.

One thread, one selector, little of the standard library and nothing else: every replay waits for this file.
Both directions of the socket carry one JSON object a line. Requests have a `do`:

    spawn       name, command, workdir, environment, log    start a component
    signal      name, signum                                to the component's process group
    signal_all  signum                                      to everything that is left
    kill                                                    SIGKILL until nothing is left
    remove      directory                                   this folder of sockets, when all has ended

Reports have a `type`: started, exited, log_lost, emptied, failed (see `supervisor`).
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
import time

TYPE_CHECKING = False  # `typing` itself would cost a quarter of the start-up time
if TYPE_CHECKING:
    import ctypes

IS_LINUX = sys.platform == "linux"
LOG_BYTES_MAX = 16 * 1024 * 1024
TAIL_BYTES = 64 * 1024  # what is kept of the end of an output that is longer than its log may be
LAST_LINES = 20
LINE_CHARACTERS_MAX = 1_000  # of one reported line
CHUNK_BYTES = 64 * 1024
DRAIN_CHUNKS_MAX = 16  # 1 MiB: the most a pipe holds, so all that an ended component printed
MESSAGE_BYTES_MAX = 8 * 1024 * 1024  # of one request, and of reports that wait to be read
KILL_SECONDS_MAX = 1.5  # a process that SIGKILL does not end by then never ends
SWEEP_SECONDS = 0.01

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

IGNORED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# The interpreter ignores the last two; an ignored signal stays ignored across exec.
RESTORED_SIGNALS = (*IGNORED_SIGNALS, signal.SIGPIPE, signal.SIGXFSZ)


class ComponentLog:
    """The file that receives what a component prints: its first bytes and, at the end, its last ones.

    A file that cannot be written (a full disk) never stops the draining: `failure` says why, the rest is
    dropped.

    Parameters
    ----------
    path
        The file; appended to.
    bytes_max
        After this many bytes only the last `TAIL_BYTES` are kept, to be written by `finish`.
    """

    def __init__(self, path: str, bytes_max: int = LOG_BYTES_MAX) -> None:
        self.failure: str | None = None
        self._bytes_left = bytes_max
        self._dropped_bytes = 0
        self._tail = bytearray()  # the last TAIL_BYTES or more, whether they were written or not
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            self.failure = str(error)

    def write(self, chunk: bytes) -> None:
        """Append what was printed, up to the cap."""
        self._tail += chunk
        if len(self._tail) > 4 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]
        written = chunk[: self._bytes_left]
        self._append(written)
        self._bytes_left -= len(written)
        if len(written) < len(chunk):
            if not self._dropped_bytes:
                self._append(
                    b"\n[replay: the log is full; its last lines follow when the component has ended]\n"
                )
            self._dropped_bytes += len(chunk) - len(written)

    def last_lines(self) -> list[str]:
        """Return the last lines printed, oldest first, each cut to a readable length."""
        text = bytes(self._tail[-TAIL_BYTES:]).decode("utf-8", "replace")
        return [line[:LINE_CHARACTERS_MAX] for line in text.splitlines()[-LAST_LINES:]]

    def finish(self) -> None:
        """Write what was kept of the end, and close; no effect the second time."""
        if self._dropped_bytes:
            tail = bytes(self._tail[-min(TAIL_BYTES, self._dropped_bytes) :])
            self._append(b"[replay: %d bytes are left out here]\n" % (self._dropped_bytes - len(tail)))
            self._append(tail)
            self._dropped_bytes = 0
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, data: bytes) -> None:
        while data and self.failure is None:
            try:
                data = data[os.write(self._fd, data) :]
            except OSError as error:
                self.failure = str(error)


class Component:
    """A process the guardian started: its name, its pid (which is its process group too), its output."""

    def __init__(self, name: str, pid: int, output: int, log: ComponentLog) -> None:
        self.name = name
        self.pid = pid
        self.output = output  # read end of the pipe that is its stdout and stderr; -1 once it has ended
        self.log = log
        self.is_log_failure_reported = False


class Guardian:
    """Owns the components; `run` returns when the socket has ended and nothing is left.

    Parameters
    ----------
    control
        The guardian's end of the socket pair.
    """

    def __init__(self, control: int) -> None:
        self._control = control
        self._pid = os.getpid()
        self._selector = selectors.DefaultSelector()
        self._unread = bytearray()  # the beginning of a request
        self._unsent = bytearray()  # reports the orchestrator had no time for
        self._components: list[Component] = []
        self._running: dict[int, Component] = {}  # not yet reaped, by pid
        self._spawned_count = 0
        self._leftovers: list[str] = []  # folders that nobody else removes when the orchestrator was killed
        self._is_empty = True
        self._is_killing = False
        self._end_time: float | None = None  # monotonic; set when the socket has ended
        self._wakeup = os.pipe()
        self._libc = _load_libc()

    def run(self) -> None:
        """Serve until the orchestrator is gone, then kill everything; see the module for the requests."""
        self._prepare()
        while self._end_time is None or not (self._is_empty or time.monotonic() > self._end_time):
            for key, events in self._selector.select(SWEEP_SECONDS if self._is_killing else None):
                self._serve(key, events)
            self._reap()
            if self._is_killing:
                self._signal_all(signal.SIGKILL)
        for component in self._components:
            self._drain(component)
            self._close_output(component)
        self._flush()
        for directory in self._leftovers:
            _remove_sockets(directory)

    def fail(self, reason: str) -> None:
        """Report why the guardian cannot go on, and kill everything."""
        self._send({"type": "failed", "reason": reason})
        self._is_killing = True
        self._end_time = time.monotonic() + KILL_SECONDS_MAX
        while not self._is_empty and time.monotonic() < self._end_time:
            self._signal_all(signal.SIGKILL)
            time.sleep(SWEEP_SECONDS)
            self._reap()

    def _prepare(self) -> None:
        for signum in IGNORED_SIGNALS:
            signal.signal(signum, signal.SIG_IGN)
        if self._libc is not None:
            self._libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for fd in (self._control, *self._wakeup):
            os.set_inheritable(fd, False)  # else a component would keep the pair open
            os.set_blocking(fd, False)
        # A child's end interrupts the selector: the handler does nothing, its number goes down the pipe.
        signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _signum, _frame: None)
        self._selector.register(self._wakeup[0], selectors.EVENT_READ)
        self._selector.register(self._control, selectors.EVENT_READ)

    def _serve(self, key: selectors.SelectorKey, events: int) -> None:
        if key.fd == self._wakeup[0]:
            os.read(key.fd, CHUNK_BYTES)
        elif key.fd != self._control:
            self._read_output(key.data)
        else:
            if events & selectors.EVENT_WRITE:
                self._flush()
            if events & selectors.EVENT_READ:
                self._read_requests()

    # ------------------------------------------------------------ requests and reports

    def _read_requests(self) -> None:
        try:
            chunk = os.read(self._control, CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:  # reset: the orchestrator died with reports unread
            chunk = b""
        if not chunk:
            self._end()
            return
        self._unread += chunk
        if len(self._unread) > MESSAGE_BYTES_MAX:
            raise ValueError(f"a request of more than {MESSAGE_BYTES_MAX} bytes")
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            self._perform(json.loads(line))

    def _perform(self, request: dict[str, object]) -> None:
        action = request["do"]
        if action == "spawn":
            self._spawn(request)
        elif action == "signal":
            self._signal(str(request["name"]), int(str(request["signum"])))
        elif action == "signal_all":
            self._signal_all(int(str(request["signum"])))
        elif action == "kill":
            self._is_killing = not self._is_empty
        elif action == "remove":
            self._leftovers.append(str(request["directory"]))
        else:
            raise ValueError(f"unknown request {action!r}")

    def _send(self, report: dict[str, object]) -> None:
        self._unsent += json.dumps(report).encode() + b"\n"
        if len(self._unsent) > MESSAGE_BYTES_MAX:
            self._end()  # nobody has read for a very long time
        self._flush()

    def _flush(self) -> None:
        try:
            del self._unsent[: os.write(self._control, self._unsent)]
        except BlockingIOError:
            pass
        except OSError:  # nobody is there to read it; the end of the socket is noticed by reading
            self._unsent.clear()
        if self._control in self._selector.get_map():
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
            self._selector.modify(self._control, wanted)

    def _end(self) -> None:
        if self._end_time is None:
            self._selector.unregister(self._control)
            self._is_killing = True
            self._end_time = time.monotonic() + KILL_SECONDS_MAX

    # ------------------------------------------------------------ components

    def _spawn(self, request: dict[str, object]) -> None:
        name = str(request["name"])
        self._spawned_count += 1
        self._is_empty = False  # also when the fork fails: an emptied report follows all the same
        output, output_of_child = os.pipe()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(output)
            os.close(output_of_child)
            self._report_exit(name, 127, None, [f"cannot start a process: {error}"])
            return
        if pid == 0:
            self._become_component(request, output_of_child)
        os.close(output_of_child)
        os.set_blocking(output, False)
        component = Component(name, pid, output, ComponentLog(str(request["log"])))
        self._components.append(component)
        self._running[pid] = component
        self._selector.register(output, selectors.EVENT_READ, component)
        self._send({"type": "started", "name": name, "pid": pid})

    def _become_component(self, request: dict[str, object], output: int) -> None:
        # In the child, between fork and exec. Whatever goes wrong is printed into the component's own log.
        try:
            command, environment = request["command"], request["environment"]
            os.setsid()
            for descriptor, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
                os.dup2(source, descriptor)
            if self._libc is not None:
                self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                if os.getppid() != self._pid:
                    os._exit(127)  # the guardian ended before the death signal was set
            for signum in RESTORED_SIGNALS:
                signal.signal(signum, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.chdir(str(request["workdir"]))
            os.execvpe(command[0], command, environment)  # type: ignore[index, arg-type]  # noqa: S606 - no shell is meant
        except BaseException as error:  # noqa: BLE001 - this process must not return into the guardian's loop
            os.write(2, f"cannot start {request['command']}: {error}\n".encode("utf-8", "replace"))
        finally:
            os._exit(127)

    def _read_output(self, component: Component) -> bool:
        # Returns whether there may be more.
        if component.output < 0:
            return False
        try:
            chunk = os.read(component.output, CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not chunk:
            self._close_output(component)
            return False
        component.log.write(chunk)
        self._report_log_failure(component)
        return True

    def _drain(self, component: Component) -> None:
        for _ in range(DRAIN_CHUNKS_MAX):
            if not self._read_output(component):
                break

    def _close_output(self, component: Component) -> None:
        if component.output >= 0:
            self._selector.unregister(component.output)
            os.close(component.output)
            component.output = -1
            component.log.finish()
            self._report_log_failure(component)

    def _report_log_failure(self, component: Component) -> None:
        if component.log.failure is not None and not component.is_log_failure_reported:
            component.is_log_failure_reported = True
            self._send({"type": "log_lost", "name": component.name, "reason": component.log.failure})

    # ------------------------------------------------------------ ends

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:  # no child: on Linux, no descendant either
                if not self._is_empty:
                    self._is_empty = True
                    self._is_killing = self._end_time is not None
                    self._send({"type": "emptied", "spawned_count": self._spawned_count})
                return
            if pid == 0:
                return
            component = self._running.pop(pid, None)
            if component is not None:  # else an orphan of a component
                self._drain(component)
                code = os.waitstatus_to_exitcode(status)
                self._report_exit(component.name, code, usage, component.log.last_lines())
                if not IS_LINUX:  # its group is out of sight from now on, and its number free for others
                    _kill(-pid, signal.SIGKILL)

    def _report_exit(self, name: str, code: int, usage: object, last_lines: list[str]) -> None:
        # ru_maxrss counts KiB, on macOS bytes. Both figures include children that the component waited for.
        unit = 1 if sys.platform == "darwin" else 1024
        self._send(
            {
                "type": "exited",
                "name": name,
                "exit_code": code if code >= 0 else None,
                "signal": -code if code < 0 else None,
                "peak_memory_bytes": getattr(usage, "ru_maxrss", 0) * unit,
                "cpu_seconds": getattr(usage, "ru_utime", 0.0) + getattr(usage, "ru_stime", 0.0),
                "last_lines": last_lines,
            }
        )

    def _signal(self, name: str, signum: int) -> None:
        for pid, component in self._running.items():
            if component.name == name:
                _kill(-pid, signum)

    def _signal_all(self, signum: int) -> None:
        # The groups at one stroke, then one by one what has left them.
        for pid in self._running:
            _kill(-pid, signum)
        for pid, group in _descendants(self._pid):
            if group not in self._running:
                _kill(pid, signum)


def _load_libc() -> ctypes.CDLL | None:
    if not IS_LINUX:
        return None
    try:
        import ctypes  # noqa: PLC0415 - only Linux has something to call
    except ImportError:  # an interpreter built without libffi: process groups alone must do
        return None
    return ctypes.CDLL(None)


def _kill(pid: int, signum: int) -> None:
    try:
        os.kill(pid, signum)
    except (ProcessLookupError, PermissionError):  # it has ended, or became another user's
        return


def _remove_sockets(directory: str) -> None:
    # Only what a run puts there: files at the top of the folder, and the folder.
    try:
        for name in os.listdir(directory):  # noqa: PTH208 - pathlib doubles the start-up time of this process
            os.unlink(f"{directory}/{name}")  # noqa: PTH108 - as above
        os.rmdir(directory)  # noqa: PTH106 - as above
    except OSError:  # the orchestrator has removed it, or put something else there
        return


def _descendants(ancestor: int) -> list[tuple[int, int]]:
    # (pid, process group) of all living descendants, from one look at /proc; nothing where there is none.
    if not IS_LINUX:
        return []
    parents: dict[int, tuple[int, int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - as above
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:  # noqa: PTH123 - as above
                    state, parent, group = file.read().rpartition(b")")[2].split()[:3]
            except (OSError, ValueError):
                continue  # it has just ended
            if state not in b"ZX":
                parents[int(entry)] = (int(parent), int(group))
    found: list[tuple[int, int]] = []
    family = {ancestor}
    grown = True
    while grown:
        members = [pid for pid, (parent, _) in parents.items() if parent in family and pid not in family]
        family.update(members)
        found.extend((pid, parents[pid][1]) for pid in members)
        grown = bool(members)
    return found


def main() -> None:
    """Guard until the socket whose descriptor is the only argument reaches its end."""
    guardian = Guardian(int(sys.argv[1]))
    try:
        guardian.run()
    except BaseException as error:
        guardian.fail(f"{type(error).__name__}: {error}")
        raise


if __name__ == "__main__":
    main()
