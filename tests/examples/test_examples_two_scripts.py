"""The example bot's own logic, its scripts called in this process with their libraries' wire replaced.

The same scripts as processes of a replay are tested where replays of bots are.
"""

from __future__ import annotations

import ast
import datetime as dt
import importlib.util
import json
import os
import shutil
import time
import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from orchestrator.config import load_settings
from orchestrator.exchange.events import OrderFilled
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.protocol import Side
from orchestrator.venue_settings import VenueSettings
from orchestrator.venues.venues import VENUES
from tests.venues.simulated_run import HOUR, SECOND, SimulatedRun, small_market

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPTS = ("thinker.py", "trader.py")


class EnoughError(Exception):
    """Ends a loop that its author meant to run for ever."""


class Answer:
    """As much of a response of requests as the scripts and kucoin-python look at."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status_code, self.content, self.text = status, body, body.decode()

    def json(self) -> Any:
        return json.loads(self.content)


class Bot:
    """Both scripts on one simulated run, in a copy of their folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        keys = {name: (folder / f"throwaway_{name}.txt").read_text().strip() for name in ("key", "secret")}
        robinhood = VenueSettings(
            spread_bps=Decimal(15), signatures="verify", api_key=keys["key"], api_secret=keys["secret"]
        )
        self.run = SimulatedRun(
            {"kucoin": VenueSettings(), "robinhood": robinhood},
            market=small_market(minutes=3 * 1_440, warm_up=22 * 1_440),
            model=ExecutionModelSettings(slippage_bps=Decimal(0), fee_bps=Decimal(0)),
        )
        monkeypatch.setattr(os, "system", {"clear": 0, "cls": 0}.__getitem__)
        self.thinker, self.trader = (self._load(name) for name in SCRIPTS)
        self.thinker.market.session = SimpleNamespace(request=self._session_request)
        self.trader.requests = SimpleNamespace(get=self._get, post=self._post)
        self.trader.datetime = SimpleNamespace(datetime=SimpleNamespace(now=self._now), timezone=dt.timezone)
        self.trader.time = self._clock(self.run.advance)

    def _load(self, name: str) -> Any:
        spec = importlib.util.spec_from_file_location(f"example_{name[:-3]}", self.folder / name)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # kucoin-python imports pkg_resources
            spec.loader.exec_module(module)
        return module

    def _clock(self, wait: Callable[[int], None]) -> Any:
        def now() -> float:
            return self.run.now_ns / SECOND

        def sleep(seconds: float) -> None:
            wait(int(seconds * SECOND))

        def strftime(form: str) -> str:
            return time.strftime(form, time.gmtime(now()))

        return SimpleNamespace(time=now, sleep=sleep, strftime=strftime)

    def _now(self, tz: dt.timezone) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.run.now_ns / SECOND, tz)

    def _session_request(self, method: str, url: str, **more: Any) -> Answer:
        assert more["timeout"] == 5
        return self._send(method, url, {}, b"")

    def _get(self, url: str, headers: dict[str, str], timeout: float) -> Answer:
        assert timeout == 10
        return self._send("GET", url, headers, b"")

    def _post(self, url: str, headers: dict[str, str], json: Any, timeout: float) -> Answer:
        assert timeout == 10
        return self._send("POST", url, headers, _dumps(json))

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes) -> Answer:
        answer = self.run.send(method, url, headers=headers, body=body)
        return Answer(answer.status, answer.body)

    def think(self, turns: int = 7) -> None:
        """Let the thinker do so many turns, from its start."""
        left = turns

        def wait(duration_ns: int) -> None:
            nonlocal left
            self.run.advance(duration_ns)
            left -= 1
            if left == 0:
                raise EnoughError

        self.thinker.time = self._clock(wait)
        with pytest.raises(EnoughError):
            self.thinker.main()


def _dumps(body: Any) -> bytes:
    return json.dumps(body).encode()


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bot:
    folder = tmp_path / "bot"
    shutil.copytree(EXAMPLES, folder)
    return Bot(folder, monkeypatch)


