"""Everything that is known before anything starts: resolved, checked, repeatable, and nothing made by looking."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.config import Settings, load_settings
from orchestrator.errors import ConfigError, DataError
from orchestrator.home import Home
from orchestrator.market.synthetic import synthesize
from orchestrator.runs.reader import open_run
from orchestrator.runtime import wall_clock
from orchestrator.runtime.plan import RunPlan, make_plan
from orchestrator.runtime.session import run_replay

DAY_NS = 86_400 * 1_000_000_000
FLAGS: dict[str, Any] = {"start_date": "2024-01-02", "end_date": "2024-01-03", "coins": ["BTC", "ETH"]}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    start = 19_723 * DAY_NS  # 2024-01-01
    synthesize(cache, coins=("BTC", "ETH"), timeframe="1h", start_ns=start, end_ns=start + 3 * DAY_NS, seed=7)
    return cache


class LentHome(Home):
    """A home whose cache stands elsewhere: one synthetic market serves all tests."""

    @property
    def cache(self) -> Path:
        return Path(os.environ["TEST_CACHE"])


@pytest.fixture
def here(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("TEST_CACHE", str(cache))
    monkeypatch.setattr(
        "orchestrator.runtime.plan.code_version", lambda: "0.1.0+test"
    )  # not while it is edited
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bot.py").write_text("print('never started')\n")
    return LentHome(tmp_path)


def settings(**changes: Any) -> Settings:
    return load_settings(None, {**FLAGS, **changes})


def component(**changes: Any) -> list[dict[str, Any]]:
    return [{"name": "trader", "command": ["python", "bot.py"], **changes}]


class TestResolving:
    def test_what_was_left_open_is_found(self, here: Home) -> None:
        plan = make_plan(settings(), here, None)
        assert (plan.market.tick_count, plan.market.coins) == (24, ("BTC", "ETH"))
        assert plan.settings.timeframe == "1h"
        assert plan.settings.data.exchange == plan.market.exchange
        assert plan.settings.data.quote == "USDT"
        assert set(plan.settings.instrument) == {"BTC", "ETH"}
        assert plan.settings.instrument["BTC"].tick_size == plan.instruments["BTC"].tick_size
        assert plan.market.data_digest
        assert plan.code_version == "0.1.0+test"

    def test_the_reference_components_run_where_none_is_given_and_that_is_said(self, here: Home) -> None:
        plan = make_plan(settings(), here, None)
        assert [c.settings.name for c in plan.components] == ["thinker", "trader"]
        assert any("quad_ma and follow_signals" in note for note in plan.notes)
        own = make_plan(settings(component=component()), here, None)
        assert [c.settings.name for c in own.components] == ["trader"]
        assert not any("quad_ma" in note for note in own.notes)

    def test_a_command_is_found_before_anything_starts(self, here: Home, tmp_path: Path) -> None:
        (planned,) = make_plan(settings(component=component()), here, None).components
        assert Path(planned.command[0]).is_absolute()
        assert planned.command[1:] == ("bot.py",)
        assert planned.workdir == tmp_path
        assert planned.files.digest

    def test_looking_makes_nothing(self, here: Home, tmp_path: Path) -> None:
        make_plan(settings(component=component()), here, tmp_path / "out")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["bot.py"]


class TestDirectory:
    def test_is_named_by_the_wall_clock_where_it_has_no_name(
        self, here: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = dt.datetime(2025, 3, 4, 5, 6, 7, tzinfo=dt.UTC)
        monkeypatch.setattr(wall_clock, "utc_now", lambda: now)
        results = tmp_path / "backtest_results"
        for name in (
            "backtest_2025-03-04_050607",
            "backtest_2025-03-04_050607-2",
            "backtest_2025-03-04_050607-3",
        ):
            assert make_plan(settings(), here, None).directory == results / name
            (results / name).mkdir(parents=True)

    def test_is_the_one_that_was_named(self, here: Home, tmp_path: Path) -> None:
        assert make_plan(settings(), here, Path("runs/mine")).directory == tmp_path / "runs" / "mine"


class TestIdentity:
    def identity(self, here: Home, output: str | None = None, **changes: Any) -> str:
        plan = make_plan(
            settings(**{"component": component(), **changes}), here, Path(output) if output else None
        )
        return plan.identity

    @pytest.mark.parametrize(
        "changes",
        [
            {"speed": "60"},
            {"component_timeout": 5.0},
            {"output": "elsewhere"},
            {"timeframe": "1h"},
            {"seed": 7},
        ],
    )
    def test_stays_where_the_result_must(self, here: Home, changes: dict[str, Any]) -> None:
        assert self.identity(here, **changes) == self.identity(here)

    @pytest.mark.parametrize(
        "changes",
        [
            {"seed": 8},
            {"coins": ["BTC"]},
            {"end_date": "2024-01-02T12:00"},
            {"component": component(params={"a": 1})},
            {"account": {"initial_cash": 1}},
        ],
    )
    def test_changes_where_the_result_may(self, here: Home, changes: dict[str, Any]) -> None:
        assert self.identity(here, **changes) != self.identity(here)

    def test_changes_with_the_bot_s_own_files(self, here: Home, tmp_path: Path) -> None:
        before = self.identity(here)
        (tmp_path / "bot.py").write_text("print('another')\n")
        assert self.identity(here) != before

    def test_is_the_same_when_a_run_is_repeated_from_its_config_toml(
        self, here: Home, tmp_path: Path
    ) -> None:
        first = make_plan(settings(component=component()), here, None)
        config = tmp_path / "backtest_results" / "run" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(first.settings.to_toml())
        again = make_plan(load_settings(config, {}), here, None)
        assert again.settings == first.settings
        assert again.identity == first.identity


class TestRefusal:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"command": ["python", "nobot.py"]}, "--trader: no such script 'nobot.py'"),
            ({"command": ["no-such-program"]}, "--trader: no such command 'no-such-program'"),
            ({"command": ["./bot.sh"]}, "--trader: no such command './bot.sh'"),
            (
                {"name": "mine", "command": ["bot.py"]},
                "component mine: no such command 'bot.py'; did you mean 'python bot.py'?",
            ),
            ({"workdir": "none"}, "--trader: the working directory .*none does not exist"),
        ],
    )
    def test_a_command_that_cannot_be_started(self, here: Home, changes: dict[str, Any], said: str) -> None:
        with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
            make_plan(settings(component=component(**changes)), here, None)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"coins": ["BTC", "XRP"]}, "XRP"),
            ({"start_date": "2023-01-01"}, "2024-01-01"),
            ({"end_date": "2024-02-01"}, "2024-01-04"),
        ],
    )
    def test_data_that_is_not_there(self, here: Home, changes: dict[str, Any], said: str) -> None:
        with pytest.raises(DataError, match=said) as error:
            make_plan(settings(**changes), here, None)
        assert "\n" not in str(error.value)

    def test_a_timeframe_that_is_not_there(self, here: Home) -> None:
        with pytest.raises((ConfigError, DataError), match="1m"):
            make_plan(settings(timeframe="1m"), here, None)


class TestFailedStart:
    """A run whose sockets or live folder never came has a directory that says why."""

    def run(self, plan: RunPlan) -> Any:
        result = run_replay(plan, environment=dict(os.environ), show=lambda _status: None)
        manifest = open_run(plan.directory).manifest
        assert (
            (manifest.status, manifest.reason) == (result.status, result.reason) == ("failed", result.reason)
        )
        return result

    def test_no_sockets(self, here: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REPLAY_TRANSPORT", "udp")
        result = self.run(make_plan(settings(component=component()), here, None))
        assert "'udp' is not known" in result.reason
        assert (result.exit_status, result.sequences) == (2, 0)

    def test_no_live_folder(self, here: Home, tmp_path: Path) -> None:
        (tmp_path / "replay_data").touch()
        result = self.run(make_plan(settings(component=component()), here, None))
        assert "cannot be created" in result.reason
        assert result.exit_status == 2

    def test_a_directory_that_exists_is_not_touched(self, here: Home, tmp_path: Path) -> None:
        plan = make_plan(settings(component=component()), here, tmp_path / "out")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").write_text("kept")
        with pytest.raises(ConfigError, match="exists"):
            run_replay(plan, environment={}, show=lambda _status: None)
        assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_plan_is_immutable(here: Home) -> None:
    plan = make_plan(settings(), here, None)
    with pytest.raises(AttributeError, match="immutable"):
        plan.identity = ""  # type: ignore[misc]
    assert msgspec.structs.replace(plan, identity="x").identity == "x"
