"""Nothing before a time depends on a candle that opens at or after it: changed candles change no earlier line."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from orchestrator.config import parse_date_ns
from orchestrator.market.cache import entries_of, read_series, store_series
from orchestrator.market.series import series_key
from tests.replay.running import LINE_FILES, Place, Run, bot, thinker, trader

SEED = 20_240_101
START_NS, END_NS = parse_date_ns("2024-01-01"), parse_date_ns("2024-01-01T14:00")
TIMEFRAME_NS = 300 * 10**9
COINS = ("BTC", "ETH")


def run_with_all_eyes(place: Place) -> Run:
    """Run an observer that says a digest of all it sees, and traders whose orders wait and fill in parts."""
    components = [
        bot("observer", 1, "observer"),
        thinker(),
        trader(),
        bot("busy", 2, "busy", seed=5, size=0.8),
        bot("brackets", 2, "brackets_and_bets", seed=5, chance=0.6),
    ]
    model = {"max_volume_pct": 0.05, "impact_bps": 5}
    return place.run(place.config(components, coins=COINS, end="2024-01-01T14:00", execution_model=model))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, candle_cache: Path) -> Iterator[Run]:
    place = Place(tmp_path_factory.mktemp("r"))
    shutil.copytree(candle_cache, place.cache, dirs_exist_ok=True)
    yield run_with_all_eyes(place)
    assert place.is_clean()


def change_candles_from(place: Place, time_ns: int) -> None:
    """Multiply the prices of all candles that open at or after a time by 3, and their volume by 5."""
    for coin in COINS:
        folder = next((place.cache / "synthetic").glob(f"{coin}-*/5m"))
        key = series_key("synthetic", coin, folder.parent.name.partition("-")[2], "5m")
        candles = read_series(folder, entries_of(place.cache, key))
        factor = np.where(candles.open_times_ns >= time_ns, 3.0, 1.0)
        changed = candles._replace(
            open=candles.open * factor,
            high=candles.high * factor,
            low=candles.low * factor,
            close=candles.close * factor,
            volume=candles.volume * np.where(factor > 1, 5.0, 1.0),
        )
        store_series(place.cache, key, changed, replace=True)


def lines_before(run: Run, name: str, time_ns: int) -> list[bytes]:
    return [line for line in run.lines(name) if ts_ns(line) < time_ns]


def ts_ns(line: bytes) -> int:
    return int(json.loads(line, parse_float=Decimal)["ts"] * 10**9)


def equity_before(run: Run, time_ns: int) -> list[dict[str, Any]]:
    rows = pq.read_table(run.directory / "equity.parquet").to_pylist()
    return [row for row in rows if row["time"] * 10**9 < time_ns]


def partial_fill_ns(run: Run, number: int) -> int:
    """Return the time of a fill that left a remainder, after an earlier one of the same order had."""
    seen: set[str] = set()
    times = []
    for line in run.lines("fills.jsonl"):
        fill = json.loads(line)
        if fill["client_order_id"] in seen and fill["state"] == "partial":
            times.append(ts_ns(line))
        seen.add(fill["client_order_id"])
    return times[len(times) * number // 3]


def moments(run: Run) -> dict[str, int]:
    """Return the times from which candles are changed."""
    chance = random.Random(SEED)  # noqa: S311 - chance, not a secret
    ticks = (END_NS - START_NS) // TIMEFRAME_NS
    on_a_tick = START_NS + chance.randrange(ticks // 4, ticks - 5) * TIMEFRAME_NS
    return {
        "on a tick": on_a_tick,
        "just after a tick": START_NS + chance.randrange(ticks // 2, ticks - 5) * TIMEFRAME_NS + 1,
        "inside a candle": START_NS + chance.randrange(ticks * TIMEFRAME_NS * 3 // 4),
        "at a partial fill": partial_fill_ns(run, 1),
        "after a partial fill": partial_fill_ns(run, 2) + 1,
        "at the first tick": START_NS + TIMEFRAME_NS,
        "at the last candle": END_NS - TIMEFRAME_NS,
    }


@pytest.mark.parametrize(
    "moment",
    [
        "on a tick", "just after a tick", "inside a candle", "at a partial fill", "after a partial fill",
        "at the first tick", "at the last candle",
    ],
)  # fmt: skip
def test_changed_candles_change_no_earlier_line(place: Place, plain: Run, moment: str) -> None:
    time_ns = moments(plain)[moment]
    change_candles_from(place, time_ns)
    changed = run_with_all_eyes(place)
    for name in LINE_FILES:
        expected = lines_before(plain, name, time_ns)
        assert lines_before(changed, name, time_ns) == expected, f"{name}, changed from {time_ns}"
        assert changed.lines(name)[: len(expected)] == expected
    assert equity_before(changed, time_ns) == equity_before(plain, time_ns)
    # What is changed is seen, as soon as it is known: the observer looks at every tick.
    seen = [line for line in changed.lines("signals.jsonl") if ts_ns(line) > time_ns + TIMEFRAME_NS]
    assert seen or time_ns >= END_NS - TIMEFRAME_NS
    assert not set(seen[:1]) & set(plain.lines("signals.jsonl"))
    assert changed.manifest["data_digest"] != plain.manifest["data_digest"]


def test_the_runs_hold_what_could_betray_a_look_ahead(plain: Run) -> None:
    rules = [json.loads(line)["rule"] for line in plain.lines("fills.jsonl")]
    assert rules.count("taker_open") >= 15
    assert rules.count("taker_next_open") > 20
    assert rules.count("maker_through") > 20
    assert sum(rule.startswith("stop_") for rule in rules) >= 3
    events = {(row["event"], row["reason"]) for row in plain.rows("order_events.jsonl")}
    assert {event for event, _ in events} >= {
        "triggered",
        "replaced",
        "cancelled",
        "expired",
        "filled",
        "refused",
    }
    observed = [row for row in plain.rows("signals.jsonl") if row["component"] == "observer"]
    assert len(observed) >= 2 * 168  # two coins, every tick, and between them
    assert len({row["values"]["seen"] for row in observed}) > 168
