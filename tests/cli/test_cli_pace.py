"""`replay pace`: which two runs it makes, what it says of them, and with which status it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.bot_protocol import ENVIRONMENT_BOT_TURNS
from orchestrator.cli import pace as pace_module
from orchestrator.cli.main import main
from orchestrator.config import Settings, load_settings

TOML = """
start_date = 2024-01-15
end_date = 2024-02-15
coins = ["BTC"]
[[component]]
name = "thinker"
kind = "bot"
command = ["python", "thinker.py"]
{thinker}
[[component]]
name = "trader"
kind = "bot"
command = ["python", "trader.py"]
{trader}
"""
PACED = {"thinker": 'pace = "burst"\nburst = 7', "trader": 'pace = "burst"\nburst = 2\nphase = "5s"'}
PLAIN = {"thinker": "", "trader": ""}
SECOND = 10**9


def order(qty: str) -> dict[str, Any]:
    return {
        "ts": Decimal("1705276804.5"),
        "component": "trader",
        "side": "buy",
        "symbol": "BTC-USD",
        "qty": Decimal(qty),
        "order_type": "market",
        "limit_price": None,
        "stop_price": None,
        "time_in_force": "GTC",
    }


class Runs:
    """Stands in for planning and running: writes down what was to be run."""

    def __init__(self) -> None:
        self.settings: list[Settings] = []
        self.directories: list[Path] = []
        self.orders = {"natural": ["0.02"], "burst": ["0.02"]}
        self.exit_status = 0
        self.has_turns = True

    def make_plan(self, settings: Settings, _home: Any, directory: Path) -> Any:
        self.settings.append(settings)
        self.directories.append(directory)
        directory.mkdir()
        return SimpleNamespace(
            settings=settings, directory=directory, market=SimpleNamespace(timeframe_ns=300 * SECOND)
        )

    def run_replay(self, plan: Any, *, environment: dict[str, str], show: Callable[..., None]) -> Any:  # noqa: ARG002 - the signature of the one that it stands for
        assert (ENVIRONMENT_BOT_TURNS in environment) == (plan.directory.name == "natural")
        if self.has_turns and ENVIRONMENT_BOT_TURNS in environment:
            lines = {"thinker": [1, 2, 3] * 20, "trader": [5] * 60}
            for name, requests in lines.items():
                text = "".join(f"{number * SECOND} {what}\n" for number, what in enumerate(requests))
                (Path(environment[ENVIRONMENT_BOT_TURNS]) / f"{name}.turns").write_text(text)
        wall = 60.0 if plan.directory.name == "natural" else 4.0
        return SimpleNamespace(
            exit_status=self.exit_status,
            status="failed" if self.exit_status else "complete",
            reason="trader crashed" if self.exit_status else None,
            last_lines={"trader": ("Traceback",)} if self.exit_status else {},
            wall_seconds=wall,
            digest="d",
        )

    def open_run(self, directory: Path) -> Any:
        return SimpleNamespace(orders=[order(qty) for qty in self.orders[directory.name]])


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    runs = Runs()
    for name in ("make_plan", "run_replay", "open_run"):
        monkeypatch.setattr(pace_module, name, getattr(runs, name))
    monkeypatch.setenv("REPLAY_HOME", str(tmp_path))
    return runs


def pace(folder: Path, *flags: str, pace: dict[str, str] = PACED, toml: str = TOML) -> int:
    (folder / "bots.toml").write_text(toml.format(**pace), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["pace", str(folder / "bots.toml"), *flags])
    return int(ended.value.code or 0)


def test_one_run_at_natural_pace_and_one_in_the_bursts_that_are_configured(
    runs: Runs, tmp_path: Path
) -> None:
    assert pace(tmp_path, "--quiet") == 0
    natural, burst = runs.settings
    assert [(c.pace, c.burst, c.phase) for c in natural.component] == [("natural", None, None)] * 2
    assert [(c.pace, c.burst, c.phase) for c in burst.component] == [("burst", 7, None), ("burst", 2, "5s")]
    assert load_settings(
        None, {"start_date": natural.end_date, "end_date": "2025-01-01", "coins": ["A"]}
    ).start_ns == (natural.start_ns + 86_400 * SECOND)


def test_without_a_burst_what_is_proposed_is_compared(runs: Runs, tmp_path: Path) -> None:
    assert pace(tmp_path, "--window", "1h", pace=PLAIN) == 0
    assert [(c.pace, c.burst, c.phase) for c in runs.settings[1].component] == [
        ("burst", 3, "0s"),
        ("burst", 1, "3s"),
    ]
    assert all(s.end_ns - s.start_ns == 3_600 * SECOND for s in runs.settings)


def test_without_a_burst_to_compare_with(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.has_turns = False
    assert pace(tmp_path, pace=PLAIN) == 0
    assert len(runs.settings) == 1
    assert "natural pace it is" in capsys.readouterr().out


def test_what_is_said(runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pace(tmp_path)
    said = capsys.readouterr().out
    assert "burst is 15.0 times as fast" in said
    assert "orders    agree" in said
    assert 'compared  trader: pace = "burst", burst = 2, phase = "5s"' in said
    assert (
        'proposal  thinker: pace = "burst", burst = 3, phase = "0s"  # it does the same every 3 turns' in said
    )


def test_orders_that_differ_end_with_status_1(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.orders["burst"] = ["0.02", "0.05"]
    assert pace(tmp_path) == 1
    assert "orders    differ: order 2 of trader: burst: buy 0.05 BTC-USD" in capsys.readouterr().out


def test_json(runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.orders["natural"] = []
    assert pace(tmp_path, "--json", "--quiet") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["agree"] is False
    assert found["first_difference"].startswith("order 1 of trader")
    assert found["speed_ratio"] == 15.0
    assert found["compared"] == {
        "thinker": {"burst": 7, "phase": "0s"},
        "trader": {"burst": 2, "phase": "5s"},
    }
    assert [p["burst"] for p in found["proposals"]] == [3, 1]


def test_a_run_that_fails_says_why(runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.exit_status = 4
    assert pace(tmp_path) == 4
    said = capsys.readouterr().err
    assert "natural failed: trader crashed" in said
    assert "trader: Traceback" in said


def test_both_runs_are_removed_unless_they_are_to_be_kept(runs: Runs, tmp_path: Path) -> None:
    pace(tmp_path)
    assert not any(directory.exists() for directory in runs.directories)
    pace(tmp_path, "--keep")
    assert all(directory.exists() for directory in runs.directories[2:])


def test_the_window_ends_where_the_file_ends(runs: Runs, tmp_path: Path) -> None:
    pace(tmp_path, "--start-date", "2024-02-14T20:00", "--window", "1d")
    assert all(s.end_ns - s.start_ns == 4 * 3_600 * SECOND for s in runs.settings)


def test_a_file_without_dates(runs: Runs, tmp_path: Path) -> None:
    toml = "\n".join(line for line in TOML.splitlines() if "_date" not in line)
    assert pace(tmp_path, toml=toml) == 2
    assert pace(tmp_path, "--start-date", "2024-01-15", toml=toml) == 0
    assert all(s.end_ns - s.start_ns == 86_400 * SECOND for s in runs.settings)


def test_only_unmodified_bots_have_a_pace(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pace(tmp_path, pace=PLAIN, toml=TOML.replace('kind = "bot"\n', "")) == 2
    assert "only unmodified bots have a pace" in capsys.readouterr().err
