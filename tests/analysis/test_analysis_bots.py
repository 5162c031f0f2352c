"""Runs with unmodified bots are marked in metrics.json and on the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.analysis.files import write_analysis
from orchestrator.analysis.measure import measure
from orchestrator.analysis.metrics import Metrics
from orchestrator.analysis.study import study_run
from orchestrator.runs.bot_facts import BotFacts, RefusedRequest, write_bot_facts
from orchestrator.runs.reader import open_run
from tests.analysis.made_runs import make_run

REFUSED = RefusedRequest(
    component="trader",
    what="request",
    target="api.kraken.com",
    client="requests",
    count=3,
    first_sim_time_ns=0,
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", tmp_path / "cache", end="2024-01-10")


def analysed(run: Path) -> tuple[Metrics, str]:
    study = study_run(open_run(run), run.parent / "cache")
    metrics = measure(study, 0.0)
    return metrics, write_analysis(study, metrics).read_text(encoding="utf-8")


def test_refused_requests_mark_a_run(run: Path) -> None:
    write_bot_facts(run, BotFacts(refused_requests=3, refused=(REFUSED,)))
    metrics, page = analysed(run)
    said = [remark.text for remark in metrics.warnings if remark.level == "warning"]
    assert any(
        "3 requests of bots were refused: trader request to api.kraken.com (3)" in text for text in said
    )
    assert "api.kraken.com" in page


def test_a_bot_is_not_blamed_for_the_signal_that_ended_it(run: Path) -> None:
    manifest = run / "run.json"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace('"exit_code": 0', '"exit_code": -15'), encoding="utf-8")
    assert any("exit code -15" in remark.text for remark in analysed(run)[0].warnings)
    config = run / "config.toml"
    bot = '\n[[component]]\nname = "trader"\nkind = "bot"\ncommand = ["python", "trader.py"]\n'
    config.write_text(
        config.read_text(encoding="utf-8").replace("component = []\n", "") + bot, encoding="utf-8"
    )
    assert not any("exit code -15" in remark.text for remark in analysed(run)[0].warnings)
