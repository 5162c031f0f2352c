"""The cache: monthly parts, all or nothing, full months never written again."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import DataError, ReplayError
from orchestrator.market.cache import entries_of, read_series, series_in, store_series
from orchestrator.market.candles import Candles, concatenate
from orchestrator.market.mapped import map_series, mapped_path
from orchestrator.market.verify import verify_series
from tests.market.builders import KEY, assert_equal, candles_from, files_in, without

HOURLY = KEY._replace(timeframe="1h")
DAY = 24


def hours(start: str, count: int) -> Candles:
    """Return a stretch of one fixed hourly series, so that stretches overlap without differing."""
    whole = candles_from("2024-01-01", 200 * DAY, "1h")
    first = int(np.searchsorted(whole.open_times_ns, np.datetime64(start, "ns").astype(np.int64)))
    return whole.take(slice(first, first + count))


def stored(cache: Path) -> Candles:
    return read_series(cache / HOURLY.folder, entries_of(cache, HOURLY))


def test_one_part_a_month_with_its_entry(tmp_path: Path) -> None:
    candles = hours("2024-01-15", 60 * DAY)
    result = store_series(tmp_path, HOURLY, candles)
    assert (result.added, result.replaced, result.unchanged) == (60 * DAY, 0, 0)
    entries = json.loads((tmp_path / HOURLY.folder / "index.json").read_text())["entries"]
    assert [entry["file"][:7] for entry in entries] == ["2024-01", "2024-02", "2024-03"]
    assert [entry["candle_count"] for entry in entries] == [17 * DAY, 29 * DAY, 14 * DAY]
    assert entries[0]["start_ts"] == 1705276800
    assert entries[0]["end_ts"] == entries[1]["start_ts"] == 1706745600
    for entry in entries:
        content = (tmp_path / HOURLY.folder / entry["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert entry["created_at"].endswith("Z")
    assert_equal(stored(tmp_path), candles)
    assert series_in(tmp_path) == [HOURLY]


def test_full_months_are_never_written_again(tmp_path: Path) -> None:
    store_series(tmp_path, HOURLY, hours("2024-01-01", 40 * DAY))
    before = files_in(tmp_path, HOURLY)
    january = {name: file for name, file in before.items() if name.startswith("2024-01")}
    store_series(tmp_path, HOURLY, hours("2024-01-01", 45 * DAY))  # overlaps all, adds five days of February
    store_series(tmp_path, HOURLY, hours("2024-02-15", 60 * DAY))  # completes February, begins April
    after = files_in(tmp_path, HOURLY)
    assert {name: file for name, file in after.items() if name.startswith("2024-01")} == january
    assert [entry.file[:7] for entry in entries_of(tmp_path, HOURLY)] == [
        "2024-01",
        "2024-02",
        "2024-03",
        "2024-04",
    ]
    assert len(after) == 4
    assert_equal(stored(tmp_path), hours("2024-01-01", 105 * DAY))


def test_the_open_month_grows_by_parts_until_it_is_complete(tmp_path: Path) -> None:
    store_series(tmp_path, HOURLY, hours("2024-01-01", DAY))
    first = files_in(tmp_path, HOURLY)
    store_series(tmp_path, HOURLY, hours("2024-01-02", DAY))
    both = files_in(tmp_path, HOURLY)
    assert len(both) == 2
    assert first.items() <= both.items()
    store_series(tmp_path, HOURLY, hours("2024-01-03", 29 * DAY))
    full = files_in(tmp_path, HOURLY)
    assert len(full) == 1
    store_series(tmp_path, HOURLY, hours("2024-02-01", DAY))
    assert full.items() <= files_in(tmp_path, HOURLY).items()


def test_an_open_month_of_many_parts_becomes_one(tmp_path: Path) -> None:
    for hour in range(40):
        store_series(tmp_path, HOURLY, hours(f"2024-01-{1 + hour // 24:02}T{hour % 24:02}", 1))
    assert len(entries_of(tmp_path, HOURLY)) <= 16
    assert_equal(stored(tmp_path), hours("2024-01-01", 40))


def test_a_month_left_in_parts_becomes_one_when_a_later_one_begins(tmp_path: Path) -> None:
    store_series(tmp_path, HOURLY, hours("2024-01-01", DAY))
    store_series(tmp_path, HOURLY, hours("2024-01-05", DAY))
    store_series(tmp_path, HOURLY, hours("2024-03-01", DAY))
    assert [entry.file[:7] for entry in entries_of(tmp_path, HOURLY)] == ["2024-01", "2024-03"]


def test_candles_that_fill_a_gap_or_come_before(tmp_path: Path) -> None:
    whole = hours("2024-01-10", 50 * DAY)
    store_series(tmp_path, HOURLY, without(whole, 30, 31, 32))
    assert store_series(tmp_path, HOURLY, whole).added == 3
    assert_equal(stored(tmp_path), whole)
    store_series(tmp_path, HOURLY, hours("2024-01-01", 12 * DAY))
    assert_equal(stored(tmp_path), hours("2024-01-01", 59 * DAY))


def test_the_same_again_changes_no_file(tmp_path: Path) -> None:
    store_series(tmp_path, HOURLY, hours("2024-01-01", 40 * DAY))
    folder = tmp_path / HOURLY.folder
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    assert store_series(tmp_path, HOURLY, hours("2024-01-01", 40 * DAY)).unchanged == 40 * DAY
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()} == before


def test_an_overlap_that_differs_names_the_first_difference(tmp_path: Path) -> None:
    candles = hours("2024-01-01", 40 * DAY)
    store_series(tmp_path, HOURLY, candles)
    before = files_in(tmp_path, HOURLY)
    volume, high = candles.volume.copy(), candles.high.copy()
    volume[35 * DAY] += 1
    high[36 * DAY] += 1
    other = candles._replace(volume=volume, high=high)
    longer = concatenate([other, hours("2024-02-10", DAY)])
    new_value, old_value = float(volume[35 * DAY]), float(candles.volume[35 * DAY])
    expected = rf"volume at 2024-02-05 00:00 is {new_value} .* {old_value} in the cache; give --replace"
    with pytest.raises(DataError, match=expected):
        store_series(tmp_path, HOURLY, longer)
    assert files_in(tmp_path, HOURLY) == before

    result = store_series(tmp_path, HOURLY, longer, replace=True)
    assert (result.added, result.replaced, result.unchanged) == (DAY, 2, 40 * DAY - 2)
    assert_equal(stored(tmp_path), longer)
    january = {name: file for name, file in before.items() if name.startswith("2024-01")}
    assert january.items() <= files_in(tmp_path, HOURLY).items()


@settings(max_examples=25, deadline=None)
@given(pieces=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40)), min_size=1, max_size=6))
def test_any_order_of_imports_gives_the_same_candles(
    pieces: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    daily = KEY._replace(timeframe="1d")
    whole = candles_from("2024-01-01", 101, "1d")
    expected: set[int] = set()
    for first, count in pieces:
        store_series(cache, daily, whole.take(slice(first, first + count)))
        expected.update(range(first, first + count))
        assert_equal(map_series(cache, daily), whole.take(np.array(sorted(expected))))
    assert verify_series(cache, daily).problems == ()


def test_the_mapped_file_follows_its_parts(tmp_path: Path) -> None:
    store_series(tmp_path, HOURLY, hours("2024-01-01", 30))
    first = map_series(tmp_path, HOURLY)
    assert not first.close.flags.writeable
    store_series(tmp_path, HOURLY, hours("2024-01-01", 60))
    second = map_series(tmp_path, HOURLY)
    assert_equal(first, hours("2024-01-01", 30))  # who mapped the old file keeps it
    assert_equal(second, hours("2024-01-01", 60))
    assert len(list((tmp_path / HOURLY.folder).glob("*.arrow"))) == 1


@pytest.mark.parametrize("damage", [b"", b"ARROW1 and nothing more"])
def test_a_damaged_mapped_file_is_built_again(damage: bytes, tmp_path: Path) -> None:
    store_series(tmp_path, HOURLY, hours("2024-01-01", 30))
    path = mapped_path(tmp_path / HOURLY.folder, entries_of(tmp_path, HOURLY))
    path.write_bytes(damage)
    assert_equal(map_series(tmp_path, HOURLY), hours("2024-01-01", 30))


def test_a_series_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not cached"):
        map_series(tmp_path, HOURLY)


def test_a_corrupt_part_is_found_and_replace_mends_it(tmp_path: Path) -> None:
    candles = hours("2024-01-01", 40 * DAY)
    store_series(tmp_path, HOURLY, candles)
    part = tmp_path / HOURLY.folder / entries_of(tmp_path, HOURLY)[0].file
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"corrupt.*--replace"):
        map_series(tmp_path, HOURLY)
    with pytest.raises(DataError, match="corrupt"):
        store_series(tmp_path, HOURLY, candles)
    with pytest.raises(DataError, match="corrupt"):  # this would lose candles
        store_series(tmp_path, HOURLY, hours("2024-01-01", DAY), replace=True)
    store_series(tmp_path, HOURLY, candles, replace=True)
    assert_equal(map_series(tmp_path, HOURLY), candles)


@pytest.mark.parametrize(
    "content", ["{", '{"version": 9, "entries": []}', '{"version": 1, "entries": []}', '{"version": 1}']
)
def test_an_index_that_is_none(content: str, tmp_path: Path) -> None:
    store_series(tmp_path, HOURLY, hours("2024-01-01", 3))
    (tmp_path / HOURLY.folder / "index.json").write_text(content)
    with pytest.raises(DataError, match=r"index\.json"):
        entries_of(tmp_path, HOURLY)
    assert len(verify_series(tmp_path, HOURLY).problems) == 1


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ReplayError, match=r"cannot be written.*REPLAY_HOME") as caught:
        store_series(tmp_path / "file", HOURLY, hours("2024-01-01", 3))
    assert caught.value.exit_status == 1


# Each step of an import that changes the disk is a point where the process may die. The child counts them,
# and kills itself before the one it is told.
CHILD = """
import os, pathlib, signal, sys
from orchestrator.market.importing import import_file

