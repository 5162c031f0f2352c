"""The socket that bots call through, and the messages of both sides."""

from __future__ import annotations

import json
import re
import socket
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.bot_protocol import (
    BOT_PROTOCOL_VERSION,
    FRAME_BYTES_MAX,
    FRAME_HEAD,
    BotHttp,
    BotMessage,
    BotReply,
    BotSleep,
    HttpReply,
)
from orchestrator.errors import ProtocolError
from orchestrator.runtime.bot_launch import INJECT_FOLDER
from orchestrator.runtime.bot_line import BotLine, Called, Lost

SECONDS_MAX = 5


@pytest.fixture
def line(tmp_path: Path) -> Iterator[BotLine]:
    with BotLine(tmp_path / "bots") as line:
        yield line


@pytest.fixture
def client(line: BotLine) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(SECONDS_MAX)
        client.connect(str(line.path))
        assert line.receive(1_000) == []  # accepted
        yield client


def frame(message: dict[str, Any], body: bytes = b"") -> bytes:
    header = json.dumps(message).encode()
    return FRAME_HEAD.pack(len(header), len(body)) + header + body


def test_a_call_comes_whole_with_its_body(line: BotLine, client: socket.socket) -> None:
    call = {
        "op": "http",
        "t": 5,
        "client": "requests",
        "method": "POST",
        "url": "https://a/b",
        "headers": [["k", "v"]],
    }
    client.sendall(frame(call, b"\x00\xff"))
    [called] = line.receive(1_000)
    assert isinstance(called, Called)
    assert called.message == BotHttp(
        t=5, client="requests", method="POST", url="https://a/b", headers=(("k", "v"),)
    )
    assert called.body == b"\x00\xff"


def test_a_call_in_pieces_waits_for_its_end(line: BotLine, client: socket.socket) -> None:
    whole = frame({"op": "sleep", "t": 1, "until": None})
    client.sendall(whole[:9])
    assert line.receive(1_000) == []
    client.sendall(whole[9:])
    [called] = line.receive(1_000)
    assert isinstance(called, Called)
    assert called.message == BotSleep(t=1, until=None)


def test_an_answer_reaches_who_called(line: BotLine, client: socket.socket) -> None:
    client.sendall(frame({"op": "sleep", "t": 1, "until": 2}))
    [called] = line.receive(1_000)
    line.reply(called.connection, HttpReply(now=2, horizon=3, open_orders=False, status=200), b"body")
    data = client.recv(65_536)
    header_bytes, body_bytes = FRAME_HEAD.unpack_from(data)
    header = json.loads(data[FRAME_HEAD.size :][:header_bytes])
    assert (header["now"], header["horizon"], header["open_orders"], header["status"]) == (2, 3, False, 200)
    assert header["failure"] is None  # what is absent is said, so that the other side need not know defaults
    assert data[-body_bytes:] == b"body"


def test_who_leaves_is_noticed_once(line: BotLine, client: socket.socket) -> None:
    client.close()
    [lost] = line.receive(1_000)
    assert isinstance(lost, Lost)
    line.reply(lost.connection, BotReply(now=1, horizon=1, open_orders=False))  # to nobody
    assert line.receive(10) == []


@pytest.mark.parametrize(
    "message",
    [
        {"op": "nonsense", "t": 1},
        {"op": "sleep", "t": "now", "until": None},
        {"op": "sleep", "t": 1, "until": None, "more": 1},
        {"op": "sleep", "until": None},
    ],
)
def test_what_is_no_call_is_an_error(line: BotLine, client: socket.socket, message: dict[str, Any]) -> None:
    client.sendall(frame(message))
    with pytest.raises(ProtocolError, match="a bot's shim sent what is no call"):
        line.receive(1_000)


def test_a_frame_that_is_too_large_is_an_error(line: BotLine, client: socket.socket) -> None:
    client.sendall(FRAME_HEAD.pack(10, FRAME_BYTES_MAX))
    with pytest.raises(ProtocolError, match="a bot sent a frame of"):
        line.receive(1_000)


def test_the_shim_says_no_word_that_the_orchestrator_does_not_know() -> None:
    # The shim cannot import the messages; what it says stands in its source.
    said = {
        word
        for path in (INJECT_FOLDER / "_replay_shim").glob("*.py")
        for word in ("hello", "sleep", "http", "spawn", "wait", "refused")
        if f'"op": "{word}"' in path.read_text()
    }
    assert said == {kind.__struct_config__.tag for kind in typing.get_args(BotMessage)}
    activate = (INJECT_FOLDER / "_replay_shim" / "activate.py").read_text()
    assert re.search(rf"^_?\w*VERSION\w* = {BOT_PROTOCOL_VERSION}\b", activate, re.MULTILINE)
