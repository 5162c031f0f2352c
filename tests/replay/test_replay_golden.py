"""A tiny replay against a summary kept in golden/; `pytest --update-golden` writes it anew, for review."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.replay.running import LINE_FILES, Place, Run, bot, thinker, trader

GOLDEN = Path(__file__).with_name("golden")
FIRST_LINES = 3
FIRST_ROWS = (0, 1, 100, -1)

RUNS: dict[str, dict[str, Any]] = {
    "reference": {"components": [thinker(), trader()]},
    "busy": {
        "components": [thinker(), bot("busy", 2, "busy", seed=1)],
        "execution_model": {"max_volume_pct": 0.1, "impact_bps": 4, "half_spread_bps": 1},
    },
}


def summary(run: Run) -> dict[str, Any]:
    """Return what a reviewer of a changed result wants to see of it."""
    rows = pq.read_table(run.directory / "equity.parquet").to_pylist()
    return {
        "digest": run.digest,
        "data_digest": run.manifest["data_digest"],
        "counts": run.manifest["counts"],
        "files": {
            name: {
                "digest": run.manifest["file_digests"][name],
                "lines": len(run.lines(name)),
                "first": [line.decode() for line in run.lines(name)[:FIRST_LINES]],
            }
            for name in LINE_FILES
        },
        "equity.parquet": {
            "digest": run.manifest["file_digests"]["equity.parquet"],
            "rows": len(rows),
            "some": [rows[number] for number in FIRST_ROWS],
        },
    }


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_as_it_was(place: Place, request: pytest.FixtureRequest, name: str) -> None:
    found = summary(place.run(place.config(**RUNS[name])))
    path = GOLDEN / f"{name}.json"
    if request.config.getoption("--update-golden"):
        path.write_text(json.dumps(found, indent=2) + "\n")
    assert found == json.loads(path.read_text()), (
        "results are others than those kept in golden/; if that is meant, run this with --update-golden, "
        "review the difference and tell it in CHANGELOG.md"
    )


def test_what_is_kept_is_compared(place: Place) -> None:
    # The summary of another run is another summary, in every part.
    found = summary(place.run(place.config([thinker(), trader()], account={"initial_cash": 9_999})))
    kept = json.loads((GOLDEN / "reference.json").read_text())
    assert found["digest"] != kept["digest"]
    assert found["data_digest"] == kept["data_digest"]
    assert found["files"]["orders.jsonl"] != kept["files"]["orders.jsonl"]
    assert found["files"]["signals.jsonl"] == kept["files"]["signals.jsonl"]
    assert found["equity.parquet"] != kept["equity.parquet"]
