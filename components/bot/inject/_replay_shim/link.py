"""The link to the orchestrator: calls and answers over a Unix socket, one after the other.

A frame is `<II` (length of a JSON header, length of a body), the header, the body. The link knows nothing of
threads and of time: the clock lets one thread at a time in. A socket ends with exec (close on exec) and means
nothing after a fork, so both open a new one. An orchestrator that is gone ends the process.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

from _replay_shim import ending

__all__ = ["Link"]

Message = dict[str, Any]

_HEAD = struct.Struct("<II")
_GONE = "the orchestrator is gone; this process ends rather than run live"


class Link:
    """Calls to the orchestrator.

    Parameters
    ----------
    path
        Of the orchestrator's socket.
    """

    __slots__ = ("_buffer", "_connection", "_decode", "_encode", "_pid", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
        self._decode = json.JSONDecoder().decode
        self.reopen()

    def reopen(self) -> None:
        """Connect anew: a forked child shares its parent's socket, and may not use it."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(self.path)
        except OSError as error:
            ending.refuse(
                f"the orchestrator cannot be reached at {self.path} ({error}); a bot under replay does not run"
                " without it"
            )
        self._connection = connection
        self._pid = os.getpid()
        self._buffer = bytearray()

    def fileno(self) -> int:
        """Return the descriptor to wait for: readable when an answer has come."""
        return self._connection.fileno()

    def call(self, message: Message, body: bytes = b"") -> tuple[Message, bytes]:
        """Say something and return the answer, which comes when simulation time allows."""
        self.send(message, body)
        return self.receive()

    def send(self, message: Message, body: bytes = b"") -> None:
        """Say something; answers come in the order of what was said."""
        if os.getpid() != self._pid:
            ending.refuse("this process was forked by a C library, which the replay cannot follow")
        text = self._encode(message).encode("utf-8", "replace")
        try:
            self._connection.sendall(_HEAD.pack(len(text), len(body)) + text + body)
        except OSError as error:
            ending.refuse(f"{_GONE} ({error})")

    def receive(self) -> tuple[Message, bytes]:
        """Return the next answer; one that is an error ends the process.

        A signal's handler may raise while this waits: what has come is kept and the next read goes on with it.
        """
        buffer = self._buffer
        self._fill(_HEAD.size)
        text_size, body_size = _HEAD.unpack_from(buffer)
        text_end = _HEAD.size + text_size
        self._fill(text_end + body_size)
        text, body = bytes(buffer[_HEAD.size : text_end]), bytes(buffer[text_end:])
        buffer.clear()
        reply = self._decode(text.decode("utf-8"))
        if reply.get("error"):
            ending.refuse(str(reply["error"]))
        return reply, body

    # Never reads beyond the frame: who waits for the descriptor would not see what is in the buffer.
    def _fill(self, size: int) -> None:
        buffer = self._buffer
        while len(buffer) < size:
            try:
                part = self._connection.recv(size - len(buffer))
            except OSError as error:
                ending.refuse(f"{_GONE} ({error})")
            if not part:
                ending.refuse(_GONE)
            buffer += part
