"""Each wrong input gets one line that says what is wrong, its exit status, and leaves no run behind."""

from __future__ import annotations

import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from orchestrator.config import parse_date_ns
from orchestrator.market.synthetic import synthesize
from tests.replay.running import REPLAY, Finished, Place, Run, component, thinker, trader, unmeasured

USAGE, DATA, FAILED = 2, 3, 1


class Case(NamedTuple):
    """A command line (after `replay start` unless it begins with another command), and what it says."""

    words: str
    status: int
    says: tuple[str, ...]


DATES = "--start-date 2024-01-01 --end-date 2024-01-02"
WHOLE = f"start {DATES} --coins BTC,ETH"

CASES = {
    "unknown coin": Case(f"start {DATES} --coins BTC,DOGGE", DATA, ("DOGGE", "did you mean DOGE?", "BTC")),
    "coin that is none": Case(f"start {DATES} --coins BTC-USD", USAGE, ("'BTC-USD'", "BTC,ETH,DOGE")),
    "coin named twice": Case(f"start {DATES} --coins BTC,ETH,BTC", USAGE, ("BTC more than once",)),
    "no coins": Case(f"start {DATES}", USAGE, ("coins is missing", "--coins")),
    "no dates": Case("start --coins BTC", USAGE, ("start_date is missing", "--start-date")),
    "reversed dates": Case(
        "start --start-date 2024-01-02 --end-date 2024-01-01 --coins BTC", USAGE, ("2024-01-01", "not after")
    ),
    "same dates": Case("start --start-date 2024-01-02 --end-date 2024-01-02 --coins BTC", USAGE, ("not after",)),
    "date that is none": Case(
        "start --start-date 2024-02-30 --end-date 2024-03-02 --coins BTC", USAGE, ("'2024-02-30'", "2024-01-31")
    ),
    "dates before the data": Case(
        "start --start-date 2023-01-01 --end-date 2023-02-01 --coins BTC",
        DATA, ("outside the data", "2023-12-28", "2024-01-20", "--start-date"),
    ),
    "dates that reach beyond the data": Case(
        "start --start-date 2024-01-10 --end-date 2024-02-01 --coins BTC",
        DATA, ("outside the data", "2023-12-28", "2024-01-20", "--end-date"),
    ),
    "timeframe that is not cached": Case(f"{WHOLE} --timeframe 1m", DATA, ("1m is not cached", "5m")),
    "timeframe that is none": Case(f"{WHOLE} --timeframe 5x", USAGE, ("'5x'", "1h")),
    "unknown exchange": Case(f"{WHOLE} --exchange binanse", DATA, ("binanse", "synthetic")),
    "speed 0": Case(f"{WHOLE} --speed 0", USAGE, ("speed '0'", "max")),
    "speed below 0": Case(f"{WHOLE} --speed -3", USAGE, ("speed '-3'", "max")),
    "speed that is none": Case(f"{WHOLE} --speed fast", USAGE, ("speed 'fast'", "max")),
    "no cash": Case(f"{WHOLE} --initial-cash 0", USAGE, ("initial_cash 0", "above 0")),
    "cash that is no number": Case(f"{WHOLE} --initial-cash much", USAGE, ("'much'",)),
    "seed that is no number": Case(f"{WHOLE} --seed x", USAGE, ("'x'", "--seed")),
    "negative seed": Case(f"{WHOLE} --seed -1", USAGE, ("seed -1", "from 0")),
    "no time for components": Case(f"{WHOLE} --component-timeout 0", USAGE, ("component_timeout 0", "above 0")),
    "--max-gap without --gaps stale": Case(f"{WHOLE} --max-gap 30m", USAGE, ("max_gap", "--gaps stale")),
    "unknown policy": Case(f"{WHOLE} --gaps ignore", USAGE, ("'ignore'", "stale")),
    "unknown flag": Case(f"{WHOLE} --sped 3", USAGE, ("--sped", "--speed")),
    "unknown command": Case("strat", USAGE, ("strat", "replay --help")),
    "word too many": Case(f"{WHOLE} BTC", USAGE, ("BTC", "--help")),
    "no such command": Case(f"{WHOLE} --trader no_such_bot", USAGE, ("--trader", "'no_such_bot'", "PATH")),
    "no such script": Case(f"{WHOLE} --trader 'python my_bot.py'", USAGE, ("--trader", "'my_bot.py'")),
    "script without its interpreter": Case(f"{WHOLE} --thinker bot.py", USAGE, ("--thinker", "python bot.py")),
    "open quotes": Case(f"{WHOLE} --trader \"'python\"", USAGE, ("--trader", "quotes")),
    "empty command": Case(f"{WHOLE} --trader ''", USAGE, ("--trader is empty", "python")),
    "no such configuration": Case("start --config nowhere.toml", USAGE, ("nowhere.toml", "replay new")),
    "unknown run to verify": Case("verify nothing", USAGE, ("nothing", "replay runs list")),
    "unknown run to show": Case("runs show nothing", USAGE, ("nothing", "replay runs list")),
    "unknown run to remove": Case("runs remove nothing", USAGE, ("nothing", "replay runs list")),
    "nothing to watch": Case("watch", USAGE, ("no replay is running", "replay start")),
    "nothing to control": Case("control nothing pause", USAGE, ("no replay is running", "replay start")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_command_line_gets_one_line(place: Place, name: str) -> None:
    case = CASES[name]
    done = place.call(*shlex.split(case.words))
    assert done.status == case.status, done.stderr
    assert_says(done, *case.says)
    assert_nothing_was_run(place)


def assert_says(done: Finished, *says: str) -> None:
    line = done.error_line
    for words in says:
        assert words in line, line
    assert "Traceback" not in line
    assert done.stdout == ""


def assert_nothing_was_run(place: Place) -> None:
    assert list(place.results.iterdir()) == []
    assert list(place.data.iterdir()) == []


def test_without_any_data(empty_place: Place) -> None:
    done = empty_place.call(*shlex.split(WHOLE))
    assert done.status == DATA
    assert_says(done, "no market data", "replay data import", "replay data synth")
    assert_nothing_was_run(empty_place)


def test_gaps_are_refused_with_the_flags_that_accept_them(empty_place: Place) -> None:
    start_ns, end_ns = parse_date_ns("2024-01-01"), parse_date_ns("2024-01-03")
    synthesize(empty_place.cache, coins=("BTC",), start_ns=start_ns, end_ns=end_ns, gaps=3)
    words = shlex.split(f"start {DATES} --coins BTC")
    done = empty_place.call(*words)
    assert done.status == DATA
    assert_says(done, "gap", "BTC", "--gaps stale")
    assert_nothing_was_run(empty_place)
    flags = re.search(r"--gaps stale --max-gap \S+", done.stderr)
    assert flags is not None
    accepted = empty_place.replay(
        *words, *flags[0].split(), "--quiet", "--output-dir", empty_place.results / "run"
    )
    assert accepted.status == 0, accepted.stderr
    shorter = empty_place.call(*words, "--gaps", "stale", "--max-gap", "1m")
    assert shorter.status == DATA
    assert_says(shorter, "longer than 1m", flags[0])


# ---------------------------------------------------------------- replay.toml

SOUND = """
start_date = 2024-01-01
end_date = 2024-01-02
coins = ["BTC", "ETH"]
"""

TOMLS = {
    "misspelt key": ("sead = 3", ("unknown key sead", "did you mean seed?")),
    "misspelt key of a section": (
        "[execution_model]\nslipage_bps = 3", ("execution_model.slipage_bps", "did you mean slippage_bps?")
    ),
    "unknown section": ("[exchanges]\nname = 'x'", ("unknown key exchanges",)),
    "misspelt key of a component": (
        '[[component]]\nname = "x"\ncomand = ["x"]', ("comand", "did you mean command?")
    ),
    "wrong kind": ('seed = "seven"', ("seed must be a whole number",)),
    "syntax": ("seed = = 7", ("not valid TOML", "line")),
    "key twice": ("seed = 7\nseed = 8", ("not valid TOML",)),
    "latency 0": ("[execution_model]\nlatency_ms = [0, 500]", ("latency_ms [0, 500]", "0 < low")),
    "reversed latency": ("[execution_model]\nlatency_ms = [500, 50]", ("latency_ms [500, 50]",)),
    "not a number": ("[execution_model]\nslippage_bps = nan", ("slippage_bps", "finite")),
    "no volume": ("[execution_model]\nmax_volume_pct = 0", ("max_volume_pct 0", "above 0")),
    "key without effect": (
        '[execution_model]\nliquidity_model = "unlimited"\nmax_volume_pct = 2', ("max_volume_pct has no effect",)
    ),
    "unknown model": ('[execution_model]\nlatency_model = "none"', ("latency_model", "none")),
    "instrument of no coin": ("[instrument.SOL]\ntick_size = 0.1", ("instrument.SOL has no effect", "BTC, ETH")),
    "tick size 0": ("[instrument.BTC]\ntick_size = 0", ("instrument.BTC.tick_size",)),
    "component without a command": ('[[component]]\nname = "x"\ncommand = []', ("x has an empty command",)),
    "two of a name": (
        '[[component]]\nname = "x"\ncommand = ["true"]\n[[component]]\nname = "x"\ncommand = ["true"]',
        ("'x' is used twice",),
    ),
    "name that is none": ('[[component]]\nname = "../x"\ncommand = ["true"]', ("'../x'",)),
    "stage 0": ('[[component]]\nname = "x"\ncommand = ["true"]\nstage = 0', ("stage 0", "1 to 99")),
    "no such command": ('[[component]]\nname = "x"\ncommand = ["no_such_bot"]', ("component x", "'no_such_bot'")),
}  # fmt: skip


@pytest.mark.parametrize("name", TOMLS)
def test_a_wrong_configuration_gets_one_line(place: Place, name: str) -> None:
    text, says = TOMLS[name]
    config = place.root / "replay.toml"
    config.write_text(SOUND + text)
    done = place.call("start", "--config", config)
    assert done.status == USAGE, done.stderr
    assert_says(done, *says)
    assert_nothing_was_run(place)


def test_a_configuration_that_is_no_text(place: Place) -> None:
    config = place.root / "replay.toml"
    config.write_bytes(b"\xff\xfe\x00")
    done = place.call("start", "--config", config)
    assert done.status == USAGE
    assert_says(done, "replay.toml", "cannot be read")


# ---------------------------------------------------------------- where a run may stand


@pytest.mark.parametrize("where", ["below a file", "on a file"])
def test_an_output_directory_that_cannot_be(place: Place, where: str) -> None:
    file = place.root / "file"
    file.write_text("mine")
    directory = file / "run" if where == "below a file" else file
    done = place.call(*shlex.split(WHOLE), "--quiet", "--output-dir", directory)
    assert done.status == USAGE
    assert_says(done, str(file), "--output-dir")
    assert file.read_text() == "mine"
    assert_nothing_was_run(place)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_directory_without_leave_to_write(place: Place) -> None:
    folder = place.root / "theirs"
    folder.mkdir(mode=0o500)
    done = place.call(*shlex.split(WHOLE), "--quiet", "--output-dir", folder / "run")
    assert done.status == USAGE
    assert_says(done, str(folder), "--output-dir")


def test_a_run_is_never_overwritten(place: Place) -> None:
    directory = place.results / "run"
    directory.mkdir()
    (directory / "mine").write_text("mine")
    done = place.call(*shlex.split(WHOLE), "--quiet", "--output-dir", directory)
    assert done.status == USAGE
    assert_says(done, str(directory), "already exists", "--output-dir")
    assert [path.name for path in directory.iterdir()] == ["mine"]


# ---------------------------------------------------------------- a disk that is full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a file system of 1 MiB."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("mount is not installed")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not permitted here")
    yield folder
    subprocess.run([umount, "-l", folder], check=True)


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


def loud_config(place: Place) -> Path:
    """Return a run whose signals alone are some megabytes."""
    loud = component("loud", 1, "python", "-c", LOUD)
    return place.config([loud], end="2024-01-05")


LOUD = """
from components import connect
with connect() as replay:
    for snapshot in replay.snapshots():
        replay.signal("BTC", words="x" * 5_000)
"""


@pytest.mark.parametrize("how", ["disk", "limit"])
def test_a_full_disk_ends_a_run_with_one_line(place: Place, request: pytest.FixtureRequest, how: str) -> None:
    # A limit on file size is the full disk of those who may not mount one.
    config = loud_config(place)
    assert (
        place.call("start", "--config", config, "--dry-run").status == 0
    )  # maps the candles, which takes space
    words: tuple[str, ...] = ("start", "--config", str(config), "--quiet", "--output-dir")
    prepare: Callable[[], None] | None = None
    directory = place.results / "run"
    if how == "disk":
        directory = request.getfixturevalue("small_disk") / "run"
    else:
        prepare = limit_files
    done = subprocess.run(
        [*REPLAY, *words, str(directory)],
        capture_output=True, text=True, timeout=200, check=False, cwd=place.root, env=unmeasured(place),
        preexec_fn=prepare,
    )  # fmt: skip
    assert done.returncode == FAILED, done.stderr
    line = Finished(done.returncode, "", done.stderr).error_line
    assert "the disk is full" in line
    assert "make room" in line
    run = Run(directory)
    assert run.status == "failed"
    assert "the disk is full" in run.manifest["reason"]
    assert all(line.startswith(b"{") and line.endswith(b"}") for line in run.lines("signals.jsonl"))
    assert place.is_clean()


def test_a_disk_that_is_full_from_the_start(place: Place, small_disk: Path) -> None:
    with (small_disk / "fill").open("wb") as file:
        try:
            while True:
                file.write(bytes(65_536))
                file.flush()
        except OSError:
            pass
    done = place.call(*shlex.split(WHOLE), "--quiet", "--output-dir", small_disk / "run")
    assert done.status == FAILED
    assert_says(done, "the disk is full", "no run was started")
    assert not (small_disk / "run").exists()


# ---------------------------------------------------------------- mistakes that are none


def test_flags_win_over_the_file_and_the_plan_can_be_looked_at(place: Place) -> None:
    config = place.config([thinker(), trader()])
    dry = place.call(
        "start", "--config", config, "--dry-run", "--end-date", "2024-01-01T06:00", "--seed", "9"
    )
    assert dry.status == 0, dry.stderr
    assert "72 sequences" in dry.stdout
    assert "seed 9" in dry.stdout
    shown = place.call("start", "--config", config, "--show-config", "--seed", "9")
    assert shown.status == 0
    again = place.root / "again.toml"
    again.write_text(shown.stdout)
    assert place.call("start", "--config", again, "--show-config").stdout == shown.stdout
    assert "seed = 9" in shown.stdout
    assert_nothing_was_run(place)


def test_nothing_runs_without_the_loop_being_entered(place: Place) -> None:
    done = place.replay(*shlex.split(WHOLE), "--quiet", "--trader", f"{sys.executable} -c 'print(1)'")
    assert done.status == 4
    first, *_ = done.stderr.splitlines()
    assert "trader exited with status 0 before it connected" in first
