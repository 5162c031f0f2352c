"""Whole runs in child processes: a place of their own, the command line, and what it left behind."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tomllib
import unittest.mock
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w

from orchestrator.cli.main import main
from tests.processes import REPOSITORY, marked_environment, marked_processes, wait_until
from tests.replay.checker import CandleTable, check_run, read_candles

BOTS = Path(__file__).with_name("bots")
MISBEHAVING = REPOSITORY / "tests" / "misbehaving.py"
REPLAY = (sys.executable, "-c", "from orchestrator.cli.main import main; main()")
RESULT_FILES = ("orders.jsonl", "order_events.jsonl", "fills.jsonl", "signals.jsonl", "equity.parquet")
LINE_FILES = RESULT_FILES[:4]
SECONDS_MAX = 200.0  # of any command of these tests; seconds where nobody else holds the cores


class Finished(NamedTuple):
    """How a command ended, and what it printed."""

    status: int
    stdout: str
    stderr: str

    @property
    def error_line(self) -> str:
        """The only line on stderr, which is an error's."""
        lines = self.stderr.splitlines()
        assert len(lines) == 1, self.stderr
        assert lines[0].startswith("replay: "), self.stderr
        return lines[0]


class Run:
    """A run directory, read without the program."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @cached_property
    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self.directory / "run.json").read_text())
        return manifest

    @property
    def status(self) -> str:
        return str(self.manifest["status"])

    @property
    def digest(self) -> str:
        return str(self.manifest["digest"])

    def lines(self, name: str) -> list[bytes]:
        """Return the lines of a file, without their ends."""
        return (self.directory / name).read_bytes().splitlines()

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines(name)]

    def log(self, component: str) -> str:
        return (self.directory / "logs" / f"{component}.log").read_text()

    def events(self) -> list[dict[str, Any]]:
        """Return the lines of the orchestrator's log."""
        return self.rows("logs/orchestrator.jsonl")


class Running:
    """A command that goes on; what it prints goes into files of a folder."""

    def __init__(self, words: tuple[str, ...], folder: Path, environment: Mapping[str, str]) -> None:
        self._stdout, self._stderr = folder / f"{words[0]}.stdout", folder / f"{words[0]}.stderr"
        with self._stdout.open("xb") as stdout, self._stderr.open("xb") as stderr:
            self.process = subprocess.Popen(
                [*REPLAY, *words],
                stdout=stdout, stderr=stderr, stdin=subprocess.DEVNULL, env=environment, cwd=folder,
            )  # fmt: skip

    def wait(self, seconds: float = SECONDS_MAX) -> Finished:
        """Wait for its end."""
        status = self.process.wait(seconds)
        return Finished(status, self._stdout.read_text(), self._stderr.read_text())


