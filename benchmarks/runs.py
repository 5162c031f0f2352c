"""Whole runs with the reference components, as a user starts them, and what starting costs.

usage: python benchmarks/runs.py [--skip-1m]

Prints `run_5m_3coins_seconds` and `run_1m_3coins_seconds` (six months each: 52,416 and 262,080 sequences),
`short_run_seconds` (two components, twelve sequences: nearly all of it is starting and ending) and
`import_client_seconds`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from orchestrator.config import parse_date_ns
from orchestrator.home import Home
from orchestrator.market.synthetic import synthesize

REPLAY = (sys.executable, "-c", "from orchestrator.cli.main import main; main()")
START, HALF_A_YEAR = "2024-01-01", "2024-07-01"


def run(home: Path, timeframe: str, end: str) -> tuple[float, int]:
    words = (
        "start",
        "--start-date",
        START,
        "--end-date",
        end,
        "--coins",
        "BTC,ETH,DOGE",
        "--timeframe",
        timeframe,
    )
    began = time.perf_counter()
    done = subprocess.run(
        [*REPLAY, *words, "--quiet", "--json"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "REPLAY_HOME": str(home)},
    )
    return time.perf_counter() - began, int(json.loads(done.stdout)["sequences"])


def import_seconds() -> float:
    def once(statement: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        return time.perf_counter() - began

    return statistics.median(once("import components.client") - once("pass") for _ in range(7))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--skip-1m", action="store_true")
    skip_1m = options.parse_args().skip_1m
    print(f"import_client_seconds: {import_seconds():.3f}")
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        for timeframe in ("5m",) if skip_1m else ("5m", "1m"):
            synthesize(
                home.cache,
                timeframe=timeframe,
                start_ns=parse_date_ns(START),
                end_ns=parse_date_ns(HALF_A_YEAR),
            )
        run(home.root, "5m", "2024-01-01T01:00")  # maps the candles once; every later run finds them
        short = statistics.median(run(home.root, "5m", "2024-01-01T01:00")[0] for _ in range(5))
        print(f"short_run_seconds: {short:.2f}")
        for timeframe in ("5m",) if skip_1m else ("5m", "1m"):
            seconds, sequences = run(home.root, timeframe, HALF_A_YEAR)
            print(f"run_{timeframe}_3coins_seconds: {seconds:.1f}")
            print(f"run_{timeframe}_3coins_sequences: {sequences}")


if __name__ == "__main__":
    main()
