"""logs/orchestrator.jsonl: whole lines of JSON with both times, on a full disk too."""

from __future__ import annotations

import datetime as dt
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import ReplayError
from orchestrator.runtime.logs import RunLog


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal) for line in path.read_text().splitlines()]


def test_lines_carry_what_happened_and_both_times(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = RunLog(path)
    before = dt.datetime.now(dt.UTC)
    log.info("run_started", components=["thinker", "trader"])
    log.sim_time_ns = 1_704_067_200_123_456_789
    log.warning("stranger_refused", reason='said "no"\nand left')
    log.error("run_ended", qty=Decimal("0.10"), values={"long": 3, "up": True, "score": 0.5})
    log.close()
    first, second, third = lines(path)
    assert [line["event"] for line in (first, second, third)] == [
        "run_started",
        "stranger_refused",
        "run_ended",
    ]
    assert [line["level"] for line in (first, second, third)] == ["info", "warning", "error"]
    assert [line["sim_time"] for line in (first, second)] == [Decimal("0.0"), Decimal("1704067200.123456789")]
    wall = dt.datetime.fromisoformat(third["wall_time"])
    assert wall.tzinfo is not None
    assert abs(wall - before) < dt.timedelta(seconds=60)
    assert first["components"] == ["thinker", "trader"]
    assert second["reason"] == 'said "no"\nand left'
    assert (third["qty"], third["values"]) == (
        Decimal("0.10"),
        {"long": 3, "up": True, "score": Decimal("0.5")},
    )


def test_a_line_can_be_read_as_soon_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = RunLog(path)
    for count in range(1, 4):
        log.info("replay_tick", sequence=count)
        assert [line["sequence"] for line in lines(path)] == list(range(1, count + 1))
    log.close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_full_disk_is_said_once_and_does_not_hinder_the_end() -> None:
    log = RunLog(Path("/dev/full"))
    with pytest.raises(ReplayError, match="the disk is full; the log /dev/full ends here"):
        log.info("run_started")
    log.close()
