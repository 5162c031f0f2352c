"""`replay start`: how flags become settings and components; what is printed; nothing starts here."""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from orchestrator.cli import start as start_module
from orchestrator.cli.main import main
from orchestrator.config import ComponentSettings, Settings, load_settings
from orchestrator.home import Home

HEAD = ("--start-date", "2024-01-01", "--end-date", "2024-02-01", "--coins", "BTC,ETH")
TOML = """
start_date = 2024-01-01
end_date = 2024-02-01
coins = ["BTC"]
seed = 3
[[component]]
name = "scout"
command = ["python", "scout.py"]
[[component]]
name = "trader"
stage = 5
command = ["python", "old.py"]
params = { fraction = 0.5 }
"""


class Planned(NamedTuple):
    settings: Settings
    home: Home
    output: Path | None


class Started:
    """What `replay start` handed on instead of planning and running it."""

    def __init__(self) -> None:
        self.planned: list[Planned] = []
        self.shown: list[dict[str, bool]] = []
        self.status = 0
        self.retrained: list[bool] = []

    def make_plan(self, settings: Settings, home: Home, output: Path | None, *, is_retraining: bool) -> Any:
        self.retrained.append(is_retraining)
        self.planned.append(Planned(settings, home, output))
        market = SimpleNamespace(tick_count=12, timeframe="5m", coins=settings.coins, exchange="binance")
        components = [SimpleNamespace(settings=component) for component in settings.component]
        return SimpleNamespace(
            settings=settings,
            market=market,
            components=components,
            directory=output or Path("/runs/x"),
            training=None,
            notes=("BTC begins late",),
        )

    def present_run(self, _plan: Any, **how: bool) -> int:
        self.shown.append(how)
        return self.status

    @property
    def settings(self) -> Settings:
        (planned,) = self.planned
        return planned.settings


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Started:
    started = Started()
    monkeypatch.setattr(start_module, "make_plan", started.make_plan)
    monkeypatch.setattr(start_module, "present_run", started.present_run)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REPLAY_HOME", raising=False)
    (tmp_path / "replay.toml").write_text(TOML)
    return started


Start = Callable[..., int]


@pytest.fixture
def start(started: Started) -> Start:
    def start(*words: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["start", *words])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return start


