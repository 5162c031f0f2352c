"""The trainers' door: who is let in, and that nothing later than a training comes through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.durations import parse_date_ns
from orchestrator.market.market import Market
from orchestrator.market.synthetic import synthetic_candles
from orchestrator.protocol import (
    PROTOCOL_VERSION,
    ClosedCandles,
    Hello,
    OrchestratorMessage,
    QueryRefused,
    Refused,
    TrainingQuery,
    TrainingWelcome,
)
from orchestrator.runtime.training_door import TrainingDoor
from orchestrator.runtime.transport import Endpoints

HOUR = 3_600 * 10**9
START, END = parse_date_ns("2024-01-05"), parse_date_ns("2024-01-08")
FROM, UNTIL = parse_date_ns("2024-01-03"), parse_date_ns("2024-01-06")
ENCODE = msgspec.msgpack.Encoder(decimal_format="string").encode
DECODE = msgspec.msgpack.Decoder(OrchestratorMessage).decode


@pytest.fixture(scope="module")
def market() -> Market:
    begin = parse_date_ns("2024-01-01")
    candles = {
        coin: synthetic_candles(coin, "1h", start_ns=begin, end_ns=END, seed=7) for coin in ("BTC", "ETH")
    }
    return Market(candles, exchange="synthetic", quote="USDT", timeframe_ns=HOUR, start_ns=START, end_ns=END)


@pytest.fixture(scope="module")
def door(market: Market) -> Iterator[TrainingDoor]:
    with Endpoints() as endpoints, TrainingDoor(endpoints, market) as door:
        yield door


class Trainer:
    """A trainer's end of the line."""

    def __init__(self, door: TrainingDoor) -> None:
        self._door = door
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.rcvtimeo = 5_000
        self._socket.connect(door.endpoint)

    def close(self) -> None:
        self._context.destroy(linger=0)

    def say(self, words: Any) -> Any:
        self._socket.send(words if isinstance(words, bytes) else ENCODE(words))
        while not self._socket.poll(5):
            self._door.serve(5)
        return DECODE(self._socket.recv())

    def hello(self, token: str, name: str = "trainer", version: int = PROTOCOL_VERSION) -> Any:
        return self.say(Hello(version, token, name, 1))


@pytest.fixture(scope="module")
def stranger(door: TrainingDoor) -> Iterator[Trainer]:
    trainer = Trainer(door)
    yield trainer
    trainer.close()


def welcome(name: str = "trainer") -> TrainingWelcome:
    return TrainingWelcome(
        run_id="run",
        component=name,
        coin="BTC",
        coins=("BTC", "ETH"),
        currency="USD",
        timeframe="1h",
        timeframe_ns=HOUR,
        train_from_ns=FROM,
        train_until_ns=UNTIL,
        output="/out",
        export=None,
        seed=7,
        params={},
    )


@pytest.fixture(scope="module")
def trainer(door: TrainingDoor) -> Iterator[Trainer]:
    trainer = Trainer(door)
    assert trainer.hello(door.expect(welcome())) == welcome()
    yield trainer
    trainer.close()


def times(answer: ClosedCandles) -> Any:
    return np.frombuffer(answer.open_times, dtype="<i8")


class TestWhoIsLetIn:
    def test_strangers_are_not(self, door: TrainingDoor, stranger: Trainer) -> None:
        token = door.expect(welcome("another"))
        for words in (b"", b"\xc1", b"GET / HTTP/1.1", bytes(1_000)):
            assert isinstance(stranger.say(words), Refused)
        assert isinstance(stranger.hello("a guess", "another"), Refused)
        assert isinstance(stranger.hello(token, "trainer"), Refused)
        assert "protocol version" in stranger.hello(token, "another", PROTOCOL_VERSION + 1).reason
        assert isinstance(stranger.say(TrainingQuery("BTC", "1h")), Refused)

    def test_a_token_is_good_for_one(self, door: TrainingDoor, stranger: Trainer) -> None:
        token = door.expect(welcome("once"))
        one = Trainer(door)
        try:
            assert one.hello(token, "once").component == "once"
            assert isinstance(stranger.hello(token, "once"), Refused)
        finally:
            one.close()


