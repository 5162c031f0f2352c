"""How a running replay is found, and its mirror: whole or not at all, and safe to delete."""

from __future__ import annotations

import json
import math
import os
import struct
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from orchestrator.errors import ConfigError, ReplayError
from orchestrator.protocol import CandleFlag, Snapshot
from orchestrator.runs.manifest import process_start_time
from orchestrator.runtime.live import LiveFolder, LiveRun, find_live_run, live_runs

COINS = ("BTC", "ETH", "DOGE")


def me(run_id: str = "run", directory: Path = Path("/runs/run"), **changes: object) -> LiveRun:
    live = LiveRun(
        run_id=run_id,
        directory=str(directory),
        process_id=os.getpid(),
        process_start_time=process_start_time(os.getpid()),
        components_endpoint="ipc:///a",
        spectators_endpoint="ipc:///b",
        control_endpoint="ipc:///c",
    )
    return msgspec.structs.replace(live, **changes)


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait(10)
    return process.pid


def snapshot(sequence: int) -> Snapshot:
    nan = math.nan
    rows = ((1.5, 2.5, 0.5, float(sequence), 10.0), (nan, nan, nan, nan, nan), (0.1, 0.2, 0.05, 0.15, 0.0))
    present, stale = CandleFlag.PRESENT | CandleFlag.NEW, CandleFlag.PRESENT | CandleFlag.STALE
    return Snapshot(
        sequence=sequence,
        step=0,
        sim_time_ns=1_704_067_200_000_000_000 + sequence,
        reason=1,
        prices=b"".join(struct.pack("<5d", *row) for row in rows),
        open_times=bytes(24),
        flags=bytes([present, 0, stale]),
    )


def columns(*values: str) -> dict[str, Decimal]:
    return dict(zip(("open", "high", "low", "close", "volume"), map(Decimal, values), strict=True))


class TestMirror:
    def test_holds_what_the_design_names(self, tmp_path: Path) -> None:
        LiveFolder(tmp_path, "run").mirror(COINS, snapshot(7), "running")
        text = (tmp_path / "run" / "backtest_state.json").read_text()
        assert json.loads(text, parse_float=Decimal) == {
            "sequence": 7,
            "timestamp": Decimal("1704067200.000000007"),
            "prices": {
                "BTC": columns("1.5", "2.5", "0.5", "7.0", "10.0"),
                "DOGE": columns("0.1", "0.2", "0.05", "0.15", "0.0"),
            },
            "status": "running",
            "orchestrator_pid": os.getpid(),
        }

    def test_a_reader_never_sees_half_of_it(self, tmp_path: Path) -> None:
        folder = LiveFolder(tmp_path, "run")
        folder.mirror(COINS, snapshot(0), "running")
        is_done = threading.Event()

        def write() -> None:
            for sequence in range(300):
                folder.mirror(COINS, snapshot(sequence), "running")
            is_done.set()

        writer = threading.Thread(target=write)
        writer.start()
        seen = []
        while not is_done.is_set():
            state = json.loads((tmp_path / "run" / "backtest_state.json").read_text())
            assert state["prices"]["BTC"]["close"] == state["sequence"]
            seen.append(state["sequence"])
        writer.join(10)
        assert seen == sorted(seen)
        assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["backtest_state.json"]

    def test_a_folder_that_was_deleted_is_made_again_and_the_run_is_found_again(self, tmp_path: Path) -> None:
        folder = LiveFolder(tmp_path / "data", "run")
        folder.announce(me())
        for path in sorted((tmp_path / "data").rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        (tmp_path / "data").rmdir()
        folder.mirror(COINS, snapshot(1), "running")
        assert json.loads((tmp_path / "data" / "run" / "backtest_state.json").read_text())["sequence"] == 1
        assert find_live_run(tmp_path / "data", "run") == me()

    def test_what_cannot_be_written_says_so(self, tmp_path: Path) -> None:
        folder = LiveFolder(tmp_path, "run")
        (tmp_path / "run" / ".backtest_state.json.part").mkdir()
        with pytest.raises(ReplayError, match="mirrors the run no further"):
            folder.mirror(COINS, snapshot(1), "running")


class TestName:
    def test_is_free_after_the_run(self, tmp_path: Path) -> None:
        first = LiveFolder(tmp_path, "run")
        first.announce(me())
        first.mirror(COINS, snapshot(1), "complete")
        first.withdraw()
        assert not (tmp_path / "run" / "live.json").exists()
        assert live_runs(tmp_path) == []
        first.withdraw()  # a second time does no harm
        assert LiveFolder(tmp_path, "run").path == tmp_path / "run"

    def test_taken_by_a_living_run_gets_a_number(self, tmp_path: Path) -> None:
        LiveFolder(tmp_path, "run").announce(me())
        second = LiveFolder(tmp_path, "run")
        assert second.path == tmp_path / f"run-{os.getpid()}"
        second.announce(me(second.path.name))
        assert [live.run_id for live in live_runs(tmp_path)] == ["run", second.path.name]

    def test_of_a_dead_run_is_free(self, tmp_path: Path) -> None:
        LiveFolder(tmp_path, "run").announce(me(process_id=dead_process()))
        assert live_runs(tmp_path) == []
        assert LiveFolder(tmp_path, "run").path == tmp_path / "run"

    def test_of_a_process_number_given_to_another_is_free(self, tmp_path: Path) -> None:
        started = process_start_time(os.getpid())
        assert started is not None
        LiveFolder(tmp_path, "run").announce(me(process_start_time=started - 60))
        assert live_runs(tmp_path) == []
        assert LiveFolder(tmp_path, "run").path == tmp_path / "run"

    def test_what_ended_runs_left_is_removed_by_the_next_and_nothing_else(self, tmp_path: Path) -> None:
        LiveFolder(tmp_path, "killed").announce(me("killed", process_id=dead_process()))
        ended = LiveFolder(tmp_path, "ended")
        ended.mirror(COINS, snapshot(1), "complete")
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "notes.txt").write_text("kept")
        kept = LiveFolder(tmp_path, "kept")
        kept.mirror(COINS, snapshot(1), "complete")
        (kept.path / "notes.txt").write_text("kept")
        beginning = LiveFolder(tmp_path, "beginning")
        LiveFolder(tmp_path, "living").announce(me("living"))
        LiveFolder(tmp_path, "new")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["beginning", "kept", "living", "mine", "new"]
        assert [p.name for p in kept.path.iterdir()] == ["notes.txt"]
        assert beginning.path.is_dir()

    def test_where_nothing_can_be_created(self, tmp_path: Path) -> None:
        (tmp_path / "data").touch()
        with pytest.raises(ConfigError, match=r"cannot be created.*REPLAY_HOME"):
            LiveFolder(tmp_path / "data" / "deep", "run")


