"""The ZeroMQ bus of a run: one ROUTER for the components, one PUB for spectators, one ROUTER for control.

This module owns the sockets. Everything a result depends on goes through the components' ROUTER; PUB may drop
and may have no listener at all.
"""

from __future__ import annotations

import secrets
from types import TracebackType
from typing import Self

import msgspec
import zmq

from orchestrator.errors import ComponentError, ProtocolError
from orchestrator.protocol import (
    PROTOCOL_VERSION,
    Acknowledgement,
    ComponentMessage,
    ControlReply,
    ControlRequest,
    Frame,
    Hello,
    HistoryQuery,
    OrchestratorMessage,
    Refused,
    Snapshot,
    SpectatorMessage,
    Welcome,
)
from orchestrator.runtime.transport import Endpoints

__all__ = ["MESSAGE_BYTES_MAX", "Bus"]

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
"""A component's message above this is refused before it is decoded."""

RECEIVE_SLICE_MS = 50
"""How long one wait lasts at most; between slices the caller looks after children, signals and deadlines."""

_SPECTATOR_QUEUE = 1_000
_STRANGERS_MAX = 100  # kept between two looks; a flood of them must not fill the memory or the log
_RCVMORE = int(zmq.RCVMORE)  # the enum's look-up would cost more than the question


