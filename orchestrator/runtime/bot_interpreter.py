"""The interpreter that a bot's command starts: which one it is, and what it has, asked of itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from orchestrator.runtime.bot_launch import time_machine_extension

__all__ = ["VERSION_MIN", "Interpreter", "NoAnswer", "ask_interpreter", "interpreter_of", "script_in"]

VERSION_MIN: Final = (3, 11)

_PYTHON: Final = re.compile(r"(python|pypy)[0-9.]*")
_SECONDS_MAX: Final = 30.0
_WITH_VALUE: Final = ("-X", "-W")
_NO_SCRIPT: Final = re.compile(r"-([^-XW]*[cm].*)?")  # -c, -m, and - (stdin)

# Nothing of the bot is imported: top-level names are looked up, not run.
_PROBE: Final = """
import importlib.util, json, sys
def has(name):
    try:
        return importlib.util.find_spec(name) is not None
    except Exception:
        return False
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
time_machine, lent = "", sys.argv[2]
try:
    if not lent.endswith(tuple(suffix for suffix in EXTENSION_SUFFIXES if suffix != ".so")):
        raise ImportError("that of Replay was built for another")
    loader = ExtensionFileLoader("_time_machine", lent)
    importlib.util.module_from_spec(importlib.util.spec_from_file_location("_time_machine", lent, loader=loader))
except (ImportError, OSError) as error:
    if not has("_time_machine"):
        time_machine = str(error)
print(json.dumps({
    "version": list(sys.version_info[:3]),
    "implementation": sys.implementation.name,
    "time_machine_error": time_machine,
    "missing": [name for name in json.loads(sys.argv[1]) if not has(name)],
}))
"""


class Interpreter(msgspec.Struct, frozen=True):
    """What an interpreter says of itself."""

    version: tuple[int, int, int]
    implementation: str
    time_machine_error: str  # empty: it has time-machine, or that of Replay fits
    missing: tuple[str, ...]  # of the modules that were asked for


class NoAnswer(NamedTuple):
    """Why an interpreter could not be asked."""

    reason: str


def interpreter_of(command: Sequence[str], path: str) -> str | None:
    """Return the Python that a command starts, None if it starts something else first.

    Parameters
    ----------
    command
        Resolved: the first word is an executable.
    path
        The PATH it will run with.
    """
    words = list(command)
    if Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        found = shutil.which(words[0], path=path) if words else None
        return found if found and _PYTHON.fullmatch(Path(found).name) else None
    if _PYTHON.fullmatch(Path(words[0]).name):
        return words[0]
    return _of_first_line(Path(words[0]), path)


def _of_first_line(script: Path, path: str) -> str | None:
    # A script says on its first line what runs it.
    try:
        with script.open("rb") as file:
            first = file.readline(256)
    except OSError:
        return None
    if not first.startswith(b"#!"):
        return None
    words = first[2:].decode("utf-8", "replace").split()
    return interpreter_of(words, path) if words and words[0] != str(script) else None


def script_in(command: Sequence[str], workdir: Path) -> Path | None:
    """Return the script that a command runs, None if none can be told."""
    words = iter(command[1:] if _PYTHON.fullmatch(Path(command[0]).name) else command)
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif word.startswith("-"):
            if _NO_SCRIPT.fullmatch(word):
                return None
        elif (workdir / word).is_file() and (word.endswith(".py") or _of_first_line(workdir / word, "")):
            return (workdir / word).resolve()
    return None


def ask_interpreter(
    python: str, modules: Sequence[str], workdir: Path, environment: Mapping[str, str]
) -> Interpreter | NoAnswer:
    """Start an interpreter and ask what it is and which of some top-level modules it does not have."""
    try:
        done = subprocess.run(
            [python, "-B", "-c", _PROBE, json.dumps(sorted(modules)), time_machine_extension()],
            cwd=workdir,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return NoAnswer(f"it did not answer within {_SECONDS_MAX:g} s")
    except OSError as error:
        return NoAnswer(error.strerror or str(error))
    try:
        # What the environment prints when it starts stands before the answer.
        return msgspec.json.decode(done.stdout.strip().rpartition("\n")[2], type=Interpreter)
    except msgspec.DecodeError:
        said = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
        return NoAnswer(f"it ended with status {done.returncode}: {said[:200]}")
