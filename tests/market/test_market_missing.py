"""What is missing: neither cached nor known to be absent; spans as sets of minutes."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import DataError
from orchestrator.market.cache import series_in, store_series
from orchestrator.market.missing import (
    ABSENCES_NAME,
    cached_spans,
    forget_absences,
    missing_spans,
    read_absences,
    remember_absences,
)
from orchestrator.market.spans import Span, joined, spans_of_times, subtract
from orchestrator.market.verify import verify_series
from tests.market.builders import KEY, candles_from, without

STEP = 300 * 10**9
FIRST = int(candles_from("2024-01-01", 1).open_times_ns[0])

spans = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 15)), max_size=8).map(
    lambda pairs: [Span(start, start + length) for start, length in pairs]
)


def members(stretches: list[Span]) -> set[int]:
    return {time for span in stretches for time in range(span.start_ns, span.end_ns)}


@given(whole=st.tuples(st.integers(0, 40), st.integers(1, 30)), taken=spans)
def test_subtracting_spans_is_subtracting_sets(whole: tuple[int, int], taken: list[Span]) -> None:
    span = Span(whole[0], sum(whole))
    left = subtract(span, taken)
    assert members(left) == members([span]) - members(taken)
    assert left == joined(left)


@given(taken=spans)
def test_joined_spans_are_the_same_times_apart_and_in_order(taken: list[Span]) -> None:
    result = joined(taken)
    assert members(result) == members(taken)
    assert all(one.end_ns < other.start_ns for one, other in itertools.pairwise(result))


@given(slots=st.sets(st.integers(0, 50)))
def test_spans_of_times(slots: set[int]) -> None:
    times = np.array(sorted(slots), dtype=np.int64) * 5
    assert {time // 5 for time in members(spans_of_times(times, 5)) if time % 5 == 0} == slots


def at(first: int, last: int) -> Span:
    return Span(FIRST + first * STEP, FIRST + last * STEP)


def test_missing_is_what_is_neither_cached_nor_absent(tmp_path: Path) -> None:
    whole = at(-10, 10_020)
    assert missing_spans(tmp_path, KEY, whole) == [whole]
    store_series(tmp_path, KEY, without(candles_from("2024-01-01", 10_000), 7, 8, 9_000))
    assert missing_spans(tmp_path, KEY, whole) == [at(-10, 0), at(7, 9), at(9_000, 9_001), at(10_000, 10_020)]
    remember_absences(tmp_path, KEY, [at(-10, 0), at(7, 8)])
    remember_absences(tmp_path, KEY, [at(8, 9)])
    assert read_absences(tmp_path, KEY) == [at(-10, 0), at(7, 9)]
    assert missing_spans(tmp_path, KEY, at(0, 9_500)) == [at(9_000, 9_001)]
    assert cached_spans(tmp_path, KEY, at(5, 8)) == [
        at(0, 7),
        at(9, 8_928),
    ]  # those of the month that it meets
    forget_absences(tmp_path, KEY, at(8, 100))
    assert read_absences(tmp_path, KEY) == [at(-10, 0), at(7, 8)]


def test_absences_are_no_series(tmp_path: Path) -> None:
    remember_absences(tmp_path, KEY, [])
    assert not (tmp_path / KEY.folder).exists()
    forget_absences(tmp_path, KEY, at(0, 1))
    remember_absences(tmp_path, KEY, [at(0, 5)])
    assert series_in(tmp_path) == []
    assert missing_spans(tmp_path, KEY, at(0, 6)) == [at(5, 6)]


@pytest.mark.parametrize(
    ("content", "message"), [("{", "remove it"), ('{"version": 2, "ranges": []}', "has version 2")]
)
def test_absences_that_cannot_be_read(content: str, message: str, tmp_path: Path) -> None:
    remember_absences(tmp_path, KEY, [at(0, 5)])
    (tmp_path / KEY.folder / ABSENCES_NAME).write_text(content)
    with pytest.raises(DataError, match=message):
        missing_spans(tmp_path, KEY, at(0, 6))
    store_series(tmp_path, KEY, candles_from("2024-01-01", 9))
    assert message in verify_series(tmp_path, KEY).problems[0]