steps = 0
def dying(function):
    def step(*args, **options):
        global steps
        steps += 1
        if steps == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **options)
    return step

os.fsync = dying(os.fsync)
pathlib.Path.replace = dying(pathlib.Path.replace)
pathlib.Path.unlink = dying(pathlib.Path.unlink)
import_file(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), replace=True)
"""


def run_child(source: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def test_death_at_any_step_of_an_import_leaves_all_or_nothing(tmp_path: Path) -> None:
    old = hours("2024-01-20", 20 * DAY)
    close = old.close.copy()
    close[:2] = old.low[:2]
    new = concatenate([old._replace(close=close), hours("2024-02-09", 2 * DAY)])
    file = tmp_path / "binance" / "BTC-USDT_1h.parquet"
    file.parent.mkdir()
    import pandas as pd  # noqa: PLC0415 - one test writes its file with it

    columns = dict(zip(("time", "open", "high", "low", "close", "volume"), new, strict=True))
    pd.DataFrame(columns | {"time": new.open_times_ns // 10**9}).to_parquet(file)

    outcomes = []
    for step in range(1, 40):
        cache = tmp_path / f"cache{step}"
        store_series(cache, HOURLY, old)
        map_series(cache, HOURLY)
        child = run_child(CHILD, cache, file, step)
        assert verify_series(cache, HOURLY).problems == ()
        left = map_series(cache, HOURLY)
        outcomes.append(left.size == new.size)
        assert_equal(left, new if outcomes[-1] else old)
        store_series(cache, HOURLY, new, replace=True)  # the next import succeeds and clears up
        assert_equal(map_series(cache, HOURLY), new)
        names = {path.suffix for path in (cache / HOURLY.folder).iterdir() if path.name != ".lock"}
        assert names == {".json", ".parquet", ".arrow"}
        assert len(files_in(cache, HOURLY)) == len(entries_of(cache, HOURLY))
        if child.returncode == 0:
            break
        assert child.returncode == -9, child.stderr
    else:
        pytest.fail("the import never ended by itself")
    assert outcomes[0] is False
    assert outcomes[-1] is True
    assert len(outcomes) > 8


FULL_DISK = """
import pathlib, resource, sys
from orchestrator.errors import ReplayError
from orchestrator.market.cache import store_series
from orchestrator.market.series import SeriesKey
from tests.market.builders import candles_from

resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    key = SeriesKey("binance", "BTC", "USDT", "1h")
    store_series(pathlib.Path(sys.argv[1]), key, candles_from("2024-01-01", 1500, "1h"))
except ReplayError as error:
    print(error)
"""


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    child = run_child(FULL_DISK, tmp_path)
    assert child.returncode == 0, child.stderr
    assert "cannot be written" in child.stdout
    assert child.stdout.count("\n") == 1
    assert [path.name for path in (tmp_path / HOURLY.folder).iterdir()] == [".lock"]
    assert series_in(tmp_path) == []


TWO = """
import pathlib, sys
import numpy as np
from orchestrator.market.cache import store_series
from orchestrator.market.mapped import map_series
from orchestrator.market.series import SeriesKey
from tests.market.builders import candles_from

key = SeriesKey("binance", "BTC", "USDT", "1h")
whole = candles_from("2024-01-01", 1600, "1h")
sys.stdin.readline()
for first in range(int(sys.argv[2]), 1600, 200):
    store_series(pathlib.Path(sys.argv[1]), key, whole.take(slice(first, first + 100)))
    mapped = map_series(pathlib.Path(sys.argv[1]), key)
    rows = np.searchsorted(whole.open_times_ns, mapped.open_times_ns)
    assert all(np.array_equal(a[rows], b) for a, b in zip(whole, mapped)), "torn"
"""


def test_two_processes_import_into_one_series_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TWO, str(tmp_path)]
    children = [
        subprocess.Popen([*command, first], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for first in ("0", "100")
    ]
    try:
        for child in children:  # both have begun before either goes on
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        for child in children:
            _, errors = child.communicate(timeout=200)
            assert child.returncode == 0, errors
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert_equal(map_series(tmp_path, HOURLY), candles_from("2024-01-01", 1600, "1h"))
    assert verify_series(tmp_path, HOURLY).problems == ()
