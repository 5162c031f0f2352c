"""Longer candles equal those of pandas, and are known only when they are closed."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.config import NS_PER_DAY, parse_date_ns, parse_timeframe_ns
from orchestrator.market.candles import Candles
from orchestrator.market.market import Market
from orchestrator.market.resample import resample
from orchestrator.market.timeframes import grid_anchor_ns, timeframe_label
from tests.market.builders import candles_at, candles_from

MINUTE = 60 * 10**9
ORIGIN = parse_date_ns("2024-01-01")


def by_pandas(candles: Candles, rule: str, origin_ns: int) -> pd.DataFrame:
    names = ("open", "high", "low", "close", "volume")
    table = pd.DataFrame(
        dict(zip(names, candles.values, strict=True)), index=pd.to_datetime(candles.open_times_ns)
    )
    grouped = table.resample(rule, origin=pd.Timestamp(origin_ns), closed="left", label="left")
    how = dict(zip(names, ("first", "max", "min", "last", "sum"), strict=True))
    return grouped.agg(how)[grouped["open"].count() > 0]


def assert_same(candles: Candles, table: pd.DataFrame) -> None:
    times = table.index.values.astype("datetime64[ns]").astype(np.int64)
    np.testing.assert_array_equal(candles.open_times_ns, times)
    for name, column in zip(table.columns[:4], candles.values, strict=False):
        np.testing.assert_array_equal(column, table[name].to_numpy())
    np.testing.assert_allclose(candles.volume, table["volume"].to_numpy(), rtol=1e-12)  # order of summation


@settings(max_examples=150, deadline=None)
@given(
    slots=st.lists(st.integers(0, 400), min_size=1, max_size=80, unique=True),
    minutes=st.sampled_from([5, 7, 15, 60, 240, 1440]),
)
def test_resampling_equals_pandas(slots: list[int], minutes: int) -> None:
    candles = candles_at([ORIGIN + MINUTE * 3 * slot for slot in sorted(slots)])
    assert_same(resample(candles, minutes * MINUTE, 0), by_pandas(candles, f"{minutes}min", 0))


@pytest.mark.parametrize(
    ("exchange", "weekday"), [("binance", 0), ("coinbase", 0), ("kucoin", 3), ("other", 3)]
)
def test_weeks_begin_on_the_weekday_of_the_exchange(exchange: str, weekday: int) -> None:
    candles = candles_from("2024-01-01", 60 * 6, "4h")
    anchor = grid_anchor_ns(exchange, 7 * NS_PER_DAY)
    weeks = resample(candles, 7 * NS_PER_DAY, anchor)
    assert set(pd.to_datetime(weeks.open_times_ns).day_of_week) == {weekday}
    assert_same(weeks, by_pandas(candles, "7D", anchor))


@settings(max_examples=100, deadline=None)
@given(
    slots=st.lists(st.integers(0, 300), min_size=1, max_size=200, unique=True),
    minute=st.integers(0, 1600),
    timeframe=st.sampled_from(["5m", "15m", "25m", "1h", "4h"]),
    count=st.integers(1, 40),
)
def test_history_is_the_last_closed_candles_of_pandas(
    slots: list[int], minute: int, timeframe: str, count: int
) -> None:
    candles = candles_at([ORIGIN + 5 * MINUTE * slot for slot in sorted(slots)])
    now, length = ORIGIN + minute * MINUTE, parse_timeframe_ns(timeframe)
    market = Market(
        {"BTC": candles},
        exchange="kucoin",
        quote="USDT",
        timeframe_ns=5 * MINUTE,
        start_ns=ORIGIN,
        end_ns=ORIGIN + 1600 * MINUTE,
    )
    found = market.history("BTC", timeframe, count, now)
    closed = candles.take(candles.open_times_ns + 5 * MINUTE <= now)
    if closed.size == 0:
        assert found.values.shape == (5, 0)
        return
    table = by_pandas(closed, f"{length // MINUTE}min", 0)
    table = table[table.index + pd.Timedelta(length) <= pd.Timestamp(now)].tail(count)
    assert found.values.shape == (5, len(table))
    assert found.values.flags.c_contiguous
    assert_same(Candles(found.open_times_ns, *found.values), table)


@settings(max_examples=100, deadline=None)
@given(
    slots=st.lists(st.integers(0, 300), min_size=1, max_size=200, unique=True),
    minutes=st.lists(st.integers(-10, 1600), min_size=1, max_size=12),
    timeframe=st.sampled_from(["5m", "15m", "25m", "1h", "4h", "1w"]),
    exchange=st.sampled_from(["kucoin", "binance"]),
)
def test_the_open_candle_is_that_of_pandas_whenever_it_is_asked_for(
    slots: list[int], minutes: list[int], timeframe: str, exchange: str
) -> None:
    candles = candles_at([ORIGIN + 5 * MINUTE * slot for slot in sorted(slots)])
    length = parse_timeframe_ns(timeframe)
    anchor = grid_anchor_ns(exchange, length)
    market = Market(
        {"BTC": candles},
        exchange=exchange,
        quote="USDT",
        timeframe_ns=5 * MINUTE,
        start_ns=ORIGIN,
        end_ns=ORIGIN + 1600 * MINUTE,
    )
    for minute in minutes:  # forth and back: no answer depends on the one before
        now = ORIGIN + minute * MINUTE
        found = market.open_candle("BTC", timeframe, now)
        begin = now - (now - anchor) % length
        times = candles.open_times_ns
        inside = candles.take((times >= begin) & (times + 5 * MINUTE <= now))
        if inside.size == 0:
            assert found is None
            continue
        assert found is not None
        whole = resample(inside, length, anchor)
        assert found == (begin, begin + length, *(float(column[0]) for column in whole.values))
        assert_same(whole, by_pandas(inside, f"{length // MINUTE}min", anchor))


def test_an_open_candle_costs_a_poller_little() -> None:
    market = Market(
        {"BTC": candles_from("2024-01-01", 14 * 1440, "1m")},
        exchange="kucoin",
        quote="USDT",
        timeframe_ns=MINUTE,
        start_ns=ORIGIN,
        end_ns=ORIGIN + 14 * NS_PER_DAY,
    )
    fastest = min(_polls(market, day) for day in range(5))
    assert fastest < 200e-6  # wall seconds each; about 10 us on an idle machine


def _polls(market: Market, day: int) -> float:
    start = time.perf_counter()
    for second in range(0, 20_000, 10):
        market.open_candle("BTC", "1w", ORIGIN + day * NS_PER_DAY + second * 10**9)
    return (time.perf_counter() - start) / 2_000


def test_weekly_history_of_an_exchange_whose_weeks_begin_on_monday() -> None:
    market = Market(
        {"BTC": candles_from("2024-01-01", 30 * 24, "1h")},
        exchange="binance",
        quote="USDT",
        timeframe_ns=60 * MINUTE,
        start_ns=ORIGIN,
        end_ns=ORIGIN + 30 * NS_PER_DAY,
    )
    weeks = market.history("BTC", "1w", 10, ORIGIN + 15 * NS_PER_DAY)
    assert weeks.open_times_ns.tolist() == [ORIGIN, ORIGIN + 7 * NS_PER_DAY]


@pytest.mark.parametrize("label", ["1s", "1m", "5m", "90m", "1h", "4h", "1d", "3d", "1w", "2w"])
def test_a_timeframe_is_named_as_it_was_written(label: str) -> None:
    assert timeframe_label(parse_timeframe_ns(label)) == label
