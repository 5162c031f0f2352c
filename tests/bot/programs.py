"""Run a program as its author would, or under the shim against an orchestrator that stands in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bot.fake_orchestrator import FakeOrchestrator, Message

TIMEOUT_SECONDS = 60.0
# The bot's interpreter need not be ours; it needs time-machine.
INTERPRETER = os.environ.get("REPLAY_TEST_BOT_PYTHON", sys.executable)


@dataclass(frozen=True)
class Ended:
    """What is left of a program."""

    status: int
    output: str
    errors: str
    calls: list[Message]

    @property
    def value(self) -> Any:
        """What the program printed, one JSON value."""
        assert self.status == 0, self.errors
        return json.loads(self.output)


def run_natively(folder: Path, program: str, *arguments: str) -> Ended:
    """Run a program without the shim."""
    script = write(folder, program)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONHASHSEED": "0", "TZ": "UTC"}
    done = subprocess.run(
        [INTERPRETER, script, *arguments],
        env=environment, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout, done.stderr, [])


def run_in_replay(folder: Path, program: str, *arguments: str, **settings: Any) -> Ended:
    """Run a program under the shim; settings are those of `FakeOrchestrator`."""
    with started(folder, program, *arguments, **settings) as (process, orchestrator):
        output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
        return Ended(process.returncode, output, errors, orchestrator.calls)


@contextmanager
def started(
    folder: Path,
    program: str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    **settings: Any,
) -> Iterator[tuple[subprocess.Popen[str], FakeOrchestrator]]:
    """Start a program under the shim; it is killed at the end if it lives."""
    script = write(folder, program)
    with FakeOrchestrator(folder / "socket", **settings) as orchestrator:
        process = subprocess.Popen(
            [INTERPRETER, "-u", script, *arguments],
            env={**orchestrator.environment(), **(environment or {})},
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        with process:
            try:
                yield process, orchestrator
            finally:
                process.kill()


def write(folder: Path, program: str) -> Path:
    """Write a program into a file of the folder."""
    script = folder / "program.py"
    script.write_text(textwrap.dedent(program))
    return script