class Bus:
    """The sockets of one run.

    Parameters
    ----------
    endpoints
        Where to bind.
    names
        The components in declared order; a component's number is its place here.
    absent
        Numbers of those that never connect here: unmodified bots have a line of their own.
    """

    def __init__(
        self, endpoints: Endpoints, names: tuple[str, ...], absent: frozenset[int] = frozenset()
    ) -> None:
        self.token = secrets.token_hex(16)  # admits processes; never part of a result
        self._strangers: list[str] = []
        self._names = names
        self._identities: list[bytes | None] = [None] * len(names)
        self._present = tuple(number for number in range(len(names)) if number not in absent)
        self._numbers: dict[bytes, int] = {}
        self._context = zmq.Context()
        self._router: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        self._router.router_mandatory = True
        self._router.maxmsgsize = (
            4 * MESSAGE_BYTES_MAX
        )  # beyond it the peer is cut off before it fills the memory
        self._router.rcvtimeo = RECEIVE_SLICE_MS
        self._router.sndhwm = 0  # at most one unanswered frame per component is ever queued
        self._publisher: zmq.Socket[bytes] = self._context.socket(zmq.PUB)
        self._publisher.sndhwm = _SPECTATOR_QUEUE
        self._control: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        self.components_endpoint = endpoints.bind(self._router, "components")
        self.spectators_endpoint = endpoints.bind(self._publisher, "spectators")
        self.control_endpoint = endpoints.bind(self._control, "control")
        self._encode = msgspec.msgpack.Encoder(decimal_format="string").encode
        self._decode = msgspec.msgpack.Decoder(ComponentMessage).decode
        self._decode_control = msgspec.msgpack.Decoder(ControlRequest).decode
        self._last_snapshot: Snapshot | None = None
        self._last_frame = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all sockets at once; nothing lingers."""
        self._context.destroy(linger=0)

    # ------------------------------------------------------------------ components

    @property
    def connected(self) -> frozenset[int]:
        """Numbers of the components whose hello was accepted."""
        return frozenset(self._numbers.values())

    def take_strangers(self) -> list[str]:
        """Return why connections were refused since the last call, for the log."""
        strangers, self._strangers = self._strangers, []
        return strangers

    def send(self, component: int, message: OrchestratorMessage) -> None:
        """Send a message to a connected component.

        Raises
        ------
        ComponentError
            If its connection is gone.
        """
        self._send_bytes(component, self._encode(message))

    def send_snapshot(self, component: int, snapshot: Snapshot) -> None:
        """Send a frame of one; the same snapshot object is encoded once however many receive it."""
        self._send_bytes(component, self._frame(snapshot))

    def _frame(self, snapshot: Snapshot) -> bytes:
        if snapshot is not self._last_snapshot:
            self._last_frame = self._encode(Frame((snapshot,)))
            self._last_snapshot = snapshot
        return self._last_frame

    def _send_bytes(self, component: int, data: bytes) -> None:
        identity = self._identities[component]
        if identity is None:
            raise ComponentError(f"{self._names[component]} is not connected")
        try:
            self._router.send(identity, zmq.SNDMORE)
            self._router.send(data)
        except zmq.ZMQError as error:
            raise ComponentError(f"the connection to {self._names[component]} is gone ({error})") from None

    def receive(self) -> tuple[int, Acknowledgement | HistoryQuery] | None:
        """Return the next message of a component, None after `RECEIVE_SLICE_MS` without one.

        Strangers are refused and their words dropped.

        Raises
        ------
        ProtocolError
            If a component sent what is no message, or too much of it, or a second hello.
        """
        router = self._router
        try:
            identity = router.recv()
        except zmq.Again:
            return None
        data = router.recv()  # a ROUTER delivers whole messages: the identity, then at least one part
        is_one_part = not router.getsockopt(_RCVMORE)
        if not is_one_part:
            router.recv_multipart()
        number = self._numbers.get(identity)
        if number is None:
            self._refuse(identity, "spoke before a hello was accepted")
            return None
        name = self._names[number]
        if not is_one_part or len(data) > MESSAGE_BYTES_MAX:
            raise ProtocolError(
                f"{name} sent {len(data)} bytes{'' if is_one_part else ' and more parts'}; "
                f"a message is one part of at most {MESSAGE_BYTES_MAX} bytes",
                component=name,
            )
        try:
            message = self._decode(data)
        except msgspec.MsgspecError as error:
            why = f"{name} sent what is no message of the protocol: {error}"
            raise ProtocolError(why, component=name) from None
        if isinstance(message, Hello):
            raise ProtocolError(f"{name} sent a second hello; a connection has one", component=name)
        return number, message

    def greet(self, welcomes: tuple[Welcome, ...]) -> bool:
        """Accept at most one hello; return whether all components are connected now."""
        try:
            parts = self._router.recv_multipart()
        except zmq.Again:
            return self._are_all_connected
        identity, words = parts[0], parts[-1]
        try:
            hello = self._decode(words) if len(words) <= MESSAGE_BYTES_MAX else None
        except msgspec.MsgspecError:
            hello = None
        if not isinstance(hello, Hello):
            self._refuse(identity, "sent something else than a hello")
        elif not secrets.compare_digest(hello.token.encode(), self.token.encode()):
            self._refuse(identity, f"process {hello.process_id} does not know the run's token")
        elif hello.protocol_version != PROTOCOL_VERSION:
            raise ProtocolError(
                f"{hello.component} speaks protocol version {hello.protocol_version}, "
                f"this run speaks {PROTOCOL_VERSION}; "
                "install the same version of Replay for both",
                component=hello.component,
            )
        elif (
            hello.component not in self._names
            or (number := self._names.index(hello.component)) not in self._present
            or self._identities[number] is not None
        ):
            self._refuse(identity, f"{hello.component!r} is no component that is still awaited")
        else:
            self._identities[number] = identity
            self._numbers[identity] = number
            self.send(number, welcomes[number])
        return self._are_all_connected

    @property
    def _are_all_connected(self) -> bool:
        return all(self._identities[number] is not None for number in self._present)

    def _refuse(self, identity: bytes, why: str) -> None:
        if len(self._strangers) < _STRANGERS_MAX:
            self._strangers.append(why)
        try:
            self._router.send_multipart([identity, self._encode(Refused(reason=why))])
        except zmq.ZMQError:
            return  # the stranger has left; there is nobody to tell

    # ------------------------------------------------------------------ spectators and control

    def publish(self, message: SpectatorMessage) -> None:
        """Show a message to whoever listens; never waits."""
        self._publisher.send(self._encode(message))

    def publish_snapshot(self, snapshot: Snapshot) -> None:
        """Show a snapshot to whoever listens; never waits."""
        self._publisher.send(self._frame(snapshot))

    def receive_control(self, timeout_ms: int) -> tuple[bytes, ControlRequest] | None:
        """Return the next control request within the time, None without one; what is none is ignored."""
        if not self._control.poll(timeout_ms):
            return None
        parts = self._control.recv_multipart()
        try:
            return parts[0], self._decode_control(parts[-1])
        except msgspec.MsgspecError:
            return None

    def reply_control(self, identity: bytes, reply: ControlReply) -> None:
        """Answer a control request."""
        self._control.send_multipart([identity, b"", self._encode(reply)])
