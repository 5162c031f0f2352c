"""The example bots, unmodified: what replaying them costs beside what they themselves cost.

usage: python benchmarks/bots.py [--hours N]

Prints

- `burst_week_ratio`: CPU time of the bots' processes over N simulated hours of 1-minute ticks (3 coins, 7 timeframes,
  burst 7 and 2) over the CPU time of the same scripts with every answer canned in place of the transport, outside of a
  replay; `burst_bare_ratio`: the same over the scripts with the whole of requests replaced by canned answers;
- `burst_request_us`: what a request costs the bots' processes more than a canned one;
- `orchestrator_cpu_share`: what the orchestrator and its guardian used of all CPU time, in the same run;
- `burst_speedup` and `natural_speedup`: simulated seconds a wall second, of the whole command.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import tomli_w

from orchestrator.config import load_settings, parse_date_ns
from orchestrator.home import Home
from orchestrator.market.synthetic import synthesize
from orchestrator.protocol import AccountState
from orchestrator.runtime.bot_venues import make_venues
from orchestrator.runtime.plan import make_plan
from orchestrator.venues.http import VenueRequest

REPLAY = (sys.executable, "-c", "from orchestrator.cli.main import main; main()")
REPOSITORY = Path(__file__).resolve().parent.parent
CANNED = Path(__file__).with_name("canned_bot.py")
HISTORY, START = "2024-01-01", "2024-02-05"
NATURAL_HOURS = 1
NS_PER_HOUR = 3_600_000_000_000
TIMEFRAMES = ("1hour", "2hour", "4hour", "8hour", "12hour", "1day", "1week")
COINS = ("BTC", "ETH", "DOGE")
ROBINHOOD = "https://trading.robinhood.com/api/v1/crypto/"


class Nobody:
    """Asks for market data and an account that nothing happened to."""

    component, account = "trader", "main"

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def account_state(self) -> AccountState:  # noqa: D102
        return AccountState(Decimal(10_000), Decimal(0), {}, {})

    def submit(self, order: Any) -> Any:  # noqa: D102
        raise NotImplementedError(order)

    def cancel(self, client_order_id: str) -> Any:  # noqa: D102
        raise NotImplementedError(client_order_id)


def urls() -> list[str]:
    candles = [
        f"https://api.kucoin.com/api/v1/market/candles?symbol={coin}-USDT&type={timeframe}"
        for coin in COINS
        for timeframe in TIMEFRAMES
    ]
    quotes = [f"{ROBINHOOD}marketdata/best_bid_ask/?symbol={coin}-USD" for coin in COINS]
    orders = [f"{ROBINHOOD}trading/orders/?symbol={coin}-USD" for coin in COINS]
    return [*candles, *quotes, *orders, f"{ROBINHOOD}trading/accounts/", f"{ROBINHOOD}trading/holdings/"]


def canned_answers(home: Home, config: Path, flags: dict[str, Any], now_ns: int) -> dict[str, str]:
    plan = make_plan(load_settings(config, flags), home, home.root / "never")
    venues = make_venues(plan.settings, plan.market, plan.instruments)
    keys = tuple((name, "x") for name in ("x-api-key", "x-signature", "x-timestamp"))
    answers = {}
    for url in urls():
        host, _, path = url.removeprefix("https://").partition("/")
        answer = venues.answer(VenueRequest("GET", host, f"/{path}", keys), Nobody(now_ns))
        assert answer.status == 200, (url, answer)
        answers[url] = answer.body.decode()
    return answers


def children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def replay(home: Home, config: Path, end: str, name: str) -> tuple[Path, float, float]:
    """Return the run directory, the wall and the CPU seconds of the whole command."""
    directory = home.root / name
    began, cpu = time.perf_counter(), children_cpu()
    words = ("--start-date", START, "--end-date", end, "--timeframe", "1m", "--output-dir", str(directory))
    subprocess.run(
        [*REPLAY, "start", "--config", str(config), *words, "--quiet"],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "REPLAY_HOME": str(home.root)},
    )
    return directory, time.perf_counter() - began, children_cpu() - cpu


def own_cpu(folder: Path, script: str, requests: int, answers: Path, level: str) -> float:
    done = subprocess.run(
        [sys.executable, str(CANNED), script, str(requests), str(answers), level],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stderr.splitlines()[-1])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--hours", type=int, default=24)
    hours = options.parse_args().hours
    with tempfile.TemporaryDirectory() as root:
        home = Home(Path(root))
        end_ns = parse_date_ns(START) + hours * NS_PER_HOUR
        synthesize(home.cache, timeframe="1m", start_ns=parse_date_ns(HISTORY), end_ns=end_ns)
        bots = home.root / "bots"
        shutil.copytree(REPOSITORY / "examples", bots)
        end = f"2024-02-{5 + hours // 24:02d}T{hours % 24:02d}:00"
        run, wall, cpu = replay(home, bots / "bots.toml", end, "burst")
        components = json.loads((run / "run.json").read_text())["components"]
        bots_cpu = sum(component["cpu_seconds"] for component in components)
        asked = json.loads((run / "bots.json").read_text())["requests"]
        answers = home.root / "answers.json"
        flags = {"start_date": START, "end_date": end, "timeframe": "1m"}
        answers.write_text(
            json.dumps(canned_answers(home, bots / "bots.toml", flags, end_ns - NS_PER_HOUR // 2))
        )
        own = {"transport": 0.0, "session": 0.0}
        for name in ("thinker", "trader"):
            count = sum(row["count"] for row in asked if row["component"] == name)
            for level in own:
                folder = home.root / f"canned_{name}_{level}"
                shutil.copytree(bots, folder)
                own[level] += own_cpu(folder, f"{name}.py", count, answers, level)
        print(f"burst_week_ratio: {bots_cpu / own['transport']:.2f}")
        print(f"burst_bare_ratio: {bots_cpu / own['session']:.2f}")
        print(
            f"burst_request_us: {1e6 * (bots_cpu - own['session']) / sum(row['count'] for row in asked):.0f}"
        )
        print(f"orchestrator_cpu_share: {(cpu - bots_cpu) / cpu:.3f}")
        print(f"burst_speedup: {hours * 3_600 / wall:.0f}")
        natural = bots / "natural.toml"
        settings = tomllib.loads((bots / "bots.toml").read_text())
        for component in settings["component"]:
            for key in ("pace", "burst", "phase"):
                component.pop(key, None)
        natural.write_text(tomli_w.dumps(settings))
        _, wall, _ = replay(home, natural, f"{START}T{NATURAL_HOURS:02d}:00", "natural")
        print(f"natural_speedup: {NATURAL_HOURS * 3_600 / wall:.0f}")


if __name__ == "__main__":
    main()
