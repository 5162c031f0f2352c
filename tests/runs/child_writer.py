"""A process that writes a run until it cannot: `python -m tests.runs.child_writer DIR [file size limit]`.

Prints a line after each block of ten sequences; ends with what `finish` and the errors said.
"""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path

from orchestrator.errors import ReplayError
from orchestrator.runs.writer import RunWriter
from tests.runs import samples


def say(text: object) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(directory: Path, limit: int | None) -> None:
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    writer = RunWriter.create(directory, coins=samples.COINS, config_toml="", manifest=samples.manifest())
    try:
        for block in range(1_000_000):
            first = block * 10 + 1
            for sequence in range(first, first + 10):
                writer.write(samples.order(sequence))
                writer.write(samples.fill(sequence))
            writer.write_equity(samples.equity(first, first + 9))
            writer.checkpoint(first + 9)
            say(first + 9)
    except ReplayError as error:
        say(f"error {error}")
        status = samples.manifest(status="failed", reason=str(error))
        say(f"digest {writer.finish(status)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
