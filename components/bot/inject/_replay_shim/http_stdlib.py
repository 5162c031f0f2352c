"""http.client, and with it urllib.request and xmlrpc: their connections lead to the emulated exchanges."""

from __future__ import annotations

from typing import Any

from _replay_shim.hooks import on_import
from _replay_shim.http_answer import Answers
from _replay_shim.http_wire import EmulatedSocket

__all__ = ["install", "open_connection"]

_PORTS = {"http": 80, "https": 443}


def install(answers: Answers) -> None:
    """Take over the connections of http.client when it is imported."""

    def take_over(module: Any) -> None:
        def connect(self: Any) -> None:
            self.sock = open_connection(answers, "http.client", "http", self)

        def connect_secure(self: Any) -> None:
            self.sock = open_connection(answers, "http.client", "https", self)

        module.HTTPConnection.connect = connect
        if hasattr(module, "HTTPSConnection"):
            module.HTTPSConnection.connect = connect_secure

    on_import("http.client", take_over)


def open_connection(answers: Answers, client: str, scheme: str, connection: Any) -> EmulatedSocket:
    """Return a connection's socket; ConnectionRefusedError where no exchange is emulated.

    A proxy is left out: what would be asked through it is asked directly.
    """
    host, port = connection.host, connection.port
    tunnel_host = getattr(connection, "_tunnel_host", None)
    proxy = getattr(connection, "proxy", None)
    if tunnel_host:
        host, port = tunnel_host, getattr(connection, "_tunnel_port", None)
    timeout = connection.timeout
    if tunnel_host or not proxy:
        number = timeout if isinstance(timeout, (int, float)) else None
        answers.connect(client, scheme, host, port or _PORTS[scheme], number)
    name = f"[{host}]" if ":" in host else host
    suffix = "" if port in (None, _PORTS[scheme]) else f":{port}"
    return EmulatedSocket(answers, client, f"{scheme}://{name}{suffix}", timeout)
