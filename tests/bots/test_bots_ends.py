"""How runs of bots end before their time: interrupted, killed, and with what bots do about it (DESIGN 9)."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestrator.runs.reader import open_run
from tests.bots.running import BotPlace, BotRun, bot, examples, program
from tests.processes import wait_until
from tests.replay.running import Running, unmeasured, wait_for_sequence

STUBBORN = ("ignore_sigterm", "handle_sigterm", "daemon", "threads", "close_stdout")


def launch(place: BotPlace, config: Path, *words: str) -> Running:
    """Begin a run of four days at an hour a second, which goes on until it is ended."""
    words = ("--output-dir", str(place.results / "run"), "--quiet", "--speed", "3600", *words)
    return place.launch("start", "--config", config, *words, environment=unmeasured(place))


def config_of(place: BotPlace, workdir: Path, *modes: str) -> Path:
    program(workdir, "misbehaving")
    sections = [bot(mode, workdir, "misbehaving.py", mode) for mode in modes]
    return place.bots(sections, end="2024-01-05")


def assert_readable(place: BotPlace, status: str) -> BotRun:
    """Check that what was written is whole, as far as it goes."""
    run = BotRun(place.results / "run")
    assert run.status == status
    read = open_run(run.directory)
    assert read.status == status
    assert read.digests().digest == run.digest
    assert len(read.fills) == run.manifest["counts"]["fills"]
    assert pq.read_table(run.directory / "equity.parquet").num_rows == run.manifest["sequences"]
    assert run.facts["protections"]
    assert run.manifest["bot_files_unchanged"] is True
    return run


@pytest.mark.parametrize(("signum", "sequence"), [(signal.SIGINT, 5), (signal.SIGTERM, 2)])
def test_an_interrupted_run_of_the_example_bots_is_whole(
    own_place: BotPlace, tmp_path: Path, signum: signal.Signals, sequence: int
) -> None:
    config = examples(tmp_path / "mybot")
    span = ("--start-date", "2024-01-01", "--end-date", "2024-01-05", "--timeframe", "15m")
    running = launch(own_place, config, *span)
    wait_for_sequence(own_place, "run", sequence, 60)
    begin = time.monotonic()
    running.process.send_signal(signum)
    done = running.wait(25)
    assert time.monotonic() - begin < 15
    assert done.status == 130, done.stderr
    assert own_place.is_clean()
    run = assert_readable(own_place, "interrupted")
    assert run.manifest["reason"] in done.stderr
    assert run.manifest["sequences"] >= sequence
    assert run.facts["ended"] == run.facts["stuck"] == []


@pytest.mark.parametrize("seed", range(3))
def test_an_interrupt_at_any_moment_ends_the_run(own_place: BotPlace, workdir: Path, seed: int) -> None:
    # From before the run directory exists to somewhere in the run; a bot that never sleeps is cut short.
    chance = random.Random(seed)  # noqa: S311 - which moment, no secret
    signum = chance.choice([signal.SIGINT, signal.SIGTERM])
    modes = ("error_loop", *STUBBORN) if chance.random() < 0.5 else STUBBORN
    running = launch(own_place, config_of(own_place, workdir, *modes))
    assert wait_until((own_place.results / "run" / "run.json").exists, 30)
    time.sleep(chance.random() * 3)  # a moment drawn at random: nothing is waited for
    begin = time.monotonic()
    running.process.send_signal(signum)
    done = running.wait(30)
    assert time.monotonic() - begin < 20
    assert done.status == 130, (seed, done.stderr)
    assert own_place.is_clean(), (own_place.processes(), own_place.socket_files())
    assert_readable(own_place, "interrupted")


def test_a_second_interrupt_kills_at_once(own_place: BotPlace, workdir: Path) -> None:
    # The bot never lets the sequence end, and would not go when told to.
    running = launch(own_place, config_of(own_place, workdir, "spin_after_a_while", *STUBBORN))
    wait_for_sequence(own_place, "run", 2, 60)
    running.process.send_signal(signal.SIGINT)
    time.sleep(0.3)  # else the two signals may be one
    begin = time.monotonic()
    running.process.send_signal(signal.SIGINT)
    done = running.wait(15)
    assert time.monotonic() - begin < 6
    assert done.status == 130, done.stderr
    assert own_place.is_clean(1), (own_place.processes(), own_place.socket_files())
    assert_readable(own_place, "interrupted")


@pytest.mark.parametrize(
    "modes", [STUBBORN, ("spin_after_a_while", "error_loop"), ("children", "busy_child")]
)
def test_a_killed_orchestrator_leaves_nothing_behind(
    own_place: BotPlace, workdir: Path, modes: tuple[str, ...]
) -> None:
    program(workdir, "child")
    running = launch(own_place, config_of(own_place, workdir, *modes))
    run = BotRun(own_place.results / "run")
    if modes == STUBBORN:
        wait_for_sequence(own_place, "run", 3, 60)
    else:  # it never comes so far
        assert wait_until(lambda: (run.directory / "work").exists() and len(own_place.processes()) >= 4, 30)
    assert own_place.socket_files()
    os.kill(running.process.pid, signal.SIGKILL)
    assert running.wait(10).status == -signal.SIGKILL
    assert own_place.is_clean(2.0), (own_place.processes(), own_place.socket_files())
    assert open_run(run.directory).status == "interrupted"
    shown = own_place.replay("runs", "show", "run")
    assert shown.status == 0
    assert "interrupted" in shown.stdout


def test_a_bot_that_is_killed_from_outside_fails_the_run(own_place: BotPlace, workdir: Path) -> None:
    running = launch(own_place, config_of(own_place, workdir, "restart", "mind_ones_business"))
    wait_for_sequence(own_place, "run", 3, 60)
    (pid,) = (pid for pid in own_place.processes() if command_of(pid)[-1:] == ["mind_ones_business"])
    os.kill(pid, signal.SIGKILL)
    done = running.wait(20)
    assert done.status == 4, done.stderr
    run = assert_readable(own_place, "failed")
    assert "mind_ones_business was killed by SIGKILL at sequence" in run.manifest["reason"]
    assert [row["component"] for row in run.facts["ended"]] == ["mind_ones_business"]
    assert json.loads((run.copy() / "restarts.json").read_text()) >= 1
    assert own_place.is_clean()


def command_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
    except OSError:
        return []
