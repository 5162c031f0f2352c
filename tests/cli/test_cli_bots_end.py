"""What `replay start` says of unmodified bots when a run has ended."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.cli import run_view
from orchestrator.runs.bot_facts import BotFacts, EndedBot, RefusedRequest, RequestFacts, write_bot_facts
from orchestrator.runs.manifest import Counts

REFUSED = RefusedRequest(
    component="trader",
    what="request",
    target="api.kraken.com",
    client="requests",
    count=3,
    first_sim_time_ns=0,
)
ASKED = RequestFacts(component="trader", venue="kucoin", endpoint="GET /a", count=1_200, is_known=True)
SPOILED = BotFacts(
    refused_requests=3,
    refused=(REFUSED,),
    requests=(ASKED,),
    ended=(EndedBot(component="trader", how="exited with status 0", sim_time_ns=0),),
    protections={"network_namespace": "not available: no rights"},
)


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    result = SimpleNamespace(
        status="complete",
        reason=None,
        exit_status=0,
        digest="d",
        sequences=0,
        counts=Counts(fills=1),
        notes=(),
        last_lines={},
        wall_seconds=1.0,
    )
    monkeypatch.setattr(run_view, "run_replay", lambda *_arguments, **_options: result)
    monkeypatch.setattr(run_view, "open_run", lambda _directory: None)
    return SimpleNamespace(
        directory=tmp_path,
        notes=(),
        data_digest="",
        components=(),
        market=SimpleNamespace(tick_count=0),
        settings=SimpleNamespace(seed=7),
    )


def test_a_run_with_refusals_is_marked(plan: Any, capsys: pytest.CaptureFixture[str]) -> None:
    write_bot_facts(plan.directory, SPOILED)
    run_view.present_run(plan, is_quiet=False, as_json=False)
    said = capsys.readouterr()
    assert "warning: 3 requests of bots were refused: trader request to api.kraken.com (3)" in said.err
    assert "warning: bot trader exited with status 0" in said.err
    assert "note: the network was closed to Python code alone" in said.err
    assert "bots       1,200 requests answered, 3 refused, files unchanged" in said.out


def test_warnings_are_said_to_the_quiet_too(plan: Any, capsys: pytest.CaptureFixture[str]) -> None:
    write_bot_facts(plan.directory, SPOILED)
    run_view.present_run(plan, is_quiet=True, as_json=True)
    said = capsys.readouterr()
    assert "warning: 3 requests" in said.err
    assert "note:" not in said.err
    bots = json.loads(said.out)["bots"]
    assert (bots["requests"], bots["refused_requests"], bots["files_unchanged"]) == (1_200, 3, True)
    assert (bots["ended"], bots["stuck"], bots["never_started"]) == (["trader"], [], [])
    assert len(bots["remarks"]) == 3


def test_nothing_is_said_where_there_are_no_bots(plan: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run_view.present_run(plan, is_quiet=False, as_json=False)
    said = capsys.readouterr()
    assert "bots" not in said.out + said.err
    run_view.present_run(plan, is_quiet=True, as_json=True)
    assert "bots" not in json.loads(capsys.readouterr().out)
