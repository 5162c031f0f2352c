"""The Unix socket through which the processes of unmodified bots call.

They have nothing but the standard library and are forked and replaced at will; a stream socket per process
survives that. This module owns the sockets and knows frames; what the calls mean is the affair of `bot_host`.
"""

from __future__ import annotations

import select
import socket
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from orchestrator.bot_protocol import FRAME_BYTES_MAX, FRAME_HEAD, BotError, BotMessage, BotReply
from orchestrator.errors import ProtocolError

__all__ = ["BotLine", "Called", "Lost"]

_BACKLOG = 64
_CHUNK_BYTES = 262_144
_BUFFER_BYTES = 1_048_576
_SEND_SECONDS_MAX = 5.0  # a blocked process reads at once; longer means that it is stopped


class Called(NamedTuple):
    """A call that came in."""

    connection: int
    message: BotMessage
    body: bytes


class Lost(NamedTuple):
    """A connection that is gone: its process has died, or another program takes its place."""

    connection: int


class BotLine:
    """Listens, and speaks with everyone who has connected; a connection is known by its descriptor.

    Parameters
    ----------
    path
        Where the socket is to stand, in a directory of mode 0700.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)
        self._sockets: dict[int, socket.socket] = {}
        self._unread: dict[int, bytearray] = {}
        self._poll = select.poll()
        self._poll.register(self._listener, select.POLLIN)
        self._decode = msgspec.json.Decoder(BotMessage).decode
        self._encode = msgspec.json.Encoder().encode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; who calls afterwards is told that nobody is there."""
        for connection in list(self._sockets):
            self.drop(connection)
        self._listener.close()

    def receive(self, timeout_ms: int) -> list[Called | Lost]:
        """Return what has come in, waiting for it at most so long.

        Raises
        ------
        ProtocolError
            If a connection sent what is no call.
        """
        events: list[Called | Lost] = []
        for descriptor, _ in self._poll.poll(timeout_ms):
            if descriptor == self._listener.fileno():
                self._accept()
            else:
                self._read(descriptor, events)
        return events

    def reply(self, connection: int, reply: BotReply | BotError, body: bytes = b"") -> None:
        """Answer a call; a connection that is gone is noticed by `receive`."""
        peer = self._sockets.get(connection)
        if peer is None:
            return
        header = self._encode(reply)
        try:
            peer.sendall(b"".join((FRAME_HEAD.pack(len(header), len(body)), header, body)))
        except OSError:
            return

    def drop(self, connection: int) -> None:
        """Close a connection."""
        peer = self._sockets.pop(connection, None)
        if peer is not None:
            self._unread.pop(connection)
            self._poll.unregister(connection)
            peer.close()

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except OSError:  # it has left already
            return
        peer.settimeout(_SEND_SECONDS_MAX)
        # A page of candles fits whole: else both sides are woken again and again for each part of it.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        self._sockets[peer.fileno()] = peer
        self._unread[peer.fileno()] = bytearray()
        self._poll.register(peer, select.POLLIN)

    def _read(self, connection: int, events: list[Called | Lost]) -> None:
        peer = self._sockets.get(connection)
        if peer is None:
            return
        try:
            chunk = peer.recv(_CHUNK_BYTES)
        except OSError:
            chunk = b""
        if not chunk:
            self.drop(connection)
            events.append(Lost(connection))
            return
        unread = self._unread[connection]
        unread += chunk
        while len(unread) >= FRAME_HEAD.size:
            header_bytes, body_bytes = FRAME_HEAD.unpack_from(unread)
            total = FRAME_HEAD.size + header_bytes + body_bytes
            if total > FRAME_BYTES_MAX:
                raise ProtocolError(
                    f"a bot sent a frame of {total} bytes; at most {FRAME_BYTES_MAX} are allowed"
                )
            if len(unread) < total:
                return
            header = bytes(unread[FRAME_HEAD.size : FRAME_HEAD.size + header_bytes])
            body = bytes(unread[FRAME_HEAD.size + header_bytes : total])
            del unread[:total]
            try:
                events.append(Called(connection, self._decode(header), body))
            except msgspec.MsgspecError as error:
                raise ProtocolError(f"a bot's shim sent what is no call: {error}") from None
