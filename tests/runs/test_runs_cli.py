from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.runs import runs
from orchestrator.errors import ConfigError
from tests.runs import samples

CONFIG = 'seed = 7\n[account]\ncurrency = "USD"\ninitial_cash = 10000\n'


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPLAY_HOME", str(tmp_path))
    samples.write_run(tmp_path / "backtest_results" / "first", config=CONFIG)
    return tmp_path / "backtest_results"


def test_list(results: Path) -> None:
    result = CliRunner().invoke(runs, ["list"])
    assert result.exit_code == 0
    heading, row = result.stdout.splitlines()
    assert heading.split()[:2] == ["run", "status"]
    assert row.split()[:2] == ["first", "complete"]


def test_list_as_json(results: Path) -> None:
    (first,) = json.loads(CliRunner().invoke(runs, ["list", "--json"]).stdout)
    assert first["name"] == "first"
    assert first["counts"] == {"orders": 5, "fills": 5, "rejected": 0}


def test_list_of_nothing_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLAY_HOME", str(tmp_path))
    result = CliRunner().invoke(runs, ["list"])
    assert result.stdout == ""
    assert "replay start" in result.stderr
    assert json.loads(CliRunner().invoke(runs, ["list", "--json"]).stdout) == []


def test_list_warns_of_a_damaged_run(results: Path) -> None:
    (results / "first" / "run.json").write_text("{")
    assert "warning" in CliRunner().invoke(runs, ["list"]).stderr


def test_show(results: Path) -> None:
    text = CliRunner().invoke(runs, ["show", "first"]).stdout
    assert "status     complete" in text
    assert "equity     10,000.00 -> 10,008.33 USD" in text
    assert "seed       7" in text


def test_show_as_json(results: Path) -> None:
    shown = json.loads(CliRunner().invoke(runs, ["show", "latest", "--json"]).stdout)
    assert shown["status"] == "complete"
    assert shown["headline"]["initial_equity"] == 10_000
    assert shown["headline"]["fills"] == 5


def test_show_of_a_run_without_a_tick_and_with_a_cut_line(results: Path) -> None:
    samples.write_run(results / "empty", n_sequences=0)
    assert "equity" not in CliRunner().invoke(runs, ["show", "empty"]).stdout
    with (results / "first" / "fills.jsonl").open("ab") as stream:
        stream.write(b'{"ts"')
    assert "cut off" in CliRunner().invoke(runs, ["show", "first"]).stderr


def test_remove_asks_first(results: Path) -> None:
    refused = CliRunner().invoke(runs, ["remove", "first"], input="n\n")
    assert refused.exit_code == 1
    assert (results / "first").exists()
    CliRunner().invoke(runs, ["remove", "first"], input="y\n")
    assert not (results / "first").exists()


def test_remove_says_that_a_manifest_is_broken(results: Path) -> None:
    (results / "first" / "run.json").write_text("{")
    asked = CliRunner().invoke(runs, ["remove", "first"], input="y\n")
    assert "its run.json cannot be read" in asked.stderr
    assert not (results / "first").exists()


def test_remove_without_asking(results: Path) -> None:
    assert CliRunner().invoke(runs, ["remove", "first", "--yes"]).exit_code == 0
    assert not (results / "first").exists()


def test_an_unknown_run_is_a_mistake_of_use(results: Path) -> None:
    for command in ("show", "remove"):
        result = CliRunner().invoke(runs, [command, "absent"])
        assert isinstance(result.exception, ConfigError)


def test_names_are_completed(results: Path) -> None:
    show = runs.commands["show"]
    found = show.params[0].shell_complete(show.make_context("show", ["x"]), "fi")
    assert [item.value for item in found] == ["first"]
