"""Bots beside components of the SDK, on accounts of their own, started late or never, at any speed."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.bots.running import BotPlace, BotRun, bot, program, script
from tests.replay.running import RESULT_FILES, Finished, thinker, trader, unmeasured, wait_for_sequence

START = 1_704_067_200


def deals(workdir: Path, *names: str, **more: Any) -> list[dict[str, Any]]:
    program(workdir, "dealer")
    return [bot(name, workdir, "dealer.py", 300 + 60 * n, **more) for n, name in enumerate(names)]


def assert_same(first: BotRun, second: BotRun) -> None:
    assert first.digest == second.digest
    for name in RESULT_FILES:
        assert (first.directory / name).read_bytes() == (second.directory / name).read_bytes(), name


# ---------------------------------------------------------------- beside the SDK

LISTENER = """
import json, time
import requests
while True:  # a bot sees what the account shared with components of the SDK holds
    answer = requests.get("https://api.kucoin.com/api/v1/accounts?type=trade", timeout=10).json()["data"]
    print(json.dumps({"time": time.time(), "held": {row["currency"]: row["balance"] for row in answer}}), flush=True)
    time.sleep(900)
"""


def test_bots_and_components_of_the_sdk_share_a_run(bot_place: BotPlace, workdir: Path) -> None:
    # A bot as thinker, the reference pair beside it, and bots of the second stage, in one order of turns.
    early, *late = deals(workdir, "early", "late")
    sections = [
        early | {"stage": 1},
        thinker(),
        trader(),
        *({**section, "stage": 2} for section in late),
        bot("listener", workdir, script(workdir, LISTENER, "listener.py"), stage=3),
    ]
    config = bot_place.bots(sections, end="2024-01-01T08:00")
    first, second = (bot_place.complete(config) for _ in range(2))
    assert_same(first, second)
    by = {name: len(first.fills_of(name)) for name in ("early", "late", "trader")}
    assert min(by.values()) > 3, by
    seen = first.said("listener")
    assert len(seen) == 32
    held = Decimal(0)  # of BTC, by the fills before the last look
    for fill in first.rows("fills.jsonl"):
        if fill["symbol"] == "BTC-USD" and fill["ts"] < seen[-1]["time"] - 0.1:
            qty = Decimal(str(fill["qty"]))
            held += qty if fill["side"] == "buy" else -qty
    assert Decimal(seen[-1]["held"].get("BTC", "0")) == held


def test_two_bots_have_accounts_of_their_own(bot_place: BotPlace, workdir: Path) -> None:
    sections = deals(workdir, "poor", "rich")
    accounts = {"a": {"initial_cash": 150}, "b": {"initial_cash": 1_000_000}}
    more: dict[str, Any] = {"accounts": accounts, "end": "2024-01-01T06:00"}
    both = bot_place.complete(
        bot_place.bots([sections[0] | {"account": "a"}, sections[1] | {"account": "b"}], **more)
    )
    first = {name: deals_of(both, name)[0]["held"] for name in ("poor", "rich")}
    assert first == {"poor": {"USDT": 150.0}, "rich": {"USDT": 1_000_000.0}}
    reasons = {row["reason"] for row in both.orders_of("poor") if row["state"] == "rejected"}
    assert reasons == {"insufficient_balance"}
    assert not [row for row in both.orders_of("rich") if row["state"] == "rejected"]
    # What the rich one does follows from its own account, seed and market: alone it does the same.
    alone = bot_place.complete(
        bot_place.bots([sections[1] | {"account": "b"}], **{**more, "accounts": {"b": accounts["b"]}})
    )
    assert deals_of(alone, "rich") == deals_of(both, "rich")


def deals_of(run: BotRun, name: str) -> list[dict[str, Any]]:
    return [row for row in run.said(name) if "order" in row]


# ---------------------------------------------------------------- starts

SAYS_WHEN = """
import json, os, time
os.makedirs("state", exist_ok=True)
for ready in (False, None, True):
    with open("state/ready.json", "w") as file:
        file.write("not yet {" if ready is None else json.dumps({"ready": ready, "other": 1}))
    time.sleep(2000)
