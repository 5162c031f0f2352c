"""The misbehaving component does what its modes say, at its tick and not before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from orchestrator.protocol import (
    Acknowledgement,
    ComponentMessage,
    Frame,
    Hello,
    Reason,
    Refused,
    Snapshot,
    Stop,
    SubmitOrder,
    Welcome,
)
from tests.misbehaving import TICKS_MAX, Mode, tick_of
from tests.processes import marked_environment, marked_processes, wait_until

PROGRAM = Path(__file__).with_name("misbehaving.py")
SEED = 3
TOKEN = "known"  # noqa: S105 - admits to a test
WELCOME = Welcome(
    run_id="run",
    component="bad",
    stage=1,
    coins=("BTC",),
    currency="USD",
    timeframe="5m",
    timeframe_ns=1,
    sim_start_ns=0,
    sim_end_ns=100,
    instruments={},
    params={},
)


class StandIn:
    """An orchestrator that speaks to one component."""

    def __init__(self, folder: Path, mode: Mode) -> None:
        self.folder = folder
        self.context = zmq.Context()
        self.router: zmq.Socket[bytes] = self.context.socket(zmq.ROUTER)
        self.router.setsockopt(zmq.RCVTIMEO, 10_000)
        self.identity = b""
        self.decode = msgspec.msgpack.Decoder(ComponentMessage).decode
        endpoint = f"ipc://{folder}/bus"
        self.router.bind(endpoint)
        environment = marked_environment(folder)
        environment |= {"REPLAY_ENDPOINT": endpoint, "REPLAY_TOKEN": TOKEN, "REPLAY_COMPONENT": "bad"}
        self.output = (folder / "output").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), mode, "--seed", str(SEED), "--amount", "500"],
            env=environment, stdout=self.output, stderr=self.output,
        )  # fmt: skip

    def receive(self) -> ComponentMessage:
        self.identity, data = self.router.recv_multipart()
        message: ComponentMessage = self.decode(data)
        return message

    def say(self, message: msgspec.Struct) -> None:
        self.router.send_multipart([self.identity, msgspec.msgpack.encode(message)])

    def greet(self) -> Hello:
        hello = self.receive()
        assert isinstance(hello, Hello)
        self.say(WELCOME)
        return hello

    def show(self, sequence: int) -> None:
        self.say(Frame((Snapshot(sequence, 0, sequence, Reason.TICK, b"", b"", b""),)))

    def go_to_the_tick(self, mode: Mode) -> int:
        self.greet()
        tick = tick_of(SEED, mode)
        for sequence in range(1, tick):
            self.show(sequence)
            assert self.receive() == Acknowledgement(sequence, 0)
        self.show(tick)
        return tick

    def end(self) -> int:
        self.say(Stop("over"))
        return self.process.wait(10)

    def is_silent(self) -> bool:
        return not self.router.poll(200)

    def close(self) -> None:
        self.context.destroy(linger=0)
        for pid in marked_processes(self.folder):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        self.output.close()


@pytest.fixture
def stand_in(short_folder: Path, request: pytest.FixtureRequest) -> Iterator[StandIn]:
    orchestrator = StandIn(short_folder, request.param)
    yield orchestrator
    orchestrator.close()


@pytest.fixture
def short_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("m")  # a socket's path holds 107 bytes


def with_mode(*modes: Mode) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("stand_in", "mode"), [(mode, mode) for mode in modes], indirect=["stand_in"], ids=modes
    )


def test_ticks_follow_from_the_seed() -> None:
    ticks = {tick_of(seed, mode) for seed in range(100) for mode in Mode}
    assert ticks == set(range(2, TICKS_MAX + 1))
    assert tick_of(1, Mode.HANG) == tick_of(1, Mode.HANG)


@with_mode(Mode.WELL_BEHAVED, Mode.FLOOD_OUTPUT, Mode.DOUBLE_FORK)
def test_those_that_go_on_acknowledge_and_leave(stand_in: StandIn, mode: Mode) -> None:
    tick = stand_in.go_to_the_tick(mode)
    assert stand_in.receive() == Acknowledgement(tick, 0)
    assert stand_in.end() == 0
    assert len(marked_processes(stand_in.folder)) == (1 if mode is Mode.DOUBLE_FORK else 0)
    lines = (stand_in.folder / "output").read_text().splitlines()
    assert len(lines) == {Mode.FLOOD_OUTPUT: 501}.get(mode, 1)


@with_mode(Mode.RAISE, Mode.EXIT0_EARLY)
def test_those_that_leave(stand_in: StandIn, mode: Mode) -> None:
    stand_in.go_to_the_tick(mode)
    assert stand_in.process.wait(10) == (0 if mode is Mode.EXIT0_EARLY else 1)
    assert stand_in.is_silent()


@with_mode(Mode.HANG, Mode.SPIN)
def test_those_that_fall_silent(stand_in: StandIn, mode: Mode) -> None:
    stand_in.go_to_the_tick(mode)
    assert wait_until(lambda: "misbehaving" in (stand_in.folder / "output").read_text())
    assert stand_in.is_silent()
    assert stand_in.process.poll() is None


@with_mode(Mode.NEVER_CONNECTS)
def test_one_that_never_connects(stand_in: StandIn, mode: Mode) -> None:
    assert stand_in.is_silent()
    assert stand_in.process.poll() is None


@with_mode(Mode.WRONG_TOKEN)
def test_a_stranger(stand_in: StandIn, mode: Mode) -> None:
    hello = stand_in.receive()
    assert isinstance(hello, Hello)
    assert hello.token != TOKEN
    stand_in.say(Refused("no"))
    assert stand_in.process.wait(10) == 1


@with_mode(Mode.WRONG_SEQUENCE, Mode.ACK_TWICE, Mode.FLOOD_ORDERS, Mode.GARBAGE_MESSAGE)
def test_those_that_speak_out_of_turn(stand_in: StandIn, mode: Mode) -> None:
    tick = stand_in.go_to_the_tick(mode)
    if mode is Mode.GARBAGE_MESSAGE:
        with pytest.raises(msgspec.DecodeError):
            stand_in.receive()
        return
    first = stand_in.receive()
    assert isinstance(first, Acknowledgement)
    assert first.sequence == (tick + 1 if mode is Mode.WRONG_SEQUENCE else tick)
    if mode is Mode.ACK_TWICE:
        assert stand_in.receive() == first
    if mode is Mode.FLOOD_ORDERS:
        assert len(first.instructions) == 500
        assert all(isinstance(instruction, SubmitOrder) for instruction in first.instructions)


@with_mode(Mode.IGNORE_SIGTERM)
def test_one_that_ignores_every_word(stand_in: StandIn, mode: Mode) -> None:
    tick = stand_in.go_to_the_tick(mode)
    assert stand_in.receive() == Acknowledgement(tick, 0)
    stand_in.say(Stop("over"))
    stand_in.process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        stand_in.process.wait(0.3)
