"""Strict lock-step with release settings and two idle components, over the bare barrier of pyzmq.

usage: python benchmarks/lockstep.py [--ticks 40000]

Prints `lockstep_ratio`, `lockstep_ticks_per_second`, `barrier_ticks_per_second` and `startup_seconds`. Both sides
run on one core. The rate is the difference of a long and a short run, so that starting and ending cancel out.
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

from orchestrator.config import ComponentSettings, Settings
from orchestrator.home import Home
from orchestrator.market.synthetic import synthesize
from orchestrator.runtime.plan import make_plan
from orchestrator.runtime.session import run_replay

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("REPLAY_SHARED", HERE.parent.parent / "shared"))
IDLE = (sys.executable, str(HERE / "idle.py"))
NS_PER_MINUTE = 60_000_000_000


def settings(end_minutes: int) -> Settings:
    days, minutes = divmod(end_minutes, 1440)
    hours, minutes = divmod(minutes, 60)
    return Settings(
        start_date="2024-01-01",
        end_date=f"2024-{1 + days // 28:02d}-{1 + days % 28:02d}T{hours:02d}:{minutes:02d}",
        coins=("BTC", "ETH", "DOGE"),
        timeframe="1m",
        cpu_affinity="one",
        component=(
            ComponentSettings(name="thinker", stage=1, command=IDLE, workdir=str(HERE)),
            ComponentSettings(name="trader", stage=2, command=IDLE, workdir=str(HERE)),
        ),
    )


def seconds_of_run(home: Home, ticks: int, name: str) -> tuple[int, float]:
    plan = make_plan(settings(ticks), home, home.results / name)
    began = time.perf_counter()
    result = run_replay(plan, environment=dict(os.environ), show=lambda _status: None)
    if result.status != "complete":
        raise SystemExit(f"the run ended {result.status}: {result.reason}")
    return result.sequences, time.perf_counter() - began


def barrier_rate() -> float | None:
    program = SHARED / "baseline" / "barrier.py"
    if not program.is_file():
        return None
    out = subprocess.run(
        [sys.executable, str(program), "--one-core"], check=True, capture_output=True, text=True
    )
    return float(out.stdout)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--ticks", type=int, default=20_000)
    ticks = options.parse_args().ticks
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        last = settings(ticks)
        synthesize(home.cache, timeframe="1m", start_ns=last.start_ns, end_ns=last.end_ns)
        rates, barriers, startups = [], [], []
        for attempt in range(3):
            few, short = seconds_of_run(home, 500, f"short-{attempt}")
            many, long = seconds_of_run(home, ticks, f"long-{attempt}")
            barrier = barrier_rate()  # beside the runs it is compared with: the machine may change in between
            rates.append((many - few) / (long - short))
            startups.append(short - few / rates[-1])
            if barrier is not None:
                barriers.append(rates[-1] / barrier)
                print(f"barrier_ticks_per_second: {barrier:.0f}")
    print(f"lockstep_ticks_per_second: {statistics.median(rates):.0f}")
    print(f"startup_seconds: {statistics.median(startups):.2f}")
    if barriers:
        print(f"lockstep_ratio: {statistics.median(barriers):.2f}")
    else:
        print(f"lockstep_ratio: not measured, no baseline/barrier.py in {SHARED}")


if __name__ == "__main__":
    main()
