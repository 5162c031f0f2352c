"""Closed candles between two times, as of a third, on the market's own grid and on another's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.candle import Candle
from orchestrator.config import NS_PER_DAY, parse_date_ns, parse_timeframe_ns
from orchestrator.errors import ConfigError
from orchestrator.market.candles import Candles
from orchestrator.market.market import Market
from orchestrator.market.resample import resample
from tests.market.builders import candles_at, candles_from, without

ORIGIN = parse_date_ns("2024-01-01")  # a Monday
STEP = parse_timeframe_ns("5m")
THURSDAY, MONDAY = 0, 4 * NS_PER_DAY


def market_of(candles: Candles, exchange: str = "kucoin", timeframe: str = "5m") -> Market:
    length = parse_timeframe_ns(timeframe)
    end_ns = int(candles.open_times_ns[-1]) + length
    return Market(
        {"BTC": candles},
        exchange=exchange,
        quote="USDT",
        timeframe_ns=length,
        start_ns=int(candles.open_times_ns[0]),
        end_ns=end_ns,
    )


BASE = without(candles_from("2024-01-01", 600), 3, 4, 50, *range(100, 140), 300)
MARKET = market_of(BASE)
TIMES = st.integers(-20, 2 * 620).map(lambda half: ORIGIN + half * STEP // 2)


@settings(max_examples=300, deadline=None)
@given(
    first=TIMES,
    last=TIMES,
    now=TIMES,
    limit=st.integers(1, 40),
    timeframe=st.sampled_from(["5m", "15m", "1h"]),
)
def test_they_are_what_a_plain_loop_finds(
    first: int, last: int, now: int, limit: int, timeframe: str
) -> None:
    length = parse_timeframe_ns(timeframe)
    every = resample(BASE, length, 0)
    rows = zip(every.open_times_ns.tolist(), *(column.tolist() for column in every.values), strict=True)
    wanted = [row for row in rows if first <= row[0] <= last and row[0] + length <= now][-limit:]
    found = MARKET.closed_between("BTC", timeframe, first, last, now, limit)
    assert found.open_times_ns.tolist() == [row[0] for row in wanted]
    assert found.values.T.tolist() == [list(row[1:]) for row in wanted]
    assert found.values.shape == (5, len(wanted))


@pytest.mark.parametrize("exchange", ["kucoin", "binance"])
@pytest.mark.parametrize("anchor_ns", [THURSDAY, MONDAY, MONDAY + 70 * NS_PER_DAY, None])
def test_weeks_may_begin_as_on_another_exchange(exchange: str, anchor_ns: int | None) -> None:
    days = candles_at([ORIGIN + day * NS_PER_DAY for day in range(40)])
    market = market_of(days, exchange, "1d")
    own = MONDAY if exchange == "binance" else THURSDAY
    grid_ns = own if anchor_ns is None else anchor_ns
    now = ORIGIN + 25 * NS_PER_DAY + 1
    weeks = market.closed_between("BTC", "1w", 0, now, now, 99, anchor_ns=anchor_ns)
    expected = resample(days, 7 * NS_PER_DAY, grid_ns)
    is_closed = expected.open_times_ns + 7 * NS_PER_DAY <= now
    assert weeks.open_times_ns.tolist() == expected.open_times_ns[is_closed].tolist()
    np.testing.assert_array_equal(weeks.values, np.stack([c[is_closed] for c in expected.values]))
    opened = market.open_candle("BTC", "1w", now, anchor_ns=anchor_ns)
    begin = now - (now - grid_ns) % (7 * NS_PER_DAY)
    part = days.take((days.open_times_ns >= begin) & (days.open_times_ns + NS_PER_DAY <= now))
    assert opened == Candle(
        begin,
        begin + 7 * NS_PER_DAY,
        float(part.open[0]),
        float(part.high.max()),
        float(part.low.min()),
        float(part.close[-1]),
        float(np.add.accumulate(part.volume)[-1]),
    )


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(ConfigError, match="timeframe 1m cannot be made"):
        MARKET.closed_between("BTC", "1m", 0, ORIGIN, ORIGIN, 1)
    with pytest.raises(ConfigError, match="timeframe 1h cannot be made"):
        MARKET.closed_between("BTC", "1h", 0, ORIGIN, ORIGIN, 1, anchor_ns=60 * 10**9)
    with pytest.raises(ConfigError, match="coin 'ETH' is not in this run"):
        MARKET.closed_between("ETH", "1h", 0, ORIGIN, ORIGIN, 1)
