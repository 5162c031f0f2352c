"""`replay analyze` on 3 coins, 6 months of 1m candles and 5,000 fills: 262,080 rows.

usage: python benchmarks/analyze.py [--days 182]

Prints `analyze_seconds` (the whole command, median of three), `analyze_peak_mb` and `report_mb`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.analysis.made_runs import make_run

FILLS = 5_000
REPLAY = Path(sys.executable).parent / "replay"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--days", type=int, default=182)
    days = options.parse_args().days
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        run = make_run(
            home / "backtest_results" / "run",
            home / "backtest_cache",
            coins=("BTC", "ETH", "DOGE"),
            timeframe="1m",
            end=str(dt.date(2024, 1, 1) + dt.timedelta(days=days)),
            every=days * 1440 * 5 // 4 // FILLS,  # every fourth order is two fills
            fee_bps="1",
            slippage_bps="0.5",
        )
        seconds, peaks = [], []
        for _ in range(3):
            began = time.perf_counter()
            peaks.append(peak_mb([str(REPLAY), "analyze", str(run)], home))
            seconds.append(time.perf_counter() - began)
        with (run / "fills.jsonl").open("rb") as lines:
            print(f"fills: {sum(1 for _ in lines)}")
        print(f"analyze_seconds: {statistics.median(seconds):.2f}")
        print(f"analyze_peak_mb: {max(peaks):.0f}")
        print(f"report_mb: {(run / 'report.html').stat().st_size / 1e6:.2f}")


def peak_mb(command: list[str], home: Path) -> float:
    process = subprocess.Popen(
        command,
        env={**os.environ, "REPLAY_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return used.ru_maxrss / 1024


if __name__ == "__main__":
    main()
