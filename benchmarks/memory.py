"""Resident memory of the orchestrator over a long run, and of the whole process tree.

usage: python benchmarks/memory.py [--months 8]

Ten coins, 5-minute candles, two idle components. Prints `rss_peak_mb` (orchestrator), `rss_growth_pct` (largest
deviation from its own median in the second half of the run) and `rss_tree_peak_mb`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from orchestrator.config import parse_date_ns
from orchestrator.home import Home
from orchestrator.market.synthetic import synthesize

HERE = Path(__file__).resolve().parent
COINS = ("BTC", "ETH", "DOGE", "SOL", "XRP", "LTC", "LINK", "AVAX", "SHIB", "TRX")
IDLE = f"{sys.executable} {HERE / 'idle.py'}"
REPLAY = (sys.executable, "-c", "from orchestrator.cli.main import main; main()")
SAMPLE_SECONDS = 0.1


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--months", type=int, default=8, choices=range(1, 12))
    end = f"2024-{1 + options.parse_args().months:02d}-01"
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        synthesize(
            home.cache,
            coins=COINS,
            timeframe="5m",
            start_ns=parse_date_ns("2024-01-01"),
            end_ns=parse_date_ns(end),
        )
        words = ("start", "--start-date", "2024-01-01", "--end-date", end, "--coins", ",".join(COINS))
        orchestrator = subprocess.Popen(
            [*REPLAY, *words, "--quiet", "--thinker", IDLE, "--trader", IDLE],
            env={**os.environ, "REPLAY_HOME": folder},
            stdout=subprocess.DEVNULL,
        )
        own, tree = sample(orchestrator)
    if orchestrator.returncode != 0:
        raise SystemExit(f"the run ended with status {orchestrator.returncode}")
    half = own[len(own) // 2 : -5]  # the last samples see the run end
    middle = statistics.median(half)
    print(f"rss_peak_mb: {max(own) / 1e6:.0f}")
    print(f"rss_growth_pct: {100 * max(abs(value - middle) for value in half) / middle:.2f}")
    print(f"rss_tree_peak_mb: {max(tree) / 1e6:.0f}")


def sample(orchestrator: subprocess.Popen[bytes]) -> tuple[list[int], list[int]]:
    """Return resident bytes of the process and of its tree, every tenth of a second until it ends."""
    process, own, tree = psutil.Process(orchestrator.pid), [], []
    while orchestrator.poll() is None:
        try:
            resident = process.memory_info().rss
            children = sum(child.memory_info().rss for child in process.children(recursive=True))
        except psutil.Error:
            continue
        own.append(resident)
        tree.append(resident + children)
        time.sleep(SAMPLE_SECONDS)
    return own, tree


if __name__ == "__main__":
    main()
