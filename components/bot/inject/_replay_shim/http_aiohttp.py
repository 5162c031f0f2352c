"""aiohttp (and ccxt async): its connector opens connections to the emulated exchanges.

The client's own code writes the request and parses the answer; a transport in memory lies between.
"""

from __future__ import annotations

from typing import Any

from _replay_shim.hooks import on_import
from _replay_shim.http_answer import Answers, failure_error
from _replay_shim.http_wire import address, response_bytes, take_request

__all__ = ["install"]


def install(answers: Answers) -> None:
    """Take over aiohttp's connector when it is imported."""

    def take_over(module: Any) -> None:
        async def create_connection(self: Any, request: Any, traces: Any, timeout: Any) -> Any:  # noqa: ARG001 - the library's signature
            url = request.url
            try:
                if request.headers.get("Upgrade", "").lower() == "websocket":
                    refuse_websocket(answers, str(url))
                await answers.connect_in_task("aiohttp", f"{url.scheme}://{url.host}:{url.port}", url.host)
            except OSError as error:
                raise module.ClientConnectorError(request.connection_key, error) from error
            protocol = self._factory()
            port = "" if url.is_default_port() else f":{url.port}"
            host = f"[{url.host}]" if ":" in url.host else url.host
            transport = EmulatedTransport(
                answers, self._loop, protocol, f"{url.scheme}://{host}{port}", timeout
            )
            protocol.connection_made(transport)
            return protocol

        module.TCPConnector._create_connection = create_connection

    on_import("aiohttp.connector", take_over)


def refuse_websocket(answers: Answers, url: str) -> None:
    """Count the refusal of a stream, and raise it."""
    answers.clock.call({"op": "refused", "what": "websocket", "target": url, "client": "aiohttp"})
    raise ConnectionRefusedError(111, f"a websocket to {url} is not emulated by this replay; poll instead")


def _seconds(timeout: Any) -> Any:
    given = [getattr(timeout, name, None) for name in ("sock_read", "total")]
    return min((value for value in given if value), default=None)


class EmulatedTransport:
    """What aiohttp writes a request to, and is given the answer by."""

    def __init__(self, answers: Answers, loop: Any, protocol: Any, origin: str, timeout: Any) -> None:
        self._answers = answers
        self._loop = loop
        self._protocol = protocol
        self._origin = origin
        self._timeout = timeout
        self._written = bytearray()
        self._is_closing = False
        self._giving: Any = None  # the task that waits for an answer

    def write(self, data: Any) -> None:
        self._written += data
        request = take_request(self._written)
        if request is not None:
            self._giving = self._loop.create_task(self._give(request))

    def writelines(self, parts: Any) -> None:
        self.write(b"".join(parts))

    async def _give(self, request: Any) -> None:
        if self._is_closing:
            return  # cancelled before the request had left
        if request.header("upgrade").lower() == "websocket":
            try:
                refuse_websocket(self._answers, self._origin + request.target)
            except OSError as error:
                self._lose(error)
            return
        seconds = _seconds(self._timeout)
        answer = await self._answers.ask_in_task(
            "aiohttp", request.method, address(self._origin, request), request.headers, request.body, seconds
        )
        if self._is_closing:
            return  # given up while the answer was on its way
        if answer.failure is None:
            self._protocol.data_received(response_bytes(request.method, answer))
        elif answer.failure == "timeout" and not getattr(self._timeout, "sock_read", None) and seconds:
            pass  # the session's own timer is due by now
        elif answer.failure == "timeout":
            self._protocol._on_read_timeout()
        else:
            self._lose(failure_error(answer))

    def _lose(self, error: Any) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._protocol.connection_lost(error)

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._is_closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 0) if name in ("peername", "sockname") else default

    def pause_reading(self) -> None:
        """Give the answer whole all the same."""

    def resume_reading(self) -> None:
        """Nothing is held back."""

    def is_reading(self) -> bool:
        return not self._is_closing

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
        """Nothing is buffered."""

    def get_protocol(self) -> Any:
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def can_write_eof(self) -> bool:
        return False
