"""The SDK in whole runs: mistakes end the run in the author's terms, and everything it offers is as documented."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal

import pytest

from orchestrator.config import parse_date_ns
from orchestrator.market.synthetic import synthesize
from tests.replay.running import Place, Run, bot, component

AT = 5  # the sequence of the mistake

MISTAKES = {  # one of each kind; tests/components has them all
    "float quantity": ("replay.buy('BTC', qty=0.1)", "qty is the float 0.1; money is exact here"),
    "unknown coin": ("replay.buy('BCT', qty=1)", "coin 'BCT' is not in this run; its coins are BTC, ETH"),
    "unknown coin of a candle": ("snapshot['SOL']", "coin 'SOL' is not in this run"),
    "signal that is no number": ("replay.signal('BTC', long=float('nan'))", "signal long is nan"),
    "naive time": ("replay.wake_at(snapshot.time.replace(tzinfo=None))", "has no timezone"),
    "wake-up in the past": ("replay.wake_at(snapshot.time)", "is not later than now"),
    "odd timeframe": (
        "replay.history('BTC', '7m', 10)",
        "timeframe 7m cannot be made of this run's 5m candles",
    ),
    "unknown time in force": (
        "replay.buy('BTC', qty=1, time_in_force='DAY')",
        "time_in_force 'DAY' is not known",
    ),
    "cancel of no order": ("replay.cancel(None)", "client_order_id"),
}

IN_THE_LOOP = f"""
from components import connect
with connect() as replay:
    for snapshot in replay.snapshots():
        if snapshot.sequence == {AT}:
            MISTAKE
"""

OUTSIDE_THE_LOOP = """
from components import connect
with connect() as replay:
    MISTAKE
    for snapshot in replay.snapshots():
        pass
"""


def run_mistaken(place: Place, code: str) -> tuple[Run, str]:
    config = place.config([component("mine", 1, "python", "-c", code)], end="2024-01-01T02:00")
    done = place.replay("start", "--config", config, "--output-dir", place.results / "run", "--quiet")
    assert done.status == 4, done.stderr
    run = Run(place.results / "run")
    assert run.status == "failed"
    return run, done.stderr


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_the_authors_terms(place: Place, name: str) -> None:
    call, says = MISTAKES[name]
    run, stderr = run_mistaken(place, IN_THE_LOOP.replace("MISTAKE", call))
    first, *rest = stderr.splitlines()
    assert f"mine exited with status 1 at sequence {AT}" in first
    assert any(
        line.strip().startswith("orchestrator.errors.ConfigError") and says in line for line in rest
    ), stderr
    assert says in run.log("mine")
    assert run.manifest["sequences"] == AT


@pytest.mark.parametrize(
    "call", ["replay.buy('BTC', qty=1)", "replay.history('BTC', '5m', 1)", "replay.account.cash"]
)
def test_a_call_outside_the_loop_is_told(place: Place, call: str) -> None:
    _, stderr = run_mistaken(place, OUTSIDE_THE_LOOP.replace("MISTAKE", call))
    assert "was called outside the loop" in stderr


def test_a_program_that_is_started_by_hand_is_told(place: Place) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from components import connect; connect()"],
        capture_output=True, text=True, timeout=200, check=False, env=place.environment(),
    )  # fmt: skip
    assert done.returncode == 1
    assert "this program is started by a replay, not by hand" in done.stderr


def test_everything_the_sdk_offers_is_as_documented(empty_place: Place) -> None:
    place = empty_place
    for coin, start in (("BTC", "2023-12-31"), ("DOGE", "2024-01-01T01:00")):
        synthesize(
            place.cache,
            coins=(coin,),
            start_ns=parse_date_ns(start),
            end_ns=parse_date_ns("2024-01-01T04:00"),
            seed=3,
        )
    params = {"answer": 42, "list": [1, 2.5, "x"], "table": {"deep": True}}
    config = place.config(
        [bot("counter", 1, "counter"), bot("everything", 2, "everything", **params)],
        coins=("BTC", "DOGE"), end="2024-01-01T04:00", execution_model={"max_volume_pct": 0.05},
    )  # fmt: skip
    run = place.run(config)
    assert place.check(run) == []
    assert run.log("everything") == "everything was as it should be\n"
    said = [row for row in run.rows("signals.jsonl") if row["component"] == "everything"]
    assert said[0]["values"] == {"mine": 1, "number": 0.5, "truth": True, "words": "said"}
    orders = [json.loads(line, parse_float=Decimal) for line in run.lines("orders.jsonl")]
    assert [(o["client_order_id"], o["state"], o["reason"]) for o in orders] == [
        ("everything-1", "accepted", None),
        ("everything-2", "rejected", "insufficient_balance"),
        ("everything-3", "accepted", None),
    ]
    last = [row for row in run.rows("order_events.jsonl") if row["client_order_id"] == "everything-3"][-1]
    assert (last["event"], last["reason"]) == ("cancelled", "requested")
