"""Threads of a bot run one at a time, in an order that is determined; so does what they do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bot.programs import run_in_replay

ORDER = """
import json, queue, sys, threading, time
sys.setswitchinterval(1e-6)
began, log, tasks = time.time(), [], queue.Queue()
def note(*what):
    log.append([round(time.time() - began, 3), *what])
def sleeper(name, seconds, times):
    for turn in range(times):
        time.sleep(seconds)
        note(name, turn)
def consumer(name):
    while (task := tasks.get()) is not None:
        note(name, task)
        time.sleep(5)
threads = [threading.Thread(target=sleeper, args=a) for a in (("a", 10, 3), ("b", 10, 3), ("c", 15, 2))]
threads += [threading.Thread(target=consumer, args=(name,)) for name in "xy"]
for thread in threads: thread.start()
for task in range(4): tasks.put(task)
time.sleep(20)
note("main")
for _ in "xy": tasks.put(None)
for thread in threads: thread.join()
print(json.dumps(log))
"""

# Of those that are due at one time, who began to wait first runs first: `main` has slept since 0, `a` since 10.
EXPECTED = [
    [0.0, "x", 0], [0.0, "y", 1], [5.0, "x", 2], [5.0, "y", 3], [10.0, "a", 0], [10.0, "b", 0], [15.0, "c", 0],
    [20.0, "main"], [20.0, "a", 1], [20.0, "b", 1], [30.0, "c", 1], [30.0, "a", 2], [30.0, "b", 2],
]  # fmt: skip


def test_threads_run_in_the_order_in_which_they_became_runnable(tmp_path: Path) -> None:
    assert run_in_replay(tmp_path, ORDER).value == EXPECTED


RACES = """
import json, sys, threading, time
sys.setswitchinterval(1e-6)
total, log, lock = 0, [], threading.Lock()
def work(name):
    global total
    for turn in range(30):
        seen = total
        sum(range(200))            # natively another thread would come in between, at times
        total = seen + 1
        if turn % 10 == 9:
            with lock:
                log.append([name, total])
                time.sleep(0.1)
threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]
for t in threads: t.start()
for t in threads: t.join()
ended = [t.is_alive() for t in threads]
print(json.dumps([total, log, ended, time.time()]))
"""


def test_twenty_runs_are_the_same(tmp_path: Path) -> None:
    program = ORDER + RACES
    first = run_in_replay(tmp_path, program)
    calls = [_without_pid(call) for call in first.calls]
    for number in range(19):
        folder = tmp_path / str(number)
        folder.mkdir()
        again = run_in_replay(folder, program)
        assert again.output == first.output
        assert [_without_pid(call) for call in again.calls] == calls


def _without_pid(call: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in call.items() if key != "pid"}


def test_an_update_that_is_not_protected_is_never_lost(tmp_path: Path) -> None:
    total, _, ended, _ = run_in_replay(tmp_path, RACES).value
    assert total == 150
    assert not any(ended)


ENDS = {
    "threads_left": (
        """
        import threading, time
        def work():
            time.sleep(3600)
            print("worked", end="")
        threading.Thread(target=work).start()
        print("main ", end="")
        """,
        "main worked",
    ),
    "daemons_left": (
        """
        import threading, time
        def work():
            time.sleep(3600)
            print("worked", end="")
        threading.Thread(target=work, daemon=True).start()
        time.sleep(1)
        print("main", end="")
        """,
        "main",
    ),
    "executor_with_work_left": (
        """
        import time
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(1)
        for n in range(3):
            pool.submit(lambda n=n: (time.sleep(60), print(n, end="")))
        """,
        "012",
    ),
    "exit_handler_that_sleeps": (
        """
        import atexit, time
        began = time.time()
        atexit.register(lambda: (time.sleep(60), print(round(time.time() - began), end="")))
        """,
        "60",
    ),
    "thread_that_waits_for_main": (
        """
        import threading
        main = threading.current_thread()
        threading.Thread(target=lambda: (main.join(), print("joined", end=""))).start()
        print("main ", end="")
        """,
        "main joined",
    ),
}  # name: a program, and what it prints until its end


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_a_program(end: str, tmp_path: Path) -> None:
    program, printed = ENDS[end]
    ended = run_in_replay(tmp_path, program)
    assert (ended.status, ended.output, ended.errors) == (0, printed, "")


REQUESTS = """
import json, sys, threading, time
from _replay_shim import virtual
import gc
clock = next(o for o in gc.get_objects() if type(o).__name__ == "Clock")
began = clock.now_ns()
log = []
def ask(name):
    for _ in range(2):
        reply, body = clock.call({"op": "http", "client": "test", "method": "GET", "url": "https://x/"}, b"")
        log.append([name, reply["status"], (clock.now_ns() - began) // 1_000_000])
def sleep():
    for _ in range(3):
        time.sleep(0.03)
        log.append(["sleeper", (clock.now_ns() - began) // 1_000_000])
threads = [threading.Thread(target=ask, args=(n,)) for n in "ab"] + [threading.Thread(target=sleep)]
for t in threads: t.start()
for t in threads: t.join()
print(json.dumps(log))
"""


def test_other_threads_go_on_while_one_waits_for_an_answer(tmp_path: Path) -> None:
    # A request takes 50 ms of its thread's time, and none of the others'.
    ended = run_in_replay(tmp_path, REQUESTS)
    assert ended.value == [
        ["sleeper", 30], ["a", 404, 50], ["b", 404, 50], ["sleeper", 60], ["sleeper", 90],
        ["a", 404, 100], ["b", 404, 100],
    ]  # fmt: skip
    times = [call["t"] for call in ended.calls if "t" in call]
    assert times == sorted(times)


def test_timers_that_were_never_needed_do_not_pile_up(tmp_path: Path) -> None:
    program = """
    import gc, json, queue, threading
    given, taken = queue.Queue(), queue.Queue()
    def serve():
        while given.get(timeout=86_400) is not None: taken.put(1)
    threading.Thread(target=serve).start()
    for _ in range(3_000):
        given.put(1)
        taken.get(timeout=86_400)
    given.put(None)
    baton = next(o for o in gc.get_objects() if type(o).__name__ == "Baton")
    print(json.dumps(len(baton._timers)))
    """
    assert run_in_replay(tmp_path, program).value < 600