class TestFlags:
    def test_the_least_that_can_be_said(self, start: Start, started: Started) -> None:
        assert start(*HEAD) == 0
        assert started.settings == load_settings(
            None, {"start_date": "2024-01-01", "end_date": "2024-02-01", "coins": ["BTC", "ETH"]}
        )
        assert started.planned[0].output is None
        assert started.shown == [{"is_quiet": False, "as_json": False}]

    def test_everything_that_can_be_said(self, start: Start, started: Started) -> None:
        words = (
            "--timeframe 5m --speed 60 --seed 9 --exchange binance --quote USDT --gaps stale --max-gap 30m"
        )
        more = "--initial-cash 250.50 --component-timeout 5 --output-dir out --quiet --json"
        assert start(*HEAD, *words.split(), *more.split()) == 0
        found = started.settings
        assert (found.timeframe, found.speed, found.seed, found.component_timeout) == ("5m", "60", 9, 5.0)
        assert (found.data.exchange, found.data.quote, found.data.gaps, found.data.max_gap) == (
            "binance",
            "USDT",
            "stale",
            "30m",
        )
        assert str(found.account.initial_cash) == "250.50"
        assert started.planned[0].output == Path("out")
        assert started.shown == [{"is_quiet": True, "as_json": True}]

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("BTC", ("BTC",)),
            ("btc,eth", ("BTC", "ETH")),
            (" BTC , ETH,", ("BTC", "ETH")),
            ("1INCH", ("1INCH",)),
        ],
    )
    def test_coins_are_separated_by_commas(
        self, start: Start, started: Started, words: str, expected: tuple[str, ...]
    ) -> None:
        start(*HEAD, "--coins", words)
        assert started.settings.coins == expected

    def test_flags_win_over_the_file(self, start: Start, started: Started) -> None:
        assert start("--config", "replay.toml", "--seed", "4", "--coins", "ETH") == 0
        assert (started.settings.seed, started.settings.coins) == (4, ("ETH",))
        assert started.settings.start_date == "2024-01-01"

    def test_the_status_is_that_of_the_run(self, start: Start, started: Started) -> None:
        started.status = 4
        assert start(*HEAD) == 4

    def test_home_is_the_current_folder_or_the_one_of_the_environment(
        self, start: Start, started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        start(*HEAD)
        monkeypatch.setenv("REPLAY_HOME", str(tmp_path / "elsewhere"))
        start(*HEAD)
        assert [planned.home.root for planned in started.planned] == [tmp_path, tmp_path / "elsewhere"]

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--speed", "0"), "speed '0' is not allowed; use max"),
            (("--end-date", "2023-01-01"), "is not after start_date"),
            (("--start-date", "yesterday"), "date 'yesterday' is not understood"),
            (("--coins", ","), "coins is missing; give --coins"),
            (("--coins", "BTC,BTC"), "names BTC more than once"),
            (("--initial-cash", "nan"), "account.initial_cash NaN is out of range"),
            (("--initial-cash", "-1"), "account.initial_cash -1 is out of range"),
            (("--component-timeout", "nan"), "component_timeout nan is out of range"),
            (("--max-gap", "30m"), "data.max_gap has no effect"),
            (("--thinker", ""), "--thinker is empty; give a command"),
            (("--trader", "python 'x.py"), "cannot be split into words"),
            (("--config", "none.toml"), "none.toml does not exist"),
        ],
    )
    def test_wrong_flags(
        self,
        start: Start,
        started: Started,
        words: tuple[str, ...],
        said: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert start(*HEAD, *words) == 2
        out, err = capsys.readouterr()
        assert said in err
        assert (out, err.count("\n")) == ("", 1)
        assert started.planned == []


class TestComponents:
    def test_flags_make_a_thinker_of_stage_1_and_a_trader_of_stage_2_where_one_stands(
        self, start: Start, started: Started, tmp_path: Path
    ) -> None:
        start(*HEAD, "--trader", "python 'my trader.py' --fast", "--thinker", "./think")
        here = str(tmp_path)
        assert started.settings.component == (
            ComponentSettings(name="thinker", stage=1, command=("./think",), workdir=here),
            ComponentSettings(
                name="trader", stage=2, command=("python", "my trader.py", "--fast"), workdir=here
            ),
        )

    def test_one_alone_is_one_alone(self, start: Start, started: Started) -> None:
        start(*HEAD, "--trader", "python t.py")
        assert [component.name for component in started.settings.component] == ["trader"]

    def test_a_flag_replaces_the_command_of_that_name_and_keeps_its_place_stage_and_parameters(
        self, start: Start, started: Started, tmp_path: Path
    ) -> None:
        start("--config", "replay.toml", "--trader", "python new.py", "--thinker", "python t.py")
        scout, trader, thinker = started.settings.component
        assert (scout.name, scout.stage) == ("scout", 1)
        assert (trader.command, trader.stage, trader.params) == (("python", "new.py"), 5, {"fraction": 0.5})
        assert trader.workdir == str(tmp_path)
        assert (thinker.name, thinker.stage) == ("thinker", 1)

    def test_a_file_elsewhere_keeps_its_components_there(
        self, start: Start, started: Started, tmp_path: Path
    ) -> None:
        (tmp_path / "bot").mkdir()
        (tmp_path / "bot" / "replay.toml").write_text(TOML)
        start("--config", str(tmp_path / "bot" / "replay.toml"), "--trader", "python new.py")
        scout, trader = started.settings.component
        assert (scout.workdir, trader.workdir) == (str(tmp_path / "bot"), str(tmp_path))


class TestLooking:
    def test_a_dry_run_describes_and_starts_nothing(
        self, start: Start, started: Started, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert start("--config", "replay.toml", "--dry-run", "--output-dir", "out") == 0
        out, err = capsys.readouterr()
        assert started.shown == []
        assert (
            "would replay 2024-01-01 to 2024-02-01: 12 sequences of 5m candles of BTC from binance, seed 3"
            in out
        )
        assert "stage 5  trader: python old.py" in out
        assert out.endswith("into out\n")
        assert err == "note: BTC begins late\n"

    def test_the_configuration_that_is_shown_can_be_used(
        self, start: Start, started: Started, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert start("--config", "replay.toml", "--initial-cash", "7.5", "--show-config") == 0
        assert started.shown == []
        shown = tmp_path / "shown.toml"
        shown.write_text(capsys.readouterr().out)
        assert load_settings(shown, {}) == started.settings
        assert started.settings.account.initial_cash == Decimal("7.5")


def test_nothing_is_written_by_asking(start: Start, started: Started, tmp_path: Path) -> None:
    start(*HEAD, "--dry-run")
    assert os.listdir(tmp_path) == ["replay.toml"]  # noqa: PTH208 - names are what is compared
    assert len(started.planned) == 1
