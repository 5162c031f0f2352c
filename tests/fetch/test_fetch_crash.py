"""Fetches that are killed, interrupted, or two at once: the cache ends as after an unbroken one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.config import parse_date_ns
from orchestrator.market.files import TEMPORARY_SUFFIX
from orchestrator.market.missing import read_absences
from orchestrator.market.spans import Span
from orchestrator.market.verify import verify_series
from tests.fetch.exchange_server import Exchange, ExchangeServer
from tests.fetch.fetches import fetcher, holed, keys, silent
from tests.market.builders import candles_from

KILLS = 50
SPAN = Span(parse_date_ns("2024-01-31T12:00"), parse_date_ns("2024-02-01T12:00"))  # across two months

# One process imports everything and forks a child for every attempt; the child counts the steps that touch disk or
# network and dies at the one it is told, as by `kill -9`: nothing of it is cleaned up.
HOST = """
import json, os, pathlib, signal, sys
import numpy as np
from orchestrator.fetch.source import CcxtSource
from orchestrator.fetch.fetching import Fetcher
from orchestrator.market.verify import verify_series
from tests.fetch.fetches import fetcher, keys, silent
from tests.fetch.test_fetch_crash import SPAN

url, folder, kills, seed = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
first = fetcher(folder / "unused", url, page_candles=60)

def attempt(cache, step_of_death):
    steps = 0
    def dying(function):
        def step(*arguments, **options):
            nonlocal steps
            steps += 1
            if steps == step_of_death:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)
        return step
    os.fsync = lambda _descriptor: None  # a process that dies leaves the system's own buffers alone
    for owner, name in ((os, "fsync"), (pathlib.Path, "replace"), (pathlib.Path, "unlink"), (CcxtSource, "page")):
        setattr(owner, name, dying(getattr(owner, name)))
    outcomes = fetcher(cache, url, page_candles=60, parallel=2).fetch(keys(), SPAN, watch=silent)
    os._exit(1 if any(outcome.error for outcome in outcomes) else 0)

chance = np.random.default_rng(seed)
killed, number, states = 0, 0, []
while killed < kills:
    cache = folder / f"cache{number}"
    step = int(chance.integers(1, 60))
    child = os.fork()
    if child == 0:
        attempt(cache, step)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        killed += 1
        states.append([number, step])
        problems = [p for key in keys() for p in verify_series(cache, key).problems if (cache / key.folder).exists()]
        assert not problems, (step, problems)
    else:
        assert os.WEXITSTATUS(status) == 0, (step, status)
        number += 1
