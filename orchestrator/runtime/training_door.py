"""The door through which trainers see the market: one ROUTER socket that answers as of their training.

It stands apart from the components' socket. Each training has a token of its own, so that a trainer is known
by its connection and can ask for nothing but what its own training may see.
"""

from __future__ import annotations

import contextlib
import secrets
from types import TracebackType
from typing import Self

import msgspec
import numpy as np
import zmq

from orchestrator.durations import NS_PER_SECOND, parse_timeframe_ns
from orchestrator.errors import ConfigError
from orchestrator.market.candles import time_text
from orchestrator.market.market import Market
from orchestrator.protocol import (
    PROTOCOL_VERSION,
    ClosedCandles,
    Hello,
    OrchestratorMessage,
    QueryRefused,
    Refused,
    TrainerMessage,
    TrainingQuery,
    TrainingWelcome,
)
from orchestrator.runtime.transport import Endpoints

__all__ = ["TrainingDoor"]

_MESSAGE_BYTES_MAX = 64 * 1024
_ALL = 2**62
_ANSWERS_MAX = 64  # at one call; then the caller looks after processes and deadlines


class TrainingDoor:
    """Answers trainers.

    Parameters
    ----------
    endpoints
        Where to bind.
    market
        What trainers may see a part of.

    Attributes
    ----------
    endpoint
        Where trainers connect.
    transgressions
        By trainer, the first request for something later than its training, as a sentence.
    seen
        By trainer, the candles that it was given: first open and last close, nanoseconds.
    """

    def __init__(self, endpoints: Endpoints, market: Market) -> None:
        self._market = market
        self._context = zmq.Context()
        self._router: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        self._router.router_mandatory = True
        self._router.maxmsgsize = _MESSAGE_BYTES_MAX
        self.endpoint = endpoints.bind(self._router, "training")
        self._encode = msgspec.msgpack.Encoder(decimal_format="string").encode
        self._decode = msgspec.msgpack.Decoder(TrainerMessage).decode
        self._expected: dict[str, TrainingWelcome] = {}  # by token
        self._connected: dict[bytes, TrainingWelcome] = {}  # by identity
        self.transgressions: dict[str, str] = {}
        self.seen: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket at once."""
        self._context.destroy(linger=0)

    def expect(self, welcome: TrainingWelcome) -> str:
        """Let a trainer in that knows the token which is returned; it is good for one connection."""
        token = secrets.token_hex(16)
        self._expected[token] = welcome
        return token

    def serve(self, timeout_ms: int) -> None:
        """Answer what has come, or comes within the time."""
        for _ in range(_ANSWERS_MAX):
            if not self._router.poll(timeout_ms):
                return
            parts = self._router.recv_multipart()
            answer = self._answer(parts[0], parts[-1])
            with contextlib.suppress(zmq.ZMQError):  # it has left; its exit is reported by the supervisor
                self._router.send_multipart([parts[0], self._encode(answer)])
            timeout_ms = 0

    def _answer(self, identity: bytes, words: bytes) -> OrchestratorMessage:
        try:
            message = self._decode(words)
        except msgspec.MsgspecError as error:
            return Refused(f"this is no message of a trainer: {error}")
        if isinstance(message, Hello):
            return self._welcome(identity, message)
        training = self._connected.get(identity)
        if training is None:
            return Refused("spoke before a hello was accepted")
        return self._candles(training, message)

    def _welcome(self, identity: bytes, hello: Hello) -> OrchestratorMessage:
        welcome = self._expected.get(hello.token)
        if welcome is None or welcome.component != hello.component:
            return Refused(f"process {hello.process_id} is no trainer that is awaited")
        if hello.protocol_version != PROTOCOL_VERSION:
            return Refused(
                f"{hello.component} speaks protocol version {hello.protocol_version}, this run speaks "
                f"{PROTOCOL_VERSION}; install the same version of Replay for both"
            )
        del self._expected[hello.token]
        self._connected[identity] = welcome
        return welcome

    def _candles(self, training: TrainingWelcome, query: TrainingQuery) -> OrchestratorMessage:
        until_ns = training.train_until_ns if query.until_ns is None else query.until_ns
        if until_ns > training.train_until_ns:
            what = (
                f"{training.component} asked for {query.coin} {query.timeframe} candles until {_text(until_ns)}, "
                f"but its training ends at {_text(training.train_until_ns)}: later candles were not known then"
            )
            self.transgressions.setdefault(training.component, what)
            return QueryRefused(f"{what}; ask for nothing after `until`")
        try:
            open_times, columns = self._market.closed_between(
                query.coin,
                query.timeframe,
                training.train_from_ns,
                until_ns,
                until_ns,
                _ALL if query.count is None else max(1, query.count),
            )
        except ConfigError as error:
            return QueryRefused(str(error))
        if len(open_times):
            last_close_ns = int(open_times[-1]) + parse_timeframe_ns(query.timeframe)
            self.note_seen(training.component, int(open_times[0]), last_close_ns)
        return ClosedCandles(
            coin=query.coin,
            timeframe=query.timeframe,
            open_times=np.ascontiguousarray(open_times, dtype="<i8").tobytes(),
            columns=np.ascontiguousarray(columns, dtype="<f8").tobytes(),
        )

    def note_seen(self, trainer: str, from_ns: int, until_ns: int) -> None:
        """Note that a trainer was given candles: first open and last close."""
        before = self.seen.get(trainer, (from_ns, until_ns))
        self.seen[trainer] = (min(before[0], from_ns), max(before[1], until_ns))


def _text(time_ns: int) -> str:
    try:
        return time_text(time_ns)
    except (OverflowError, ValueError, OSError):  # a time that no calendar has
        return f"{time_ns // NS_PER_SECOND} (Unix seconds)"
