"""Child processes: each gets the shim and a name, and the orchestrator hears of it.

A child that runs without the shim would run live, so what would start one is refused; the environment that a
program gives to its child is completed. Whoever waits for a child waits in simulated time, and sees its end at a
time that does not depend on how fast the machine is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from _replay_shim import real
from _replay_shim.clock import has_exited
from _replay_shim.commands import why_unshimmed
from _replay_shim.terminal import is_clear

__all__ = ["ChildRefusedError", "Family"]

PROCESS = "REPLAY_BOT_PROCESS"
CARRIED = (
    "REPLAY_BOT_SOCKET", "REPLAY_TOKEN", "REPLAY_COMPONENT", "REPLAY_BOT_STACK", "REPLAY_BOT_TIME_MACHINE",
    "REPLAY_BOT_KEPT_OUT",
    "PYTHONHASHSEED",
    "PYTHONIOENCODING", "TZ", "TERM",
)  # fmt: skip
_SETTLED_NS = 1_000_000  # a child is looked at when this time has passed since its start
_STEP_NS = 10_000_000
_STEP_NS_MAX = 1_000_000_000
_FATAL = frozenset(
    (1, 2, 3, 6, 9, 10, 12, 13, 14, 15)
)  # SIGHUP … SIGTERM: those that end a process by default
_SIGNAL_LOOKS = 2000  # a millisecond each
_RESOURCE_TRACKER = "from multiprocessing.resource_tracker import main"


class ChildRefusedError(PermissionError):
    """A child process that the shim could not follow was not started."""


class Family:
    """The children of this process.

    Parameters
    ----------
    clock
        Of this process.
    process
        Its name: "0", "0.1" …
    folder
        Of the shim, first on the path of each child.
    say_hello
        Called in a forked child with its name; returns when the child may go on.

    Attributes
    ----------
    born_ns
        When each child was started that is not reaped yet, by its pid.
    """

    def __init__(self, clock: Any, process: str, folder: str, say_hello: Callable[[str], None]) -> None:
        self.clock = clock
        self.process = process
        self._folder = folder
        self._say_hello = say_hello
        self._count = 0
        self.born_ns: dict[int, int] = {}
        self._has_unsettled = False
        self._refused: tuple[int, list[str]] = (0, [])  # the last command: when, and which
        self._carried = {name: os.environ[name] for name in CARRIED if name in os.environ}

    def living_child(self) -> int | None:
        """Return a child that has not ended, the oldest; None if there is none."""
        return next((pid for pid in self.born_ns if not has_exited(pid)), None)

    # ------------------------------------------------------------------ starting

    def name_child(self) -> str:
        """Return the name of the next child."""
        self._count += 1
        return f"{self.process}.{self._count}"

    def environment(self, given: Mapping[Any, Any] | None, process: str) -> dict[str, str]:
        """Return an environment, completed so that the shim comes up in the child."""
        names = {
            os.fsdecode(key): os.fsdecode(value)
            for key, value in (os.environ if given is None else given).items()
        }
        rest = [
            part for part in names.get("PYTHONPATH", "").split(os.pathsep) if part and part != self._folder
        ]
        names["PYTHONPATH"] = os.pathsep.join([self._folder, *rest])
        names.update(self._carried)
        names[PROCESS] = process
        return names

    def check(self, executables: Iterable[Any], arguments: Iterable[Any]) -> None:
        """Refuse a command that would start a program without the shim: ChildRefusedError."""
        words = [os.fsdecode(each) for each in arguments]
        for executable in executables:
            reason = why_unshimmed(os.fsdecode(executable), words)
            if reason:
                self._count_refused(words, reason)
                raise ChildRefusedError(1, reason)

    # `execvp` tries the same command in each folder of PATH.
    def _count_refused(self, words: list[str], reason: str) -> None:
        attempt = (self.clock.now_ns(), words)
        if attempt == self._refused:
            self.clock.give_way()  # a loop that tries again must not stand still
        else:
            sys.stderr.write(f"replay: {reason}\n")
            target = " ".join(words)[:500]
            self.clock.call({"op": "refused", "what": "process", "target": target, "client": ""})
            self.clock.advance_ns(self.clock.latency_ns)
            self._refused = (self.clock.now_ns(), words)

    def add(self, pid: int, process: str) -> None:
        """Tell of a child that was started."""
        self.born_ns[pid] = self.clock.now_ns()
        self._has_unsettled = True
        self.clock.call({"op": "spawn", "process": process, "pid": pid})

    def begin_anew(self, process: str) -> None:
        """In a forked child: it has a name of its own, and no children."""
        self.process = process
        self._count = 0
        self.born_ns.clear()
        self._has_unsettled = False
        os.environ[PROCESS] = process
        self._say_hello(process)

    # ------------------------------------------------------------------ waiting

    def wait(self, pid: int, timeout: float | None) -> bool:
        """Wait for the end of a child, or for so many seconds; return whether it has ended."""
        until_ns = None if timeout is None else self.clock.now_ns() + max(0, int(timeout * 1_000_000_000))
        return bool(self.clock.wait_child(pid, until_ns)) or has_exited(pid)

    def before_wait(self, pid: int, options: int) -> bool:
        """Wait as `waitpid` would; false: a child that is asked for in passing is not looked at yet."""
        clock = self.clock
        if pid <= 0:
            return self._before_wait_any(options)
        if pid not in self.born_ns:
            return True
        if not options & os.WNOHANG:
            clock.wait_child(pid, None)
            return True
        clock.give_way()
        if clock.now_ns() < self.born_ns[pid] + _SETTLED_NS:
            return False
        self.settle()
        return True

    def settle(self) -> None:
        """Let every child that was started work until it waits or has ended, before it is looked at."""
        if self._has_unsettled:
            self._has_unsettled = False
            reply, _ = self.clock.exchange({"op": "sleep", "until": self.clock.now_ns()})
            self.clock.jump(reply["now"])

    def _before_wait_any(self, options: int) -> bool:
        step_ns = _STEP_NS
        if options & os.WNOHANG:
            self.clock.give_way()
            self.settle()
        while self.born_ns and not options & os.WNOHANG:
            is_only = len(self.born_ns) == 1
            for pid in self.born_ns:
                if self.clock.wait_child(pid, None if is_only else self.clock.now_ns() + step_ns):
                    return True
            step_ns = min(2 * step_ns, _STEP_NS_MAX)
        return True

    def reaped(self, pid: int) -> None:
        """Forget a child whose status was taken."""
        self.born_ns.pop(pid, None)

    def wait_readable(self, descriptor: int) -> None:
        """Wait until a descriptor can be read without waiting; children may take simulated time to write."""
        clock, step_ns = self.clock, _STEP_NS
        while not _is_readable(descriptor):
            until_ns = None
            if self.living_child() is None:  # a child of a child has it: nothing tells us when it writes
                until_ns = clock.now_ns() + step_ns
                step_ns = min(2 * step_ns, _STEP_NS_MAX)
            files = ((descriptor, real.POLLIN),)
            clock.baton.block(
                clock.baton.new_wait(look=lambda: _is_readable(descriptor), files=files), until_ns
            )


def _is_readable(descriptor: int) -> bool:
    poll = real.poll()
    poll.register(descriptor, real.POLLIN)  # the end and an error are told as well
    return bool(poll.poll(0))


def install(family: Family) -> None:
    """Replace what starts processes and what waits for them."""
    family.clock.baton.living_child = family.living_child
    _replace_forks(family)
    _replace_spawns(family)
    _replace_execs(family)
    _replace_kills(family)
    _replace_waits(family)


def _replace_forks(family: Family) -> None:
    def following(fork: Any) -> Any:
        def forked() -> Any:
            process = family.name_child()
            result = fork()
            pid = result[0] if isinstance(result, tuple) else result
            if pid == 0:
                family.begin_anew(process)
            else:
                family.add(pid, process)
            return result

        return forked

    os.fork = following(os.fork)
    if hasattr(os, "forkpty"):
        os.forkpty = following(os.forkpty)


def _replace_spawns(family: Family) -> None:
    import _posixsubprocess  # noqa: PLC0415 - only where it exists

    fork_exec = _posixsubprocess.fork_exec

    # What subprocess and multiprocessing start programs with.
    def family_fork_exec(
        arguments: Any,
        executables: Any,
        close_fds: Any,
        pass_fds: Any,
        cwd: Any,
        environment: Any,
        *rest: Any,
    ) -> int:
        given = None if environment is None else dict(each.partition(b"=")[::2] for each in environment)
        words = [os.fsdecode(each) for each in arguments]
        if any(_RESOURCE_TRACKER in word for word in words):
            # Python's own helper waits for ever on a pipe and does nothing else: it has no time to wait for.
            plain = [
                os.fsencode(f"{key}={value}") for key, value in os.environ.items() if key != "PYTHONPATH"
            ]
            return int(fork_exec(arguments, executables, close_fds, pass_fds, cwd, plain, *rest))
        family.check(executables[:1], words)
        process = family.name_child()
        names = family.environment(given, process)
        listed = [os.fsencode(f"{key}={value}") for key, value in names.items()]
        pid = int(fork_exec(arguments, executables, close_fds, pass_fds, cwd, listed, *rest))
        family.add(pid, process)
        return pid

    def following(spawn: Any) -> Any:
        def spawned(path: Any, arguments: Any, environment: Any, /, **options: Any) -> int:
            family.check([path], arguments)
            process = family.name_child()
            pid = int(spawn(path, arguments, family.environment(environment, process), **options))
            family.add(pid, process)
            return pid

        return spawned

    _posixsubprocess.fork_exec = family_fork_exec
    os.posix_spawn = following(os.posix_spawn)
    os.posix_spawnp = following(os.posix_spawnp)
    os.system = _system
    os.__dict__["_spawnvef"] = _spawn_and_wait


# What follows goes by way of the functions that were replaced above.


def _system(command: Any) -> int:
    text = os.fsdecode(command)
    if is_clear(text):
        return 0
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", text], os.environ)
    return os.waitpid(pid, 0)[1]


def _spawn_and_wait(mode: int, file: Any, arguments: Any, environment: Any, function: Any) -> int:
    if not isinstance(arguments, (tuple, list)):
        raise TypeError("argv must be a tuple or a list")
    if not arguments or not arguments[0]:
        raise ValueError("argv first element cannot be empty")
    spawn = os.posix_spawnp if function.__name__.startswith("execvp") else os.posix_spawn
    try:
        pid = spawn(file, arguments, os.environ if environment is None else environment)
    except OSError as error:
        if mode == os.P_NOWAIT or isinstance(error, ChildRefusedError):
            raise
        return 127
    return pid if mode == os.P_NOWAIT else os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _replace_execs(family: Family) -> None:
    execve = os.execve

    # Same process, same name: the shim comes up again in it. What it did since its last message is told first.
    def replace(path: Any, arguments: Any, environment: Any) -> None:
        if not isinstance(path, int) and os.access(path, os.X_OK):
            family.check([path], arguments)
        clock = family.clock
        clock.exchange({"op": "sleep", "until": clock.now_ns()})
        execve(path, arguments, family.environment(environment, family.process))

    def family_execv(path: Any, arguments: Any, /) -> None:
        try:
            replace(path, arguments, None)
        except ChildRefusedError:
            raise
        except OSError as error:
            raise OSError(error.errno, error.strerror) from None  # the real one names no file

    def family_execve(path: Any, argv: Any, env: Any) -> None:
        replace(path, argv, env)

    os.execv = family_execv  # type: ignore[assignment]
    os.execve = family_execve  # type: ignore[assignment]


# A signal that ends a child has ended it before the parent goes on, however slow the machine is; one that another
# process has a handler for has been heard there: it asks for something, or waits again, or is gone.
def _replace_kills(family: Family) -> None:
    def following(kill: Any) -> Any:
        def killed(pid: int, number: int, /) -> None:
            kept = _dispositions(pid)
            kill(pid, number)
            if kept is None or pid == os.getpid() or not number:
                return
            if pid in family.born_ns and number in _FATAL and not _has(number, *kept):
                _look_until(lambda: has_exited(pid))
            elif _has(number, kept[1]) and not _has(number, kept[2]):
                _look_until(lambda: _is_at_rest(pid, number))

        return killed

    os.kill = following(os.kill)
    os.killpg = following(os.killpg)


def _look_until(is_over: Callable[[], bool]) -> None:
    for _ in range(_SIGNAL_LOOKS):
        if is_over():
            return
        real.sleep(0.001)


def _has(number: int, *sets: int) -> bool:
    return any(each >> (number - 1) & 1 for each in sets)


# The signals that a process ignores, handles, and blocks; None: no such process, or no such system.
def _dispositions(pid: int) -> tuple[int, int, int] | None:
    try:
        fields = _fields(f"/proc/{pid}/status")
    except OSError:
        return None
    return int(fields["SigIgn"], 16), int(fields["SigCgt"], 16), int(fields["SigBlk"], 16)


# Whether a signal has reached a process and each of its threads waits, or it is gone.
def _is_at_rest(pid: int, number: int) -> bool:
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - pathlib costs every child its import
            fields = _fields(f"/proc/{pid}/task/{thread}/status")
            if fields["State"].split()[0] in {"R", "D"}:
                return False
            if _has(number, int(fields["SigPnd"], 16), int(fields["ShdPnd"], 16)):
                return False
    except ProcessLookupError:
        return False  # a thread has ended meanwhile: look again
    except OSError:
        return not os.path.exists(f"/proc/{pid}")  # noqa: PTH110 - the same
    return True


def _fields(path: str) -> dict[str, str]:
    with open(path) as file:  # noqa: PTH123 - pathlib costs every child its import
        return dict(line.split(":", 1) for line in file)


def _replace_waits(family: Family) -> None:
    waitpid, wait4, waitid = os.waitpid, os.wait4, os.waitid

    def family_waitpid(pid: int, options: int, /) -> tuple[int, int]:
        if not family.before_wait(pid, options):
            return (0, 0)
        result = waitpid(pid, options)
        family.reaped(result[0])
        return result

    def family_wait4(pid: int, options: int) -> Any:
        if not family.before_wait(pid, options):
            family.settle()
        result = wait4(pid, options)
        family.reaped(result[0])
        return result

    def family_waitid(kind: Any, identity: int, options: int, /) -> Any:
        if not family.before_wait(identity if kind == os.P_PID else -1, options):
            family.settle()
        return waitid(kind, identity, options)

    os.waitpid = family_waitpid
    os.wait = lambda: family_waitpid(-1, 0)
    os.wait4 = family_wait4
    os.wait3 = lambda options: family_wait4(-1, options)
    os.waitid = family_waitid
