"""The other ends of the bus, on real sockets: components that say what a test wants."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import zmq

from orchestrator.protocol import PROTOCOL_VERSION, Hello, OrchestratorMessage, Welcome
from orchestrator.runtime.bus import Bus
from orchestrator.runtime.transport import Endpoints, connect_options

DEADLINE_MS = 20_000

encode = msgspec.msgpack.Encoder(decimal_format="string").encode
decode = msgspec.msgpack.Decoder(OrchestratorMessage).decode


def welcome(name: str, **changes: Any) -> Welcome:
    fields: dict[str, Any] = {
        "run_id": "run",
        "component": name,
        "stage": 1,
        "coins": ("BTC", "ETH"),
        "currency": "USD",
        "timeframe": "1m",
        "timeframe_ns": 60_000_000_000,
        "sim_start_ns": 0,
        "sim_end_ns": 600_000_000_000,
        "instruments": {},
        "params": {},
    }
    return Welcome(**{**fields, **changes})


class Dealer:
    """A process that connects to the components' endpoint."""

    def __init__(self, bus: Bus, server_key: bytes | None = None) -> None:
        self._context = zmq.Context()
        self.socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        connect_options(self.socket, server_key.decode() if server_key else None)
        self.socket.connect(bus.components_endpoint)

    def say(self, message: msgspec.Struct | bytes) -> None:
        self.socket.send(message if isinstance(message, bytes) else encode(message))

    def hello(self, token: str, name: str, version: int = PROTOCOL_VERSION) -> None:
        self.say(Hello(version, token, name, os.getpid()))

    def hear(self, timeout_ms: int = DEADLINE_MS) -> OrchestratorMessage | None:
        return decode(self.socket.recv()) if self.socket.poll(timeout_ms) else None

    def leave(self) -> None:
        self._context.destroy(linger=0)


class Hall:
    """A bus with whoever has come to it; everyone leaves at the end."""

    def __init__(self, endpoints: Endpoints, names: tuple[str, ...]) -> None:
        self.bus = Bus(endpoints, names)
        self.names = names
        self.welcomes = tuple(welcome(name) for name in names)
        self._server_key = endpoints.server_key
        self._dealers: list[Dealer] = []

    def dealer(self) -> Dealer:
        dealer = Dealer(self.bus, self._server_key)
        self._dealers.append(dealer)
        return dealer

    def greet(self) -> bool:
        """Let the bus take one message, whatever it is, and return whether everyone is there."""
        assert self.bus._router.poll(DEADLINE_MS), "nobody spoke"
        return self.bus.greet(self.welcomes)

    def connect(self, name: str) -> Dealer:
        dealer = self.dealer()
        dealer.hello(self.bus.token, name)
        self.greet()
        assert dealer.hear() == welcome(name)
        return dealer

    def receive(self) -> Any:
        assert self.bus._router.poll(DEADLINE_MS), "nobody spoke"
        return self.bus.receive()

    def close(self) -> None:
        for dealer in self._dealers:
            dealer.leave()
        self.bus.close()


@contextmanager
def open_hall(transport: str, names: tuple[str, ...] = ("thinker", "trader")) -> Iterator[Hall]:
    with Endpoints(transport) as endpoints:
        hall = Hall(endpoints, names)
        try:
            yield hall
        finally:
            hall.close()
