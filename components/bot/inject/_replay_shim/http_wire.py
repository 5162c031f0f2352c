"""HTTP/1.1 as bytes, for clients that write requests and parse answers themselves.

Such a client keeps its own code from the first header to the last byte of the body: only its connection is
ours. `take_request` reads what it wrote; `response_bytes` writes what it will parse.
"""

from __future__ import annotations

import io
from typing import Any, NamedTuple

from _replay_shim.http_answer import BODILESS, Answer, Answers, failure_error, split_url

__all__ = ["EmulatedSocket", "Request", "address", "response_bytes", "take_request"]


class Request(NamedTuple):
    """A request as it was written."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """Return the value of a header, by its name in lower case; empty if it was not sent."""
        return next((value for key, value in self.headers if key.lower() == name), "")


def take_request(buffer: bytearray) -> Request | None:
    """Remove a request from the head of the buffer and return it; None while it is incomplete."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    lines = bytes(buffer[:end]).decode("latin-1").split("\r\n")
    method, _, rest = lines[0].partition(" ")
    headers = []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    request = Request(method, rest.rpartition(" ")[0], headers, b"")
    start = end + 4
    if request.header("transfer-encoding").lower() == "chunked":
        chunked = _dechunk(buffer, start)
        if chunked is None:
            return None
        body, stop = chunked
    else:
        stop = start + int(request.header("content-length") or 0)
        if len(buffer) < stop:
            return None
        body = bytes(buffer[start:stop])
    del buffer[:stop]
    return request._replace(body=body)


# The body from `start`, and where it stops; None while it is incomplete. Trailers are skipped.
def _dechunk(buffer: bytearray, start: int) -> tuple[bytes, int] | None:
    parts: list[bytes] = []
    while True:
        line_end = buffer.find(b"\r\n", start)
        if line_end < 0:
            return None
        size = int(bytes(buffer[start:line_end]).partition(b";")[0], 16)
        start = line_end + 2
        if size == 0:
            stop = buffer.find(b"\r\n", start)
            while stop > start:
                start = stop + 2
                stop = buffer.find(b"\r\n", start)
            return None if stop < 0 else (b"".join(parts), stop + 2)
        if len(buffer) < start + size + 2:
            return None
        parts.append(bytes(buffer[start : start + size]))
        start += size + 2


def address(origin: str, request: Request) -> str:
    """Return what a request asks that was written to a connection to an origin (`https://host`)."""
    if request.target.startswith("/"):
        return origin + request.target
    scheme, host, port, path = split_url(request.target)  # the absolute form, as a proxy gets it
    return f"{scheme}://{host}" + (f":{port}" if port else "") + path


def response_bytes(method: str, answer: Answer) -> bytes:
    """Return an answer as a server would have written it, its body in one piece."""
    body = b"" if method == "HEAD" or answer.status in BODILESS else answer.body
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


class EmulatedSocket:
    """The side of a client's connection that looks like a socket: it collects a request, and gives the answer.

    The request is asked when the client begins to read, as a server answers a whole request.
    """

    def __init__(self, answers: Answers, client: str, origin: str, timeout: Any = None) -> None:
        self._answers = answers
        self._client = client
        self._origin = origin
        self._timeout = timeout
        self._written = bytearray()
        self.is_closed = False

    def sendall(self, data: Any, _flags: int = 0) -> None:
        """Take a part of the request."""
        if self.is_closed:
            raise BrokenPipeError(32, "Broken pipe")
        self._written += data

    def send(self, data: Any, flags: int = 0) -> int:
        """Take a part of the request."""
        self.sendall(data, flags)
        return len(data)

    def makefile(self, mode: str = "r", *_arguments: Any, **_options: Any) -> Any:
        """Return the stream of the answer to the request that was written."""
        if "r" not in mode:
            raise io.UnsupportedOperation("only the answer of an emulated connection can be read")
        return io.BufferedReader(_AnswerReader(self), 65_536)

    def answer(self) -> bytes:
        """Return the answer as bytes; raise what a socket would raise."""
        request = take_request(self._written)
        if request is None:
            return b""  # a server waits for the rest until the client gives up; it closes
        timeout = self._timeout if isinstance(self._timeout, (int, float)) else None
        url = address(self._origin, request)
        answer = self._answers.ask(self._client, request.method, url, request.headers, request.body, timeout)
        if answer.failure is not None:
            self.is_closed = True
            raise failure_error(answer)
        return response_bytes(request.method, answer)

    def settimeout(self, timeout: Any) -> None:
        """Set after how many seconds a read gives up."""
        self._timeout = timeout

    def gettimeout(self) -> Any:
        """Return after how many seconds a read gives up."""
        return self._timeout

    def setsockopt(self, *_arguments: Any) -> None:
        """Accept any option: there is nothing to apply it to."""

    def getpeername(self) -> tuple[str, int]:
        """Return where the connection goes: nowhere."""
        return ("127.0.0.1", 0)

    def getsockname(self) -> tuple[str, int]:
        """Return where the connection comes from: nowhere."""
        return ("127.0.0.1", 0)

    def shutdown(self, _how: int) -> None:
        """End the connection."""
        self.is_closed = True

    def close(self) -> None:
        """End the connection; an answer that is being read stays."""
        self.is_closed = True

    def fileno(self) -> int:
        """Return no descriptor: there is none to wait for."""
        return -1


class _AnswerReader(io.RawIOBase):
    def __init__(self, owner: EmulatedSocket) -> None:
        super().__init__()
        self._owner: EmulatedSocket | None = owner
        self._stream = io.BytesIO()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._owner is not None:
            owner, self._owner = self._owner, None
            self._stream = io.BytesIO(owner.answer())
        return self._stream.readinto(buffer)
