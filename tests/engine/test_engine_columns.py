"""Snapshots cut from blocks, and accounts marked in segments: against naive loops, over every block border."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.engine import price_feed
from orchestrator.engine.equity import EquityMarker
from orchestrator.engine.price_feed import PriceFeed
from orchestrator.protocol import CandleFlag, Reason, Snapshot
from orchestrator.runs.records import EquityRows
from tests.engine.markets import MINUTE, T0, FakeMarket

GAPS = FakeMarket(
    {
        "BTC": [100.0, 101.0, None, 103.0, 104.0, 105.0, None, None],
        "ETH": [None, 11.0, 12.0, 13.0, None, None, 16.0, 17.0],
    }
)


@pytest.fixture(params=[1, 2, 3, 5, 100])
def block_ticks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(price_feed, "_BLOCK_TICKS", request.param)
    return int(request.param)


def expected_snapshot(market: FakeMarket, index: int, *, is_later: bool) -> list[tuple[object, ...]]:
    """By coin (prices, open time, flags), from the candles alone."""
    time_ns = market.tick_times[index]
    told: list[tuple[object, ...]] = []
    for coin in market.coins:
        candle = market.last_closed(coin, time_ns)
        if candle is None:
            told.append((None, 0, 0))
            continue
        is_new = candle.close_time_ns == time_ns
        flags = CandleFlag.PRESENT | (0 if is_new else CandleFlag.STALE)
        if is_new and not is_later:
            flags |= CandleFlag.NEW
        told.append((candle[2:], candle.open_time_ns, int(flags)))
    return told


def told_by(snapshot: Snapshot, n_coins: int) -> list[tuple[object, ...]]:
    assert (len(snapshot.prices), len(snapshot.open_times), len(snapshot.flags)) == (
        n_coins * 40,
        n_coins * 8,
        n_coins,
    )
    told: list[tuple[object, ...]] = []
    for place in range(n_coins):
        prices = struct.unpack_from("<5d", snapshot.prices, place * 40)
        (open_time,) = struct.unpack_from("<q", snapshot.open_times, place * 8)
        told.append((None if math.isnan(prices[0]) else prices, open_time, snapshot.flags[place]))
    return told


@pytest.mark.usefixtures("block_ticks")
class TestPriceFeed:
    def test_every_tick_is_shown_once_whatever_the_size_of_a_block(self) -> None:
        feed = PriceFeed(GAPS)
        for index, time_ns in enumerate(GAPS.tick_times):
            assert feed.next_time_ns == time_ns
            feed.advance()
            assert feed.first <= feed.index < feed.stop
            snapshot = feed.snapshot(index + 1)
            assert (snapshot.sequence, snapshot.step, snapshot.sim_time_ns) == (index + 1, 0, time_ns)
            assert (snapshot.reason, snapshot.news) == (Reason.TICK, None)
            assert told_by(snapshot, 2) == expected_snapshot(GAPS, index, is_later=False)
        assert feed.next_time_ns is None

    def test_between_two_ticks_the_same_candles_stand_and_none_is_new(self) -> None:
        feed = PriceFeed(GAPS)
        for index, time_ns in enumerate(GAPS.tick_times):
            assert feed.next_time_ns == time_ns
            feed.advance()
            # To look for the next tick must not disturb what this one shows, at a block's border either.
            following = feed.next_time_ns
            assert following == (GAPS.tick_times[index + 1] if index + 1 < GAPS.tick_count else None)
            later = feed.later_snapshot(index + 1, 2, time_ns + 5)
            assert (later.sequence, later.step, later.sim_time_ns, later.reason) == (
                index + 1,
                2,
                time_ns + 5,
                0,
            )
            assert told_by(later, 2) == expected_snapshot(GAPS, index, is_later=True)
            for place, coin in enumerate(GAPS.coins):
                candle = GAPS.last_closed(coin, time_ns)
                mark = feed.mark(place)
                assert math.isnan(mark) if candle is None else mark == candle.close

    def test_a_snapshot_is_immutable(self) -> None:
        feed = PriceFeed(GAPS)
        feed.advance()
        with pytest.raises(AttributeError, match="immutable"):
            feed.snapshot(1).sequence = 2  # type: ignore[misc]

    def test_blocks_are_asked_for_in_order_and_within_the_run(self) -> None:
        asked: list[tuple[int, int]] = []

        class Noting(FakeMarket):
            def block(self, start: int, stop: int):  # type: ignore[no-untyped-def]
                asked.append((start, stop))
                return super().block(start, stop)

        market = Noting({"BTC": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]})
        feed = PriceFeed(market)
        while feed.next_time_ns is not None:
            feed.advance()
        assert asked == sorted(asked)
        assert all(0 <= start < stop <= market.tick_count for start, stop in asked)


Line = list[tuple[float, tuple[float, float]]]


@st.composite
def balances(draw: st.DrawFn) -> tuple[Line, list[bool], int]:
    """Balances in force at each tick (cash, quantities), ticks at which rows are flushed, size of a block."""
    money = st.floats(0, 1e6, allow_nan=False)
    n = draw(st.integers(1, 20))
    changes = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    line, current = [], (draw(money), (draw(money), draw(money)))
    for is_changed in changes:
        if is_changed:
            current = (draw(money), (draw(money), draw(st.sampled_from([0.0, 1.5]))))
        line.append(current)
    return line, draw(st.lists(st.booleans(), min_size=n, max_size=n)), draw(st.integers(1, 7))


class TestEquityMarker:
    @settings(max_examples=150)
    @given(balances(), st.randoms(use_true_random=False))
    def test_segments_make_the_rows_of_a_naive_loop(
        self, case: tuple[Line, list[bool], int], chance: object
    ) -> None:
        line, flushes, block_ticks = case
        n = len(line)
        prices = np.array([[[chance.random() * 100] * 5 for _ in range(2)] for _ in range(n)])  # type: ignore[attr-defined]
        times = T0 + MINUTE * np.arange(1, n + 1, dtype=np.int64)
        marker = EquityMarker(2)
        made: list[EquityRows | None] = []

        def close(stop: int, index: int) -> None:
            first = index // block_ticks * block_ticks
            block = slice(first, first + block_ticks)
            made.append(marker.close_segment(stop, first, times[block], prices[block]))

        marker.set_balances(*line[0])
        for index in range(n):
            if index and line[index] != line[index - 1]:
                close(index, index)  # rows before the change are valued with what was held then
                marker.set_balances(*line[index])
            is_last_of_block = (index + 1) % block_ticks == 0
            if flushes[index] or is_last_of_block or index == n - 1:
                close(index + 1, index)
        rows = [row for segment in made if segment is not None for row in rows_of(segment)]
        assert [row[:2] for row in rows] == [(i + 1, times[i]) for i in range(n)]
        assert marker.done == n
        for index, (_, _, cash, equity, *quantities) in enumerate(rows):
            held_cash, held = line[index]
            expected = held_cash
            for coin, quantity in enumerate(held):
                expected += quantity * prices[index, coin, 3] if quantity else 0.0
            assert cash == held_cash
            assert equity == expected  # to the last bit: the same operations in the same order
            assert tuple(quantities) == held

    def test_a_coin_without_a_price_that_nobody_holds_counts_nothing(self) -> None:
        marker = EquityMarker(2)
        marker.set_balances(100.0, (2.0, 0.0))
        prices = np.full((1, 2, 5), np.nan)
        prices[0, 0] = 10.0
        rows = marker.close_segment(1, 0, np.array([T0], dtype=np.int64), prices)
        assert rows is not None
        assert rows.equity.tolist() == [120.0]

    def test_rows_are_made_once(self) -> None:
        marker = EquityMarker(1)
        times, prices = np.array([T0, T0 + 1], dtype=np.int64), np.ones((2, 1, 5))
        assert marker.close_segment(0, 0, times, prices) is None
        assert marker.close_segment(2, 0, times, prices) is not None
        assert marker.close_segment(2, 0, times, prices) is None
        assert marker.close_segment(1, 0, times, prices) is None

    def test_rows_do_not_share_memory_with_the_market(self) -> None:
        marker = EquityMarker(1)
        times = np.array([T0], dtype=np.int64)
        rows = marker.close_segment(1, 0, times, np.ones((1, 1, 5)))
        times[0] = 0
        assert rows is not None
        assert rows.sim_times_ns.tolist() == [T0]


def rows_of(segment: EquityRows) -> Iterator[tuple[float, ...]]:
    columns = msgspec.structs.asdict(segment)
    lengths = {len(column) for column in columns.values()}
    assert len(lengths) == 1
    for row in range(lengths.pop()):
        yield (
            int(segment.sequences[row]),
            int(segment.sim_times_ns[row]),
            float(segment.cash[row]),
            float(segment.equity[row]),
            *segment.quantities[row].tolist(),
        )
