"""Real candles by command line, as a user would: import, replay, and nothing for the checker to find."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.replay.checker import check_run, read_candles
from tests.replay.running import Place, Run

COINS = ("BTC", "ETH", "DOGE")

pytestmark = pytest.mark.shared


def replay_and_check(place: Place, shared_data: Path, start: str, end: str, sequences: int) -> Run:
    files = {coin: shared_data / "binance" / f"{coin}-USDT_5m.parquet" for coin in COINS}
    imported = place.replay("data", "import", *files.values())
    assert imported.status == 0, imported.stderr
    directory = place.results / "run"
    done = place.replay(
        "start", "--start-date", start, "--end-date", end, "--coins", ",".join(COINS), "--output-dir", directory,
        "--json", seconds=240,
    )  # fmt: skip
    assert done.status == 0, done.stderr
    summary = json.loads(done.stdout)
    run = Run(directory)
    assert summary["digest"] == run.digest
    assert summary["counts"] == run.manifest["counts"]
    assert run.manifest["sequences"] == sequences
    # Against the files that were imported, not the cache: whatever importing does to them would show.
    assert check_run(directory, {coin: read_candles([file]) for coin, file in files.items()}) == []
    return run


@pytest.mark.slow
def test_two_weeks_of_five_minutes(empty_place: Place, shared_data: Path) -> None:
    run = replay_and_check(empty_place, shared_data, "2024-01-01", "2024-01-15", 14 * 288)
    assert len(run.lines("fills.jsonl")) > 100


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_six_months_of_five_minutes(empty_place: Place, shared_data: Path) -> None:
    run = replay_and_check(empty_place, shared_data, "2024-01-01", "2024-07-01", 52_416)
    assert len(run.lines("fills.jsonl")) > 2_000
    assert [checkpoint["sequence"] for checkpoint in run.rows("digests.jsonl")] == list(
        range(1_000, 52_416, 1_000)
    )
