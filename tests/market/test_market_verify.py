"""What verifying a series finds, beyond corrupt bytes; and the lock that importers respect."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from orchestrator.errors import DataError
from orchestrator.market import files
from orchestrator.market.cache import entries_of, store_series
from orchestrator.market.files import locked, write_whole
from orchestrator.market.index import write_index
from orchestrator.market.mapped import map_series, mapped_path
from orchestrator.market.parts import write_part
from orchestrator.market.verify import verify_series
from tests.market.builders import KEY, candles_from

CANDLES = candles_from("2024-01-01", 50)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store_series(tmp_path, KEY, CANDLES)
    map_series(tmp_path, KEY)
    return tmp_path / KEY.folder


def problems(tmp_path: Path) -> str:
    found = verify_series(tmp_path, KEY).problems
    assert len(found) == 1
    return found[0]


def test_a_sound_series(folder: Path, tmp_path: Path) -> None:
    report = verify_series(tmp_path, KEY)
    assert report.problems == ()
    assert (report.candle_count, report.start_ns) == (50, CANDLES.open_times_ns[0])
    assert report.end_ns == CANDLES.open_times_ns[-1] + KEY.timeframe_ns


def test_an_index_that_does_not_say_what_the_part_holds(folder: Path, tmp_path: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    index["entries"][0]["candle_count"] = 51
    (folder / "index.json").write_text(json.dumps(index))
    assert "holds 50 candles" in problems(tmp_path)
    assert "the index says 51" in problems(tmp_path)


def test_candles_that_break_a_rule_though_their_digest_is_right(folder: Path, tmp_path: Path) -> None:
    low = CANDLES.low.copy()
    low[7] = -1.0
    (folder / entries_of(tmp_path, KEY)[0].file).unlink()
    write_index(folder, (write_part(folder, "2024-01", CANDLES._replace(low=low), KEY.timeframe_ns),))
    assert problems(tmp_path).startswith("row 8 (2024-01-01 00:35): low is not above zero")


def test_a_part_that_is_missing(folder: Path, tmp_path: Path) -> None:
    (folder / entries_of(tmp_path, KEY)[0].file).unlink()
    assert "cannot be read" in problems(tmp_path)
    assert verify_series(tmp_path, KEY).digest == ""


def test_a_mapped_file_that_differs_or_is_damaged(folder: Path, tmp_path: Path) -> None:
    path = mapped_path(folder, entries_of(tmp_path, KEY))
    store_series(tmp_path / "other", KEY, candles_from("2024-01-01", 50, seed=2))
    map_series(tmp_path / "other", KEY)
    shutil.copy(next((tmp_path / "other" / KEY.folder).glob("*.arrow")), path)
    assert "differs from the Parquet parts" in problems(tmp_path)
    write_whole(path, b"ARROW1 and nothing more")
    assert "cannot be mapped" in problems(tmp_path)


def test_the_digest_does_not_depend_on_how_the_parts_are_cut(folder: Path, tmp_path: Path) -> None:
    for first in range(0, 50, 10):
        store_series(tmp_path / "other", KEY, CANDLES.take(np.arange(first, first + 10)))
    other = verify_series(tmp_path / "other", KEY)
    assert len(entries_of(tmp_path / "other", KEY)) == 5
    assert other.digest == verify_series(tmp_path, KEY).digest


def test_a_lock_that_is_never_given_back_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LOCK_SECONDS_MAX", 0.05)
    path = tmp_path / ".lock"
    readers = (locked(path, exclusive=False), locked(path, exclusive=False))
    with (
        readers[0],
        readers[1],
        pytest.raises(DataError, match="in use by another"),
        locked(path, exclusive=True),
    ):
        pytest.fail("a writer got in beside readers")
    with locked(path, exclusive=True):
        pass
