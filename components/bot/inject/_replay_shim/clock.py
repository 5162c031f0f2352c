"""The one clock of a process: its simulated time, and everything that it says to the orchestrator.

Time stands still while the process works, except that each read of a clock takes a microsecond, so that a loop
on `time.time()` ends. It moves when every thread waits: up to the horizon without a message, beyond it when the
orchestrator answers. Calls are answered in the order in which they were sent; a call that is sent while a sleep
is unanswered (a signal's handler ended it) withdraws that sleep.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import deque
from typing import Any

from _replay_shim import real
from _replay_shim.baton import Baton, Files
from _replay_shim.link import Link
from _replay_shim.pace import Pace
from _replay_shim.turns import open_turn_log

__all__ = ["Clock"]

READ_NS = 1_000  # what a read of a clock takes
STEP_NS_MIN, STEP_NS_MAX = 10_000_000, 1_000_000_000  # between two looks at what a child may have written
PATIENCE_MS = 5_000  # wall time in which a child that wrote says that it waits
PATIENCE_BLIND_MS = 200  # the same where it may be waiting for its reader, and nobody can tell
LOOK_MS = 10
SPIN_NS_MAX = 1_000_000  # beyond the horizon, for a process that never waits

_F_GETPIPE_SZ, _FIONREAD, _PAGE_BYTES = 1032, 0x541B, 4096

Message = dict[str, Any]


class _Call:
    __slots__ = ("asks_for", "body", "reply")

    def __init__(self, asks_for: Message | None) -> None:
        self.asks_for = asks_for  # of a call that lets time pass
        self.reply: Message | None = None
        self.body = b""


class Clock:
    """Simulated time of this process.

    Parameters
    ----------
    link
        To the orchestrator, which has answered hello.
    welcome
        That answer.

    Attributes
    ----------
    latency_ns
        What a request costs that is answered in this process.
    horizon_ns
        A sleep that ends at or before it needs no message.
    may_run_ahead
        Whether sleeps up to the horizon are not told. Those of a child are: its parent goes on at the time of the
        child's end, and a process that ends says nothing.
    has_open_orders
        Whether the component's account had any at the last answer.
    """

    def __init__(self, link: Link, welcome: Message) -> None:
        self.baton = Baton(self)
        self.may_run_ahead = True
        self._step_ns = STEP_NS_MIN
        self._link = link
        self._now_ns = 0
        self._hits: dict[str, int] = {}
        self._unanswered: deque[_Call] = deque()
        self._wake_read = self._wake_write = -1
        self._turn_log = open_turn_log(self.now_ns)
        self.adopt(welcome)

    def adopt(self, welcome: Message) -> None:
        """Begin anew with the answer to a hello: at the start, and in a forked child."""
        self._hits = {}
        self._unanswered.clear()
        self._now_ns = self.horizon_ns = 0
        self.has_open_orders = False
        self.latency_ns: int = welcome["latency_ns"]
        self._is_charged = bool(welcome.get("charge_cpu"))
        self._charged_ns = real.process_time_ns()
        if self._wake_read >= 0:
            self._turn_log = None  # it is for the turns of the first process
            os.close(self._wake_read)
            os.close(self._wake_write)
        self.pace = Pace(welcome, self._turn_log)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._poll = real.poll()
        self._poll.register(self._link.fileno(), real.POLLIN)
        self._poll.register(self._wake_read, real.POLLIN)
        self._apply(welcome)
        self._now_ns = welcome["now"]

    # ------------------------------------------------------------------ reading

    def now_ns(self) -> int:
        """Return the simulated time without taking any."""
        return self._now_ns

    def time_ns(self) -> int:
        """Return the simulated time to a program: reading it takes a microsecond."""
        if self._is_charged:
            self.charge()
        self._now_ns += READ_NS
        return self._now_ns

    def charge(self) -> None:
        """Let the CPU time of the process since the last charge pass, if the run charges for it."""
        if self._is_charged:
            used_ns = real.process_time_ns()
            self._now_ns += used_ns - self._charged_ns
            self._charged_ns = used_ns

    # ------------------------------------------------------------------ waiting

    def sleep_ns(self, duration_ns: int, *, is_own: bool) -> None:
        """Let the calling thread sleep; a short sleep of the bot's own code ends a turn."""
        self.baton.wait_for(self.baton.new_wait(), duration_ns, is_own=is_own)

    def give_way(self) -> None:
        """Let others run: threads that can, and other processes when this one has looked around for too long.

        A loop that looks and never waits (`while not is_file(): sleep(0)`) would else wait for ever for what
        another process does at a later time.
        """
        self._now_ns += READ_NS
        if self._now_ns > self.horizon_ns + SPIN_NS_MAX:
            reply, _ = self.exchange({"op": "sleep", "until": self._now_ns})
            self.jump(reply["now"])
        self.baton.give_way()

    def advance_ns(self, duration_ns: int) -> None:
        """Let the calling thread spend time, as for an answer from the process's own cache."""
        self.baton.sleep_until(self._now_ns + duration_ns)

    def wait_child(self, pid: int, until_ns: int | None = None) -> bool:
        """Let the calling thread wait for the end of a child; return whether it has ended."""
        if has_exited(pid):
            return True
        return self.baton.block(self.baton.new_wait(look=lambda: has_exited(pid), child=pid), until_ns)

    # ------------------------------------------------------------------ speaking

    def count_hit(self, key: str) -> None:
        """Count an answer from the process's own cache; the next call tells the orchestrator."""
        self._hits[key] = self._hits.get(key, 0) + 1
        if self._turn_log is not None:
            self._turn_log.request(key)

    def call(self, message: Message, body: bytes = b"") -> tuple[Message, bytes]:
        """Say something and return the answer; the calling thread goes on at the answer's time.

        Other threads that have something to do in the meantime do it in the meantime.
        """
        reply, reply_body = self.exchange(message, body)
        self.baton.sleep_until(reply["now"])
        return reply, reply_body

    def exchange(self, message: Message, body: bytes = b"") -> tuple[Message, bytes]:
        """Say something and return the answer at once; who asked must do nothing before the answer's "now"."""
        self.charge()
        strand = self.baton.current
        strand.depth += 1  # no signal's handler may speak in the middle
        try:
            call = self._send(message, body, asks_for=None)
            while call.reply is None:
                if self._pump(()):
                    self.baton.give_way()
        finally:
            strand.depth -= 1
        self.baton.call_interrupts()
        return call.reply, call.body

    def move_to(
        self, until_ns: int | None, child: int | None, files: Files, *, has_others: bool = False
    ) -> None:
        """Let time pass, since every thread waits; return early when there may be something to do.

        Parameters
        ----------
        until_ns
            When the first thread goes on by itself, None: never.
        child
            A process whose end someone waits for.
        files
            Descriptors that the child may make ready meanwhile, with `poll`'s events. They are looked at in
            steps of simulated time: when a child writes is nobody's word, and natively it is chance.
        has_others
            Whether the ends of other children are waited for as well: they are looked at in the same steps.
        """
        if child is None:
            if until_ns is not None and until_ns <= self.horizon_ns:
                self.jump(until_ns)
                return
            message = {"op": "sleep", "until": until_ns}
        else:
            if files or has_others:
                step_end_ns = self._now_ns + self._step_ns
                until_ns = step_end_ns if until_ns is None else min(until_ns, step_end_ns)
            message = {"op": "wait", "pid": child, "until": until_ns}
        # A wait that was broken off, and has not been answered or followed by another call, is taken up again.
        call = self._unanswered[-1] if self._unanswered else None
        if call is None or call.asks_for != message:
            call = self._send(message, b"", asks_for=dict(message))
        self._step_ns = min(2 * self._step_ns, STEP_NS_MAX)
        while call.reply is None:
            woken = self._pump(files)
            if woken:
                self._step_ns = STEP_NS_MIN
                if self._wake_read not in woken:
                    self._be_patient(call, files)
                return

    # A child that wrote says when it waits, or dies, and then the answer comes: who reads goes on at that time. One
    # that fills a pipe cannot go on until someone reads, and a program without the shim says nothing.
    def _be_patient(self, call: _Call, files: Files) -> None:
        is_full = _fullness(files)
        looks = (PATIENCE_MS if is_full is not None else PATIENCE_BLIND_MS) // LOOK_MS
        while call.reply is None and not is_full and looks:
            self._pump((), LOOK_MS)
            is_full, looks = _fullness(files), looks - 1

    def jump(self, until_ns: int) -> None:
        """Let it be a time that the orchestrator has granted; it may be past."""
        self._now_ns = max(self._now_ns, until_ns)

    def poke(self) -> None:
        """End a wait for the orchestrator, because of a signal."""
        with contextlib.suppress(BlockingIOError):  # full: the wait ends anyway
            real.write(self._wake_write, b"\0")

    def _send(self, message: Message, body: bytes, *, asks_for: Message | None) -> _Call:
        message["t"] = self._now_ns
        if self._turn_log is not None and message["op"] == "http":
            self._turn_log.request(f"{message['method']} {message['url']}")
        if self._hits:
            message["hits"], self._hits = self._hits, {}
        call = _Call(asks_for)
        self._link.send(message, body)
        self._unanswered.append(call)
        return call

    # Wait for an answer, or for something else that may have happened: then return the descriptors that tell.
    def _pump(self, files: Files, timeout_ms: int | None = None) -> set[int]:
        answer, poll = self._link.fileno(), self._poll
        for descriptor, events in files:
            poll.register(descriptor, events)
        ready = {descriptor for descriptor, _ in poll.poll(timeout_ms)}
        for descriptor in {descriptor for descriptor, _ in files}:
            poll.unregister(descriptor)
        if answer in ready:
            reply, body = self._link.receive()
            call = self._unanswered.popleft()
            call.reply, call.body = reply, body
            self._apply(reply)
            if call.asks_for is not None:
                self.jump(reply["now"])
        if self._wake_read in ready:
            real.read(self._wake_read, 512)
        return ready - {answer}

    def _apply(self, reply: Message) -> None:
        # What the orchestrator has granted to a request is granted to the other threads as well.
        self.horizon_ns = max(reply["horizon"], reply["now"]) if self.may_run_ahead else reply["now"]
        self.has_open_orders = reply["open_orders"]


def _fullness(files: Files) -> bool | None:
    """Return whether a pipe holds so much that its writer may be waiting; None if not all are pipes (Linux)."""
    import fcntl  # noqa: PLC0415 - only for those who read from children

    try:
        for descriptor, _ in files:
            capacity = fcntl.fcntl(descriptor, _F_GETPIPE_SZ)
            held = int.from_bytes(fcntl.ioctl(descriptor, _FIONREAD, bytes(4)), sys.byteorder)
            if held + _PAGE_BYTES > capacity:
                return True
    except OSError:
        return None
    return False


def has_exited(pid: int) -> bool:
    """Return whether a child has ended; it stays to be reaped."""
    try:
        return real.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
