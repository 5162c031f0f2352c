"""The other side of the spectators' and control sockets: who watches or steers a running replay."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import zmq

from orchestrator.errors import ReplayError
from orchestrator.protocol import ControlReply, ControlRequest, SpectatorMessage
from orchestrator.runtime.live import LiveRun
from orchestrator.runtime.transport import connect_options

__all__ = ["ask_control", "watch_run"]

_ANSWER_MS = 10_000  # a control request is answered between sequences, or within a slice of a wait
_SLICE_MS = 500


def ask_control(live: LiveRun, action: str, value: float | None) -> ControlReply:
    """Send one control request and return its answer.

    Raises
    ------
    ReplayError
        If the replay does not answer in time.
    """
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        connect_options(socket, live.curve_server_key)
        socket.connect(live.control_endpoint)
        socket.send(msgspec.msgpack.encode(ControlRequest(action, value)))
        if not socket.poll(_ANSWER_MS):
            raise ReplayError(
                f"{live.run_id} did not answer within {_ANSWER_MS // 1000} s; see replay_data and its log"
            )
        return msgspec.msgpack.decode(socket.recv_multipart()[-1], type=ControlReply)


def watch_run(live: LiveRun) -> Iterator[SpectatorMessage]:
    """Yield what a running replay shows, until it ends; messages may be missing when the reader is slow."""
    decoder = msgspec.msgpack.Decoder(SpectatorMessage)
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        connect_options(socket, live.curve_server_key)
        socket.rcvhwm = 1_000
        socket.subscribe(b"")
        socket.connect(live.spectators_endpoint)
        while True:
            if socket.poll(_SLICE_MS):
                yield decoder.decode(socket.recv())
            elif not live.is_running:
                return
