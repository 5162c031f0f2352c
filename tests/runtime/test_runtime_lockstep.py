"""The loop round the engine: with a bus, a supervisor and a clock that the test turns, and everything else real."""

from __future__ import annotations

import gc
import itertools
import json
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.engine.engine import Engine
from orchestrator.errors import ComponentError, ProtocolError
from orchestrator.protocol import (
    Acknowledgement,
    ClosedCandles,
    ControlReply,
    ControlRequest,
    FillPublished,
    HistoryQuery,
    Instruction,
    PublishSignal,
    SetWakeUp,
    Side,
    Snapshot,
    Status,
    SubmitOrder,
)
from orchestrator.runs.records import EquityRows, FillRecord, OrderRecord, Record, SignalRecord
from orchestrator.runtime import wall_clock
from orchestrator.runtime.control import ControlDesk
from orchestrator.runtime.interrupts import Interrupts
from orchestrator.runtime.live import LiveFolder
from orchestrator.runtime.lockstep import LockStep, Shell
from orchestrator.runtime.logs import RunLog
from orchestrator.runtime.pacing import Pacer
from orchestrator.runtime.supervisor import ComponentExited, LogLost
from tests.engine.markets import FakeMarket
from tests.engine.plays import at_minute, make_engine

NAMES = ("thinker", "trader")
SECOND = 1_000_000_000
SLICE_NS = 50_000_000
TIMEOUT_SECONDS = 30.0


class FakeClock:
    def __init__(self) -> None:
        self.now = 1_000 * SECOND

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


