"""`replay data fetch`, `warm` and `replay start --fetch` as they are typed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli.data import data
from orchestrator.cli.start import start
from orchestrator.config import NS_PER_DAY, load_settings, parse_date_ns
from orchestrator.errors import ConfigError, DataError
from orchestrator.fetch import job as fetch_job
from orchestrator.fetch.job import jobs_of_run
from orchestrator.market.cache import series_in
from orchestrator.market.candles import Candles
from orchestrator.market.resample import resample
from tests.fetch.exchange_server import Exchange, ExchangeServer
from tests.fetch.fetches import exchange

CONFIG = """
start_date = 2024-01-05
end_date = 2024-01-06
coins = ["BTC", "ETH"]
timeframe = "1m"
[data]
exchange = "kucoin"
gaps = "stale"
base_url = "{url}"
"""


@pytest.fixture(autouse=True)
def home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPLAY_HOME", str(tmp_path))
    return tmp_path


def run(*words: object) -> Result:
    result = CliRunner().invoke(data, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def fetch(url: str, *more: object) -> Result:
    words = ("--exchange", "kucoin", "--coins", "btc,eth", "--timeframe", "1m", "--start-date", "2024-01-05")
    return run("fetch", *words, "--base-url", url, *more)


def test_fetch_says_exactly_what_is_missing() -> None:
    with ExchangeServer(exchange()) as server:
        result = fetch(server.url, "--end-date", "2024-01-06", "--quiet")
        machine = json.loads(fetch(server.url, "--end-date", "2024-01-06", "--json").stdout)
    assert result.stdout == (
        "kucoin BTC-USDT 1m: 1245 added, 1245 of 1440 cached\n"
        "  the exchange has none: 2024-01-05 01:40 to 2024-01-05 01:42, 2m, 2 candles\n"
        "  the exchange has none: 2024-01-05 08:20 to 2024-01-05 09:00, 40m, 40 candles\n"
        "  the exchange has none: 2024-01-05 16:40 to 2024-01-05 19:10, 2h30m, 150 candles\n"
        "  the exchange has none: 2024-01-05 23:55 to 2024-01-05 23:58, 3m, 3 candles\n"
        "kucoin ETH-USDT 1m: 1440 added, 1440 of 1440 cached\n"
    )
    assert result.stderr == ""
    verified = run("verify").stdout  # a gap that the exchange has too is told from one that was never fetched
    assert "  gap of the exchange itself: 2024-01-05 08:20 to 2024-01-05 09:00, 40m, 40 candles\n" in verified
    assert "  gap: " not in verified
    assert [row["candles"] for row in machine] == [1245, 1440]
    assert machine[0]["absent"][1] == {
        "start": "2024-01-05T08:20Z",
        "end": "2024-01-05T09:00Z",
        "seconds": 2400,
        "candles": 40,
    }


def test_without_an_end_it_stops_at_the_last_closed_candle() -> None:
    there = exchange()
    there.now_ns = parse_date_ns("2024-01-05T12:00:30")
    with ExchangeServer(there) as server:
        result = fetch(server.url)
    assert "ETH-USDT 1m: 720 added, 720 of 720 cached" in result.stdout
    assert "until 2024-01-05 12:00: later candles are not closed yet" in result.stdout


def test_a_failure_is_status_three_and_says_what_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.fetch.patience.Patience.__new__.__defaults__", (3, 0.01, 0.02))
    there = exchange(faults=lambda _number: "error")
    with ExchangeServer(there) as server, pytest.raises(DataError, match=r"2 of 2 series .*first kucoin BTC"):
        fetch(server.url, "--end-date", "2024-01-06")


def test_a_shorter_interval_and_wrong_dates_are_refused() -> None:
    with ExchangeServer(exchange()) as server:
        with pytest.raises(ConfigError, match="too short; at least"):
            fetch(server.url, "--request-interval", "0.01")
        with pytest.raises(ConfigError, match="is not after"):
            fetch(server.url, "--end-date", "2024-01-01")
        with pytest.raises(ConfigError, match="--coins names nothing"):
            fetch(server.url, "--coins", ", ")


def test_ccxt_is_asked_for_when_it_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ccxt", None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[fetch\]'"):
        fetch("http://127.0.0.1:9")


def test_warm_fetches_what_a_run_needs(home_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = home_folder / "replay.toml"
    with ExchangeServer(exchange(count=10 * 1440)) as server:
        config.write_text(CONFIG.format(url=server.url))
        result = run("warm", "--config", config, "--timeframes", "1h,4h,1w,7h", "--warm-up", "1d")
    cached = [str(key) for key in series_in(home_folder / "backtest_cache")]
    assert [name for name in cached if "ETH" in name] == [
        f"kucoin ETH-USDT {length}" for length in ("1h", "1m", "4h")
    ]
    assert "kucoin has no 7h candles" in result.stderr
    assert "kucoin ETH-USDT 4h: 6 added, 6 of 12 cached" in result.stdout
    assert "2024-01-04 00:00 to 2024-01-05 00:00, 1d, 6 candles" in result.stdout

    monkeypatch.setattr(fetch_job, "run_job", None)  # nothing is asked without a name
    config.write_text(CONFIG.format(url="").replace('exchange = "kucoin"', ""))
    with pytest.raises(ConfigError, match="give --exchange"):
        run("warm", "--config", config)


def test_a_run_needs_its_own_candles_and_the_usual_longer_ones(home_folder: Path) -> None:
    (home_folder / "replay.toml").write_text(CONFIG.format(url="http://mirror.invalid"))
    settings = load_settings(home_folder / "replay.toml", {})
    (job,) = jobs_of_run(settings)
    assert job.timeframes == ("1m", "1h", "2h", "4h", "8h", "12h", "1d", "1w")
    assert job.base_url == "http://mirror.invalid"
    assert "base_url" not in str(settings.identity())
    two = load_settings(home_folder / "replay.toml", {"data": {"execution": "coinbase"}})
    _, other = jobs_of_run(two)
    assert (other.exchange, other.timeframes, other.base_url) == ("coinbase", ("1m",), None)


def test_start_can_fetch_first(home_folder: Path) -> None:
    config = home_folder / "replay.toml"
    with ExchangeServer(exchange()) as server:
        config.write_text(CONFIG.format(url=server.url))
        result = CliRunner().invoke(start, ["--config", str(config), "--fetch", "--dry-run"])
    assert result.exit_code == 0, result.output
    assert "ETH-USDT 1m: 1440 added" in result.stderr
    assert "would replay 2024-01-05 to 2024-01-06: 1440 sequences of 1m" in result.stdout


@dataclass
class WeeksOnMonday(Exchange):
    """An exchange with one length of candles that is not on the grid expected of it."""

    broken_seconds: int = 604_800

    def rows(self, coin: str, seconds: int) -> Candles:
        if seconds != self.broken_seconds:
            return super().rows(coin, seconds)
        return resample(
            self.coins[coin], seconds * 10**9, 4 * NS_PER_DAY if seconds == 604_800 else 17 * 10**9
        )


def test_start_does_without_longer_candles_that_cannot_be_fetched(home_folder: Path) -> None:
    sound = exchange(count=20 * 1440)
    there = WeeksOnMonday(sound.dialect, sound.coins, sound.step_ns, sound.now_ns)
    config = home_folder / "replay.toml"
    words = ["--config", str(config), "--fetch", "--dry-run", "--quiet", "--end-date", "2024-01-24"]
    with ExchangeServer(there) as server:
        config.write_text(CONFIG.format(url=server.url).replace('"1m"', '"1h"'))
        result = CliRunner().invoke(start, words)
        assert result.exit_code == 0, result.output
        assert "note: kucoin BTC-USDT 1w could not be fetched whole: " in result.stderr
        assert "the run does without it" in result.stderr
        assert "1h" in result.stdout
        there.broken_seconds = 900
        config.write_text(CONFIG.format(url=server.url).replace('"1m"', '"15m"'))
        failed = CliRunner().invoke(start, words)
    assert isinstance(failed.exception, DataError)
    assert "2 of 2 series could not be fetched whole, first kucoin BTC-USDT 15m" in str(failed.exception)
