"""Bursts of turns after each tick, and sleeps that need no message."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.bot.fake_orchestrator import MINUTE_NS, SECOND_NS, START_NS, wait_for_call
from tests.bot.programs import run_in_replay, started

LOOP = """
import json, time
began, seconds = time.time(), []
for _ in range(8):
    seconds.append(round(time.time() - began, 3))
    time.sleep({sleep})
print(json.dumps(seconds))
"""


def turns(folder: Path, program: str, **hello: Any) -> Any:
    """Return at which seconds a program took its turns."""
    return run_in_replay(folder, textwrap.dedent(program), hello=hello).value


@pytest.mark.parametrize(
    ("burst", "phase_seconds", "sleep", "expected"),
    [
        (None, 0, 10, [0, 10, 20, 30, 40, 50, 60, 70]),
        (1, 0, 10, [0, 60, 120, 180, 240, 300, 360, 420]),
        (3, 0, 10, [0, 10, 20, 60, 70, 80, 120, 130]),
        (3, 5, 10, [0, 10, 20, 65, 75, 85, 125, 135]),
        (2, 0, 0.5, [0, 0.5, 60, 60.5, 120, 120.5, 180, 180.5]),
        (2, 0, 45, [0, 45, 120, 165, 240, 285, 360, 405]),  # no sleep is shorter than asked
        (2, 0, 60, [0, 60, 120, 180, 240, 300, 360, 420]),  # as long as a tick: not counted
        (2, 0, 90, [0, 90, 180, 270, 360, 450, 540, 630]),
        (2, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_sleeps(
    burst: int | None, phase_seconds: int, sleep: float, expected: list[float], tmp_path: Path
) -> None:
    found = turns(tmp_path, LOOP.format(sleep=sleep), burst=burst, phase_ns=phase_seconds * SECOND_NS)
    assert found == pytest.approx(expected, abs=0.002)


def test_nothing_is_counted_while_orders_are_open(tmp_path: Path) -> None:
    ended = run_in_replay(tmp_path, LOOP.format(sleep=10), hello={"burst": 1}, open_orders=True)
    assert ended.value == pytest.approx([0, 10, 20, 30, 40, 50, 60, 70], abs=0.001)


LIBRARY = """
import time
def throttle(): time.sleep(10)
"""
CALLS_LIBRARY = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
import library
began, seconds = time.time(), []
for _ in range(4):
    seconds.append(round(time.time() - began, 3))
    library.throttle()
print(json.dumps(seconds))
"""


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("outside", [0, 10, 20, 30]),
        ("bot/venv/lib/python3.11/site-packages", [0, 10, 20, 30]),
        ("bot/lib", [0, 60, 120, 180]),
    ],
)
def test_only_sleeps_of_the_bots_own_files_are_turns(
    place: str, expected: list[float], tmp_path: Path
) -> None:
    bot, folder = tmp_path / "bot", tmp_path / place
    folder.mkdir(parents=True)
    bot.mkdir(exist_ok=True)
    (folder / "library.py").write_text(LIBRARY)
    ended = run_in_replay(bot, CALLS_LIBRARY, str(folder), hello={"burst": 1, "folder": str(bot)})
    assert ended.value == pytest.approx(expected, abs=0.001)