class TestWhatIsSeen:
    def test_everything_of_the_window_and_nothing_else(self, trainer: Trainer, market: Market) -> None:
        answer = trainer.say(TrainingQuery("ETH", "1h"))
        assert list(times(answer)) == list(range(FROM, UNTIL, HOUR))
        columns = np.frombuffer(answer.columns, dtype="<f8").reshape(5, -1)
        assert (columns == market.history("ETH", "1h", 72, UNTIL).values).all()

    def test_longer_candles_that_lie_whole_in_it(self, trainer: Trainer) -> None:
        assert list(times(trainer.say(TrainingQuery("BTC", "1d")))) == list(range(FROM, UNTIL, 24 * HOUR))
        assert len(times(trainer.say(TrainingQuery("BTC", "1w")))) == 0

    def test_the_last_ones_and_those_until_a_time(self, trainer: Trainer) -> None:
        assert times(trainer.say(TrainingQuery("BTC", "1h", 2)))[0] == UNTIL - 2 * HOUR
        answer = trainer.say(TrainingQuery("BTC", "1h", 2, FROM + 3 * HOUR + 1))
        assert list(times(answer)) == [FROM + HOUR, FROM + 2 * HOUR]

    @pytest.mark.parametrize(
        "query", [TrainingQuery("XYZ", "1h"), TrainingQuery("BTC", "7m"), TrainingQuery("BTC", "x")]
    )
    def test_what_cannot_be_answered(self, trainer: Trainer, query: TrainingQuery) -> None:
        assert isinstance(trainer.say(query), QueryRefused)

    def test_later_candles_are_refused_by_name_and_remembered(self, door: TrainingDoor) -> None:
        curious = Trainer(door)
        try:
            curious.hello(door.expect(welcome("curious")), "curious")
            answer = curious.say(TrainingQuery("BTC", "1h", None, UNTIL + 1))
            assert isinstance(answer, QueryRefused)
            said = "curious asked for BTC 1h candles until 2024-01-06 00:00, but its training ends at 2024-01-06 00:00"
            assert answer.reason.startswith(said)
            assert door.transgressions["curious"].startswith(said)
            far = curious.say(TrainingQuery("BTC", "1h", None, 2**63 - 1))
            assert isinstance(far, QueryRefused)
            assert "curious" not in door.seen
        finally:
            curious.close()

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        coin=st.sampled_from(["BTC", "ETH", "XYZ"]),
        timeframe=st.sampled_from(["1h", "2h", "4h", "1d", "1w", "30m"]),
        count=st.none() | st.integers(-5, 2**40),
        until_ns=st.none() | st.integers(FROM - 10 * HOUR, UNTIL + 10 * HOUR),
    )
    def test_nothing_later_ever(
        self, trainer: Trainer, coin: str, timeframe: str, count: int | None, until_ns: int | None
    ) -> None:
        answer = trainer.say(TrainingQuery(coin, timeframe, count, until_ns))
        if until_ns is not None and until_ns > UNTIL:
            assert isinstance(answer, QueryRefused)
        elif isinstance(answer, ClosedCandles) and len(times(answer)):
            length = {"1h": 1, "2h": 2, "4h": 4, "1d": 24, "1w": 168}[timeframe] * HOUR
            assert times(answer)[0] >= FROM
            assert times(answer)[-1] + length <= (UNTIL if until_ns is None else until_ns)


def test_what_was_seen_is_known(door: TrainingDoor, trainer: Trainer, tmp_path: Path) -> None:
    trainer.say(TrainingQuery("BTC", "1h", 5))
    seen = door.seen["trainer"]
    assert FROM <= seen[0] < seen[1] <= UNTIL
