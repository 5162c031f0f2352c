"""Whole runs of bots: their folders, their sections of replay.toml, and what a run directory tells of them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import shutil
import tomllib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import tomli_w

from tests.processes import REPOSITORY
from tests.replay.running import Finished, Place, Run

COINS = ("BTC", "ETH", "DOGE")
TIMEFRAME = "15m"
EXAMPLES = REPOSITORY / "examples"
PROGRAMS = Path(__file__).with_name("programs")

_numbers = itertools.count(1)


class BotRun(Run):
    """A run directory of bots."""

    @cached_property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads((self.directory / "bots.json").read_text())
        return facts

    def copy(self, folder: str = "mybot") -> Path:
        """Return the working copy of a user's folder."""
        return self.directory / "work" / folder

    def said(self, component: str) -> list[dict[str, Any]]:
        """Return the JSON lines that a bot printed."""
        return [json.loads(line) for line in self.log(component).splitlines() if line.startswith("{")]

    def orders_of(self, component: str) -> list[dict[str, Any]]:
        return [row for row in self.rows("orders.jsonl") if row["component"] == component]

    def fills_of(self, component: str) -> list[dict[str, Any]]:
        return [row for row in self.rows("fills.jsonl") if row["component"] == component]

    def exit_code(self, component: str) -> int | None:
        codes: dict[str, int | None] = {c["name"]: c["exit_code"] for c in self.manifest["components"]}
        return codes[component]


class BotPlace(Place):
    """A place whose runs are of bots."""

    def bots(self, sections: list[dict[str, Any]], **more: Any) -> Path:
        """Write a configuration of bots on KuCoin; more are its other keys and sections."""
        more = {"start": "2024-01-01", "end": "2024-01-01T03:00", "coins": COINS, **more}
        more = {"timeframe": TIMEFRAME, "venue": {"kucoin": {}}, **more}
        return self.config(sections, name=f"bots-{next(_numbers)}.toml", **more)

    def finish(
        self, config: Path, *words: object, seconds: float = 60, **environment: str
    ) -> tuple[Finished, BotRun]:
        """Run a configuration to whatever end it comes."""
        directory = self.results / f"run-{next(_numbers)}"
        done = self.replay(
            "start", "--config", config, "--output-dir", directory, "--quiet", *words,
            environment=self.environment(**environment), seconds=seconds,
        )  # fmt: skip
        return done, BotRun(directory)

    def complete(self, config: Path, *words: object, seconds: float = 60, **environment: str) -> BotRun:
        """Run a configuration that completes."""
        done, run = self.finish(config, *words, seconds=seconds, **environment)
        assert done.status == 0, done.stderr
        assert run.status == "complete"
        return run


def bot(name: str, workdir: Path, *command: object, **more: Any) -> dict[str, Any]:
    """Return the section of a bot: `python -u COMMAND` in a folder."""
    words = ["python", "-u", *map(str, command)]
    return {"name": name, "kind": "bot", "command": words, "workdir": str(workdir), **more}


def program(workdir: Path, name: str) -> str:
    """Put one of the programs of these tests into a folder; return its name there."""
    shutil.copy2(PROGRAMS / f"{name}.py", workdir / f"{name}.py")
    return f"{name}.py"


def script(workdir: Path, text: str, name: str = "bot.py") -> str:
    """Write a bot into a folder; return its name there."""
    (workdir / name).write_text(text)
    return name


def examples(folder: Path, **settings: Any) -> Path:
    """Copy the example bots as a user has them, with other settings of the trader; return their bots.toml."""
    shutil.copytree(EXAMPLES, folder)
    path = folder / "settings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return folder / "bots.toml"


def rewritten(config: Path, name: str, **changes: Any) -> Path:
    """Write a configuration beside another, with changes to its components by their names."""
    document = tomllib.loads(config.read_text())
    for section in document["component"]:
        for key, value in changes.get(section["name"], {}).items():
            if value is None:
                section.pop(key, None)
            else:
                section[key] = value
    path = config.with_name(name)
    path.write_text(tomli_w.dumps(document))
    return path


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Shared:
    """What one worker of the test session made and all of them read: runs are dear.

    Parameters
    ----------
    folder
        The same one for all workers.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def once(self, name: str, make: Callable[[], list[Any]]) -> list[Any]:
        """Return what `make` returned in the worker that came first: values of JSON."""
        path = self._folder / f"shared-{name}.json"
        with _locked(path.with_suffix(".lock")):
            if not path.exists():
                path.write_text(json.dumps(make()))
        values: list[Any] = json.loads(path.read_text())
        return values


def tree(folder: Path) -> dict[str, str]:
    """Return what a folder holds: each file's bytes, mode and time of change."""
    found = {}
    for path in sorted(folder.rglob("*")):
        state = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        found[str(path.relative_to(folder))] = f"{digest} {state.st_mode} {state.st_mtime_ns}"
    return found