class TestFinding:
    @pytest.fixture
    def two(self, tmp_path: Path) -> Path:
        for name in ("alpha", "beta"):
            (tmp_path / "runs" / name).mkdir(parents=True)
            LiveFolder(tmp_path / "data", name).announce(me(name, tmp_path / "runs" / name))
        return tmp_path / "data"

    def test_by_name_and_by_directory(
        self, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert find_live_run(two, "beta").run_id == "beta"
        assert find_live_run(two, str(tmp_path / "runs" / "alpha")).run_id == "alpha"
        monkeypatch.chdir(tmp_path / "runs")
        assert find_live_run(two, "./beta").run_id == "beta"

    def test_by_a_directory_that_was_started_through_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "real" / "run").mkdir(parents=True)
        (tmp_path / "link").symlink_to(tmp_path / "real")
        LiveFolder(tmp_path / "data", "x").announce(me("x", tmp_path / "link" / "run"))
        for place in ("link", "real"):
            assert find_live_run(tmp_path / "data", str(tmp_path / place / "run")).run_id == "x"

    def test_the_only_one_needs_no_name(self, tmp_path: Path) -> None:
        LiveFolder(tmp_path, "only").announce(me("only"))
        assert find_live_run(tmp_path, None).run_id == "only"

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            (None, "several replays are running: alpha, beta; name one"),
            ("gamma", "'gamma'; running: alpha, beta"),
        ],
    )
    def test_what_is_not_clear_names_what_is_there(self, two: Path, name: str | None, said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            find_live_run(two, name)

    def test_none_is_running(self, tmp_path: Path) -> None:
        for data in (tmp_path, tmp_path / "none"):
            with pytest.raises(ConfigError, match=r"no replay is running.*replay start"):
                find_live_run(data, "run")

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"run_id": 3}', b"\xff"])
    def test_what_is_no_live_json_is_ignored(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "live.json").write_bytes(content)
        (tmp_path / "file").touch()
        assert live_runs(tmp_path) == []
        assert LiveFolder(tmp_path, "run").path == tmp_path / "run"
