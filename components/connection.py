"""One DEALER socket to the orchestrator: hello, then messages in and out, each wait with a deadline."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec
import zmq

from orchestrator.errors import ComponentError, ConfigError, ProtocolError
from orchestrator.protocol import (
    ENVIRONMENT_COMPONENT,
    ENVIRONMENT_CURVE,
    ENVIRONMENT_ENDPOINT,
    ENVIRONMENT_TOKEN,
    PROTOCOL_VERSION,
    ComponentMessage,
    Hello,
    OrchestratorMessage,
    Refused,
    TrainerMessage,
    TrainingWelcome,
    Welcome,
)

__all__ = ["Connection"]

_SLICE_MS = 1_000
_WELCOME_SLICES = 30


class Connection:
    """A component's side of the bus, found through the environment that the orchestrator sets."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        try:
            endpoint, token, name = (
                environment[key] for key in (ENVIRONMENT_ENDPOINT, ENVIRONMENT_TOKEN, ENVIRONMENT_COMPONENT)
            )
        except KeyError as missing:
            raise ConfigError(
                f"{missing.args[0]} is not set: this program is started by a replay, not by hand; "
                "use replay start --thinker or --trader, or a [[component]] in replay.toml"
            ) from None
        self._parent = os.getppid()
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.rcvtimeo = _SLICE_MS
        self._socket.sndtimeo = _WELCOME_SLICES * _SLICE_MS
        server_key = environment.get(ENVIRONMENT_CURVE)
        if server_key:
            self._socket.curve_serverkey = server_key.encode()
            self._socket.curve_publickey, self._socket.curve_secretkey = zmq.curve_keypair()
        self._encode = msgspec.msgpack.Encoder(decimal_format="string").encode
        self._decoder: msgspec.msgpack.Decoder[OrchestratorMessage] = msgspec.msgpack.Decoder(
            OrchestratorMessage
        )
        hello = Hello(protocol_version=PROTOCOL_VERSION, token=token, component=name, process_id=os.getpid())
        try:
            self._socket.connect(endpoint)
            self.send(hello)
            self.welcome = self._receive_welcome()
        except BaseException:
            self.close()
            raise

    def _receive_welcome(self) -> Welcome | TrainingWelcome:
        answer = self.receive(slices_max=_WELCOME_SLICES)
        if isinstance(answer, Refused):
            raise ProtocolError(f"the orchestrator refused this component: {answer.reason}")
        if not isinstance(answer, Welcome | TrainingWelcome):
            raise ProtocolError(f"the orchestrator answered a hello with {type(answer).__name__}")
        return answer

    def send(self, message: ComponentMessage | TrainerMessage) -> None:
        """Send one message.

        Raises
        ------
        ComponentError
            If the orchestrator takes nothing any more.
        """
        try:
            self._socket.send(self._encode(message))
        except zmq.Again:
            raise ComponentError("the orchestrator takes no messages any more; this component ends") from None

    def receive(self, slices_max: int | None = None) -> OrchestratorMessage:
        """Return the next message; between slices of a second look whether the orchestrator still lives.

        Raises
        ------
        ComponentError
            If the orchestrator is gone, or did not answer within the given number of slices.
        """
        slices = 0
        while True:
            try:
                return self._decoder.decode(self._socket.recv())
            except zmq.Again:
                slices += 1
                if os.getppid() != self._parent:
                    raise ComponentError("the orchestrator is gone; this component ends") from None
                if slices_max is not None and slices >= slices_max:
                    raise ComponentError(f"the orchestrator did not answer within {slices} s") from None

    def close(self) -> None:
        """Close the socket at once."""
        self._context.destroy(linger=0)
