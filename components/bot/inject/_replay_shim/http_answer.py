"""What an exchange answers, asked of the orchestrator or known since the last time.

A bot asks for the same market data many times between two candles. Such an answer comes with the time until
which it holds, and is given again from here: the process's time advances as it would for a request, and the
hit is counted for the report. The future is never in this process.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any

from _replay_shim import aio

__all__ = ["BODILESS", "Answer", "Answers", "failure_error", "split_url"]

BODILESS = (204, 304)  # statuses of answers that have no body
_KNOWN_MAX = 2048  # answers kept; a bot asks for a few dozen


class Answer:
    """The answer to one request.

    Attributes
    ----------
    headers
        In the order in which they are sent.
    failure
        None, or why there is no answer: "refused", "timeout", "reset".
    message
        What is said of the failure.
    known
        What interceptors derived from the answer, by interceptor: an answer that is given again is prepared once.
    """

    __slots__ = (
        "body",
        "failure",
        "headers",
        "key",
        "known",
        "message",
        "reason",
        "status",
        "valid_until_ns",
    )

    def __init__(self, reply: Any, body: bytes, key: str) -> None:
        self.status: int = reply.get("status", 0)
        self.reason: str = reply.get("reason", "")
        self.headers = _whole(reply.get("headers", ()), self.status, body)
        self.failure: str | None = reply.get("failure")
        self.message: str = reply.get("message") or ""
        self.valid_until_ns: int | None = reply.get("valid_until")
        self.body = body
        self.key = key
        self.known: dict[str, Any] = {}


class Answers:
    """Asks for answers on behalf of all interceptors of the process.

    Parameters
    ----------
    clock
        Of the process.
    hosts
        Names of the hosts that are emulated.
    latency_ns
        What a request takes, in simulation time.
    """

    def __init__(self, clock: Any, hosts: Iterable[str], latency_ns: int) -> None:
        self.clock = clock
        self.hosts = frozenset(host.lower() for host in hosts)
        self._latency_ns = latency_ns
        self._known: dict[str, Answer] = {}

    def is_emulated(self, host: str) -> bool:
        """Return whether requests to a host are answered."""
        return host.lower().rstrip(".").strip("[]") in self.hosts

    def recall(self, url: str) -> Answer | None:
        """Return the answer to a GET without a body if it is known for now, after the latency of a request."""
        answer = self._recall(url)
        if answer is not None:
            self.clock.advance_ns(self._latency_ns)
        return answer

    def ask(
        self,
        client: str,
        method: str,
        url: str,
        headers: Iterable[tuple[Any, Any]] = (),
        body: bytes = b"",
        timeout: float | None = None,
    ) -> Answer:
        """Return the answer to a request; the calling thread waits until it has come, in simulated time."""
        if method == "GET" and not body:
            answer = self.recall(url)
            if answer is not None:
                return answer
        reply, reply_body = self.clock.call(_message(client, method, url, headers, timeout), body)
        return self._answer(method, url, body, reply, reply_body)

    async def ask_in_task(
        self,
        client: str,
        method: str,
        url: str,
        headers: Iterable[tuple[Any, Any]] = (),
        body: bytes = b"",
        timeout: float | None = None,
    ) -> Answer:
        """Return the answer to a request; the calling task waits for it, other tasks go on meanwhile."""
        if method == "GET" and not body:
            answer = self._recall(url)
            if answer is not None:
                await aio.sleep_ns(self._latency_ns)
                return answer
        reply, reply_body = await aio.call(self.clock, _message(client, method, url, headers, timeout), body)
        return self._answer(method, url, body, reply, reply_body)

    def _recall(self, url: str) -> Answer | None:
        answer = self._known.get(url)
        if answer is None:
            return None
        if self.clock.now_ns() >= answer.valid_until_ns:
            del self._known[url]
            return None
        self.clock.count_hit(answer.key)
        return answer

    def _answer(self, method: str, url: str, body: bytes, reply: Any, reply_body: bytes) -> Answer:
        answer = Answer(reply, reply_body, method + " " + url)
        if method == "GET" and not body and answer.valid_until_ns is not None and answer.failure is None:
            self._keep(url, answer)
        return answer

    def _keep(self, url: str, answer: Answer) -> None:
        known = self._known
        if len(known) >= _KNOWN_MAX:
            known.clear()  # most are of past candles
        known[url] = answer

    async def connect_in_task(self, client: str, url: str, host: str) -> None:
        """Raise ConnectionRefusedError if a host is not emulated; asked and counted like a request."""
        if not self.is_emulated(host):
            raise _refusal(host, await self.ask_in_task(client, "CONNECT", url))

    def connect(self, client: str, scheme: str, host: str, port: int, timeout: float | None = None) -> None:
        """Raise ConnectionRefusedError if a host is not emulated; asked and counted like a request."""
        if self.is_emulated(host):
            return
        raise _refusal(host, self.ask(client, "CONNECT", f"{scheme}://{host}:{port}", timeout=timeout))


# The body is in one piece: its length is said, unless it is that of an answer without one.
def _whole(headers: Iterable[Any], status: int, body: bytes) -> list[tuple[str, str]]:
    kept = [(name, value) for name, value in headers if name.lower() != "transfer-encoding"]
    if status not in BODILESS and not any(name.lower() == "content-length" for name, _ in kept):
        kept.append(("Content-Length", str(len(body))))
    return kept


def _refusal(host: str, answer: Answer) -> ConnectionRefusedError:
    return ConnectionRefusedError(111, answer.message or f"{host} is not emulated by this replay")


def failure_error(answer: Answer) -> OSError:
    """Return what a socket would have raised for the failure of an answer."""
    if answer.failure == "timeout":
        is_plain = answer.key.partition(" ")[2].startswith("http:")
        return TimeoutError("timed out" if is_plain else "The read operation timed out")
    if answer.failure == "reset":
        return ConnectionResetError(104, "Connection reset by peer")
    return ConnectionRefusedError(111, answer.message or "Connection refused")


def split_url(url: str) -> tuple[str, str, int | None, str]:
    """Return scheme, host, port (None: not given) and path with query of an absolute address."""
    scheme, _, rest = url.partition("://")
    for index, letter in enumerate(rest):
        if letter in "/?#":
            authority, path = rest[:index], rest[index:]
            break
    else:
        authority, path = rest, ""
    authority = authority.rpartition("@")[2]
    host, colon, port = authority.rpartition(":")
    if not colon or not port.isdigit():
        host, port = authority, ""
    if not path.startswith("/"):
        path = "/" + path
    return scheme.lower(), host.strip("[]"), int(port) if port else None, path.partition("#")[0]


def _message(
    client: str, method: str, url: str, headers: Iterable[Any], timeout: float | None
) -> dict[str, Any]:
    return {
        "op": "http",
        "client": client,
        "method": method,
        "url": url,
        "headers": [[_text(name), _text(value)] for name, value in headers],
        "timeout": _finite(timeout),
    }


def _finite(timeout: Any) -> float | None:
    seconds = None if timeout is None else float(timeout)
    return seconds if seconds is not None and isfinite(seconds) else None


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
