"""One run's market: every answer is as of a time, and equals what a plain loop over the candles says."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.candle import Candle
from orchestrator.config import parse_date_ns
from orchestrator.errors import ConfigError
from orchestrator.exchange.market_view import MarketView
from orchestrator.market.candles import Candles
from orchestrator.market.market import Market
from orchestrator.protocol import CandleFlag
from tests.market.builders import candles_at, candles_from, without

MINUTE = 60 * 10**9
STEP = 5 * MINUTE
ORIGIN = parse_date_ns("2024-01-01")
NEW, STALE = CandleFlag.PRESENT | CandleFlag.NEW, CandleFlag.PRESENT | CandleFlag.STALE


def make(coins: dict[str, Candles], start_ns: int, end_ns: int, exchange: str = "kucoin") -> Market:
    return Market(coins, exchange=exchange, quote="USDT", timeframe_ns=STEP, start_ns=start_ns, end_ns=end_ns)


class Run(NamedTuple):
    coins: dict[str, Candles]
    start_ns: int
    end_ns: int

    @property
    def market(self) -> Market:
        return make(self.coins, self.start_ns, self.end_ns)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Two or three coins with gaps, beginning and ending anywhere; dates on the grid or not."""
    count = draw(st.integers(2, 3))
    coins = {}
    for place in range(count):
        slots = draw(st.lists(st.integers(0, 60), min_size=1, max_size=40, unique=True))
        coins["ABC"[place]] = candles_at([ORIGIN + STEP * slot for slot in sorted(slots)], seed=place)
    start = draw(st.integers(0, 200)) * MINUTE
    length = draw(st.integers(1, 250)) * MINUTE
    return Run(coins, ORIGIN + start, ORIGIN + start + length)


