"""Children that a shell starts, that wait side by side, or that are looked at in passing, in whole runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bots.running import BotPlace, bot, script

IN_SHELLS = """
import json, os, subprocess, sys, time

began = time.time()
def say(*what):
    print(json.dumps({"at": round(time.time() - began, 2), "what": what}), flush=True)

sleeper = f"{sys.executable} -c 'import time; time.sleep(30)'"
say("last", os.system(sleeper))
say("middle", os.system(f"true; {sleeper}; true"))
say("two", os.system(f"{sleeper}; {sleeper}; true"))
say("piped", subprocess.run(f"{sleeper} | cat; true", shell=True, capture_output=True).returncode)
while True:
    time.sleep(600)
"""


def test_a_shell_lasts_as_long_as_the_children_that_it_starts(bot_place: BotPlace, workdir: Path) -> None:
    run = bot_place.complete(
        bot_place.bots([bot("parent", workdir, script(workdir, IN_SHELLS))], component_timeout=10), seconds=90
    )
    assert [(line["what"], round(line["at"])) for line in run.said("parent")] == [
        (["last", 0], 30),
        (["middle", 0], 60),
        (["two", 0], 120),
        (["piped", 0], 150),
    ]


SIDE_BY_SIDE = """
import json, subprocess, sys, threading, time

began = time.time()
def run(seconds):
    subprocess.call([sys.executable, "-c", f"import time; time.sleep({seconds})"])
    print(json.dumps({"lasted": seconds, "at": round(time.time() - began, 2)}), flush=True)

for seconds in (900, 30, 200):
    threading.Thread(target=run, args=(seconds,)).start()
while True:
    time.sleep(3600)
"""


def test_threads_wait_for_children_of_their_own(bot_place: BotPlace, workdir: Path) -> None:
    sections = [bot("parent", workdir, script(workdir, SIDE_BY_SIDE))]
    run = bot_place.complete(bot_place.bots(sections, component_timeout=10), seconds=90)
    said = run.said("parent")
    assert [line["lasted"] for line in said] == [30, 200, 900]
    for line in said:
        assert line["at"] == pytest.approx(line["lasted"], abs=1.1)