def test_example_thinker_writes_its_signals_and_then_says_ready(bot: Bot) -> None:
    ready = bot.folder / "state" / "ready.json"
    bot.think(6)
    assert json.loads(ready.read_text())["ready"] is False
    bot.think(7)
    assert json.loads(ready.read_text())["ready"] is True
    for coin in ("BTC", "ETH", "DOGE"):
        level = int((bot.folder / "signals" / coin / "long_signal.txt").read_text())
        rising = 0
        for timeframe in ("1h", "2h", "4h", "8h", "12h", "1d"):
            closes = bot.run.market.history(coin, timeframe, 2, bot.run.now_ns).values[3]
            rising += int(closes[1] > closes[0])
        assert level - rising in (0, 1), "weeks of KuCoin begin on another day than those of the candles"


def test_example_thinker_drops_a_pass_over_a_full_hour(bot: Bot) -> None:
    bot.run.advance(HOUR - 2 * SECOND)
    bot.think(7)
    assert not (bot.folder / "signals" / "BTC").exists()


def test_example_trader_keeps_its_ledger_as_the_exchange_does(bot: Bot) -> None:
    trader = bot.trader.Trader()
    for _ in range(48):
        bot.think()
        for _ in range(3):
            trader.manage()
            bot.run.advance(3 * SECOND)
        bot.run.advance(HOUR - bot.run.now_ns % HOUR)
    cash = Decimal(10_000)
    cost: dict[str, Decimal] = {}
    for fill in bot.run.outcomes:
        if isinstance(fill, OrderFilled):
            sign = -1 if fill.side is Side.BUY else 1
            cash += sign * fill.qty * fill.price
            cost[fill.coin] = (
                cost.get(fill.coin, Decimal(0)) + fill.qty * fill.price if sign < 0 else Decimal(0)
            )
    ledger = json.loads((bot.folder / "ledger.json").read_text())
    assert len(ledger["trades"]) >= 6
    assert {side for _, side, *_ in ledger["trades"]} == {"buy", "sell"}
    assert abs(Decimal(ledger["cash"]) - cash) < Decimal("0.01")
    held = {coin: paid for coin, paid in cost.items() if paid}
    assert set(ledger["cost"]) == set(held)
    assert all(abs(Decimal(ledger["cost"][coin]) - paid) < Decimal("0.01") for coin, paid in held.items())
    realized = cash + sum(held.values()) - 10_000
    assert abs(Decimal(ledger["realized"]) - realized) < Decimal("0.01")
    # Started anew without its ledger, it finds what it paid in the order history.
    (bot.folder / "ledger.json").unlink()
    again = bot.trader.Trader().ledger
    assert again["cost"] == pytest.approx({coin: float(paid) for coin, paid in held.items()})


def test_example_trader_rounds_as_it_is_told(bot: Bot, capsys: pytest.CaptureFixture[str]) -> None:
    trader = bot.trader.Trader()
    order = trader.robinhood.market_order("buy", "DOGE-USD", 1234.56789)
    assert order["state"] == "filled"
    assert order["filled_asset_quantity"] == "1235"
    assert "has too much precision" in capsys.readouterr().out
    assert trader.robinhood.market_order("buy", "DOGE-USD", 1.0) is None, "less than the exchange takes"


def test_example_scripts_know_nothing_of_replay() -> None:
    for name in SCRIPTS:
        text = (EXAMPLES / name).read_text()
        assert "replay" not in text.lower()
        modules = {
            (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name) or ""
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        assert not {module.partition(".")[0] for module in modules} & {"orchestrator", "components"}


def test_example_configuration_names_the_scripts_and_their_exchanges() -> None:
    settings = load_settings(EXAMPLES / "bots.toml", {"start_date": "2024-03-01", "end_date": "2024-03-02"})
    assert [component.command[-1] for component in settings.component] == list(SCRIPTS)
    assert {component.kind for component in settings.component} == {"bot"}
    assert set(settings.venue) <= set(VENUES)
    hosts = {urlsplit(url).netloc for url in ("https://api.kucoin.com", "https://trading.robinhood.com")}
    assert all(any(host in (EXAMPLES / name).read_text() for name in SCRIPTS) for host in hosts)


def test_example_keys_are_named_as_throw_away_ones() -> None:
    settings = json.loads((EXAMPLES / "settings.json").read_text())
    for name in ("key_file", "secret_file"):
        assert settings[name].startswith("throwaway_")
        assert "throw" in settings[name]
        assert (EXAMPLES / settings[name]).is_file()
