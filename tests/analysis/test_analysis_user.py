"""What a user does in a quarter of an hour: fetch a week, replay it, analyse it, open the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from orchestrator.config import parse_date_ns
from tests.analysis.browser import find_browser, running_browser
from tests.fetch.exchange_server import Exchange, ExchangeServer
from tests.market.builders import candles_from

REPLAY = Path(sys.executable).parent / "replay"
FIVE_MINUTES = 300 * 10**9
WEEK = ("--start-date", "2024-01-01", "--end-date", "2024-01-08")


def replay(home: Path, *words: str) -> str:
    done = subprocess.run(
        [str(REPLAY), *words],
        env={**os.environ, "REPLAY_HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_fetch_start_analyze_open(tmp_path: Path) -> None:
    coins = {coin: candles_from("2024-01-01", 7 * 288, "5m", seed=n) for n, coin in enumerate(("BTC", "ETH"))}
    exchange = Exchange("kucoin", coins, FIVE_MINUTES, parse_date_ns("2024-03-01"))
    which = ("--exchange", "kucoin", "--coins", "BTC,ETH", "--timeframe", "5m")
    with ExchangeServer(exchange) as server:
        replay(tmp_path, "data", "fetch", *which, *WEEK, "--base-url", server.url, "--quiet")
    started = replay(tmp_path, "start", *which, *WEEK, "--output-dir", "backtest_results/week", "--quiet")
    table = replay(tmp_path, "analyze", "week")
    run = tmp_path / "backtest_results" / "week"
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    # What start printed at its end, the table, the file and the page say the same.
    assert f"digest     {metrics['digest']}" in started
    assert f"return     {metrics['total_return']:+.2%}" in started
    assert f"(buy and hold {metrics['buy_and_hold_return']:+.2%})" in started
    assert f"drawdown   {metrics['max_drawdown']['fraction']:.2%}" in started
    assert f"{abs(100 * metrics['total_return']):.2f} %" in table
    assert metrics["fills"] > 0
    assert metrics["days"] == 7
    assert metrics["sharpe"] is None
    program = find_browser()
    if program is None:  # the browser tests say that it is missing
        return
    with running_browser(program, tmp_path / "profile") as browser:
        browser.open(run / "report.html", width=1280, height=900)
        assert browser.problems == []
        shown = browser.evaluate(
            "document.querySelector('#summary [data-metric=total_return]').dataset.value"
        )
        assert json.loads(shown) == metrics["total_return"]
        assert "too short" in browser.evaluate("document.querySelector('#summary').innerText")