class FakeBus:
    """Components in the same process; time passes only while nobody speaks."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.script: dict[str, tuple[Instruction, ...]] = {}
        self.silent: set[str] = set()  # turns that are never acknowledged
        self.shown: list[str] = []
        self.sent: list[str] = []
        self.answers: list[ClosedCandles] = []
        self.inbox: deque[tuple[int, Acknowledgement | HistoryQuery]] = deque()
        self.requests: deque[ControlRequest] = deque()
        self.replies: list[ControlReply] = []
        self.strangers: list[str] = []
        self.lost: set[int] = set()
        self.on_turn: dict[str, Callable[[], None]] = {}
        self.at: list[tuple[int, Callable[[], None]]] = []  # wall time -> what happens then
        self.on_answer: Callable[[], None] | None = None
        self.turn_times: dict[str, int] = {}

    def pass_time(self, ns: int) -> None:
        self.clock.now += ns
        due = [act for at, act in self.at if at <= self.clock.now]
        self.at = [(at, act) for at, act in self.at if at > self.clock.now]
        for act in due:
            act()

    def send_snapshot(self, component: int, snapshot: Snapshot) -> None:
        if component in self.lost:
            raise ComponentError(f"the connection to {NAMES[component]} is gone")
        turn = f"{NAMES[component]} {snapshot.sequence}.{snapshot.step}"
        self.sent.append(turn)
        self.turn_times[turn] = self.clock.now
        if turn in self.on_turn:
            self.on_turn[turn]()
        if turn not in self.silent:
            said = self.script.get(turn, ())
            self.inbox.append((component, Acknowledgement(snapshot.sequence, snapshot.step, said)))

    def send(self, _component: int, message: Any) -> None:
        self.answers.append(message)
        if self.on_answer is not None:
            self.on_answer()

    def receive(self) -> tuple[int, Acknowledgement | HistoryQuery] | None:
        if self.inbox:
            return self.inbox.popleft()
        self.pass_time(SLICE_NS)
        return None

    def publish(self, message: Any) -> None:
        self.shown.append(type(message).__name__)

    def publish_snapshot(self, snapshot: Snapshot) -> None:
        self.shown.append(f"tick {snapshot.sequence}")

    def receive_control(self, timeout_ms: int) -> tuple[bytes, ControlRequest] | None:
        if not self.requests:
            self.pass_time(timeout_ms * 1_000_000)
        return (b"operator", self.requests.popleft()) if self.requests else None

    def reply_control(self, _identity: bytes, reply: ControlReply) -> None:
        self.replies.append(reply)

    def take_strangers(self) -> list[str]:
        found, self.strangers = self.strangers, []
        return found


class FakeSupervisor:
    def __init__(self) -> None:
        self.events: list[Any] = []

    def poll(self) -> list[Any]:
        found, self.events = self.events, []
        return found


class FakeWriter:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.rows: list[float] = []
        self.flushes: list[int] = []
        self.clock: FakeClock | None = None

    def write(self, record: Record) -> None:
        self.lines.append(type(record).__name__)

    def write_equity(self, rows: EquityRows) -> None:
        self.rows += rows.equity.tolist()

    def checkpoint(self, sequence: int) -> None:
        self.lines.append(f"checkpoint {sequence}")

    def flush(self) -> None:
        assert self.clock is not None
        self.flushes.append(self.clock.now)


class FakeAffinity:
    is_settled = True


class Stage:
    """A run that is about to begin."""

    def __init__(self, folder: Path, clock: FakeClock, *, minutes: int, speed: float | None) -> None:
        self.clock = clock
        self.bus = FakeBus(clock)
        self.supervisor = FakeSupervisor()
        self.writer = FakeWriter()
        self.writer.clock = clock
        self.interrupts = Interrupts()
        self.pacer = Pacer(speed)
        self.desk = ControlDesk(self.pacer, self.interrupts)
        self.shows: list[tuple[int, Status]] = []
        self.log = RunLog(folder / "log.jsonl")
        self.log_path = folder / "log.jsonl"
        self.mirror = folder / "data" / "run" / "backtest_state.json"
        market = FakeMarket({"BTC": [100.0 + minute for minute in range(minutes)]})
        self.engine: Engine = make_engine(market)
        shell = Shell(
            bus=self.bus,  # type: ignore[arg-type]
            supervisor=self.supervisor,  # type: ignore[arg-type]
            writer=self.writer,  # type: ignore[arg-type]
            log=self.log,
            live=LiveFolder(folder / "data", "run"),
            desk=self.desk,
            pacer=self.pacer,
            interrupts=self.interrupts,
            affinity=FakeAffinity(),  # type: ignore[arg-type]
            show=lambda status: self.shows.append((clock.now, status)),
        )
        self.loop = LockStep(
            self.engine,
            shell,
            run_id="run",
            names=NAMES,
            coins=("BTC",),
            sequences=minutes,
            component_timeout=TIMEOUT_SECONDS,
        )

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log_path.read_text().splitlines()]
        return [line for line in lines if line["event"] == name]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(wall_clock, "monotonic_ns", lambda: clock.now)
    monkeypatch.setattr(wall_clock, "sleep", clock.sleep)
    return clock


@pytest.fixture
def make(tmp_path: Path, clock: FakeClock) -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(minutes: int = 5, speed: float | None = None) -> Stage:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Stage(folder, clock, minutes=minutes, speed=speed))
        return made[-1]

    yield make
    gc.unfreeze()  # the loop froze what was there for the rest of its process
    for stage in made:
        stage.log.close()


Make = Callable[..., Stage]
BUY = SubmitOrder(1, "BTC", Side.BUY, Decimal(1))


class TestRun:
    def test_goes_to_the_end_and_performs_every_command(self, make: Make) -> None:
        stage = make(3)
        stage.bus.script = {"thinker 1.0": (PublishSignal("BTC", {"long": 3}),), "trader 1.0": (BUY,)}
        assert stage.loop.run()
        assert stage.bus.sent == [
            "thinker 1.0",
            "trader 1.0",
            "trader 1.1",
            "thinker 2.0",
            "trader 2.0",
            "thinker 3.0",
            "trader 3.0",
        ]
        assert [line for line in stage.bus.shown if line.startswith("tick")] == ["tick 1", "tick 2", "tick 3"]
        assert FillPublished.__name__ in stage.bus.shown
        names = [SignalRecord, OrderRecord, None, FillRecord, None]
        assert len(stage.writer.lines) == len(names)
        assert [line for line, kind in zip(stage.writer.lines, names, strict=True) if kind is not None] == [
            kind.__name__ for kind in names if kind is not None
        ]
        assert stage.writer.rows == [10_000.0, 10_000.0, 10_001.0]  # bought at 101, closes 100, 101, 102

    def test_the_log_tells_of_fills_and_signals_at_their_own_time(self, make: Make) -> None:
        stage = make(3)
        stage.bus.script = {"thinker 1.0": (PublishSignal("BTC", {"long": 3}),), "trader 1.0": (BUY,)}
        stage.loop.run()
        (signal,) = stage.events("neural_signal")
        (fill,) = stage.events("trade_execution")
        assert (signal["values"], signal["component"], signal["sequence"]) == ({"long": 3}, "thinker", 1)
        assert (fill["fill_price"], fill["component"], fill["side"]) == (101, "trader", "buy")
        assert fill["sim_time"] == at_minute(1) / SECOND + 0.2

    def test_a_component_s_question_is_answered_within_its_turn(self, make: Make) -> None:
        stage = make(2)
        stage.bus.on_turn["thinker 2.0"] = lambda: stage.bus.inbox.append(
            (0, HistoryQuery(2, 0, "BTC", "1m", 5))
        )
        assert stage.loop.run()
        (answer,) = stage.bus.answers
        assert len(answer.open_times) == 2 * 8


class TestComponents:
    def exited(self, **changes: Any) -> ComponentExited:
        fields: dict[str, Any] = {
            "name": "trader",
            "exit_code": 1,
            "signal": None,
            "last_lines": ("ValueError: mine",),
            "peak_memory_bytes": 1,
            "cpu_seconds": 0.1,
        }
        return ComponentExited(**{**fields, **changes})

    def test_one_that_leaves_is_named_with_the_sequence(self, make: Make) -> None:
        stage = make()
        stage.bus.silent = {"trader 3.0"}
        stage.bus.on_turn["trader 3.0"] = lambda: stage.supervisor.events.append(self.exited())
        with pytest.raises(
            ComponentError, match="trader exited with status 1 at sequence 3, before the replay ended"
        ):
            stage.loop.run()

    def test_one_that_leaves_without_an_error_too(self, make: Make) -> None:
        stage = make()
        stage.bus.silent = {"trader 3.0"}
        stage.bus.on_turn["trader 3.0"] = lambda: stage.supervisor.events.append(self.exited(exit_code=0))
        with pytest.raises(ComponentError, match=r"trader exited with status 0.*stays in its loop"):
            stage.loop.run()

    @pytest.mark.parametrize("turn", ["thinker 3.0", "trader 3.0"])
    def test_one_that_stalls_is_named_after_its_time_and_no_earlier(self, make: Make, turn: str) -> None:
        stage = make()
        stage.bus.silent = {turn}
        with pytest.raises(ComponentError, match=f"{turn[:-4]} did not acknowledge sequence 3 within 30 s"):
            stage.loop.run()
        waited = stage.clock.now - stage.bus.turn_times[turn]
        assert TIMEOUT_SECONDS * SECOND < waited < (TIMEOUT_SECONDS + 1) * SECOND

    def test_to_ask_is_no_acknowledgement(self, make: Make) -> None:
        # One that asks for ever stalls as much as one that is silent.
        stage = make()
        stage.bus.silent = {"thinker 2.0"}

        def ask() -> None:
            stage.bus.inbox.append((0, HistoryQuery(2, 0, "BTC", "1m", 5)))
            stage.bus.pass_time(SLICE_NS // 10)

        stage.bus.on_answer = stage.bus.on_turn["thinker 2.0"] = ask
        with pytest.raises(ComponentError, match="thinker did not acknowledge sequence 2 within 30 s"):
            stage.loop.run()

    def test_one_that_speaks_out_of_turn(self, make: Make) -> None:
        stage = make()
        stage.bus.on_turn["thinker 2.0"] = lambda: stage.bus.inbox.append((1, Acknowledgement(2, 0)))
        with pytest.raises(ProtocolError, match="trader acknowledged sequence 2 step 0 out of turn"):
            stage.loop.run()

    def test_a_lost_connection_is_the_shadow_of_a_lost_process(self, make: Make) -> None:
        stage = make()
        stage.bus.on_turn["thinker 2.0"] = lambda: stage.bus.lost.add(1)
        supervisor_events = iter([[], [], [], [self.exited(exit_code=None, signal=9)]])
        real_poll = stage.supervisor.poll
        stage.supervisor.poll = lambda: next(supervisor_events, []) if stage.bus.lost else real_poll()  # type: ignore[method-assign]
        with pytest.raises(ComponentError, match=r"trader .*SIGKILL"):
            stage.loop.run()

    def test_where_no_process_is_lost_the_connection_is_named(self, make: Make) -> None:
        stage = make()
        stage.bus.on_turn["thinker 2.0"] = lambda: stage.bus.lost.add(1)
        with pytest.raises(ComponentError, match="the connection to trader is gone"):
            stage.loop.run()

    def test_a_log_that_is_lost_is_a_warning(self, make: Make) -> None:
        stage = make()
        stage.supervisor.events.append(LogLost("trader", "the disk is full"))
        assert stage.loop.run()
        (warning,) = stage.events("log_lost")
        assert (warning["level"], warning["component"], warning["reason"]) == (
            "warning",
            "trader",
            "the disk is full",
        )


class TestInterrupts:
    def test_the_sequence_at_work_is_finished_and_no_other_begun(self, make: Make) -> None:
        stage = make()
        stage.bus.on_turn["thinker 3.0"] = stage.interrupts.stop
        assert not stage.loop.run()
        assert stage.bus.sent[-2:] == ["thinker 3.0", "trader 3.0"]
        assert not stage.engine.is_waiting
        stage.loop.finish("interrupted")
        assert len(stage.writer.rows) == 3
        assert stage.engine.is_over

    def test_before_the_first_sequence(self, make: Make) -> None:
        stage = make()
        stage.interrupts.stop()
        assert not stage.loop.run()
        assert stage.bus.sent == []

    @pytest.mark.parametrize("is_asking", [False, True], ids=["silent", "asking without end"])
    @pytest.mark.parametrize(("times", "seconds"), [(1, 2.0), (2, 0.0)])
    def test_a_stage_that_does_not_end_is_left(
        self, make: Make, is_asking: bool, times: int, seconds: float
    ) -> None:
        stage = make()
        stage.bus.silent = {"thinker 3.0"}

        def ask() -> None:
            stage.bus.inbox.append((0, HistoryQuery(3, 0, "BTC", "1m", 5)))
            stage.bus.pass_time(SLICE_NS // 10)

        def begin() -> None:
            for _ in range(times):
                stage.interrupts.stop()
            if is_asking:
                ask()

        stage.bus.on_answer = ask if is_asking else None
        stage.bus.on_turn["thinker 3.0"] = begin
        assert not stage.loop.run()
        assert stage.engine.is_waiting
        waited = (stage.clock.now - stage.bus.turn_times["thinker 3.0"]) / SECOND
        assert seconds <= waited <= seconds + 0.2
        stage.loop.finish("interrupted")
        assert len(stage.writer.rows) == 3


class TestControl:
    def after(self, stage: Stage, seconds: float, action: str, value: float | None = None) -> None:
        at = stage.clock.now + int(seconds * SECOND)
        stage.bus.at.append((at, lambda: stage.bus.requests.append(ControlRequest(action, value))))

    def test_a_paused_run_stands_before_its_next_tick_until_it_is_resumed(self, make: Make) -> None:
        stage = make()
        began = stage.clock.now
        stage.bus.requests.append(ControlRequest("pause"))
        self.after(stage, 10, "resume")
        assert stage.loop.run()
        assert stage.bus.turn_times["thinker 1.0"] - began >= 10 * SECOND
        assert [reply.is_accepted for reply in stage.bus.replies] == [True, True]
        assert stage.bus.replies[0].status.status == "paused"

    def test_who_asks_without_end_does_not_stop_the_clock(self, make: Make) -> None:
        stage = make()
        stage.bus.requests.extend(ControlRequest("status") for _ in range(1_000))
        assert stage.loop.run()
        assert 16 <= len(stage.bus.replies) < 1_000
        assert stage.events("control") == []

    def test_what_happens_between_ticks_still_happens(self, make: Make) -> None:
        stage = make()
        stage.bus.script = {"trader 1.0": (BUY, SetWakeUp(at_minute(1.5)))}
        stage.bus.on_turn["trader 1.0"] = lambda: stage.bus.requests.append(ControlRequest("pause"))
        self.after(stage, 10, "stop")
        stage.desk.handle(ControlRequest("step", 1.0))
        assert not stage.loop.run()
        assert stage.bus.sent == ["thinker 1.0", "trader 1.0", "trader 1.1", "trader 1.2"]

    def test_steps_let_that_many_ticks_pass(self, make: Make) -> None:
        stage = make(9)
        stage.bus.requests.append(ControlRequest("pause"))
        self.after(stage, 5, "step", 2.0)
        self.after(stage, 10, "step", None)
        self.after(stage, 15, "stop")
        assert not stage.loop.run()
        ticks = [turn for turn in stage.bus.sent if turn.startswith("thinker")]
        assert ticks == ["thinker 1.0", "thinker 2.0", "thinker 3.0"]
        first, second, third = (stage.bus.turn_times[turn] for turn in ticks)
        assert second - first < SECOND
        assert third - second >= 4 * SECOND

    def test_a_run_is_paced(self, make: Make) -> None:
        stage = make(5, speed=60.0)  # a minute of candles in a second
        assert stage.loop.run()
        times = [stage.bus.turn_times[f"thinker {n}.0"] for n in range(1, 6)]
        gaps = [(b - a) / SECOND for a, b in itertools.pairwise(times)]
        assert gaps == pytest.approx([1.0] * 4, abs=0.06)

    def test_a_wait_is_interrupted_by_another_speed(self, make: Make) -> None:
        stage = make(5, speed=0.01)  # a minute in 100 minutes
        began = stage.clock.now
        self.after(stage, 3, "speed", None)
        assert stage.loop.run()
        assert stage.clock.now - began < 4 * SECOND

    def test_and_by_a_stop(self, make: Make) -> None:
        stage = make(5, speed=0.01)
        began = stage.clock.now
        self.after(stage, 3, "stop")
        assert not stage.loop.run()
        assert stage.clock.now - began < 4 * SECOND
        assert stage.bus.sent == ["thinker 1.0", "trader 1.0"]

    def test_a_refused_request_says_why_and_changes_nothing(self, make: Make) -> None:
        stage = make(2)
        stage.bus.requests.append(ControlRequest("speed", -1.0))
        assert stage.loop.run()
        (reply,) = stage.bus.replies
        assert not reply.is_accepted
        assert "speed -1 is not allowed" in reply.message
        (line,) = stage.events("control")
        assert (line["action"], line["is_accepted"]) == ("speed", False)

    def test_is_answered_while_a_stage_is_at_work(self, make: Make) -> None:
        stage = make(2)
        stage.bus.silent = {"thinker 1.0"}
        stage.bus.on_turn["thinker 1.0"] = lambda: self.after(stage, 3, "status")
        with pytest.raises(ComponentError, match="did not acknowledge"):
            stage.loop.run()
        (reply,) = stage.bus.replies
        assert (reply.status.sequence, reply.status.status) == (1, "running")

    @pytest.mark.parametrize("speed", [None, 600.0, 60.0])
    def test_results_do_not_depend_on_speed_or_pauses(self, make: Make, speed: float | None) -> None:
        plain, other = make(6), make(6, speed=speed)
        for stage in (plain, other):
            stage.bus.script = {"trader 2.0": (BUY, SetWakeUp(at_minute(3.5)))}
        assert plain.loop.run()
        other.bus.requests.append(ControlRequest("pause"))
        self.after(other, 1, "step", 3.0)
        self.after(other, 2, "resume")
        assert other.loop.run()
        assert other.bus.sent == plain.bus.sent
        assert other.writer.rows == plain.writer.rows
        assert other.writer.lines == plain.writer.lines


class TestChores:
    def test_progress_is_shown_at_most_ten_times_a_second_and_flushed_once(self, make: Make) -> None:
        stage = make(31, speed=600.0)  # three seconds of wall time
        assert stage.loop.run()
        times = [at for at, _ in stage.shows]
        assert len(times) >= 20
        assert all(b - a >= SECOND // 10 for a, b in itertools.pairwise(times))
        assert all(b - a >= SECOND for a, b in itertools.pairwise(stage.writer.flushes))
        assert 3 <= len(stage.writer.flushes) <= 4
        assert len(stage.events("replay_tick")) <= 4

    def test_status_mirror_and_log_agree(self, make: Make) -> None:
        stage = make(3)
        assert stage.loop.run()
        stage.loop.show("complete")
        _, status = stage.shows[-1]
        assert (status.run_id, status.status, status.sequence, status.sequences) == ("run", "complete", 3, 3)
        assert (status.speed, status.equity, status.fills, status.coins) == (None, 10_000.0, 0, ("BTC",))
        assert status.sim_time_ns == at_minute(3)
        state = json.loads(stage.mirror.read_text())
        assert (state["sequence"], state["status"], state["prices"]["BTC"]["close"]) == (3, "complete", 102.0)
        assert "Status" in stage.bus.shown

    def test_before_the_first_tick_there_is_nothing_to_mirror(self, make: Make) -> None:
        stage = make(3)
        stage.loop.show("running")
        assert stage.shows[-1][1].equity == 0.0
        assert not stage.mirror.exists()

    def test_strangers_are_logged_while_the_run_goes_on(self, make: Make) -> None:
        stage = make(5, speed=600.0)
        stage.bus.on_turn["thinker 2.0"] = lambda: stage.bus.strangers.append("does not know the run's token")
        assert stage.loop.run()
        (line,) = stage.events("stranger_refused")
        assert (line["level"], line["reason"]) == ("warning", "does not know the run's token")
