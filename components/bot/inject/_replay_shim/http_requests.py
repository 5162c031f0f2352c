"""requests (and kucoin-python, ccxt): answered where a request is whole, or before it is made.

Two seams. `HTTPAdapter.send` gets a prepared request and returns what the library would have built; it leaves
to urllib3, whose connections are emulated too, what urllib3 decides (retries, certificates, bodies in pieces).
`Session.request` answers plain GETs of plain sessions, which are nearly all that a bot asks, without the work
of the layers between; every other request takes the library's own way.
"""

from __future__ import annotations

import functools
import io
import sys
from typing import Any, NoReturn

from _replay_shim.hooks import on_import
from _replay_shim.http_answer import Answer, Answers, failure_error, split_url
from _replay_shim.http_requests_plain import PlainGets
from _replay_shim.http_requests_timeouts import UNKNOWN, never_retries, read_timeout

__all__ = ["install"]


def install(answers: Answers) -> None:
    """Take over adapters and sessions of requests when they are imported."""
    adapters: list[Adapters] = []

    def take_over_adapters(module: Any) -> None:
        adapters[:] = [Adapters(answers, module)]
        adapters[0].install()

    def take_over_sessions(module: Any) -> None:
        PlainGets(answers, adapters[0], module).install()

    on_import("requests.adapters", take_over_adapters)
    on_import("requests.sessions", take_over_sessions)


class Adapters:
    """`HTTPAdapter.send`, by way of the orchestrator."""

    def __init__(self, answers: Answers, module: Any) -> None:
        self.answers = answers
        self.module = module
        self.http_response = sys.modules["urllib3.response"].HTTPResponse
        self.send_natively = module.HTTPAdapter.send

    def install(self) -> None:
        takes = self

        @functools.wraps(self.send_natively)
        def send(
            self: Any,
            request: Any,
            stream: bool = False,
            timeout: Any = None,
            verify: Any = True,
            cert: Any = None,
            proxies: Any = None,
        ) -> Any:
            return takes.send(self, request, stream, timeout, verify, cert, proxies)

        self.module.HTTPAdapter.send = send

    def send(
        self, adapter: Any, request: Any, stream: Any, timeout: Any, verify: Any, cert: Any, proxies: Any
    ) -> Any:
        body = request.body
        if isinstance(body, str):
            body = body.encode("utf-8")
        seconds = read_timeout(timeout)
        is_whole = body is None or isinstance(body, (bytes, bytearray))
        if not is_whole or verify is False or cert or seconds is UNKNOWN or not never_retries(adapter):
            return self.send_natively(adapter, request, stream, timeout, verify, cert, proxies)
        split = split_url(request.url)
        if split[0] not in ("http", "https") or not split[1]:
            return self.send_natively(adapter, request, stream, timeout, verify, cert, proxies)
        adapter.add_headers(
            request, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=proxies
        )
        scheme, host, port, path = split
        name = f"[{host}]" if ":" in host else host
        url = f"{scheme}://{name}" + (f":{port}" if port else "") + path
        answer = self.answers.ask(
            "requests", request.method, url, request.headers.items(), bytes(body or b""), seconds
        )
        if answer.failure is not None:
            self.fail(request, answer, seconds)
        return adapter.build_response(request, self.raw(request.method, answer))

    def raw(self, method: str, answer: Answer) -> Any:
        """Return the answer as the urllib3 response from which requests builds its own."""
        body = b"" if method == "HEAD" else answer.body
        message = _cookie_message(answer)
        return self.http_response(
            body=io.BytesIO(body),
            headers=_raw_headers(answer),
            status=answer.status,
            version=11,
            reason=answer.reason,
            preload_content=False,
            decode_content=False,
            original_response=None if message is None else _Original(message),
            request_method=method,
        )

    def fail(self, request: Any, answer: Answer, timeout: float | None) -> NoReturn:
        """Raise what requests raises when no answer comes."""
        module = self.module
        scheme, host, port, path = split_url(request.url)
        pools = sys.modules["urllib3.connectionpool"]
        pool = (pools.HTTPSConnectionPool if scheme == "https" else pools.HTTPConnectionPool)(host, port)
        errors: Any = sys.modules["urllib3.exceptions"]
        cause = failure_error(answer)
        if answer.failure == "timeout":
            text = f"Read timed out. (read timeout={timeout})"
            raise module.ReadTimeout(errors.ReadTimeoutError(pool, path, text), request=request) from cause
        if answer.failure == "reset":
            raise module.ConnectionError(
                errors.ProtocolError("Connection aborted.", cause), request=request
            ) from cause
        connection = pool.ConnectionCls(host=pool.host, port=pool.port)
        reason = errors.NewConnectionError(connection, f"Failed to establish a new connection: {cause}")
        raise module.ConnectionError(errors.MaxRetryError(pool, path, reason), request=request) from cause


class _Original:
    """What cookies are read from: the answer as http.client had parsed it."""

    def __init__(self, message: Any) -> None:
        self.msg = message

    def isclosed(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing is open."""


def _cookie_message(answer: Answer) -> Any:
    known = answer.known
    if "cookies" not in known:
        has_cookies = any(name.lower() == "set-cookie" for name, _ in answer.headers)
        message = None
        if has_cookies:
            message = sys.modules["http.client"].HTTPMessage()
            for name, value in answer.headers:
                message[name] = value
        known["cookies"] = message
    return known["cookies"]


def _raw_headers(answer: Answer) -> Any:
    known = answer.known
    if "urllib3" not in known:
        headers: Any = sys.modules["urllib3._collections"].HTTPHeaderDict()
        for name, value in answer.headers:
            headers.add(name, value)
        known["urllib3"] = headers
    return known["urllib3"].copy()
