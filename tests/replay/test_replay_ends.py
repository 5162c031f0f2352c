"""How runs end: interrupted, killed, and by components that misbehave from a tick drawn from a seed (DESIGN 9)."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from typing import Any

import msgspec
import psutil
import pyarrow.parquet as pq
import pytest
import zmq

from orchestrator.protocol import PROTOCOL_VERSION, Hello, OrchestratorMessage, Refused
from orchestrator.runs.reader import open_run
from tests.misbehaving import Mode, tick_of
from tests.processes import slowness, wait_until
from tests.replay.running import (
    Finished,
    Place,
    Run,
    Running,
    bot,
    component,
    misbehaving,
    thinker,
    trader,
    unmeasured,
    wait_for_sequence,
)

TIMEOUT_SECONDS = 8.0  # component_timeout of those that fall silent; the others need it to start


def run_with(
    place: Place, mode: Mode, *, stage: int, seed: int = 1, timeout: float = 20, amount: int = 20_000
) -> Finished:
    """Run a day of the reference bot with a component that misbehaves."""
    bad = misbehaving("bad", stage, mode, seed=seed, amount=amount)
    config = place.config([thinker(), trader(), bad], component_timeout=timeout)
    return place.replay(
        "start", "--config", config, "--output-dir", place.results / "run", "--quiet", environment=unmeasured(place)
    )  # fmt: skip


def assert_readable(place: Place, status: str) -> Run:
    """Check that what was written is whole, and right as far as it goes."""
    run = Run(place.results / "run")
    assert run.status == status
    assert place.check(run) == []
    read = open_run(run.directory)
    assert read.status == status
    assert len(read.fills) == run.manifest["counts"]["fills"]
    assert read.digests().digest == run.digest
    assert not read.recovered
    return run


# ---------------------------------------------------------------- components that misbehave

FATAL = {
    Mode.RAISE: ("bad exited with status 1", "RuntimeError: a mistake in the component's own code"),
    Mode.EXIT0_EARLY: ("bad exited with status 0", "misbehaving at sequence"),
    Mode.HANG: (
        f"bad did not acknowledge sequence {{tick}} within {TIMEOUT_SECONDS:g} s",
        "misbehaving at sequence",
    ),
    Mode.SPIN: (
        f"bad did not acknowledge sequence {{tick}} within {TIMEOUT_SECONDS:g} s",
        "misbehaving at sequence",
    ),
    Mode.FLOOD_ORDERS: ("bad said 20000 things in one turn", "misbehaving at sequence"),
    Mode.WRONG_SEQUENCE: ("bad acknowledged sequence", "misbehaving at sequence"),
    Mode.ACK_TWICE: ("bad acknowledged sequence {tick}", "misbehaving at sequence"),
    Mode.GARBAGE_MESSAGE: ("bad sent what is no message of the protocol", "misbehaving at sequence"),
}


@pytest.mark.parametrize(("stage", "seed"), [(1, 11), (2, 12)])
@pytest.mark.parametrize("mode", FATAL)
def test_a_component_that_misbehaves_ends_the_run(place: Place, mode: Mode, stage: int, seed: int) -> None:
    tick = tick_of(seed, mode)
    is_silent = mode in (Mode.HANG, Mode.SPIN)
    begin = time.monotonic()
    done = run_with(place, mode, stage=stage, seed=seed, timeout=TIMEOUT_SECONDS if is_silent else 20)
    assert time.monotonic() - begin < 25 * slowness()
    assert done.status == 4, done.stderr
    found, last_line = FATAL[mode]
    first, *rest = done.stderr.splitlines()
    assert first.startswith("replay: failed: ")
    assert found.format(tick=tick) in first
    assert any(last_line in line for line in rest), done.stderr
    assert str(place.results / "run" / "logs" / "bad.log") in done.stderr
    assert "Traceback" not in done.stderr or mode is Mode.RAISE  # its own, in its last lines
    run = assert_readable(place, "failed")
    assert run.manifest["reason"] in first
    # The second of two acknowledgements may be met at the next tick.
    assert run.manifest["sequences"] in ((tick, tick + 1) if mode is Mode.ACK_TWICE else (tick,))
    assert re.search(rf"sequence {run.manifest['sequences']}\b", first) or mode is Mode.ACK_TWICE, first
    errors = [event for event in run.events() if event["level"] == "error"]
    assert errors, "every non-zero exit has an error in the log"
    exits = {c["name"]: c["exit_code"] for c in run.manifest["components"]}
    assert exits["bad"] == {Mode.RAISE: 1, Mode.EXIT0_EARLY: 0}.get(mode, exits["bad"])
    assert None not in exits.values()


def test_one_that_never_connects_ends_the_run(place: Place) -> None:
    done = run_with(place, Mode.NEVER_CONNECTS, stage=1, timeout=TIMEOUT_SECONDS)
    assert done.status == 4
    assert f"bad did not connect within {TIMEOUT_SECONDS:g} s" in done.stderr
    assert_readable(place, "failed")


def test_one_with_a_wrong_token_is_refused_and_ends_the_run(place: Place) -> None:
    done = run_with(place, Mode.WRONG_TOKEN, stage=1, timeout=TIMEOUT_SECONDS)
    assert done.status == 4
    assert "bad exited with status 1 before it connected" in done.stderr
    assert "refused" in done.stderr  # its own last words
    run = assert_readable(place, "failed")
    assert [event for event in run.events() if event["event"] == "stranger_refused"]


@pytest.mark.parametrize("mode", [Mode.FLOOD_OUTPUT, Mode.DOUBLE_FORK, Mode.FLOOD_ORDERS])
def test_what_harms_nobody_does_not_end_the_run(place: Place, mode: Mode) -> None:
    # Thousands of lines, a daemon left behind, thousands of orders in one turn.
    done = run_with(place, mode, stage=2, amount=3_000)
    assert done.status == 0, done.stderr
    run = assert_readable(place, "complete")
    if mode is Mode.FLOOD_OUTPUT:
        assert len(run.log("bad").splitlines()) == 3_001
    if mode is Mode.FLOOD_ORDERS:
        assert run.manifest["counts"]["orders"] > 3_000
    assert place.is_clean()


@pytest.mark.slow
def test_one_that_does_not_leave_at_the_end_is_killed_and_fails_the_run(place: Place) -> None:
    begin = time.monotonic()
    done = run_with(place, Mode.IGNORE_SIGTERM, stage=2)
    assert 7 <= time.monotonic() - begin < 25 * slowness()  # 5 s to leave, 2 s after SIGTERM
    assert done.status == 4
    assert "bad was killed by SIGKILL" in done.stderr
    run = Run(place.results / "run")
    assert run.status == "failed"
    assert run.manifest["sequences"] == 288


# ---------------------------------------------------------------- strangers


def test_a_stranger_is_refused_and_the_run_goes_on(place: Place) -> None:
    plain = place.run(place.config([thinker(), trader()]), "plain")
    running = launch(place, [thinker(), trader()], "--speed", "10000", end="2024-01-02")
    wait_for_sequence(place, "run", 5)
    live = json.loads((place.data / "run" / "live.json").read_text())
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(live["components_endpoint"])
        decoder = msgspec.msgpack.Decoder(OrchestratorMessage)
        hello = Hello(PROTOCOL_VERSION, "a guess", "trader", os.getpid())
        for words in (msgspec.msgpack.encode(hello), b"\xc1 no message at all", b""):
            socket.send(words)
            assert socket.poll(20_000)
            assert isinstance(decoder.decode(socket.recv()), Refused)
    assert place.replay("control", "run", "speed", "max").status == 0
    done = running.wait()
    assert done.status == 0, done.stderr
    run = assert_readable(place, "complete")
    assert run.digest == plain.digest
    refused = [event for event in run.events() if event["event"] == "stranger_refused"]
    assert len(refused) == 3
    assert {event["level"] for event in refused} == {"warning"}


def launch(
    place: Place, components: list[dict[str, Any]], *words: str, end: str = "2024-01-15", **more: Any
) -> Running:
    """Begin a run, by default of two weeks, which goes on until it is ended."""
    config = place.config(components, end=end, **more)
    words = ("--output-dir", str(place.results / "run"), "--quiet", *words)
    return place.launch("start", "--config", config, *words, environment=unmeasured(place))


# ---------------------------------------------------------------- interrupts


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_whole(place: Place, signum: signal.Signals) -> None:
    # Orders wait for volume, so that some are open at the end.
    busy = bot("busy", 2, "busy", seed=2, size=0.9)
    running = launch(place, [thinker(), trader(), busy], execution_model={"max_volume_pct": 0.01})
    wait_for_sequence(place, "run", 100)
    running.process.send_signal(signum)
    begin = time.monotonic()
    done = running.wait()
    assert time.monotonic() - begin < 10 * slowness()
    assert done.status == 130
    sequences = Run(place.results / "run").manifest["sequences"]
    assert done.stderr.startswith(f"replay: interrupted: interrupted at sequence {sequences}")
    run = assert_readable(place, "interrupted")
    assert 100 <= sequences < 14 * 288
    assert "interrupted" in {row["reason"] for row in run.rows("order_events.jsonl")}
    assert pq.read_table(run.directory / "equity.parquet").num_rows == sequences
    assert {c["exit_code"] for c in run.manifest["components"]} == {0}


@pytest.mark.parametrize("how", ["waiting for its pace", "paused", "stopped by control"])
def test_a_run_that_waits_is_interrupted_at_once(place: Place, how: str) -> None:
    speed = "1" if how == "waiting for its pace" else "30000"  # a tick is due after 5 minutes, or soon
    running = launch(place, [thinker(), trader()], "--speed", speed)
    wait_for_sequence(place, "run", 1)
    if how == "paused":
        assert place.replay("control", "run", "pause").status == 0
    begin = time.monotonic()
    if how == "stopped by control":
        assert place.replay("control", "run", "stop").status == 0
    else:
        running.process.send_signal(signal.SIGINT)
    assert running.wait().status == 130
    assert time.monotonic() - begin < 10 * slowness()  # the next tick is due in minutes, or never
    assert_readable(place, "interrupted")


def test_a_second_interrupt_kills_at_once(place: Place) -> None:
    running = launch(place, [thinker(), trader(), misbehaving("bad", 2, Mode.IGNORE_SIGTERM)])
    wait_for_sequence(place, "run", 30)
    running.process.send_signal(signal.SIGINT)
    assert wait_until(lambda: len(components_of(place)) == 1, 5)  # the others leave when they are told to
    assert running.process.poll() is None  # 5 s for the one that does not
    begin = time.monotonic()
    running.process.send_signal(signal.SIGINT)
    done = running.wait()
    assert time.monotonic() - begin < 4 * slowness()
    assert done.status == 130
    assert place.is_clean(1)
    run = assert_readable(place, "interrupted")
    assert {c["name"]: c["exit_code"] for c in run.manifest["components"]}["bad"] == -signal.SIGKILL


@pytest.mark.slow
def test_an_interrupt_does_not_wait_for_one_that_hangs(place: Place) -> None:
    running = launch(place, [thinker(), trader(), misbehaving("bad", 2, Mode.HANG, seed=3)])
    wait_for_sequence(place, "run", tick_of(3, Mode.HANG))
    running.process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    assert running.wait().status == 130
    assert time.monotonic() - begin < 15 * slowness()  # 2 s for the sequence, 5 s to leave, then SIGTERM
    assert_readable(place, "interrupted")


def test_an_interrupt_before_all_have_connected(place: Place) -> None:
    running = launch(place, [thinker(), trader(), misbehaving("bad", 2, Mode.NEVER_CONNECTS)])
    assert wait_until(lambda: len(components_of(place)) == 3)
    running.process.send_signal(signal.SIGINT)
    running.process.send_signal(signal.SIGINT)
    done = running.wait()
    assert done.status == 130
    run = assert_readable(place, "interrupted")
    assert run.manifest["sequences"] == 0


def components_of(place: Place) -> list[int]:
    """Return the components that live: what was started from here, but for the orchestrator and the guardian."""
    found = []
    for pid in place.processes():
        try:
            command = psutil.Process(pid).cmdline()
        except psutil.Error:
            continue
        if command and "orchestrator.cli.main" not in " ".join(command) and not is_guardian(command):
            found.append(pid)
    return found


def is_guardian(command: list[str]) -> bool:
    return any(word.endswith("guardian.py") for word in command)


# ---------------------------------------------------------------- deaths


@pytest.mark.parametrize("mode", [Mode.WELL_BEHAVED, Mode.SPIN, Mode.DOUBLE_FORK, Mode.IGNORE_SIGTERM])
def test_a_killed_orchestrator_leaves_nothing_behind(place: Place, mode: Mode) -> None:
    running = launch(place, [thinker(), trader(), misbehaving("bad", 2, mode, seed=4)])
    wait_for_sequence(place, "run", tick_of(4, mode) if mode is Mode.SPIN else 30)
    assert place.socket_files()
    os.kill(running.process.pid, signal.SIGKILL)
    assert running.wait().status == -signal.SIGKILL
    assert place.is_clean(2.0), (place.processes(), place.socket_files())
    assert open_run(place.results / "run").status == "interrupted"


def test_a_killed_run_can_be_read(place: Place) -> None:
    running = launch(place, [thinker(), trader()])
    wait_for_sequence(place, "run", 30)

    def has_rows() -> bool:  # written at least every second
        return len(open_run(place.results / "run").equity.sequences) > 0

    assert wait_until(has_rows)
    os.kill(running.process.pid, signal.SIGKILL)
    running.wait()
    run = open_run(place.results / "run")
    n_rows = len(run.equity.sequences)
    assert run.equity.sequences.tolist() == list(range(1, n_rows + 1))
    assert run.manifest.sequences == n_rows >= 30
    assert run.manifest.counts.fills == len(run.fills) > 0
    listed = place.replay("runs", "list")
    assert "interrupted" in listed.stdout
    shown = place.replay("runs", "show", "run")
    assert shown.status == 0
    assert "interrupted" in shown.stdout
    refused = place.replay("control", "run", "status")
    assert refused.status == 2
    assert "no replay is running" in refused.error_line
    again = place.replay(
        "start", "--config", place.results / "run" / "config.toml", "--end-date", "2024-01-01T06:00"
    )
    assert again.status == 0, again.stderr


def test_a_killed_guardian_ends_the_run(place: Place) -> None:
    running = launch(place, [thinker(), trader()])
    wait_for_sequence(place, "run", 30)
    guardians = [p for p in psutil.Process(running.process.pid).children() if is_guardian(p.cmdline())]
    guardians[0].kill()
    done = running.wait()
    assert done.status == 1
    assert done.stderr.startswith("replay: failed: ")
    assert place.is_clean()
    assert_readable(place, "failed")


def test_a_component_that_is_killed_ends_the_run(place: Place) -> None:
    running = launch(place, [thinker(), trader(), component("idle", 2, "python", "-c", IDLE)])
    wait_for_sequence(place, "run", 30)
    pid = int((place.results / "run" / "logs" / "idle.log").read_text())
    os.kill(pid, signal.SIGKILL)
    done = running.wait()
    assert done.status == 4
    assert "idle was killed by SIGKILL at sequence" in done.stderr
    assert_readable(place, "failed")


IDLE = """
import os
from components import connect
print(os.getpid(), flush=True)
with connect() as replay:
    for snapshot in replay.snapshots():
        pass
"""
