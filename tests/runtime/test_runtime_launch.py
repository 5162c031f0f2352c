"""Commands are resolved before anything starts; environments are the same everywhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from orchestrator.errors import ConfigError
from orchestrator.runtime.launch import FIXED_ENVIRONMENT, component_environment, resolve_command


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    (tmp_path / "bot.py").write_text("")
    for name, mode in (("run.sh", 0o755), ("plain.sh", 0o644), ("plain.py", 0o644)):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(mode)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["bot.py"],
        ["-u", "bot.py", "missing.py"],
        ["-X", "utf8", "-W", "error", "bot.py"],
        ["-m", "components.traders.follow_signals", "missing.py"],
        ["-um", "json.tool"],
        ["-c", "pass", "missing.py"],
        ["-", "missing.py"],
        ["package_folder"],
        [],
    ],
)
@pytest.mark.parametrize("python", ["python", "python3"])
def test_python_means_this_interpreter(workdir: Path, python: str, words: list[str]) -> None:
    resolved = resolve_command((python, *words), workdir, "/nonexistent", where="--trader")
    assert resolved == (sys.executable, *words)


def test_other_words_are_looked_up(workdir: Path) -> None:
    assert resolve_command(("run.sh", "a.py"), workdir, f"/nonexistent:{workdir}", where="--trader") == (
        str(workdir / "run.sh"),
        "a.py",
    )
    assert resolve_command(("./run.sh",), workdir, "", where="--trader") == (str(workdir / "run.sh"),)
    assert resolve_command((sys.executable, "bot.py"), workdir, "", where="--trader")[0] == sys.executable


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["foo"], r"--trader: no such command 'foo'; it is not in PATH; .*"),
        (["bot.py"], r"--trader: no such command 'bot.py'; did you mean 'python bot.py'\?"),
        (["./foo"], r"--trader: no such command './foo' in .*; .*"),
        (["./plain.sh"], r"--trader: './plain.sh' is not executable; chmod \+x .*plain.sh"),
        (["./plain.py"], r"--trader: './plain.py' is not executable; run it with 'python ./plain.py'"),
        (["python", "no.py"], r"--trader: no such script 'no.py' in .*; .*"),
        (["python3", "-X", "utf8", "-u", "no.py"], r"--trader: no such script 'no.py' in .*; .*"),
        ([sys.executable, "-Xutf8", "no.py"], r"--trader: no such script 'no.py' in .*; .*"),
    ],
)
def test_what_does_not_exist_is_said_in_one_line(workdir: Path, command: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        resolve_command(tuple(command), workdir, "/nonexistent", where="--trader")


def test_a_missing_working_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"working directory .*nowhere does not exist"):
        resolve_command(("python",), tmp_path / "nowhere", "", where="component trader")


def test_environment_is_the_users_with_what_makes_runs_equal() -> None:
    base = {
        "HOME": "/h",
        "PYTHONHASHSEED": "9",
        "TZ": "Asia/Tokyo",
        "REPLAY_CURVE_SERVER_KEY": "old",
        "PATH": "/a:/b",
    }
    environment = component_environment(base, {"REPLAY_ENDPOINT": "ipc://x", "OMP_NUM_THREADS": "2"})
    assert environment["HOME"] == "/h"
    assert environment["PATH"] == os.pathsep.join([str(Path(sys.executable).parent), "/a", "/b"])
    assert "REPLAY_CURVE_SERVER_KEY" not in environment
    assert environment["REPLAY_ENDPOINT"] == "ipc://x"
    assert environment["OMP_NUM_THREADS"] == "2"
    assert {**FIXED_ENVIRONMENT, "OMP_NUM_THREADS": "2"}.items() <= environment.items()
    assert component_environment(environment, {})["PATH"] == environment["PATH"]
