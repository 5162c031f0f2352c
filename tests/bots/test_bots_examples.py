"""The example bots, run as their author runs them: repeatable, true to their books, and nowhere but in the run."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.bots.running import BotPlace, BotRun, Shared, examples, rewritten, tree
from tests.replay.running import RESULT_FILES

SPAN = ("--start-date", "2024-01-01", "--end-date", "2024-01-01T14:00", "--timeframe", "15m")
EAGER = {"trade_usd": 900.0, "buy_level": 3, "sell_level": 3, "take_profit_pct": 0.5}  # trades on most days


class Replayed(NamedTuple):
    """The example bots after one run."""

    config: Path
    before: dict[str, str]  # the user's folder
    run: BotRun


@pytest.fixture(scope="module")
def replayed(bot_place: BotPlace, shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    def make() -> list[Any]:
        config = examples(tmp_path_factory.mktemp("user") / "mybot", **EAGER)
        before = tree(config.parent)
        run = bot_place.complete(config, *SPAN, PYTHONHASHSEED="1")
        return [str(config), before, str(run.directory)]

    config, before, directory = shared.once("examples", make)
    return Replayed(Path(config), before, BotRun(Path(directory)))


def test_they_trade(replayed: Replayed) -> None:
    run = replayed.run
    assert run.manifest["counts"]["fills"] >= 4
    assert {row["side"] for row in run.rows("fills.jsonl")} == {"buy", "sell"}
    assert run.manifest["refused_requests"] == 0
    assert run.manifest["bot_files_unchanged"] is True
    assert run.facts["ended"] == run.facts["stuck"] == run.facts["never_started"] == []
    assert all(row["is_known"] for row in run.facts["requests"])


def test_the_users_folder_stays_as_it_was(replayed: Replayed) -> None:
    assert tree(replayed.config.parent) == replayed.before
    folder = replayed.run.facts["folders"][0]
    assert folder["is_original_unchanged"]
    assert folder["scripts_before"] == folder["scripts_after"]
    assert {"thinker.py", "trader.py"} <= folder["scripts_before"].keys()


@pytest.mark.parametrize("hash_seed", ["2", "random"])
def test_a_repetition_is_the_same(bot_place: BotPlace, replayed: Replayed, hash_seed: str) -> None:
    again = bot_place.complete(replayed.config, *SPAN, PYTHONHASHSEED=hash_seed)
    for name in RESULT_FILES:
        assert (again.directory / name).read_bytes() == (replayed.run.directory / name).read_bytes(), name
    assert again.digest == replayed.run.digest
    ledger = "ledger.json"
    assert (again.copy() / ledger).read_bytes() == (replayed.run.copy() / ledger).read_bytes()
    for component in ("thinker", "trader"):
        assert printed(again, component) == printed(replayed.run, component)


def test_verify_finds_a_run_equal(bot_place: BotPlace, replayed: Replayed) -> None:
    done = bot_place.replay("verify", replayed.run.directory)
    assert done.status == 0, done.stderr
    assert "equal" in done.stdout or "same" in done.stdout, done.stdout


@pytest.mark.slow
def test_bursts_trade_as_the_natural_pace_does(bot_place: BotPlace, tmp_path: Path) -> None:
    # A stretch of the day in which they trade: at natural pace they ask 25 times a second of the machine's time.
    stretch = ("--start-date", "2024-01-01T04:40", "--end-date", "2024-01-01T05:05", "--timeframe", "15m")
    as_it_is = {"pace": None, "burst": None, "phase": None}
    config = examples(tmp_path / "mybot", **EAGER)
    natural = rewritten(config, "natural.toml", thinker=as_it_is, trader=as_it_is)
    burst = bot_place.complete(config, *stretch)
    assert decisions(bot_place.complete(natural, *stretch, seconds=110)) == decisions(burst)


def decisions(run: BotRun) -> list[tuple[Any, ...]]:
    """Return what was decided, and within which candle; the moment within it is the pace's."""
    keys = ("sequence", "component", "side", "symbol", "order_type", "state")
    rows = [(*(row[key] for key in keys), Decimal(str(row["qty"]))) for row in run.rows("orders.jsonl")]
    assert rows
    return rows


def test_the_ledger_equals_the_exchanges_books(replayed: Replayed) -> None:
    run, ledger = replayed.run, json.loads((replayed.run.copy() / "ledger.json").read_text())
    cash, realized = Decimal(10_000), Decimal(0)
    cost: dict[str, Decimal] = {}
    trades = []
    for fill in run.fills_of("trader"):
        coin, worth = fill["symbol"].removesuffix("-USD"), number(fill["qty"]) * number(fill["fill_price"])
        if fill["side"] == "buy":
            change = -worth - number(fill["fees"])
            cost[coin] = cost.get(coin, Decimal(0)) - change
        else:
            change = worth - number(fill["fees"])
            realized += change - cost.pop(coin)
        cash += change
        trades.append((fill["side"], coin, number(fill["qty"]), cents(change)))
    assert cents(ledger["cash"]) == cents(cash)
    assert cents(ledger["realized"]) == cents(realized)
    assert {c: cents(v) for c, v in ledger["cost"].items()} == {c: cents(v) for c, v in cost.items()}
    told = [(side, coin, Decimal(qty), cents(change)) for _, side, coin, qty, change in ledger["trades"]]
    assert told == trades


def number(value: float) -> Decimal:
    return Decimal(str(value))


def cents(value: Any) -> Decimal:
    return number(value).quantize(Decimal("0.01"))


def printed(run: BotRun, component: str) -> list[str]:
    """Return a bot's log without the words with which its process ended."""
    return [line for line in run.log(component).splitlines() if not line.startswith("replay: ")]
