"""A bot's environment need not have time-machine: Replay lends its own to interpreters of the same kind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.bot_protocol import ENVIRONMENT_BOT_TIME_MACHINE
from orchestrator.runtime.bot_launch import bot_environment, time_machine_extension
from tests.bot import programs
from tests.bot.fake_orchestrator import START_NS

PROGRAM = """
import json, subprocess, sys, time
SAY = "import time; print(time.time())"
child = subprocess.run([sys.executable, "-c", SAY], capture_output=True, text=True, env={})
print(json.dumps([time.time(), float(child.stdout)]))
"""


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True, timeout=60
    )
    monkeypatch.setattr(programs, "INTERPRETER", str(tmp_path / "env" / "bin" / "python"))
    return tmp_path


def test_a_bare_environment_is_lent_time_machine_and_so_are_its_children(bare: Path) -> None:
    lent = {ENVIRONMENT_BOT_TIME_MACHINE: time_machine_extension()}
    times = json.loads(programs.run_in_replay(bare, PROGRAM, environment=lent).output)
    assert times == pytest.approx([START_NS / 1e9, START_NS / 1e9], abs=5)


@pytest.mark.parametrize(
    "path", ["", "/absent.cpython-39-x86_64-linux-gnu.so", "/absent.abi3.so", "/absent.so"]
)
def test_what_does_not_fit_is_not_loaded(bare: Path, path: str) -> None:
    ended = programs.run_in_replay(bare, PROGRAM, environment={ENVIRONMENT_BOT_TIME_MACHINE: path})
    assert ended.status == 70
    assert ended.output == ""
    assert "has no time-machine" in ended.errors


def test_every_bot_is_told_where_it_is(tmp_path: Path) -> None:
    environment = bot_environment({}, socket=tmp_path, token="t", component="c", stack=tmp_path)  # noqa: S106 - no secret
    assert Path(environment[ENVIRONMENT_BOT_TIME_MACHINE]).is_file()
