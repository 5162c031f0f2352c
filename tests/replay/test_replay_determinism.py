"""The same run gives the same bytes, whatever does not belong to it: hash seeds, start order, speed, pauses …"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from orchestrator.market.cache import entries_of, read_series, store_series
from orchestrator.market.series import series_key
from tests.replay.running import LINE_FILES, Place, Run, bot, component, thinker, wait_for_sequence

# Two thinkers and two traders whose speed can be changed from outside, and two that do the work.
COMPONENTS = [
    bot("first", 1, "slow"),
    bot("second", 1, "slow"),
    thinker(),
    bot("busy", 2, "busy", seed=11),
    bot("brackets", 2, "brackets_and_bets", seed=11),
    bot("third", 2, "slow", buys=True),
]


def half_a_day(place: Place, components: list[dict[str, Any]], **more: Any) -> Path:
    return place.config(components, end="2024-01-01T12:00", **more)


def assert_same_results(a: Run, b: Run) -> None:
    for name in LINE_FILES:
        assert a.lines(name) == b.lines(name), name
    assert pq.read_table(a.directory / "equity.parquet") == pq.read_table(b.directory / "equity.parquet")
    assert a.digest == b.digest
    assert a.manifest["file_digests"] == b.manifest["file_digests"]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, candle_cache: Path) -> Iterator[Run]:
    """Yield the run that all others are compared with."""
    place = Place(tmp_path_factory.mktemp("r"))
    shutil.copytree(candle_cache, place.cache, dirs_exist_ok=True)
    run = place.run(half_a_day(place, COMPONENTS))
    assert len(run.lines("fills.jsonl")) > 50
    yield run
    assert place.is_clean()


ELSEWHERE: dict[str, dict[str, str]] = {
    "hash seed 1": {"PYTHONHASHSEED": "1"},
    "hash seed 4000000000": {"PYTHONHASHSEED": "4000000000", "TZ": "Asia/Kolkata", "LANG": "tr_TR.UTF-8"},
    "tcp": {"REPLAY_TRANSPORT": "tcp"},
    "the second is faster": {"SLOW_FIRST": "[2, 0]", "SLOW_SECOND": "[0, 2, 0]", "SLOW_THIRD": "[0]"},
    "the first is faster": {"SLOW_FIRST": "[0]", "SLOW_SECOND": "[1]", "SLOW_THIRD": "[0, 1]"},
}


@pytest.mark.parametrize("what", ELSEWHERE)
def test_surroundings_make_no_difference(place: Place, reference: Run, what: str) -> None:
    assert_same_results(place.run(half_a_day(place, COMPONENTS), "elsewhere", **ELSEWHERE[what]), reference)


@pytest.mark.parametrize("flags", [("--speed", "200000"), ("--component-timeout", "7.5")], ids=str)
def test_flags_that_say_how_fast_make_no_difference(
    place: Place, reference: Run, flags: tuple[str, str]
) -> None:
    assert_same_results(place.run(half_a_day(place, COMPONENTS), "run", *flags), reference)


@pytest.mark.parametrize("affinity", ["one", "all"])
def test_cores_make_no_difference(place: Place, reference: Run, affinity: str) -> None:
    assert_same_results(place.run(half_a_day(place, COMPONENTS, cpu_affinity=affinity)), reference)


@pytest.mark.parametrize("late", ["first", "busy", "third"])
def test_who_starts_last_makes_no_difference(place: Place, reference: Run, late: str) -> None:
    def started_late(section: dict[str, Any]) -> dict[str, Any]:
        if section["name"] != late:
            return section
        return section | {"command": ["sh", "-c", 'sleep 0.4; exec "$0" "$@"', *section["command"]]}

    assert_same_results(place.run(half_a_day(place, [started_late(c) for c in COMPONENTS])), reference)


def test_a_run_repeated_from_its_own_configuration_is_the_same(place: Place, reference: Run) -> None:
    run = place.run(reference.directory / "config.toml")
    assert_same_results(run, reference)
    assert run.manifest["identity"] == reference.manifest["identity"]


def test_pauses_steps_and_spectators_make_no_difference(place: Place, reference: Run) -> None:
    running = place.launch(
        "start", "--config", half_a_day(place, COMPONENTS), "--output-dir", place.results / "run", "--speed", "1000"
    )  # fmt: skip
    wait_for_sequence(place, "run", 5)
    watching = place.launch("watch", "run")

    def control(*words: str) -> int:
        done = place.replay("control", "run", *words)
        assert done.status == 0, done.stderr
        found = re.search(r"sequence (\d+) of 144", done.stdout)
        assert found is not None, done.stdout
        return int(found[1])

    control("pause")
    paused_at = control("status")
    assert control("status") == paused_at < 144
    control("step", "3")
    wait_for_sequence(place, "run", paused_at + 3)
    assert control("status") == paused_at + 3
    control("speed", "max")
    assert control("status") == paused_at + 3
    control("resume")
    assert running.wait().status == 0
    assert_same_results(Run(place.results / "run"), reference)
    watched = watching.wait()
    assert watched.status == 0
    assert re.search(r"144/144 .* complete", watched.stdout)
    assert "busy buy" in watched.stdout


# ---------------------------------------------------------------- verify


@pytest.fixture
def copied(place: Place, reference: Run) -> Run:
    """Return a copy of the reference run in a place of its own."""
    return Run(Path(shutil.copytree(reference.directory, place.results / "copied")))


def test_verify_says_that_a_run_is_the_same(place: Place, copied: Run) -> None:
    done = place.replay("verify", "copied")
    assert done.status == 0, done.stderr
    assert copied.digest in done.stdout
    assert not list((place.data / "verify").iterdir())


@pytest.mark.parametrize("name", LINE_FILES)
def test_verify_names_the_first_line_that_differs(place: Place, copied: Run, name: str) -> None:
    lines = copied.lines(name)
    number = len(lines) // 2
    sequence = json.loads(lines[number])["sequence"]
    for place_in_file in (number, -1):
        lines[place_in_file] = re.sub(rb'"ts":\d', b'"ts":9', lines[place_in_file])
    (copied.directory / name).write_bytes(b"\n".join([*lines, b""]))
    done = place.replay("verify", "copied")
    assert done.status == 5
    error = done.stderr.splitlines()[-1]
    assert error.startswith("replay: ")
    assert f"{name} line {number + 1}" in error
    assert f"sequence {sequence}" in error


def test_verify_names_the_first_row_that_differs(place: Place, copied: Run) -> None:
    path = copied.directory / "equity.parquet"
    table = pq.read_table(path)
    cash = table.column("cash").to_numpy().copy()
    cash[[99, 120]] += 0.01
    pq.write_table(table.set_column(2, "cash", [cash]), path)
    done = place.replay("verify", "copied")
    assert done.status == 5
    assert "equity.parquet line 100" in done.stderr.splitlines()[-1]


def test_verify_says_that_the_candles_are_others(place: Place, copied: Run) -> None:
    key = series_key("synthetic", "BTC", "USDT", "5m")
    folder = place.cache / key.folder
    candles = read_series(folder, entries_of(place.cache, key))
    middle = int(np.searchsorted(candles.open_times_ns, 1_704_078_000_000_000_000))
    volume = np.array(candles.volume)
    volume[middle:] *= 0.001
    store_series(place.cache, key, candles._replace(volume=volume), replace=True)
    done = place.replay("verify", "copied")
    assert done.status == 5
    assert "data digest differs" in done.stderr.splitlines()[-1]


def test_only_a_complete_run_can_be_verified(place: Place, copied: Run) -> None:
    manifest = copied.manifest | {"status": "failed"}
    (copied.directory / "run.json").write_text(json.dumps(manifest))
    done = place.replay("verify", "copied")
    assert done.status == 2
    assert "copied is failed" in done.error_line


def test_another_seed_is_another_run(place: Place, reference: Run) -> None:
    run = place.run(half_a_day(place, COMPONENTS, seed=8))
    assert run.digest != reference.digest
    assert run.manifest["identity"] != reference.manifest["identity"]
    # Its own draws alone differ: the first order is asked for at the same time, and arrives at another.
    assert run.lines("orders.jsonl")[0] == reference.lines("orders.jsonl")[0]
    assert run.lines("order_events.jsonl")[0] != reference.lines("order_events.jsonl")[0]


def test_another_component_leaves_the_draws_of_the_others(place: Place, reference: Run) -> None:
    fifth = component("fifth", 3, "python", "-c", SILENT)
    assert_same_results(place.run(half_a_day(place, [*COMPONENTS, fifth])), reference)


SILENT = """
from components import connect
with connect() as replay:
    for snapshot in replay.snapshots():
        pass
"""
