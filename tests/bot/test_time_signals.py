"""A bot that sleeps in simulated time hears signals as it would natively."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.bot.fake_orchestrator import Message, wait_for_call
from tests.bot.programs import run_in_replay, started

SECONDS = 20.0


def sleeps(call: Message) -> bool:
    return bool(call["op"] == "sleep")


def interrupted(
    folder: Path, program: str, number: int, *, asleep: int = 1, **settings: Any
) -> tuple[int, str, str]:
    """Send a signal to a program that waits for the orchestrator; return how it ended."""
    with started(folder, program, is_held=sleeps, **settings) as (process, orchestrator):
        wait_for_call(orchestrator, "sleep", asleep)
        process.send_signal(number)
        output, errors = process.communicate(timeout=SECONDS)
        return process.returncode, output, errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_without_a_handler_kills(number: int, tmp_path: Path) -> None:
    assert interrupted(tmp_path, "import time\ntime.sleep(3600)", number) == (-number, "", "")


WAITS = {
    "sleep": "time.sleep(3600)",
    "event": "threading.Event().wait()",
    "join": "t = threading.Thread(target=time.sleep, args=(3600,), daemon=True); t.start(); t.join()",
    "queue": "queue.Queue().get(timeout=3600)",
    "select": "select.select([], [], [], 3600)",
    "lock": "a = threading.Lock(); a.acquire(); a.acquire()",
    "asyncio": "asyncio.run(asyncio.sleep(3600))",
}


@pytest.mark.parametrize("wait", WAITS)
def test_keyboard_interrupt_ends_a_wait(wait: str, tmp_path: Path) -> None:
    program = (
        "import asyncio, queue, select, threading, time\n"
        f"try:\n    {WAITS[wait]}\nexcept KeyboardInterrupt:\n    print('interrupted', end='')"
    )
    assert interrupted(tmp_path, program, signal.SIGINT) == (0, "interrupted", "")


@pytest.mark.parametrize("wait", WAITS)
def test_a_handler_runs_while_the_bot_waits_and_may_end_it(wait: str, tmp_path: Path) -> None:
    program = (
        "import asyncio, queue, select, signal, sys, threading, time\n"
        "def stop(number, frame):\n    print('stopped', end='')\n    sys.exit(3)\n"
        f"signal.signal(signal.SIGTERM, stop)\n{WAITS[wait]}"
    )
    assert interrupted(tmp_path, program, signal.SIGTERM) == (3, "stopped", "")


def test_a_handler_that_sets_a_flag_ends_the_loop_that_waits_for_it(tmp_path: Path) -> None:
    program = """
    import signal, threading
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    while not stop.wait(3600):
        print("turn")
    print("stopped", end="")
    """
    assert interrupted(tmp_path, program, signal.SIGTERM) == (0, "stopped", "")


def test_a_handler_runs_when_another_thread_waits_for_the_orchestrator(tmp_path: Path) -> None:
    program = """
    import signal, threading, time
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    def work():
        while not stop.is_set():
            time.sleep(3600)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    stop.wait()
    print("stopped", end="")
    """
    assert interrupted(tmp_path, program, signal.SIGTERM) == (0, "stopped", "")


def test_asyncio_hears_signals(tmp_path: Path) -> None:
    program = """
    import asyncio, signal
    async def main():
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()
        print("stopped", end="")
    asyncio.run(main())
    """
    assert interrupted(tmp_path, program, signal.SIGTERM) == (0, "stopped", "")


def test_a_sleep_goes_on_after_a_handler_that_returns(tmp_path: Path) -> None:
    program = """
    import json, signal, sys, time
    rang = []
    def ring(*_):
        rang.append(time.time())
        print("rang", file=sys.stderr)
    signal.signal(signal.SIGUSR1, ring)
    began = time.time()
    time.sleep(3600)
    print(json.dumps([len(rang), round(time.time() - began)]), end="")
    """
    with started(tmp_path, program, is_held=sleeps) as (process, orchestrator):
        wait_for_call(orchestrator, "sleep", 1)
        process.send_signal(signal.SIGUSR1)
        assert process.stderr is not None
        assert process.stderr.readline() == "rang\n"
        orchestrator.release()
        output, errors = process.communicate(timeout=SECONDS)
        assert (process.returncode, json.loads(output), errors) == (0, [1, 3600], "")
        assert len(orchestrator.of("sleep")) == 1


def test_what_a_handler_does_next_withdraws_the_sleep(tmp_path: Path) -> None:
    program = """
    import gc, signal, sys, time
    clock = next(o for o in gc.get_objects() if type(o).__name__ == "Clock")
    def stop(number, frame):
        clock.call({"op": "http", "client": "test", "method": "DELETE", "url": "https://x/orders"}, b"")
        sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    time.sleep(3600)
    """
    with started(tmp_path, program, is_held=sleeps) as (process, orchestrator):
        wait_for_call(orchestrator, "sleep")
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
        request = orchestrator.of("http")[0]
        assert request["t"] < orchestrator.of("sleep")[0]["until"]


def test_many_signals_at_once(tmp_path: Path) -> None:
    program = """
    import signal, threading, time
    count = 0
    def ring(*_):
        global count
        count += 1
        time.sleep(0.5)
    signal.signal(signal.SIGUSR1, ring)
    signal.signal(signal.SIGUSR2, ring)
    def send():
        for _ in range(50):
            signal.raise_signal(signal.SIGUSR1)
            time.sleep(0.1)
            signal.raise_signal(signal.SIGUSR2)
    thread = threading.Thread(target=send)
    thread.start()
    for _ in range(100): time.sleep(0.05)
    thread.join()
    time.sleep(100)
    print(count > 10, end="")
    """
    assert run_in_replay(tmp_path, program).output == "True"


def test_an_alarm_without_a_handler_kills_at_its_time(tmp_path: Path) -> None:
    program = "import signal, time\nprint(signal.alarm(3600), signal.alarm(1800), end='', flush=True)\ntime.sleep(7200)"
    ended = run_in_replay(tmp_path, program)
    assert (ended.status, ended.output) == (-signal.SIGALRM, "0 3600")
    assert len([call for call in ended.calls if call["op"] == "sleep"]) == 1