class Place:
    """A home of its own, with candles in its cache, a folder for sockets, and a mark on its processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = root / "backtest_cache"
        self.results = root / "backtest_results"
        self.data = root / "replay_data"
        self.sockets = root / "s"
        for folder in (self.cache, self.results, self.data, self.sockets):
            folder.mkdir(exist_ok=True)
        self._launched: list[Running] = []

    # ------------------------------------------------------------ commands

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a command; more is added to it."""
        base = marked_environment(self.root)
        base |= {"REPLAY_HOME": str(self.root), "XDG_RUNTIME_DIR": str(self.sockets)}
        return base | more

    def replay(
        self, *words: object, environment: Mapping[str, str] | None = None, seconds: float = SECONDS_MAX
    ) -> Finished:
        """Run a command to its end."""
        done = subprocess.run(
            [*REPLAY, *map(str, words)],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=seconds, check=False,
            env=self.environment() if environment is None else environment, cwd=self.root,
        )  # fmt: skip
        return Finished(done.returncode, done.stdout, done.stderr)

    def call(self, *words: object) -> Finished:
        """Run a command that starts no process in this one, which is much faster."""
        stdout, stderr = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.root),
            unittest.mock.patch.dict(os.environ, {"REPLAY_HOME": str(self.root)}),
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
        ):
            try:
                main([str(word) for word in words])
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 1
        return Finished(status, stdout.getvalue(), stderr.getvalue())

    def launch(self, *words: object, environment: Mapping[str, str] | None = None) -> Running:
        """Begin a command; of each name one."""
        running = Running(tuple(map(str, words)), self.root, environment or self.environment())
        self._launched.append(running)
        return running

    def run(self, config: Path, name: str = "run", *words: object, **more: str) -> Run:
        """Run a configuration that completes."""
        done = self.replay(
            "start", "--config", config, "--output-dir", self.results / name, "--quiet", *words,
            environment=self.environment(**more),
        )  # fmt: skip
        assert done.status == 0, done.stderr
        run = Run(self.results / name)
        assert run.status == "complete"
        return run

    # ------------------------------------------------------------ what is left

    def processes(self) -> list[int]:
        """Return the living processes that were started from here."""
        return marked_processes(self.root)

    def socket_files(self) -> list[str]:
        """Return what stands in the folder for sockets, but for the locks of cores, which stay."""
        found = (str(path.relative_to(self.sockets)) for path in self.sockets.rglob("*"))
        return sorted(path for path in found if not path.startswith("replay-cores"))

    def close(self) -> None:
        """End what a test that failed has left."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for running in self._launched:
            running.process.wait(SECONDS_MAX)

    def is_clean(self, seconds: float = 2.0) -> bool:
        """Return whether neither process nor socket is left, within the wall seconds."""
        return wait_until(lambda: not self.processes() and not self.socket_files(), seconds)

    # ------------------------------------------------------------ configuration and candles

    def config(
        self,
        components: list[dict[str, Any]],
        *,
        start: str = "2024-01-01",
        end: str = "2024-01-02",
        coins: tuple[str, ...] = ("BTC", "ETH"),
        name: str = "replay.toml",
        **more: Any,
    ) -> Path:
        """Write a configuration; more are its other keys and sections."""
        path = self.root / name
        keys = {"start_date": start, "end_date": end, "coins": list(coins), "timeframe": "5m", **more}
        path.write_text(tomli_w.dumps({**keys, "component": components}))
        return path

    def candles(self, coins: list[str], exchange: str, quote: str, timeframe: str) -> dict[str, CandleTable]:
        """Read the cache without the program."""
        return {
            coin: read_candles((self.cache / exchange / f"{coin}-{quote}" / timeframe).glob("*.parquet"))
            for coin in coins
        }

    def check(self, run: Run) -> list[str]:
        """Return what the checker finds in a run on candles of this cache."""
        config = tomllib.loads((run.directory / "config.toml").read_text())
        data = config["data"]
        candles = self.candles(config["coins"], data["exchange"], data["quote"], config["timeframe"])
        return check_run(run.directory, candles)


def component(name: str, stage: int, *command: object, **params: Any) -> dict[str, Any]:
    """Return a [[component]] section."""
    return {"name": name, "stage": stage, "command": list(map(str, command)), "params": params}


def bot(name: str, stage: int, script: str, **params: Any) -> dict[str, Any]:
    """Return the section of one of the bots of these tests."""
    return component(name, stage, "python", BOTS / f"{script}.py", **params)


def thinker(**params: Any) -> dict[str, Any]:
    """Return the section of the reference thinker, with short periods."""
    params = {"periods": [2, 3, 5, 8], **params}
    return component("thinker", 1, "python", "-m", "components.thinkers.quad_ma", **params)


def trader(**params: Any) -> dict[str, Any]:
    """Return the section of the reference trader."""
    return component("trader", 2, "python", "-m", "components.traders.follow_signals", **params)


def misbehaving(name: str, stage: int, mode: str, *, seed: int = 1, amount: int = 100_000) -> dict[str, Any]:
    """Return the section of the component that misbehaves."""
    words = ("--seed", seed, "--amount", amount)
    return component(name, stage, "python", MISBEHAVING, mode, *words)


def wait_for_sequence(place: Place, name: str, sequence: int, seconds: float = 60.0) -> None:
    """Wait until a running replay has shown that it reached a sequence."""
    mirror = place.data / name / "backtest_state.json"

    def has_reached() -> bool:
        try:
            return bool(json.loads(mirror.read_text())["sequence"] >= sequence)
        except (FileNotFoundError, ValueError):
            return False

    assert wait_until(has_reached, seconds), f"{name} did not reach sequence {sequence} within {seconds} s"


def unmeasured(place: Place, **more: str) -> dict[str, str]:
    """Return the environment of a command whose processes are killed: that leaves half a file of coverage."""
    environment = place.environment(**more)
    return {key: value for key, value in environment.items() if not key.startswith("COVERAGE")}
