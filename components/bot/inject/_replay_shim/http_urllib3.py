"""urllib3, below its pools: retries, redirects, decoding and its exceptions stay its own."""

from __future__ import annotations

from typing import Any

from _replay_shim.hooks import on_import
from _replay_shim.http_answer import Answers
from _replay_shim.http_stdlib import open_connection
from _replay_shim.http_wire import EmulatedSocket

__all__ = ["install"]


def install(answers: Answers) -> None:
    """Take over the connections of urllib3 (1.26 and 2) when they are imported."""

    def take_over_connection(module: Any) -> None:
        def opened(connection: Any, scheme: str) -> EmulatedSocket:
            try:
                return open_connection(answers, "urllib3", scheme, connection)
            except OSError as error:
                failure = module.NewConnectionError
                raise failure(connection, f"Failed to establish a new connection: {error}") from error

        def connect(self: Any) -> None:
            self.sock = opened(self, "http")
            self._has_connected_to_proxy = False

        def connect_secure(self: Any) -> None:
            self.sock = opened(self, "https")
            self._has_connected_to_proxy = False
            self.is_verified = self.cert_reqs not in ("CERT_NONE", "NONE", 0) or bool(self.assert_fingerprint)

        module.HTTPConnection.connect = connect
        if module.HTTPSConnection is not module.HTTPConnection:
            module.HTTPSConnection.connect = connect_secure

    def take_over_pool(module: Any) -> None:
        is_dropped = module.is_connection_dropped

        def is_connection_dropped(connection: Any) -> bool:
            sock = getattr(connection, "sock", None)
            return sock.is_closed if isinstance(sock, EmulatedSocket) else bool(is_dropped(connection))

        module.is_connection_dropped = is_connection_dropped

    on_import("urllib3.connection", take_over_connection)
    on_import("urllib3.connectionpool", take_over_pool)
