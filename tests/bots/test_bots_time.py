"""Threads, tasks and children of bots in whole runs, where other bots have times of their own."""

from __future__ import annotations

import pytest

from tests.bots.running import BotPlace, BotRun, bot, script

URL = "https://api.kucoin.com/api/v1/timestamp"

THREADS = f"""
import json, queue, subprocess, sys, threading, time
import requests

began, tasks = time.time(), queue.Queue()
def say(*what):
    print(json.dumps({{"at": round(time.time() - began, 2), "what": what}}), flush=True)

def ask(name):
    while True:
        tasks.get()
        requests.get("{URL}", params={{"who": name}}, timeout=10).raise_for_status()
        say(name, "answered")

for name in "abc":
    threading.Thread(target=ask, args=(name,), daemon=True).start()
while True:
    for n in range(3):
        tasks.put(n)
    time.sleep(1)
    made = subprocess.run([sys.executable, "-c", "print('x' * 300_000)"], capture_output=True, text=True)
    say("child", len(made.stdout))
    late = subprocess.run([sys.executable, "-c", "import time; time.sleep(30); print(time.time())"],
        capture_output=True, text=True)
    say("late child", round(float(late.stdout) - began, 2))
    time.sleep(1800 - (time.time() - began) % 1800)
"""

HELPER = """
import time
while True:
    time.sleep(600)
    print("worked", time.time(), flush=True)
"""

HEARS_A_HELPER = f"""
import json, subprocess, sys, time
import requests

began = time.time()
helper = subprocess.Popen([sys.executable, "helper.py"], stdout=subprocess.PIPE, text=True)
while True:
    word, when = helper.stdout.readline().split()
    requests.get("{URL}", timeout=10).raise_for_status()
    print(json.dumps({{"helper": round(float(when) - began, 2), "at": round(time.time() - began, 2)}}), flush=True)
"""

SIGNALLED = f"""
import json, os, signal, sys, time
import requests

began = time.time()
def ring(number, frame):
    requests.get("{URL}", timeout=10).raise_for_status()
    print(json.dumps({{"rang": round(time.time() - began, 2)}}), flush=True)
signal.signal(signal.SIGUSR1, ring)
if os.fork() == 0:
    time.sleep(600)
    os.kill(os.getppid(), signal.SIGUSR1)
    time.sleep(86_400)
time.sleep(1800)
print(json.dumps({{"slept": round(time.time() - began, 2)}}), flush=True)
time.sleep(86_400)
"""

TICKS = """
import time
while True:
    time.sleep(7)
"""


@pytest.fixture(scope="module")
def runs(bot_place: BotPlace, tmp_path_factory: pytest.TempPathFactory) -> tuple[BotRun, BotRun]:
    folder = tmp_path_factory.mktemp("mybot")
    sections = [
        bot("threads", folder, script(folder, THREADS, "threads.py")),
        bot("talker", folder, script(folder, HEARS_A_HELPER, "talker.py")),
        bot("signalled", folder, script(folder, SIGNALLED, "signalled.py")),
        bot("ticks", folder, script(folder, TICKS, "ticks.py")),
    ]
    script(folder, HELPER, "helper.py")
    config = bot_place.bots(sections, end="2024-01-01T01:00")
    return bot_place.complete(config), bot_place.complete(config)


@pytest.mark.parametrize("component", ["threads", "talker", "signalled"])
def test_what_they_say_is_the_same_again(runs: tuple[BotRun, BotRun], component: str) -> None:
    first, again = runs
    assert first.said(component)
    assert again.said(component) == first.said(component)


def test_threads_wait_for_answers_side_by_side(runs: tuple[BotRun, BotRun]) -> None:
    answered = [line["at"] for line in runs[0].said("threads") if "answered" in line["what"]]
    assert answered[:3] == [0.05, 0.05, 0.05]


def test_children_are_read_while_they_write_and_when_they_are_late(runs: tuple[BotRun, BotRun]) -> None:
    said = runs[0].said("threads")
    assert [line["what"][1] for line in said if line["what"][0] == "child"] == [300_001] * 2
    for line in said:
        if line["what"][0] == "late child":
            assert line["what"][1] == line["at"]
    assert len([line for line in said if line["what"][0] == "late child"]) == 2


def test_a_helper_that_lives_on_is_heard_in_time(runs: tuple[BotRun, BotRun]) -> None:
    said = runs[0].said("talker")
    assert len(said) == 5
    for number, line in enumerate(said, 1):
        assert line["helper"] == pytest.approx(600 * number, abs=2)
        assert line["at"] == pytest.approx(line["helper"], abs=2)


def test_a_signal_is_heard_in_a_sleep_which_then_goes_on(runs: tuple[BotRun, BotRun]) -> None:
    rang, slept = runs[0].said("signalled")
    assert rang["rang"] == pytest.approx(600.05, abs=0.02)
    assert slept["slept"] == pytest.approx(1800, abs=0.02)
