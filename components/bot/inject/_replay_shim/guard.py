"""Refuses every way to a network that no interceptor answers, and counts what it refused.

An audit hook cannot be removed and sees every client in pure Python, whatever it is called. It does not see C
libraries that open sockets themselves: the common ones are refused by name, and all of them have no network
where the system lets the orchestrator take it away. Nothing leaves the machine, and nothing reaches a service
on it either: an order gateway on loopback is as live as one far away. A socket may connect to what this
process itself listens to.
"""

from __future__ import annotations

import socket
import sys
from typing import Any, NoReturn

from _replay_shim.hooks import on_import
from _replay_shim.http_answer import Answers

__all__ = ["install"]

_INET = (socket.AF_INET, socket.AF_INET6)
_ANY = ("", "0.0.0.0", "::")  # noqa: S104 - what is listened to, not what we listen on
_RESOLVING = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")


def install(answers: Answers, link_path: str) -> None:
    """Add the audit hook, and refuse what it cannot see."""
    guard = _Guard(answers, link_path)
    _follow_listeners(guard)
    sys.addaudithook(guard.audit)
    _refuse_asyncio(guard)
    _replace_uvloop()
    _refuse_libraries(guard)


class _Guard:
    def __init__(self, answers: Answers, link_path: str) -> None:
        self._answers = answers
        self._link_path = link_path
        self.ports: set[int] = set()  # that this process listens to

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See every event of the interpreter; only those of sockets matter."""
        if not event.startswith("socket."):
            return
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            self._check_address(event, arguments[0], arguments[1])
        elif event == "socket.bind":
            self._check_bind(arguments[0], arguments[1])
        elif event in _RESOLVING and not _is_local_name(arguments[0]):
            host = _text(arguments[0])
            message = self.refuse(event, host)
            raise socket.gaierror(socket.EAI_NONAME, message)
        elif event == "socket.getnameinfo" and not _is_loopback(arguments[0][0]):
            raise socket.gaierror(socket.EAI_NONAME, self.refuse(event, _text(arguments[0][0])))

    def _check_address(self, event: str, sock: Any, address: Any) -> None:
        family = sock.family
        if address is None:
            return  # a connected socket: its connection was checked
        if family == socket.AF_UNIX:
            if _text(address) != self._link_path:
                raise ConnectionRefusedError(111, self.refuse(event, _text(address)))
            return
        if family not in _INET:
            raise ConnectionRefusedError(111, self.refuse(event, str(address)))
        host, port = _text(address[0]), address[1]
        if not (_is_loopback(host) and port in self.ports):
            raise ConnectionRefusedError(111, self.refuse(event, f"{host}:{port}"))

    def _check_bind(self, sock: Any, address: Any) -> None:
        if sock.family in _INET and not _is_loopback(_text(address[0])):
            raise OSError(99, self.refuse("socket.bind", f"{_text(address[0])}:{address[1]}"))

    def refuse(self, what: str, target: str, client: str = "") -> str:
        """Count a refusal and return what is said of it; it takes the time of a request."""
        clock = self._answers.clock
        clock.call({"op": "refused", "what": what, "target": target, "client": client})
        clock.advance_ns(clock.latency_ns)  # a loop that tries again must not stand still
        host = target.rpartition(":")[0] or target
        if self._answers.is_emulated(host) or self._answers.is_emulated(target):
            return f"a websocket or raw connection to {host} is not emulated by this replay; only HTTP requests are"
        return f"{what} to {target} is refused: a bot under replay has no network"


def _is_loopback(host: Any) -> bool:
    name = _text(host)
    return name in ("::1", "localhost") or (name.startswith("127.") and _is_address(name))


def _is_local_name(host: Any) -> bool:
    name = _text(host or "")
    if name in _ANY or _is_loopback(name):
        return True
    return _is_address(name)  # which is not looked up


# What the system takes for an address; anything else it asks a name server for.
def _is_address(name: str) -> bool:
    try:
        if ":" in name:
            socket.inet_pton(socket.AF_INET6, name.partition("%")[0])
            return True
        socket.inet_aton(name)
    except (OSError, ValueError):
        return False
    return all(letter in "0123456789." for letter in name)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, (bytes, bytearray)) else str(value)


# Which ports are ours is known once they are bound: port 0 asks the system for one.
def _follow_listeners(guard: _Guard) -> None:
    plain = socket.socket.bind

    def bind(self: Any, address: Any, /) -> None:
        plain(self, address)
        if self.family in _INET:
            guard.ports.add(self.getsockname()[1])

    socket.socket.bind = bind  # type: ignore[method-assign]


# Before it resolves a name in a thread: the message then says which host was meant.
def _refuse_asyncio(guard: _Guard) -> None:
    def take_over(module: Any) -> None:
        plain = module.BaseEventLoop.create_connection

        async def create_connection(
            self: Any, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
        ) -> Any:
            if host is not None and not (_is_loopback(host) and port in guard.ports):
                raise ConnectionRefusedError(
                    111, guard.refuse("asyncio.create_connection", f"{host}:{port}", "asyncio")
                )
            return await plain(self, protocol_factory, host, port, **options)

        module.BaseEventLoop.create_connection = create_connection

    on_import("asyncio.base_events", take_over)


def _replace_uvloop() -> None:
    def take_over(module: Any) -> None:
        import asyncio  # noqa: PLC0415 - uvloop has imported it

        def install() -> None:
            sys.stderr.write(
                "replay: uvloop waits in C, where time is not simulated; asyncio's own loop runs instead\n"
            )

        def run(main: Any, *, debug: bool | None = None, **_options: Any) -> Any:
            install()
            return asyncio.run(main, debug=debug)

        def new_event_loop() -> Any:
            install()
            return asyncio.SelectorEventLoop()

        module.install = install
        module.run = run
        module.new_event_loop = new_event_loop
        module.Loop = asyncio.SelectorEventLoop
        module.EventLoopPolicy = asyncio.DefaultEventLoopPolicy

    on_import("uvloop", take_over)


# Clients that open sockets in C, where no audit hook sees them.
def _refuse_libraries(guard: _Guard) -> None:
    def refuse(what: str, error: Any) -> Any:
        def refused(*_arguments: Any, **_options: Any) -> NoReturn:
            raise error(guard.refuse(what, "any host", what.partition(".")[0]))

        return refused

    def pycurl(module: Any) -> None:
        for name in ("Curl", "CurlMulti"):
            setattr(module, name, refuse(f"pycurl.{name}", module.error))

    def curl_cffi(module: Any) -> None:
        module.Curl.perform = refuse("curl_cffi.perform", module.CurlError)
        module.AsyncCurl = refuse("curl_cffi.AsyncCurl", ConnectionRefusedError)

    def grpc(module: Any) -> None:
        for name in ("insecure_channel", "secure_channel"):
            setattr(module, name, refuse(f"grpc.{name}", ConnectionRefusedError))

    on_import("pycurl", pycurl)
    on_import("curl_cffi", curl_cffi)
    on_import("grpc", grpc)
