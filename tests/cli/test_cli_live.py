"""`replay control` and `replay watch`: what is asked of a running replay, and what is shown of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from orchestrator.cli.main import main
from orchestrator.protocol import (
    ControlReply,
    ControlRequest,
    Fill,
    FillPublished,
    FillState,
    Frame,
    Liquidity,
    Side,
    Snapshot,
    SpectatorMessage,
    Status,
)
from orchestrator.runs.manifest import process_start_time
from orchestrator.runtime.live import LiveFolder, LiveRun
from tests.runtime.bus_clients import DEADLINE_MS, Hall, open_hall

T0 = 1_704_067_200_000_000_000
STATUS = Status("run", "running", 3, 10, T0, 60.0, 10_123.456, 2, ("BTC",))
FILL = Fill(
    "t-1",
    "BTC",
    Side.BUY,
    Decimal("0.10"),
    Decimal("42000.5"),
    Decimal(0),
    T0,
    FillState.FILLED,
    Liquidity.TAKER,
)


class Ended(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("REPLAY_HOME", str(tmp_path))

    def run(*words: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """A replay called "run" is running: this process, with a bus."""
    with open_hall("ipc") as hall:
        folder = LiveFolder(tmp_path / "replay_data", "run")
        folder.announce(
            LiveRun(
                run_id="run",
                directory=str(tmp_path / "run"),
                process_id=os.getpid(),
                process_start_time=process_start_time(os.getpid()),
                components_endpoint=hall.bus.components_endpoint,
                spectators_endpoint=hall.bus.spectators_endpoint,
                control_endpoint=hall.bus.control_endpoint,
            )
        )
        yield hall
        folder.withdraw()


class TestControl:
    def ask(self, run: Run, hall: Hall, reply: ControlReply, *words: str) -> tuple[ControlRequest, Ended]:
        asked: list[ControlRequest] = []

        def answer() -> None:
            received = hall.bus.receive_control(DEADLINE_MS)
            if received is not None:
                asked.append(received[1])
                hall.bus.reply_control(received[0], reply)

        answering = threading.Thread(target=answer)
        answering.start()
        ended = run("control", "run", *words)
        answering.join(DEADLINE_MS / 1_000)
        return asked[0], ended

    @pytest.mark.parametrize(
        ("words", "request_"),
        [
            (("status",), ControlRequest("status")),
            (("pause",), ControlRequest("pause")),
            (("resume",), ControlRequest("resume")),
            (("step",), ControlRequest("step")),
            (("step", "5"), ControlRequest("step", 5.0)),
            (("speed", "0.5"), ControlRequest("speed", 0.5)),
            (("speed", "max"), ControlRequest("speed", None)),
            (("stop",), ControlRequest("stop")),
        ],
    )
    def test_asks_for_what_was_said(
        self, run: Run, hall: Hall, words: tuple[str, ...], request_: ControlRequest
    ) -> None:
        asked, ended = self.ask(run, hall, ControlReply(True, "it is done", STATUS), *words)
        assert asked == request_
        assert ended == Ended(0, "run: it is done (sequence 3 of 10)\n", "")

    def test_a_refusal_is_status_2(self, run: Run, hall: Hall) -> None:
        _, ended = self.ask(run, hall, ControlReply(False, "speed -1 is not allowed", STATUS), "speed", "-1")
        assert ended == Ended(2, "", "replay: speed -1 is not allowed\n")

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("speed",), "speed needs a value: replay control RUN speed 60, or speed max"),
            (("pause", "5"), "pause takes no value, found '5'"),
            (("step", "many"), "step 'many' is not a number"),
            (("step", "max"), "step 'max' is not a number"),
        ],
    )
    @pytest.mark.usefixtures("hall")
    def test_wrong_values_are_not_sent(self, run: Run, words: tuple[str, ...], said: str) -> None:
        ended = run("control", "run", *words)
        assert (ended.status, ended.out) == (2, "")
        assert said in ended.err

    def test_no_such_run(self, run: Run, hall: Hall) -> None:
        ended = run("control", "another", "pause")
        assert ended == Ended(2, "", "replay: no running replay is called 'another'; running: run\n")
        assert hall.bus.receive_control(0) is None

    def test_nothing_is_running(self, run: Run) -> None:
        ended = run("control", "run", "pause")
        assert ended.status == 2
        assert "no replay is running" in ended.err


class TestWatch:
    def watch(self, run: Run, hall: Hall, messages: list[SpectatorMessage], *words: str) -> Ended:
        """Show the messages, in order and as often as it takes, then the end, until the watcher has left."""
        is_over = threading.Event()

        def show() -> None:
            while not is_over.wait(0.02):
                for message in messages:
                    hall.bus.publish(message)

        showing = threading.Thread(target=show)
        showing.start()
        try:
            return run("watch", *words)
        finally:
            is_over.set()
            showing.join(DEADLINE_MS / 1_000)

    @pytest.mark.parametrize("words", [(), ("run",)])
    def test_shows_fills_and_where_it_is_until_the_end(
        self, run: Run, hall: Hall, words: tuple[str, ...], tmp_path: Path
    ) -> None:
        end = Status("run", "complete", 10, 10, T0, None, 1.0, 3, ("BTC",))
        ended = self.watch(run, hall, [STATUS, FillPublished("trader", FILL), STATUS, end], *words)
        assert ended.status == 0
        assert ended.err == f"watching run ({tmp_path / 'run'})\n"
        lines = ended.out.splitlines()
        assert lines[-1] == "2024-01-01 00:00:00  10/10  equity 1.00  fills 3  complete"
        assert set(lines[:-1]) <= {
            "2024-01-01 00:00:00  3/10  equity 10,123.46  fills 2  running",
            "2024-01-01 00:00:00  trader buy 0.10 BTC at 42000.5",
        }

    def test_fills_can_be_left_out_and_snapshots_are_not_lines(self, run: Run, hall: Hall) -> None:
        frame = Frame((Snapshot(1, 0, T0, 1, b"", b"", b""),))
        end = Status("run", "interrupted", 4, 10, T0, None, 1.0, 3, ("BTC",))
        ended = self.watch(run, hall, [frame, FillPublished("trader", FILL), end], "--no-fills")
        assert ended.out == "2024-01-01 00:00:00  4/10  equity 1.00  fills 3  interrupted\n"

    def test_nothing_is_running(self, run: Run) -> None:
        ended = run("watch")
        assert ended.status == 2
        assert "no replay is running" in ended.err