WAYS = {
    "event": "threading.Event().wait(10)",
    "queue": "try: queue.Queue().get(timeout=10)\n    except queue.Empty: pass",
    "select": "select.select([], [], [], 10)",
    "from time import sleep": "sleep(10)",
    "in a function of the standard library": "list(map(time.sleep, [10]))",
    "in exec": "exec('time.sleep(10)')",
    "condition": "c = threading.Condition()\n    with c: c.wait(10)",
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_pause_is_a_turn(way: str, tmp_path: Path) -> None:
    program = (
        "import json, queue, select, threading, time\nfrom time import sleep\nbegan, seconds = time.time(), []\n"
        f"for _ in range(4):\n    seconds.append(round(time.time() - began, 2))\n    {WAYS[way]}\n"
        "print(json.dumps(seconds))"
    )
    assert turns(tmp_path, program, burst=2) == [0, 10, 60, 70]


def test_threads_have_turns_of_their_own(tmp_path: Path) -> None:
    program = """
    import json, threading, time
    began, log = time.time(), {}
    def work(name, pause):
        for _ in range(4):
            log.setdefault(name, []).append(round(time.time() - began, 2))
            time.sleep(pause)
    threads = [threading.Thread(target=work, args=a) for a in (("a", 10), ("b", 7))]
    for t in threads: t.start()
    for t in threads: t.join()
    print(json.dumps(log))
    """
    assert turns(tmp_path, program, burst=2) == {"a": [0, 10, 60, 70], "b": [0, 7, 60, 67]}


def test_a_wait_that_is_woken_is_no_turn_and_not_delayed(tmp_path: Path) -> None:
    program = """
    import json, queue, threading, time
    began, seconds, tasks = time.time(), [], queue.Queue()
    def give():
        for n in range(4):
            time.sleep(65)     # longer than a tick
            tasks.put(n)
    threading.Thread(target=give).start()
    while len(seconds) < 4:
        try:
            tasks.get(timeout=30)
            seconds.append(round(time.time() - began, 2))
        except queue.Empty:
            pass
    print(json.dumps(seconds))
    """
    assert turns(tmp_path, program, burst=1) == [65, 130, 195, 260]


def test_tasks_have_turns_of_their_own_and_their_loop_has_none(tmp_path: Path) -> None:
    program = """
    import asyncio, json, time
    began, log = time.time(), {}
    async def work(name, pause):
        for _ in range(4):
            log.setdefault(name, []).append(round(time.time() - began, 2))
            await asyncio.sleep(pause)
    async def main():
        await asyncio.gather(work("a", 10), work("b", 7))
        log["later"] = await asyncio.sleep(0, "value")
    asyncio.run(main())
    print(json.dumps(log))
    """
    expected = {"a": [0, 10, 60, 70], "b": [0, 7, 60, 67], "later": "value"}
    assert turns(tmp_path, program, burst=2) == expected


def test_sleeps_within_the_horizon_need_no_message(tmp_path: Path) -> None:
    # Sleeps of 10 seconds; each message lets the process go on for five minutes more.
    program = "import time\nfor _ in range(60): time.sleep(10)"
    ended = run_in_replay(tmp_path, program, horizon_ns=5 * MINUTE_NS)
    asked = [call["until"] - START_NS for call in ended.calls if call["op"] == "sleep"]
    assert asked == pytest.approx([310 * SECOND_NS], abs=1e6)


def test_threads_within_the_horizon_need_no_message(tmp_path: Path) -> None:
    program = """
    import threading, time
    def work(pause):
        for _ in range(20): time.sleep(pause)
    for pause in (1, 2, 3): threading.Thread(target=work, args=(pause,)).start()
    """
    ended = run_in_replay(tmp_path, program, horizon_ns=59 * SECOND_NS)
    assert [call["op"] for call in ended.calls] == ["hello", "sleep"]


def test_a_wait_without_end_is_asked_for_as_such(tmp_path: Path) -> None:
    program = """
    import threading, time
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    time.sleep(1)
    threading.Event().wait()
    """
    with started(tmp_path, program) as (process, orchestrator):
        wait_for_call(orchestrator, "sleep", 2)
        assert [call["until"] for call in orchestrator.of("sleep")] == [START_NS + SECOND_NS, None]
        assert process.poll() is None


def test_answers_from_the_own_cache_cost_their_latency_and_are_counted(tmp_path: Path) -> None:
    program = """
    import gc, json, time
    clock = next(o for o in gc.get_objects() if type(o).__name__ == "Clock")
    began = clock.now_ns()
    for _ in range(30):
        clock.advance_ns(clock.latency_ns)
        clock.count_hit("GET https://x/")
    passed = clock.now_ns() - began
    time.sleep(10)
    print(json.dumps(passed))
    """
    ended = run_in_replay(tmp_path, program, horizon_ns=SECOND_NS)
    assert ended.value == pytest.approx(30 * 50_000_000, abs=1_000)
    first, last = [call for call in ended.calls if call["op"] == "sleep"]
    assert first["until"] - START_NS == pytest.approx(
        1.05 * SECOND_NS, abs=1_000
    )  # past the horizon: it asks
    assert first["hits"]["GET https://x/"] + last["hits"]["GET https://x/"] == 30


@pytest.mark.parametrize("is_charged", [False, True])
def test_cpu_time_is_free_unless_it_is_charged(is_charged: bool, tmp_path: Path) -> None:
    program = """
    import json, time
    began = time.time()
    sum(range(5_000_000))
    worked = time.time() - began
    time.sleep(1)
    print(json.dumps([worked > 0.001, time.time() - began - worked]))
    """
    worked, slept = turns(tmp_path, program, charge_cpu=is_charged)
    assert worked == is_charged
    assert slept == pytest.approx(1, abs=0.1)


SPINS = {
    "sleep": "time.sleep(0)",
    "select": "select.select([], [], [], 0)",
    "asyncio": "loop.run_until_complete(asyncio.sleep(0))",
}


@pytest.mark.parametrize("spin", SPINS)
def test_who_looks_and_never_waits_lets_others_run(spin: str, tmp_path: Path) -> None:
    program = (
        "import asyncio, json, select, threading, time\nloop = asyncio.new_event_loop()\nseen = []\n"
        "threading.Thread(target=lambda: (time.sleep(0), seen.append(1))).start()\n"
        f"for _ in range(5000):\n    {SPINS[spin]}\nprint(json.dumps([seen, time.time()]))"
    )
    ended = run_in_replay(tmp_path, program)
    seen, now = ended.value
    asked = [call for call in ended.calls if call["op"] == "sleep"]
    assert seen == [1]
    assert 0.005 <= now - START_NS / SECOND_NS < 0.1
    assert 4 <= len(asked) < 100