attempt(folder / f"cache{number}", 0) if os.fork() == 0 else os.wait()
print(json.dumps({"caches": number + 1, "states": states}))
"""


def local_exchange() -> Exchange:
    coins = {
        "BTC": holed(candles_from("2024-01-31T12:00", 1440, "1m", seed=1)),
        "ETH": candles_from("2024-01-31T12:00", 1440, "1m", seed=2),
    }
    return Exchange("kucoin", coins, 60 * 10**9, parse_date_ns("2024-03-01"))


def state(cache: Path) -> list[object]:
    """Return what a cache knows: digests of values, absences, number of parts, nothing left lying about."""
    left = [path.name for path in cache.rglob("*") if path.suffix == TEMPORARY_SUFFIX]
    known: list[object] = [left]
    for key in keys():
        report = verify_series(cache, key)
        assert report.problems == ()
        known += [report.digest, read_absences(cache, key)]
    return known


def test_killed_at_fifty_points_it_ends_as_an_unbroken_fetch(tmp_path: Path) -> None:
    with ExchangeServer(local_exchange()) as server:
        fetcher(tmp_path / "unbroken", server.url, page_candles=60).fetch(keys(), SPAN, watch=silent)
        command = [sys.executable, "-c", HOST, server.url, str(tmp_path), str(KILLS), "20240131"]
        host = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert host.returncode == 0, host.stderr
    result = json.loads(host.stdout)
    assert len(result["states"]) == KILLS
    assert result["caches"] >= 2
    expected = state(tmp_path / "unbroken")
    for number in range(result["caches"]):
        assert state(tmp_path / f"cache{number}") == expected, result["states"]


REPLAY = (sys.executable, "-c", "from orchestrator.cli.main import main; main()")


def command_line(url: str, *more: str) -> list[str]:
    flags = {
        "--exchange": "kucoin", "--coins": "BTC,ETH", "--timeframe": "1m", "--start-date": "2024-01-31T12:00",
        "--end-date": "2024-02-01T12:00", "--base-url": url,
    }  # fmt: skip
    return [*REPLAY, "data", "fetch", *(word for pair in flags.items() for word in pair), *more]


def start(home: Path, *words: str) -> subprocess.Popen[str]:
    environment = os.environ | {"REPLAY_HOME": str(home)}
    return subprocess.Popen(words, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_fetches_at_once(tmp_path: Path) -> None:
    with ExchangeServer(local_exchange()) as server:
        fetcher(tmp_path / "unbroken", server.url).fetch(keys(), SPAN, watch=silent)
        both = [start(tmp_path / "home", *command_line(server.url)) for _ in range(2)]
        try:
            for one in both:
                _, errors = one.communicate(timeout=200)
                assert one.returncode == 0, errors
        finally:
            for one in both:
                one.kill()
                one.wait()
    assert state(tmp_path / "home" / "backtest_cache") == state(tmp_path / "unbroken")


def test_a_terminal_shows_a_bar_for_each_series(tmp_path: Path) -> None:
    terminal, line = os.openpty()
    with ExchangeServer(local_exchange()) as server, os.fdopen(terminal, "rb", buffering=0) as screen:
        environment = os.environ | {"REPLAY_HOME": str(tmp_path), "TERM": "xterm", "COLUMNS": "100"}
        one = subprocess.Popen(
            command_line(server.url), env=environment, stdout=subprocess.DEVNULL, stderr=line
        )
        os.close(line)
        shown = b""
        try:
            with suppress(OSError):  # how the end of a terminal reads on Linux
                while piece := screen.read(65_536):
                    shown += piece
            assert one.wait(200) == 0, shown
        finally:
            one.kill()
            one.wait()
    assert b"kucoin BTC-USDT 1m" in shown
    assert b"1440/1440" in shown


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_fetch_goes_on(signum: signal.Signals, tmp_path: Path) -> None:
    there = local_exchange()
    there.faults = lambda number: "slow" if number >= 1 else None
    there.slow_seconds = 1.5
    with ExchangeServer(there) as server:
        one = start(tmp_path, *command_line(server.url, "--parallel", "1"))
        try:
            deadline = time.monotonic() + 120
            while len(there.candle_requests) < 2 and one.poll() is None:
                assert time.monotonic() < deadline, "the fetch asked for nothing"
                time.sleep(0.01)
            one.send_signal(signum)
            _, errors = one.communicate(timeout=120)
        finally:
            one.kill()
            one.wait()
        if signum == signal.SIGINT:
            assert (one.returncode, "goes on where it stopped" in errors) == (130, True), errors
        asked = len(there.candle_requests)
        there.faults = lambda _number: None
        one = start(tmp_path, *command_line(server.url))
        output, errors = one.communicate(timeout=200)
        assert one.returncode == 0, errors
        assert {again.query["symbol"] for again in there.candle_requests[asked:]} == {"ETH-USDT"}
        fetcher(tmp_path / "unbroken", server.url).fetch(keys(), SPAN, watch=silent)
    assert "kucoin BTC-USDT 1m: 0 added, 1245 of 1440 cached" in output
    assert "the exchange has none: 2024-01-31 13:40 to 2024-01-31 13:42, 2m, 2 candles" in output
    assert state(tmp_path / "backtest_cache") == state(tmp_path / "unbroken")