times = st.integers(-2, 62 * 5 * 2).map(lambda half_minutes: ORIGIN + half_minutes * MINUTE // 2)


def plain(candles: Candles) -> list[Candle]:
    rows = zip(candles.open_times_ns.tolist(), *(column.tolist() for column in candles.values), strict=True)
    return [Candle(time, time + STEP, *values) for time, *values in rows]


def cut(candles: Candles, time_ns: int) -> Candles:
    return candles.take(candles.open_times_ns < time_ns)


def perturbed(candles: Candles, time_ns: int) -> Candles:
    factor = np.where(candles.open_times_ns >= time_ns, 3.0, 1.0)
    return Candles(candles.open_times_ns, *(column * factor for column in candles.values))


def test_the_market_is_what_the_exchange_asks_for() -> None:
    view: MarketView = make({"BTC": candles_from("2024-01-01", 3)}, ORIGIN, ORIGIN + 3 * STEP)
    assert view.last_closed("BTC", ORIGIN) is None


@settings(max_examples=150, deadline=None)
@given(run=runs())
def test_ticks_and_blocks_equal_a_plain_loop(run: Run) -> None:
    market = run.market
    closes = {c.close_time_ns for candles in run.coins.values() for c in plain(candles)}
    ticks = sorted(time for time in closes if run.start_ns < time <= run.end_ns)
    assert market.tick_times_ns.tolist() == ticks
    assert market.tick_count == len(ticks)
    for chunk in (1, 7, max(1, len(ticks))):
        for first in range(0, len(ticks), chunk):
            check_block(run, market, first, min(first + chunk, len(ticks)))


def check_block(run: Run, market: Market, first: int, last: int) -> None:
    block = market.block(first, last)
    assert block.prices.shape == (last - first, len(run.coins), 5)
    arrays: list[npt.NDArray[Any]] = [block.times_ns, block.prices, block.open_times_ns, block.flags]
    for array, kind in zip(arrays, ("<i8", "<f8", "<i8", "|u1"), strict=True):
        assert array.dtype.str == kind
        assert array.flags.c_contiguous
    for row, time in enumerate(block.times_ns.tolist()):
        for place, candles in enumerate(run.coins.values()):
            closed = [candle for candle in plain(candles) if candle.close_time_ns <= time]
            found = (int(block.open_times_ns[row, place]), block.prices[row, place].tolist())
            if not closed:
                assert block.flags[row, place] == 0
                assert found[0] == 0
                assert all(map(math.isnan, found[1]))
            else:
                assert found == (closed[-1].open_time_ns, list(closed[-1][2:]))
                assert block.flags[row, place] == (NEW if closed[-1].close_time_ns == time else STALE)


@settings(max_examples=200, deadline=None)
@given(run=runs(), time=times, count=st.integers(1, 30))
def test_as_of_answers_equal_a_plain_loop(run: Run, time: int, count: int) -> None:
    market = run.market
    for coin, candles in run.coins.items():
        known = [candle for candle in plain(candles) if candle.open_time_ns < run.end_ns]
        closed = [candle for candle in known if candle.close_time_ns <= time]
        assert market.last_closed(coin, time) == (closed[-1] if closed else None)
        exact = [candle for candle in known if candle.close_time_ns == time]
        assert market.closed_at(coin, time) == (exact[0] if exact else None)
        inside = [candle for candle in known if candle.open_time_ns >= run.start_ns]
        around = [candle for candle in inside if candle.open_time_ns <= time < candle.close_time_ns]
        opening = market.opening_at(coin, time)
        assert opening == ((around[0].open_time_ns, around[0].open) if around else None)
        later = [candle.open_time_ns for candle in inside if candle.open_time_ns > time]
        assert market.next_open_time(coin, time) == (later[0] if later else None)
        ranges = [(candle.high - candle.low) / candle.open for candle in closed[-count:]]
        assert market.recent_ranges(coin, time, count).tolist() == ranges


@settings(max_examples=150, deadline=None)
@given(
    run=runs(), time=times, count=st.integers(1, 20), timeframe=st.sampled_from(["5m", "15m", "1h", "35m"])
)
def test_nothing_depends_on_what_opens_later(run: Run, time: int, count: int, timeframe: str) -> None:
    time = min(time, run.end_ns)
    others = [
        run._replace(coins={coin: change(candles, time) for coin, candles in run.coins.items()}).market
        for change in (cut, perturbed)
    ]
    market = run.market
    for other in others:
        for coin in run.coins:
            assert market.last_closed(coin, time) == other.last_closed(coin, time)
            assert market.closed_at(coin, time) == other.closed_at(coin, time)
            np.testing.assert_array_equal(
                market.recent_ranges(coin, time, count), other.recent_ranges(coin, time, count)
            )
            now, then = (m.history(coin, timeframe, count, time) for m in (market, other))
            np.testing.assert_array_equal(now.open_times_ns, then.open_times_ns)
            np.testing.assert_array_equal(now.values, then.values)
            before = time - 1
            assert market.opening_at(coin, before) == other.opening_at(coin, before)
        ticks = int(np.searchsorted(market.tick_times_ns, time, "right"))
        for one, two in zip(market.block(0, ticks), other.block(0, ticks), strict=True):
            np.testing.assert_array_equal(one, two)


def test_warm_up_is_seen_but_not_traded() -> None:
    market = make({"BTC": candles_from("2024-01-01", 10)}, ORIGIN + 4 * STEP, ORIGIN + 8 * STEP)
    assert market.tick_times_ns.tolist() == [ORIGIN + STEP * n for n in (5, 6, 7, 8)]
    assert market.last_closed("BTC", ORIGIN + 4 * STEP) is not None
    assert market.history("BTC", "5m", 99, ORIGIN + 4 * STEP).values.shape == (5, 4)
    assert len(market.recent_ranges("BTC", ORIGIN + 4 * STEP, 99)) == 4
    assert market.opening_at("BTC", ORIGIN + 4 * STEP - 1) is None
    assert market.opening_at("BTC", ORIGIN + 8 * STEP) is None
    assert market.next_open_time("BTC", ORIGIN) == ORIGIN + 4 * STEP
    assert market.next_open_time("BTC", ORIGIN + 7 * STEP) is None
    assert market.coin_end_ns("BTC") == ORIGIN + 8 * STEP


def test_a_coin_that_begins_late_is_absent_and_one_that_ended_is_stale() -> None:
    coins = {"BTC": candles_from("2024-01-01", 6), "NEW": candles_from("2024-01-01T00:15", 3)}
    coins["OLD"] = candles_from("2024-01-01", 2)
    market = make(coins, ORIGIN, ORIGIN + 6 * STEP)
    flags = market.block(0, 6).flags
    assert flags[:, 1].tolist() == [0, 0, 0, NEW, NEW, NEW]
    assert flags[:, 2].tolist() == [NEW, NEW, STALE, STALE, STALE, STALE]
    assert [market.coin_end_ns(coin) for coin in coins] == [ORIGIN + n * STEP for n in (6, 6, 2)]


def test_a_time_at_which_no_coin_closes_is_no_tick() -> None:
    coins = {name: without(candles_from("2024-01-01", 6), 2) for name in ("BTC", "ETH")}
    market = make(coins, ORIGIN, ORIGIN + 6 * STEP)
    assert market.tick_times_ns.tolist() == [ORIGIN + STEP * n for n in (1, 2, 4, 5, 6)]


def test_the_digest_is_over_the_visible_values_alone() -> None:
    candles = candles_from("2024-01-01", 20)
    start, end = ORIGIN + 5 * STEP, ORIGIN + 10 * STEP
    digest = make({"BTC": candles}, start, end).data_digest
    assert digest == make({"BTC": cut(candles, end)}, start, end).data_digest
    assert digest == make({"BTC": perturbed(candles, end)}, start, end).data_digest
    assert digest != make({"BTC": perturbed(candles, end - STEP)}, start, end).data_digest
    assert digest != make({"BTC": without(candles, 0)}, start, end).data_digest  # warm-up is part of it
    assert digest != make({"ETH": candles}, start, end).data_digest
    pair = make({"BTC": candles, "ETH": candles}, start, end).data_digest
    assert pair != make({"ETH": candles, "BTC": candles}, start, end).data_digest


@pytest.mark.parametrize(
    ("coin", "timeframe", "count", "message"),
    [
        ("DOGE", "1h", 5, r"'DOGE' is not in this run; its coins are BTC"),
        ("BTC", "7m", 5, r"7m cannot be made of this run's 5m candles"),
        ("BTC", "1m", 5, r"1m cannot be made"),
        ("BTC", "soon", 5, r"timeframe 'soon' is not understood"),
        ("BTC", "1h", 0, r"at least 1"),
    ],
)
def test_a_history_that_cannot_be_says_why(coin: str, timeframe: str, count: int, message: str) -> None:
    market = make({"BTC": candles_from("2024-01-01", 20)}, ORIGIN, ORIGIN + 20 * STEP)
    with pytest.raises(ConfigError, match=message):
        market.history(coin, timeframe, count, ORIGIN + 20 * STEP)
