"""The clocks of a bot begin where the orchestrator says, and are told by time-machine's extension."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from components.bot import INJECT_FOLDER
from tests.bot.fake_orchestrator import SECOND_NS, START_NS
from tests.bot.programs import run_in_replay

START = START_NS / SECOND_NS


def test_the_extension_is_the_version_that_was_looked_at() -> None:
    # Its extension finds its traveller as `time_machine.traveller_stack[-1]` and calls `time_ns()`: that is its own
    # affair, and a new version may do otherwise. The shim finds out by itself; here it is pinned.
    version = importlib.metadata.version("time-machine")
    assert version.startswith("3.6."), f"look at how version {version} asks for the time, then pin it here"


def test_where_the_clocks_begin_and_what_a_read_takes(tmp_path: Path) -> None:
    program = """
    import json, time, datetime
    reads = [time.time_ns(), time.time_ns(), round(time.time() * 1e9), time.monotonic_ns(), time.perf_counter_ns()]
    cpu = [time.process_time_ns(), time.process_time_ns(), time.thread_time_ns()]
    print(json.dumps([reads, cpu, datetime.datetime.now().isoformat(), time.ctime(), time.strftime("%F %T")]))
    """
    reads, cpu, now, ctime, stamp = run_in_replay(tmp_path, program).value
    assert reads[:2] == [START_NS + 1_000, START_NS + 2_000]
    assert abs(reads[2] - START_NS - 3_000) < 500  # what a float can tell
    day = 86_400 * SECOND_NS
    assert reads[3:] == [day + 4_000, day + 5_000]
    assert cpu == [1_000, 2_000, 3_000]
    assert now == "2024-01-01T00:00:00.000006"
    assert (ctime, stamp) == ("Mon Jan  1 00:00:00 2024", "2024-01-01 00:00:00")


def test_names_that_were_bound_before_the_shim(tmp_path: Path) -> None:
    # Whatever a `.pth` file imports is there before the shim; here it is imported by a file in its place.
    (tmp_path / "early.py").write_text(
        "from time import time, time_ns, sleep, monotonic, localtime\nfrom threading import Lock, RLock\n"
        "from datetime import datetime\nfrom os import urandom\nnow = datetime.now\n"
    )
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'early' not in sys.modules:\n"
        "    import early, runpy\n"
        f"    runpy.run_path({str(INJECT_FOLDER / 'sitecustomize.py')!r})\n"
    )
    program = """
    import early, json, _replay_shim
    before = early.monotonic()
    early.sleep(10)
    lock, nested = early.Lock(), early.RLock()
    with lock, nested:
        print(json.dumps([
            early.time(), early.time_ns(), early.now().isoformat(), early.localtime().tm_year,
            early.monotonic() - before, lock.acquire(timeout=5), early.time(), early.urandom(3).hex(),
        ]))
    """
    path = {"PYTHONPATH": f"{tmp_path}:{INJECT_FOLDER}"}
    first, again = (run_in_replay(tmp_path, program, environment=path) for _ in range(2))
    seconds, ns, stamp, year, passed, is_taken, later, chance = first.value
    assert (seconds, ns) == (START + 10.000002, START_NS + 10_000_003_000)
    assert (stamp, year) == ("2024-01-01T00:00:10.000004", 2024)
    assert passed == pytest.approx(10, abs=0.0001)
    assert not is_taken
    assert later == pytest.approx(seconds + 5, abs=0.0001)
    assert again.value[-1] == chance


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("raise ImportError('no such file')", "install"),
        ("def patch(): pass", "install version 3.6"),
        (
            "import time\ndef patch():\n    def old(): return sys.time_machine_of_old()\n    time.time_ns = old",
            "3.6",
        ),
    ],
)
def test_without_a_fitting_time_machine_no_bot_runs(fault: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "_time_machine.py").write_text("import sys\n" + fault)
    path = {"PYTHONPATH": f"{INJECT_FOLDER}:{tmp_path}"}
    ended = run_in_replay(tmp_path, "print('ran')", environment=path)
    assert (ended.status, ended.output) == (70, "")
    assert told in ended.errors
    assert ended.errors.count("\n") == 1
