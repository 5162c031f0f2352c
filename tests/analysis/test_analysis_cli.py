"""`replay analyze` as users call it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from orchestrator.analysis.metrics import Metrics
from orchestrator.runs.manifest import read_manifest, write_manifest
from tests.analysis.made_runs import make_run
from tests.runs import samples

REPLAY = Path(sys.executable).parent / "replay"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    for name, options in (
        ("first", {"end": "2024-02-10"}),
        ("second", {"end": "2024-02-10", "fee_bps": "0"}),
    ):
        make_run(folder / "backtest_results" / name, folder / "backtest_cache", **options)  # type: ignore[arg-type]
    return folder


def replay(home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(REPLAY), *words],
        env={**os.environ, "REPLAY_HOME": str(home), **environment},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_a_run_gets_its_files_and_a_table(home: Path) -> None:
    done = replay(home, "analyze", "first", "--risk-free", "0.03")
    assert done.returncode == 0, done.stderr
    run = home / "backtest_results" / "first"
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["risk_free_rate"] == 0.03
    assert metrics["digest"] == read_manifest(run).digest
    assert (run / "trades.csv").read_text(encoding="utf-8").startswith("trade,state,symbol,")
    assert (run / "report.html").stat().st_size > 4_000_000
    lines = {line[:24].strip(): line[24:].strip() for line in done.stdout.splitlines()}
    assert str(metrics["trades"]) in lines["trades"]
    assert lines["status"] == "complete"
    assert f"page  {run / 'report.html'}" in done.stdout
    assert not list(run.glob(".*.part"))
    assert replay(home, "verify", "first", "--help").returncode == 0


def test_a_run_without_a_tick_gets_a_page_that_says_why(tmp_path: Path) -> None:
    run = tmp_path / "backtest_results" / "stillborn"
    samples.write_run(run, n_sequences=0, config="seed = 7\n[account]\ninitial_cash = 1000\n")
    reason = "component trader <did> not start"
    write_manifest(run, msgspec.structs.replace(read_manifest(run), status="failed", reason=reason))
    done = replay(tmp_path, "analyze", "stillborn", "--json")
    assert done.returncode == 0, done.stderr
    assert f"the run failed; figures go as far as it went: {reason}" in done.stderr
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert json.loads(done.stdout) == metrics
    assert list(metrics) == list(Metrics.__struct_fields__)
    assert (metrics["status"], metrics["reason"], metrics["sequences"]) == ("failed", reason, 0)
    assert (metrics["total_return"], metrics["sharpe"], metrics["trades"]) == (None, None, None)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "This run is failed: component trader &lt;did&gt; not start." in page.split("<main>")[0]
    assert "initial_cash = 1000" in page
    assert len((run / "trades.csv").read_text(encoding="utf-8").splitlines()) == 1
    refused = replay(tmp_path, "analyze", "stillborn", str(shutil.copytree(run, tmp_path / "again")))
    assert refused.returncode != 0
    assert "no tick" in refused.stderr


def test_again_gives_the_same_bytes(home: Path) -> None:
    run = home / "backtest_results" / "second"
    found = []
    for seed in ("1", "2"):
        assert replay(home, "analyze", "second", PYTHONHASHSEED=seed).returncode == 0
        found.append([(run / name).read_bytes() for name in ("metrics.json", "trades.csv", "report.html")])
    assert found[0] == found[1]


def test_several_runs_side_by_side(home: Path) -> None:
    done = replay(home, "analyze", "first", "second")
    assert done.returncode == 0, done.stderr
    header, *rows = done.stdout.splitlines()
    assert header.split() == ["run", "first", "second"]
    assert any(row.split()[0] == "fees" and row.split()[-1] == "0.00" for row in rows)
    page = (home / "backtest_results" / "first" / "comparison.html").read_text(encoding="utf-8")
    assert "execution_model.fee_bps" in page
    assert "All runs were played on the same candles" in page


def test_json_for_machines(home: Path) -> None:
    one = replay(home, "analyze", "first", "--json")
    assert one.stdout == (home / "backtest_results" / "first" / "metrics.json").read_text(encoding="utf-8")
    both = json.loads(replay(home, "analyze", "first", "second", "--json").stdout)
    assert [metrics["run"] for metrics in both] == ["first", "second"]


def test_open_calls_the_browser(home: Path, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" > {opened}\n', encoding="utf-8")
    program.chmod(0o755)
    done = replay(home, "analyze", "first", "--open", BROWSER=f"{program} %s")
    assert done.returncode == 0, done.stderr
    assert (
        opened.read_text(encoding="utf-8").strip()
        == (home / "backtest_results" / "first" / "report.html").as_uri()
    )


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "Missing argument"),
        (("nothing",), 2, "no run 'nothing'"),
        (("empty",), 2, "'empty' is no run directory: it has no run.json"),
        (("first", "backtest_results/first"), 2, "named more than once"),
        (("first", "--risk-free", "-3"), 2, "--risk-free"),
    ],
)
def test_bad_input(home: Path, words: tuple[str, ...], status: int, message: str) -> None:
    (home / "empty").mkdir(exist_ok=True)
    done = replay(home, "analyze", *words)
    assert done.returncode == status
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_a_missing_file_is_named(home: Path) -> None:
    run = make_run(home / "backtest_results" / "torn", home / "other_cache", end="2024-01-10")
    (run / "fills.jsonl").unlink()
    done = replay(home, "analyze", "torn")
    assert done.returncode == 3
    assert "fills.jsonl is missing" in done.stderr


def test_a_place_that_cannot_be_written_is_named(home: Path) -> None:
    run = make_run(home / "backtest_results" / "barred", home / "other_cache", end="2024-01-10")
    (run / ".metrics.json.part").mkdir()  # stands where the new file would grow, whoever runs the tests
    done = replay(home, "analyze", "barred")
    assert done.returncode == 1
    assert "metrics.json cannot be written" in done.stderr


def test_starting_a_replay_loads_no_part_of_a_report() -> None:
    code = (
        "import sys; from orchestrator.cli import demo, run_view, runs, start; import orchestrator.analysis; "
        "print([name for name in ('pandas', 'plotly', 'jinja2', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=200
    )
    assert done.stdout.strip() == "[]"
    light = (
        "import sys, orchestrator.analysis.files, orchestrator.analysis.measure, orchestrator.cli.analyze; "
        "print('pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", light], capture_output=True, text=True, check=True, timeout=200
    )
    assert done.stdout.strip() == "False"
