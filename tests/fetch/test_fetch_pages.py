"""Paging covers a span whatever the form of the exchange's answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.fetch.pages import Ask, pages
from orchestrator.market.candles import Candles, concatenate
from orchestrator.market.spans import Span
from tests.market.builders import assert_equal, candles_at

STEP = 60 * 10**9
BASE = 1_704_067_200 * 10**9


def first_ones(candles: Candles, cap: int) -> Ask:
    """Answer like Binance: the first candles from the time on, however far away."""

    def ask(start_ns: int, count: int) -> Candles:
        row = int(np.searchsorted(candles.open_times_ns, start_ns))
        return candles.take(slice(row, row + min(count, cap)))

    return ask


def newest_of_window(candles: Candles, cap: int, *, is_inclusive: bool = True) -> Ask:
    """Answer like KuCoin: the window's candles, of too many the newest."""

    def ask(start_ns: int, count: int) -> Candles:
        first, last = np.searchsorted(
            candles.open_times_ns, [start_ns, start_ns + count * STEP + is_inclusive]
        )
        return candles.take(slice(max(int(first), int(last) - cap), int(last)))

    return ask


def last_ones(candles: Candles, cap: int) -> Ask:
    """Answer like Kraken: the last candles of all, whatever the time."""
    return lambda _start, _count: candles.take(slice(max(0, candles.size - cap), candles.size))


@pytest.mark.parametrize("exchange", [first_ones, newest_of_window])
@settings(max_examples=80, deadline=None)
@given(
    slots=st.sets(st.integers(0, 120), max_size=110),
    begin=st.integers(0, 60),
    length=st.integers(1, 100),
    page=st.integers(1, 40),
    cap=st.integers(2, 50),  # an inclusive window of one holds two
)
def test_every_candle_is_had_and_every_time_covered_once(
    exchange: Callable[[Candles, int], Ask], slots: set[int], begin: int, length: int, page: int, cap: int
) -> None:
    candles = candles_at([BASE + STEP * slot for slot in sorted(slots)])
    span = Span(BASE + STEP * begin, BASE + STEP * (begin + length))
    found = list(pages(span, STEP, page, exchange(candles, cap)))
    cursor = span.start_ns
    for one in found:
        assert one.span.start_ns == cursor < one.span.end_ns
        cursor = one.span.end_ns
        times = one.candles.open_times_ns
        assert one.candles.size == 0 or one.span.start_ns <= times[0] <= times[-1] < one.span.end_ns
    assert cursor == span.end_ns
    times = candles.open_times_ns
    expected = candles.take((times >= span.start_ns) & (times < span.end_ns))
    assert_equal(concatenate([one.candles for one in found]), expected)


def test_what_an_exchange_no_longer_gives_is_absent() -> None:
    candles = candles_at([BASE + STEP * slot for slot in range(100)])
    found = list(pages(Span(BASE, BASE + 100 * STEP), STEP, 50, last_ones(candles, 30)))
    assert [one.span for one in found] == [Span(BASE, BASE + 100 * STEP)]
    assert found[0].candles.size == 30


def test_an_empty_page_is_asked_for_twice() -> None:
    candles = candles_at([BASE + STEP * slot for slot in range(10)])
    ask, asked = first_ones(candles, 100), []

    def forgetful(start_ns: int, count: int) -> Candles:
        asked.append(start_ns)
        answer = ask(start_ns, count)
        return answer.take(slice(0, 0)) if len(asked) == 1 else answer

    found = list(pages(Span(BASE, BASE + 10 * STEP), STEP, 100, forgetful))
    assert (found[0].candles.size, len(asked)) == (10, 2)
