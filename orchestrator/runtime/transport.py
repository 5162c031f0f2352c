"""Where the sockets of a run live, and how strangers are kept out.

`ipc://` sockets stand in a fresh directory of mode 0700: only the same user can reach them. Where `ipc://`
does not exist, `tcp://127.0.0.1` with CURVE takes its place: the server key travels in the components'
environment and in `live.json`, and who does not have it cannot speak at all.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import zmq

from orchestrator.errors import ConfigError, ReplayError

__all__ = ["SOCKET_PATH_MAX", "Endpoints", "connect_options"]

SOCKET_PATH_MAX = 107
"""Bytes that a Unix socket path may have; longer ones fail in `bind` with a message nobody understands."""


class Endpoints:
    """The addresses of one run's sockets; a context manager that removes them.

    Parameters
    ----------
    transport
        "ipc" or "tcp"; None chooses ipc where it exists.
    """

    def __init__(self, transport: str | None = None) -> None:
        self.transport = (
            transport or os.environ.get("REPLAY_TRANSPORT") or ("ipc" if zmq.has("ipc") else "tcp")
        )
        self.directory: Path | None = None
        self.server_key: bytes | None = None
        self._secret_key: bytes | None = None
        if self.transport == "ipc":
            self.directory = _fresh_directory()
        elif self.transport == "tcp":
            self.server_key, self._secret_key = zmq.curve_keypair()
        else:
            raise ConfigError(
                f"REPLAY_TRANSPORT {self.transport!r} is not known; use ipc or tcp, or unset it"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def bind(self, socket: zmq.Socket[bytes], name: str) -> str:
        """Bind the socket under a name; return the address to connect to."""
        socket.linger = 0
        if self.directory is not None:
            address = f"ipc://{self.directory / name}"
            socket.bind(address)
            return address
        socket.curve_server = True
        socket.curve_secretkey = self._secret_key or b""
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        return f"tcp://127.0.0.1:{port}"

    def remove(self) -> None:
        """Remove the socket files; safe to call twice."""
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)


def connect_options(socket: zmq.Socket[bytes], server_key: str | None) -> None:
    """Prepare a client's socket: no lingering, and CURVE when the server has a key (Z85 text)."""
    socket.linger = 0
    if server_key:
        public, secret = zmq.curve_keypair()
        socket.curve_serverkey = server_key.encode()
        socket.curve_publickey = public
        socket.curve_secretkey = secret


def _fresh_directory() -> Path:
    # XDG_RUNTIME_DIR may be set and missing (containers), or too long for a socket path; then the next base serves.
    bases = [os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"]  # noqa: S108 - last resort, mode 0700
    for base in bases:
        if (
            not base
            or not Path(base).is_dir()
            or len(os.fsencode(base)) + len("/replay-12345678/components") > SOCKET_PATH_MAX
        ):
            continue
        try:
            return Path(tempfile.mkdtemp(prefix="replay-", dir=base))
        except OSError:
            continue
    raise ReplayError(
        f"no directory for sockets: tried {', '.join(b for b in bases if b)}; "
        "set XDG_RUNTIME_DIR or TMPDIR to a short writable path, or REPLAY_TRANSPORT=tcp"
    )
