"""A component against the real bus: hello, turns, questions, refusals, and an orchestrator that is gone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from components import Replay, connect
from components import connection as connection_module
from components.connection import Connection
from orchestrator.errors import ComponentError, ConfigError, ProtocolError
from orchestrator.protocol import (
    ENVIRONMENT_COMPONENT,
    ENVIRONMENT_CURVE,
    ENVIRONMENT_ENDPOINT,
    ENVIRONMENT_TOKEN,
    Acknowledgement,
    ClosedCandles,
    HistoryQuery,
    OrchestratorMessage,
    PublishSignal,
    QueryRefused,
    Reason,
    Refused,
    Side,
    Stop,
    SubmitOrder,
)
from tests.components.fake_replay import ACCOUNT, first, welcome, wire
from tests.processes import open_descriptors, wait_until
from tests.runtime.bus_clients import Hall, open_hall

JOIN_SECONDS = 10


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (ENVIRONMENT_ENDPOINT, ENVIRONMENT_TOKEN, ENVIRONMENT_COMPONENT, ENVIRONMENT_CURVE):
        monkeypatch.delenv(name, raising=False)
    before = open_descriptors()
    yield
    assert wait_until(lambda: open_descriptors() <= before, 5)
    assert threading.active_count() == 1


@pytest.fixture(params=["ipc", "tcp"])
def hall(request: pytest.FixtureRequest) -> Iterator[Hall]:
    with open_hall(request.param, ("trader",)) as hall:
        hall.welcomes = (welcome(),)
        yield hall


def environment(hall: Hall, **changes: str) -> dict[str, str]:
    found = {
        ENVIRONMENT_ENDPOINT: hall.bus.components_endpoint,
        ENVIRONMENT_TOKEN: hall.bus.token,
        ENVIRONMENT_COMPONENT: "trader",
    }
    if hall._server_key is not None:
        found[ENVIRONMENT_CURVE] = hall._server_key.decode()
    return {**found, **changes}


class Running:
    """A component's program in a thread of its own."""

    def __init__(self, hall: Hall, program: Callable[[Replay], object], **changes: str) -> None:
        self.error: BaseException | None = None
        self._program = program
        self._environment = environment(hall, **changes)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            with Replay(Connection(self._environment)) as replay:
                self._program(replay)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the test
            self.error = error

    def end(self) -> None:
        self._thread.join(JOIN_SECONDS)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error


def loop(replay: Replay) -> None:
    for _ in replay.snapshots():
        pass


