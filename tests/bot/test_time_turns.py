"""A bot writes down its turns when it is asked to, and only then; its pace stays what it was."""

from __future__ import annotations

from pathlib import Path

from orchestrator.bot_protocol import ENVIRONMENT_BOT_TURNS
from tests.bot.programs import Ended, run_in_replay

PROGRAM = """
import json, time, urllib.request
began = time.time()
for turn in range(6):
    for coin in ("BTC", "ETH") if turn % 2 else ("BTC",):
        try:
            urllib.request.urlopen(f"https://api.example.com/{coin}?timestamp={time.time_ns()}&kind={turn % 3}")
        except OSError:
            pass
    time.sleep(0.5)
time.sleep(600)
print(json.dumps(round(time.time() - began, 3)))
"""


def run(folder: Path, program: str, environment: dict[str, str]) -> Ended:
    hello = {"burst": None, "hosts": ["api.example.com"]}
    return run_in_replay(folder, program, environment=environment, hello=hello)


def test_a_line_for_each_turn(tmp_path: Path) -> None:
    logged = run(tmp_path, PROGRAM, {ENVIRONMENT_BOT_TURNS: str(tmp_path)})
    (path,) = tmp_path.glob("*.turns")
    lines = [tuple(map(int, line.split())) for line in path.read_text(encoding="ascii").splitlines()]
    assert len(lines) == 6  # the sleep that is longer than a tick ends none
    times = [time for time, _ in lines]
    assert times == sorted(times)
    requests = [what for _, what in lines]
    assert len(set(requests)) == 6  # by coins and kind, not by the time in the address
    path.unlink()
    assert run(tmp_path, PROGRAM, {}).value == logged.value
    assert not path.exists()


def test_what_differs_for_its_own_sake_does_not_tell_turns_apart(tmp_path: Path) -> None:
    program = PROGRAM.replace("turn % 3", "0").replace("turn % 2", "0")
    run(tmp_path, program, {ENVIRONMENT_BOT_TURNS: str(tmp_path)})
    (path,) = tmp_path.glob("*.turns")
    assert len({line.split()[1] for line in path.read_text(encoding="ascii").splitlines()}) == 1
