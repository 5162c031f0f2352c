"""An orchestrator for one bot's processes, in a thread: it grants time, answers calls and writes them down.

Each process has its own time, so that no process waits for another; what the real orchestrator does about the
order of processes is tested elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from components.bot import INJECT_FOLDER
from orchestrator import protocol

HEADER = struct.Struct("<II")
SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
START_NS = 1_704_067_200_000_000_000  # 2024-01-01T00:00:00Z
TOKEN = "token-of-the-test"  # noqa: S105 - no secret

Message = dict[str, Any]
Answer = Callable[[Message, bytes], tuple[Message, bytes]]


class _Call(NamedTuple):
    process: str
    message: Message
    body: bytes
    connection: socket.socket


class FakeOrchestrator:
    """Serve the wire of bots on a Unix socket until closed.

    Parameters
    ----------
    path
        Of the socket; shorter than 100 bytes.
    answer
        Says what an "http" call gets: a message with at least "status", and a body. "now" defaults to the time
        of the call and the latency. Without it every call gets a 404.
    horizon_ns
        How far beyond each grant a process may sleep without a message.
    is_held
        Calls for which it is true are never answered, until `release`.
    hello
        Replaces or adds fields of the reply to hello: "burst", "hosts", "folder", "seed" …
    """

    def __init__(
        self,
        path: Path,
        *,
        answer: Answer | None = None,
        start_ns: int = START_NS,
        horizon_ns: int = 0,
        open_orders: bool = False,
        is_held: Callable[[Message], bool] | None = None,
        hello: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = path
        self.calls: list[Message] = []  # in the order of arrival, a body under "body"
        self.open_orders = open_orders
        self._answer = answer
        self._start_ns = start_ns
        self._horizon_ns = horizon_ns
        self._is_held = is_held
        self._released = threading.Event()
        self._hello: Message = {
            "seed": "5a" * 32,
            "tick_ns": MINUTE_NS,
            "tick_anchor_ns": START_NS,
            "burst": None,
            "phase_ns": 0,
            "latency_ns": 50_000_000,
            "hosts": [],
            "folder": str(path.parent),
            "sim_end": start_ns + 366 * 86_400 * SECOND_NS,
        } | dict(hello or {})
        self._now: dict[str, int] = {}  # process path -> its time
        self._processes: dict[int, str] = {}  # pid -> process path, as it or its parent said
        self._asleep: set[str] = set()  # process paths that wait for nothing but a child
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="fake-orchestrator")]

    def __enter__(self) -> Self:
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        for each in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(10)
        self.path.unlink(missing_ok=True)

    def environment(self, component: str = "bot", process: str = "0") -> dict[str, str]:
        """Return the whole environment that a bot's first process is started with."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path.parent),
            "PYTHONPATH": str(INJECT_FOLDER),
            "PYTHONHASHSEED": "0",
            "PYTHONIOENCODING": "utf-8",
            "TZ": "UTC",
            "TERM": "dumb",
            "REPLAY_BOT_SOCKET": str(self.path),
            "REPLAY_BOT_PROCESS": process,
            "REPLAY_BOT_STACK": str(self.path.parent / "stack.txt"),
            protocol.ENVIRONMENT_TOKEN: TOKEN,
            protocol.ENVIRONMENT_COMPONENT: component,
        }

    def of(self, *operations: str) -> list[Message]:
        """Return the calls with one of the operations, in order."""
        return [call for call in list(self.calls) if call["op"] in operations]

    def release(self) -> None:
        """Answer what was held, and hold nothing more."""
        self._released.set()

    # ------------------------------------------------------------------ the threads

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), name="fake-orchestrator")
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            message, body = receive(connection)
            process = str(message["process"])
            while True:
                self.calls.append({**message, "body": body} if body else message)
                outcome = self._handle(_Call(process, message, body, connection))
                if outcome is None:  # withdrawn: the next call has come
                    outcome = {"withdrawn": True}, b""
                reply, reply_body = outcome
                now_ns = self._now.get(process, self._start_ns)  # a hello that was refused set none
                fields = {
                    "now": now_ns,
                    "horizon": now_ns + self._horizon_ns,
                    "open_orders": self.open_orders,
                }
                send(connection, {**fields, **reply}, reply_body)
                message, body = receive(connection)

    def _handle(self, call: _Call) -> tuple[Message, bytes] | None:
        operation = call.message["op"]
        if operation != "hello":
            self._now[call.process] = max(self._now[call.process], call.message["t"])
        if (
            self._is_held is not None
            and self._is_held(call.message)
            and not self._is_released(call.connection)
        ):
            return None
        handler = getattr(self, f"_on_{operation}", None)
        if handler is None:
            return {"error": f"unknown operation {operation}"}, b""
        result: tuple[Message, bytes] | None = handler(call)
        return result

    def _is_released(self, connection: socket.socket) -> bool:
        while not self._released.wait(0.005):
            if is_readable(connection):
                return False
        return True

    def _on_hello(self, call: _Call) -> tuple[Message, bytes]:
        if call.message["version"] != 1 or call.message["token"] != TOKEN:
            return {"error": "wrong version or token"}, b""
        parent, _dot, _child = call.process.rpartition(".")
        self._processes[call.message["pid"]] = call.process
        known = self._now.get(call.process, self._now.get(parent))
        self._now[call.process] = self._start_ns if known is None else known
        return self._hello, b""

    def _on_sleep(self, call: _Call) -> tuple[Message, bytes] | None:
        until_ns = call.message["until"]
        if until_ns is None:
            self._asleep.add(call.process)
            is_released = self._is_released(call.connection)
            self._asleep.discard(call.process)
            if not is_released:
                return None
        self._now[call.process] = max(self._now[call.process], until_ns or 0)
        return {}, b""

    def _on_http(self, call: _Call) -> tuple[Message, bytes]:
        reply: Message = {"status": 404, "reason": "Not Found", "headers": []}
        body = b""
        if self._answer is not None:
            reply, body = self._answer(call.message, call.body)
        defaults: Message = {
            "reason": "OK", "headers": [], "valid_until": None, "failure": None, "message": ""
        }  # fmt: skip
        self._now[call.process] = reply.get("now", call.message["t"] + self._hello["latency_ns"])
        return {**defaults, **reply}, body

    def _on_spawn(self, call: _Call) -> tuple[Message, bytes]:
        self._processes[call.message["pid"]] = call.message["process"]
        self._now.setdefault(call.message["process"], self._now[call.process])  # else it was faster than this
        return {}, b""

    def _on_wait(self, call: _Call) -> tuple[Message, bytes] | None:
        pid, until_ns = call.message["pid"], call.message["until"]
        while is_running(pid):
            if is_readable(call.connection):
                self._follow(call.process, pid)
                return None
            if until_ns is not None and self._has_passed(pid, until_ns):
                self._now[call.process] = max(self._now[call.process], until_ns)
                return {"exited": False}, b""
            if self._released.wait(0.002):
                break
        self._follow(call.process, pid)
        return {"exited": not is_running(pid)}, b""

    # A parent that a child has woken, by its end or by what it wrote, goes on at the child's time.
    def _follow(self, parent: str, pid: int) -> None:
        child_ns = self._now.get(self._processes.get(pid, ""), 0)
        self._now[parent] = max(self._now[parent], child_ns)

    # A child whose time has come further than its parent waits for, or does not come further at all.
    def _has_passed(self, pid: int, until_ns: int) -> bool:
        process = self._processes.get(pid)
        return process is not None and (process in self._asleep or self._now[process] >= until_ns)

    def _on_refused(self, _call: _Call) -> tuple[Message, bytes]:
        return {}, b""


def send(connection: socket.socket, message: Message, body: bytes = b"") -> None:
    """Write one frame."""
    text = json.dumps(message).encode()
    connection.sendall(HEADER.pack(len(text), len(body)) + text + body)


def receive(connection: socket.socket) -> tuple[Message, bytes]:
    """Read one frame; EOFError when the peer is gone."""
    sizes = HEADER.unpack(_read(connection, HEADER.size))
    text, body = (_read(connection, size) for size in sizes)
    return json.loads(text), body


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def is_readable(connection: socket.socket) -> bool:
    """Return whether something has come, the end included."""
    try:
        connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    return True


def is_running(pid: int) -> bool:
    """Return whether a process exists and has not ended (Linux)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def wait_for_call(
    orchestrator: FakeOrchestrator, operation: str, count: int = 1, seconds: float = 10.0
) -> None:
    """Wait until a number of calls of an operation have come."""
    deadline = time.monotonic() + seconds
    while len(orchestrator.of(operation)) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(orchestrator.of(operation))} of {count} calls {operation} came")
        time.sleep(0.002)