class TestConversation:
    def test_a_whole_run(self, hall: Hall) -> None:
        seen: list[object] = []

        def program(replay: Replay) -> None:
            for snapshot in replay.snapshots():
                seen.append((snapshot.sequence, snapshot.reason, replay.account.cash))
                if snapshot.sequence == 1:
                    seen.append(list(replay.history("BTC", "1m", 5).close))
                    replay.buy("BTC", qty=Decimal("0.10"))
                else:
                    replay.signal("BTC", long=3)

        component = Running(hall, program)
        assert hall.greet()
        hall.bus.send_snapshot(0, first())
        assert hall.receive() == (0, HistoryQuery(1, 0, "BTC", "1m", 5))
        hall.bus.send(0, ClosedCandles("BTC", "1m", bytes(8), bytes(40)))
        order = SubmitOrder(1, "BTC", Side.BUY, Decimal("0.10"))
        assert hall.receive() == (0, Acknowledgement(1, 0, (order,)))
        hall.bus.send_snapshot(0, wire(2, 1, reason=Reason.ORDER))
        assert hall.receive() == (0, Acknowledgement(2, 1, (PublishSignal("BTC", {"long": 3}),)))
        hall.bus.send(0, Stop("the replay has ended"))
        component.end()
        assert seen == [(1, Reason.TICK, ACCOUNT.cash), [0.0], (2, Reason.ORDER, ACCOUNT.cash)]

    def test_connect_finds_the_replay_through_the_environment(
        self, hall: Hall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for key, value in environment(hall).items():
            monkeypatch.setenv(key, value)
        greeting = threading.Thread(target=hall.greet)
        greeting.start()
        with connect() as replay:
            assert (replay.name, replay.coins) == ("trader", ("BTC", "ETH", "DOGE"))
        greeting.join(JOIN_SECONDS)

    def test_a_refused_question_is_the_author_s_mistake(self, hall: Hall) -> None:
        def program(replay: Replay) -> None:
            for _ in replay.snapshots():
                replay.history("BTC", "7m", 1)

        component = Running(hall, program)
        hall.greet()
        hall.bus.send_snapshot(0, first())
        hall.receive()
        hall.bus.send(0, QueryRefused("7m cannot be made"))
        with pytest.raises(ConfigError, match="7m cannot be made"):
            component.end()

    def test_an_end_in_the_middle_of_a_question(self, hall: Hall) -> None:
        component = Running(hall, lambda replay: [replay.history("BTC", "1m", 1) for _ in replay.snapshots()])
        hall.greet()
        hall.bus.send_snapshot(0, first())
        hall.receive()
        hall.bus.send(0, Stop("interrupted at sequence 1"))
        with pytest.raises(
            ComponentError, match="ended while history was asked for: interrupted at sequence 1"
        ):
            component.end()

    def test_the_end_comes_at_once_to_one_who_waits(self, hall: Hall) -> None:
        component = Running(hall, loop)
        hall.greet()
        hall.bus.send(0, Stop("interrupted before the first sequence"))
        component.end()


class TestNoReplay:
    @pytest.mark.parametrize("missing", [ENVIRONMENT_ENDPOINT, ENVIRONMENT_TOKEN, ENVIRONMENT_COMPONENT])
    def test_a_program_that_no_replay_started_is_told_how_it_is_started(self, missing: str) -> None:
        complete = dict.fromkeys((ENVIRONMENT_ENDPOINT, ENVIRONMENT_TOKEN, ENVIRONMENT_COMPONENT), "x")
        del complete[missing]
        with pytest.raises(ConfigError, match=f"{missing} is not set.*replay start --thinker or --trader"):
            Connection(complete)

    def test_so_does_connect(self) -> None:
        with pytest.raises(ConfigError, match="started by a replay, not by hand"):
            connect()


class TestRefusal:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({ENVIRONMENT_TOKEN: "guessed"}, "does not know the run's token"),
            ({ENVIRONMENT_COMPONENT: "somebody"}, "no component that is still awaited"),
        ],
    )
    def test_a_refused_hello_says_why(self, hall: Hall, changes: dict[str, str], said: str) -> None:
        component = Running(hall, loop, **changes)
        hall.greet()
        with pytest.raises(ProtocolError, match=f"the orchestrator refused this component.*{said}"):
            component.end()

    @pytest.mark.parametrize("answer", [Stop("no"), QueryRefused("no")])
    def test_another_answer_to_a_hello(self, hall: Hall, answer: OrchestratorMessage) -> None:
        component = Running(hall, loop)
        hall.welcomes = (answer,)  # type: ignore[assignment]
        hall.greet()
        with pytest.raises(ProtocolError, match=f"answered a hello with {type(answer).__name__}"):
            component.end()


class TestGone:
    @pytest.fixture(autouse=True)
    def short_slices(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection_module, "_SLICE_MS", 20)

    def test_no_answer_to_a_hello(self, hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection_module, "_WELCOME_SLICES", 3)
        with pytest.raises(ComponentError, match="did not answer within"):
            Connection(environment(hall))

    def test_an_orchestrator_that_died_between_two_snapshots(
        self, hall: Hall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        component = Running(hall, loop)
        hall.greet()
        hall.bus.send_snapshot(0, first())
        assert hall.receive() == (0, Acknowledgement(1, 0))
        monkeypatch.setattr(os, "getppid", lambda: 1)  # an orphan is given to another parent
        with pytest.raises(ComponentError, match="the orchestrator is gone; this component ends"):
            component.end()

    def test_one_that_died_while_it_was_asked(self, hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
        component = Running(hall, lambda replay: [replay.history("BTC", "1m", 1) for _ in replay.snapshots()])
        hall.greet()
        hall.bus.send_snapshot(0, first())
        hall.receive()
        monkeypatch.setattr(os, "getppid", lambda: 1)
        with pytest.raises(ComponentError, match="gone"):
            component.end()

    def test_one_that_takes_nothing_any_more(self, hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection_module, "_WELCOME_SLICES", 3)

        def program(replay: Replay) -> None:
            replay._connection._socket.sndhwm = 1
            for _ in range(100_000):
                replay._connection.send(Acknowledgement(1, 0, (PublishSignal("BTC", {"x": "y" * 10_000}),)))

        component = Running(hall, program)
        hall.greet()
        with pytest.raises(ComponentError, match="takes no messages any more"):
            component.end()

    def test_a_slow_orchestrator_is_waited_for(self, hall: Hall) -> None:
        component = Running(hall, loop)
        hall.greet()
        component._thread.join(0.1)  # several slices
        assert component._thread.is_alive()
        hall.bus.send(0, Stop("late"))
        component.end()


def test_refused_is_no_snapshot(hall: Hall) -> None:
    component = Running(hall, loop)
    hall.greet()
    hall.bus.send(0, Refused("changed my mind"))
    with pytest.raises(ProtocolError, match="expected market snapshots, received Refused"):
        component.end()
