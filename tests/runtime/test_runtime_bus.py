"""The bus on real sockets: who is let in, what is taken from whom, and what becomes of everyone else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest
import zmq

from orchestrator.errors import ComponentError, ProtocolError, ReplayError
from orchestrator.protocol import (
    PROTOCOL_VERSION,
    Acknowledgement,
    ControlReply,
    ControlRequest,
    Fill,
    FillPublished,
    FillState,
    Frame,
    HistoryQuery,
    Liquidity,
    Refused,
    Side,
    Snapshot,
    SpectatorMessage,
    Status,
    Stop,
    SubmitOrder,
)
from orchestrator.runs.manifest import process_start_time
from orchestrator.runtime import bus as bus_module
from orchestrator.runtime import spectator
from orchestrator.runtime.bus import RECEIVE_SLICE_MS
from orchestrator.runtime.live import LiveRun
from orchestrator.runtime.spectator import ask_control, watch_run
from orchestrator.runtime.transport import Endpoints, connect_options
from tests.processes import open_descriptors, slowness, wait_until
from tests.runtime.bus_clients import DEADLINE_MS, Hall, encode, open_hall, welcome

SNAPSHOT = Snapshot(1, 0, 60, 1, bytes(80), bytes(16), bytes(2))
STATUS = Status("run", "running", 3, 10, 60, None, 10_000.0, 2, ("BTC",))
FILL = Fill(
    "t-1", "BTC", Side.BUY, Decimal("0.10"), Decimal(5), Decimal(0), 60, FillState.FILLED, Liquidity.TAKER
)


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    with zmq.Context():  # what the library opens once per process is open before the count
        pass
    before = open_descriptors()
    yield
    assert wait_until(lambda: open_descriptors() <= before, 5)


@pytest.fixture(params=["ipc", "tcp"])
def hall(request: pytest.FixtureRequest) -> Iterator[Hall]:
    with open_hall(request.param) as hall:
        yield hall


@pytest.fixture
def ipc_hall() -> Iterator[Hall]:
    with open_hall("ipc") as hall:
        yield hall


class TestGreeting:
    def test_components_are_known_by_name_whoever_comes_first(self, hall: Hall) -> None:
        trader = hall.dealer()
        trader.hello(hall.bus.token, "trader")
        assert not hall.greet()
        assert trader.hear() == welcome("trader")
        assert hall.bus.connected == {1}
        thinker = hall.dealer()
        thinker.hello(hall.bus.token, "thinker")
        assert hall.greet()
        assert thinker.hear() == welcome("thinker")
        assert hall.bus.connected == {0, 1}
        trader.say(Acknowledgement(1, 0))
        assert hall.receive() == (1, Acknowledgement(1, 0))
        assert hall.bus.take_strangers() == []

    @pytest.mark.parametrize("word", ["guessed", "", "é" * 16])
    def test_a_stranger_is_refused_noted_and_does_not_take_a_place(self, hall: Hall, word: str) -> None:
        stranger = hall.dealer()
        stranger.hello(word, "trader")
        assert not hall.greet()
        answer = stranger.hear()
        assert isinstance(answer, Refused)
        (why,) = hall.bus.take_strangers()
        assert why == answer.reason == f"process {os.getpid()} does not know the run's token"
        assert hall.bus.take_strangers() == []
        assert hall.bus.connected == frozenset()
        hall.connect("trader")
        assert hall.bus.connected == {1}

    def test_another_version_ends_the_run_and_names_both(self, hall: Hall) -> None:
        hall.dealer().hello(hall.bus.token, "trader", PROTOCOL_VERSION + 1)
        with pytest.raises(
            ProtocolError,
            match=f"trader speaks protocol version {PROTOCOL_VERSION + 1}.*speaks {PROTOCOL_VERSION}",
        ):
            hall.greet()

    def test_but_a_stranger_of_another_version_cannot_end_it(self, hall: Hall) -> None:
        stranger = hall.dealer()
        stranger.hello("guessed", "trader", 99)
        assert not hall.greet()
        assert isinstance(stranger.hear(), Refused)

    @pytest.mark.parametrize("name", ["trader", "nobody", ""])
    def test_a_name_that_is_not_awaited_is_refused(self, hall: Hall, name: str) -> None:
        first = hall.connect("trader")
        second = hall.dealer()
        second.hello(hall.bus.token, name)
        assert not hall.greet()
        assert isinstance(second.hear(), Refused)
        assert "no component that is still awaited" in hall.bus.take_strangers()[0]
        hall.bus.send(1, Stop("still the first"))
        assert first.hear() == Stop("still the first")

    @pytest.mark.parametrize(
        "words",
        [b"", b"\xc1", b"GET / HTTP/1.1", encode(Acknowledgement(1, 0)), encode(["hello", 1]), bytes(2_000)],
        ids=["nothing", "garbage", "a browser", "an acknowledgement", "half a hello", "too much"],
    )
    def test_what_is_no_hello_is_refused(
        self, hall: Hall, words: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bus_module, "MESSAGE_BYTES_MAX", 1_000)
        stranger = hall.dealer()
        stranger.say(words)
        assert not hall.greet()
        assert isinstance(stranger.hear(), Refused)
        assert hall.bus.take_strangers() == ["sent something else than a hello"]
        stranger.hello(hall.bus.token, "trader")  # who learns the word may still come in
        hall.greet()
        assert stranger.hear() == welcome("trader")

    def test_nobody_comes(self, hall: Hall) -> None:
        began = time.monotonic()
        assert not hall.bus.greet(hall.welcomes)
        assert time.monotonic() - began < (1 + RECEIVE_SLICE_MS / 1_000) * slowness()

    def test_a_flood_of_strangers_is_bounded(self, ipc_hall: Hall) -> None:
        stranger = ipc_hall.dealer()
        for _ in range(150):
            stranger.say(b"?")
        for _ in range(150):
            ipc_hall.greet()
        assert len(ipc_hall.bus.take_strangers()) == 100


class TestReceiving:
    def test_acknowledgements_and_queries_come_with_the_component_s_number(self, hall: Hall) -> None:
        thinker, trader = hall.connect("thinker"), hall.connect("trader")
        order = SubmitOrder(1, "BTC", Side.BUY, Decimal("0.10"))
        trader.say(Acknowledgement(4, 1, (order,)))
        number, message = hall.receive()
        assert (number, message) == (1, Acknowledgement(4, 1, (order,)))
        assert str(message.instructions[0].qty) == "0.10"
        thinker.say(HistoryQuery(4, 1, "BTC", "1h", 20))
        assert hall.receive() == (0, HistoryQuery(4, 1, "BTC", "1h", 20))

    def test_silence_lasts_a_slice(self, hall: Hall) -> None:
        hall.connect("thinker")
        began = time.monotonic()
        assert hall.bus.receive() is None
        assert RECEIVE_SLICE_MS / 1_000 * 0.9 <= time.monotonic() - began < 1 * slowness()

    def test_who_speaks_before_a_hello_is_refused_and_not_heard(self, hall: Hall) -> None:
        trader, stranger = hall.connect("trader"), hall.dealer()
        stranger.say(Acknowledgement(1, 0))
        assert hall.receive() is None
        answer = stranger.hear()
        assert isinstance(answer, Refused)
        assert hall.bus.take_strangers() == ["spoke before a hello was accepted"]
        trader.say(Acknowledgement(1, 0))
        assert hall.receive() == (1, Acknowledgement(1, 0))

    def test_a_stranger_that_left_does_not_disturb(self, hall: Hall) -> None:
        hall.connect("trader")
        stranger = hall.dealer()
        stranger.say(b"?")
        assert hall.bus._router.poll(DEADLINE_MS)
        stranger.leave()
        assert hall.bus.receive() is None

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (b"", "no message of the protocol"),
            (b"\xc1 this is no msgpack", "no message of the protocol"),
            (encode(["ack", 1]), "no message of the protocol"),
            (encode(["ack", 1, 0, [], "more"]), "no message of the protocol"),
            (encode(Stop("me too")), "no message of the protocol"),
            (encode(["ack", 1, 0, [["order", 1, "BTC", "buy", "many"]]]), "no message of the protocol"),
            (bytes(2_000), "at most 1000 bytes"),
        ],
    )
    def test_a_component_that_sends_what_is_no_message_is_named(
        self, hall: Hall, words: bytes, said: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trader = hall.connect("trader")
        monkeypatch.setattr(bus_module, "MESSAGE_BYTES_MAX", 1_000)
        trader.say(words)
        with pytest.raises(ProtocolError, match=f"trader sent.*{said}"):
            hall.receive()

    def test_a_message_has_one_part(self, hall: Hall) -> None:
        trader = hall.connect("trader")
        trader.socket.send_multipart([encode(Acknowledgement(1, 0)), b"and", b"more"])
        with pytest.raises(ProtocolError, match=r"trader sent.*more parts"):
            hall.receive()
        trader.say(Acknowledgement(2, 0))
        assert hall.receive() == (1, Acknowledgement(2, 0))  # the rest of the first was dropped with it

    def test_a_connection_has_one_hello(self, hall: Hall) -> None:
        trader = hall.connect("trader")
        trader.hello(hall.bus.token, "trader")
        with pytest.raises(ProtocolError, match="trader sent a second hello"):
            hall.receive()


class TestSending:
    def test_a_snapshot_is_encoded_once_however_many_hear_it(self, hall: Hall) -> None:
        encoded: list[object] = []
        real = hall.bus._encode

        def encode_and_note(message: object) -> bytes:
            encoded.append(message)
            return real(message)

        dealers = [hall.connect(name) for name in hall.names]
        hall.bus._encode = encode_and_note
        hall.bus.publish_snapshot(SNAPSHOT)
        for number in range(2):
            hall.bus.send_snapshot(number, SNAPSHOT)
        assert encoded == [Frame((SNAPSHOT,))]
        assert [dealer.hear() for dealer in dealers] == [Frame((SNAPSHOT,))] * 2
        other = msgspec.structs.replace(SNAPSHOT, sequence=2)
        hall.bus.send_snapshot(0, other)
        assert dealers[0].hear() == Frame((other,))

    def test_a_component_that_has_not_come(self, hall: Hall) -> None:
        with pytest.raises(ComponentError, match="thinker is not connected"):
            hall.bus.send_snapshot(0, SNAPSHOT)

    def test_a_component_that_is_gone(self, hall: Hall) -> None:
        trader = hall.connect("trader")
        trader.leave()

        def is_noticed() -> bool:
            try:
                hall.bus.send_snapshot(1, SNAPSHOT)
            except ComponentError:
                return True
            return False

        assert wait_until(is_noticed, 5)
        with pytest.raises(ComponentError, match="the connection to trader is gone"):
            hall.bus.send_snapshot(1, SNAPSHOT)

    def test_what_waits_for_a_slow_component_is_not_lost(self, ipc_hall: Hall) -> None:
        trader = ipc_hall.connect("trader")
        for sequence in range(3_000):  # above every high-water mark there could be
            ipc_hall.bus.send(1, Stop(str(sequence)))
        assert [trader.hear() for _ in range(3_000)] == [Stop(str(sequence)) for sequence in range(3_000)]


def live(hall: Hall, process_id: int | None = None) -> LiveRun:
    pid = process_id or os.getpid()
    return LiveRun(
        run_id="run",
        directory="/runs/run",
        process_id=pid,
        process_start_time=process_start_time(pid),
        components_endpoint=hall.bus.components_endpoint,
        spectators_endpoint=hall.bus.spectators_endpoint,
        control_endpoint=hall.bus.control_endpoint,
        curve_server_key=hall._server_key.decode() if hall._server_key else None,
    )


class TestControl:
    def test_a_request_is_answered(self, hall: Hall) -> None:
        found: list[ControlReply] = []
        asking = threading.Thread(target=lambda: found.append(ask_control(live(hall), "speed", 60.0)))
        asking.start()
        received = hall.bus.receive_control(DEADLINE_MS)
        assert received is not None
        identity, request = received
        assert request == ControlRequest("speed", 60.0)
        reply = ControlReply(True, "speed is now 60", STATUS)
        hall.bus.reply_control(identity, reply)
        asking.join(5)
        assert found == [reply]

    def test_nobody_asks(self, hall: Hall) -> None:
        assert hall.bus.receive_control(0) is None

    def test_what_is_no_request_is_ignored(self, hall: Hall) -> None:
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            connect_options(socket, live(hall).curve_server_key)
            socket.connect(hall.bus.control_endpoint)
            socket.send(b"?")
            socket.send(encode(ControlRequest("pause")))
            assert hall.bus.receive_control(DEADLINE_MS) is None
            received = hall.bus.receive_control(DEADLINE_MS)
            assert received is not None
            assert received[1] == ControlRequest("pause")

    def test_an_answer_to_one_who_has_left_is_dropped(self, hall: Hall) -> None:
        hall.bus.reply_control(b"nobody", ControlReply(True, "", STATUS))

    def test_a_replay_that_does_not_answer(self, hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(spectator, "_ANSWER_MS", 50)
        with pytest.raises(ReplayError, match="run did not answer within"):
            ask_control(live(hall), "pause", None)


class TestSpectators:
    def test_hear_snapshots_fills_and_status(self, hall: Hall) -> None:
        # A subscriber may miss what was said before it was there: say it until it is heard.
        wanted: list[SpectatorMessage] = [Frame((SNAPSHOT,)), FillPublished("trader", FILL), STATUS]
        heard: list[SpectatorMessage] = []

        def watch() -> None:
            for message in watch_run(live(hall)):
                heard.append(message)
                if all(message in heard for message in wanted):
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()

        def is_heard() -> bool:
            hall.bus.publish_snapshot(SNAPSHOT)
            hall.bus.publish(FillPublished("trader", FILL))
            hall.bus.publish(STATUS)
            return not watcher.is_alive()

        assert wait_until(is_heard, 5)
        watcher.join(30)
        assert all(message in wanted for message in heard)

    def test_slow_ones_do_not_hold_the_run(self, hall: Hall) -> None:
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            connect_options(socket, live(hall).curve_server_key)
            socket.subscribe(b"")
            socket.connect(hall.bus.spectators_endpoint)

            def is_subscribed() -> bool:
                hall.bus.publish(STATUS)
                return bool(socket.poll(5))

            assert wait_until(is_subscribed, 5)
            began = time.monotonic()
            for _ in range(20_000):  # nobody reads them
                hall.bus.publish_snapshot(SNAPSHOT)
            assert time.monotonic() - began < 5 * slowness()

    def test_a_watch_ends_with_the_process_it_watches(
        self, hall: Hall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(spectator, "_SLICE_MS", 20)
        process = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
        watched: list[SpectatorMessage] = []
        watcher = threading.Thread(target=lambda: watched.extend(watch_run(live(hall, process.pid))))
        watcher.start()
        process.communicate(b"\n", timeout=60)
        watcher.join(30)
        assert not watcher.is_alive()


def test_closing_twice_does_no_harm() -> None:
    with Endpoints("ipc") as endpoints:
        with bus_module.Bus(endpoints, ("one",)) as bus:
            assert os.path.exists(bus.components_endpoint.removeprefix("ipc://"))  # noqa: PTH110 - an address
        bus.close()