while True:
    time.sleep(3600)
"""
COUNTS = """
import time
while True:
    print(time.time(), flush=True)
    time.sleep(300)
"""


def test_a_bot_is_started_when_a_file_says_so(bot_place: BotPlace, workdir: Path) -> None:
    condition = {"file": "state/ready.json", "contains": {"ready": True}}
    never = {"file": "state/ready.json", "contains": {"ready": "never"}}
    script(workdir, COUNTS, "counts.py")
    sections = [
        bot("sayer", workdir, script(workdir, SAYS_WHEN, "says.py")),
        bot("late", workdir, "counts.py", start_when=condition),
        bot("exists", workdir, "counts.py", start_when={"file": "state/ready.json"}),
        bot("never", workdir, "counts.py", start_when=never),
        *deals(workdir, "dealer"),
    ]
    config = bot_place.bots(sections)
    done, run = bot_place.finish(config)
    assert done.status == 0, done.stderr
    assert run.facts["never_started"] == ["never"]
    assert "never" in done.stderr, "who never started is told at the end"
    assert [c["exit_code"] for c in run.manifest["components"] if c["name"] == "never"] == [None]
    begun = {name: float(run.log(name).split()[0]) - START for name in ("late", "exists")}
    assert 4000 <= begun["late"] < 4001
    assert 0 <= begun["exists"] < 1
    assert len(run.log("late").splitlines()) >= (10_800 - 4_000) // 300
    assert_same(run, bot_place.complete(config))


# ---------------------------------------------------------------- speed and pause


@pytest.mark.slow
def test_neither_pause_nor_speed_changes_a_result(own_place: BotPlace, workdir: Path) -> None:
    config = own_place.bots([*deals(workdir, "one", "two"), thinker(), trader()], end="2024-01-01T06:00")
    plain = own_place.complete(config)
    paced = own_place.results / "paced"
    running = own_place.launch(
        "start", "--config", config, "--output-dir", paced, "--quiet", "--speed", "900",
        environment=unmeasured(own_place),
    )  # fmt: skip
    wait_for_sequence(own_place, "paced", 3, 60)
    for words in (
        ["pause"],
        ["step", "2"],
        ["resume"],
        ["speed", "1800"],
        ["pause"],
        ["speed", "max"],
        ["resume"],
    ):
        done: Finished = own_place.replay("control", "paced", *words)
        assert done.status == 0, (words, done.stderr)
    done = running.wait(60)
    assert done.status == 0, done.stderr
    assert_same(BotRun(paced), plain)
    for name in ("one", "two"):
        assert said(BotRun(paced), name) == said(plain, name)
    assert own_place.is_clean()


def said(run: BotRun, name: str) -> list[str]:
    return [json.dumps(row, sort_keys=True) for row in run.said(name)]


# ---------------------------------------------------------------- what computing costs

COMPUTES = """
import time
before = time.time()
sum(range(2_000_000))
print(time.time() - before, flush=True)
while True:
    time.sleep(60)
"""


@pytest.mark.parametrize("is_charged", [False, True])
def test_computing_costs_simulated_time_where_it_is_wanted(
    bot_place: BotPlace, workdir: Path, is_charged: bool
) -> None:
    section = bot("computes", workdir, script(workdir, COMPUTES))
    run = bot_place.complete(
        bot_place.bots([section], end="2024-01-01T00:30", bots={"charge_cpu": is_charged})
    )
    seconds = float(run.log("computes").split()[0])
    notes = [note for note in run.manifest["notes"] if "charge_cpu" in note]
    if is_charged:
        assert 0.001 < seconds < 10
        assert "no two such runs are equal" in notes[0]
    else:
        assert seconds < 0.0001
        assert notes == []
