"""http.client, and with it urllib.request and xmlrpc: their connections lead to the emulated exchanges."""

from __future__ import annotations

from typing import Any

from _replay_shim.hooks import on_import
from _replay_shim.http_answer import Answers
from _replay_shim.http_wire import EmulatedSocket

__all__ = ["install", "open_connection"]

_HOST_AND_PORT = 2  # positional arguments that do not bear on TLS
_HARMLESS = frozenset(("host", "port", "timeout", "source_address", "blocksize"))
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
            _share_contexts(module)

    on_import("http.client", take_over)


# Each connection would load all authorities of the system, 20 ms, for a handshake that never is.
def _share_contexts(module: Any) -> None:
    ssl = module.ssl
    plain = module.HTTPSConnection.__init__
    contexts: dict[Any, Any] = {}

    def init(self: Any, *arguments: Any, **options: Any) -> None:
        given = {name for name, value in options.items() if value is not None}
        if len(arguments) <= _HOST_AND_PORT and not given - _HARMLESS:
            make = ssl._create_default_https_context  # programs replace it, to verify nothing
            if make not in contexts:
                contexts[make] = make()
            options["context"] = contexts[make]
        plain(self, *arguments, **options)

    module.HTTPSConnection.__init__ = init


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
