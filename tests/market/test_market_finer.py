"""Finer candles decide a candle only where they cover it wholly and sum to it, and never tell the future."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestrator.config import NS_PER_SECOND, parse_date_ns
from orchestrator.exchange.market_view import FinerCandles
from orchestrator.market.cache import store_series
from orchestrator.market.candles import Candles
from orchestrator.market.finer import find_finer
from orchestrator.market.market import Market
from orchestrator.market.resample import resample
from orchestrator.market.series import series_key
from tests.market.builders import candles_from, open_market, without

MINUTE = 60 * NS_PER_SECOND
START, END = "2024-01-02", "2024-01-03"
START_NS, END_NS = parse_date_ns(START), parse_date_ns(END)
MINUTES = candles_from("2024-01-01", 3 * 1440, "1m", seed=3)


def market_of(cache: Path, **series: Candles) -> Market:
    """Cache series of BTC by timeframe, named `m1`, `m5`, `h1`, and open a day of 1h candles."""
    for name, candles in series.items():
        timeframe = f"{name[1:]}{name[0]}"
        store_series(cache, series_key("binance", "BTC", "USDT", timeframe), candles)
    return open_market(cache, ("BTC",), START, END, timeframe="1h")


def hours() -> Candles:
    return resample(MINUTES, 60 * MINUTE, 0)


def changed(candles: Candles, row: int, **values: float) -> Candles:
    """Return the candles with other values in one row."""
    columns = {name: getattr(candles, name).copy() for name in values}
    for name, value in values.items():
        columns[name][row] = value
    return candles._replace(**columns)


def row_of(candles: Candles, text: str) -> int:
    return int(candles.open_times_ns.searchsorted(parse_date_ns(text)))


def test_finer_candles_are_those_of_the_candle_that_closes(tmp_path: Path) -> None:
    market = market_of(tmp_path, h1=hours(), m1=MINUTES)
    assert isinstance(market, FinerCandles)
    close_ns = START_NS + 60 * MINUTE
    parts = market.finer_candles("BTC", close_ns)
    first = row_of(MINUTES, START)
    assert [part.open_time_ns for part in parts] == [START_NS + k * MINUTE for k in range(60)]
    assert [part.close_time_ns for part in parts] == [START_NS + (k + 1) * MINUTE for k in range(60)]
    for field in ("open", "high", "low", "close", "volume"):
        assert [getattr(part, field) for part in parts] == getattr(MINUTES, field)[
            first : first + 60
        ].tolist()
    assert market.finer_candles("BTC", close_ns + 1) == ()
    assert market.finer_candles("BTC", close_ns - MINUTE) == ()
    assert "finer candles decide what happens inside a candle: BTC 1m" in market.notes


def test_only_candles_of_the_run_are_decided(tmp_path: Path) -> None:
    market = market_of(tmp_path, h1=hours(), m1=MINUTES)
    assert market.finer_candles("BTC", START_NS) == ()  # the last candle of the warm-up
    assert len(market.finer_candles("BTC", END_NS)) == 60
    assert market.finer_candles("BTC", END_NS + 60 * MINUTE) == ()


def test_without_finer_candles_there_are_none_and_nothing_is_said(tmp_path: Path) -> None:
    market = market_of(tmp_path, h1=hours())
    assert market.finer_candles("BTC", END_NS) == ()
    assert not [note for note in market.notes if "finer" in note]


def test_the_finest_series_that_agrees_decides(tmp_path: Path) -> None:
    fives = resample(MINUTES, 5 * MINUTE, 0)
    hole = row_of(MINUTES, "2024-01-02T03:30")
    market = market_of(tmp_path, h1=hours(), m1=without(MINUTES, hole), m5=fives)
    lengths = [len(market.finer_candles("BTC", START_NS + k * 60 * MINUTE)) for k in range(1, 25)]
    assert lengths == [60, 60, 60, 12, *([60] * 20)]
    note = next(note for note in market.notes if "finer" in note)
    assert note.endswith("BTC 1m (95.8 % of its candles) and 5m")


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume"])
def test_a_candle_that_finer_ones_do_not_sum_to_is_not_decided(tmp_path: Path, field: str) -> None:
    coarse = hours()
    row = row_of(coarse, "2024-01-02T05:00")
    value = float(getattr(coarse, field)[row])
    factor = {"high": 1.01, "low": 0.99, "volume": 1.00001}.get(field, 1.0)
    other = value * factor if factor != 1.0 else float((coarse.high[row] + coarse.low[row]) / 2)
    market = market_of(tmp_path, h1=changed(coarse, row, **{field: other}), m1=MINUTES)
    close_ns = START_NS + 6 * 60 * MINUTE
    assert market.finer_candles("BTC", close_ns) == ()
    assert len(market.finer_candles("BTC", close_ns + 60 * MINUTE)) == 60


def test_a_volume_that_differs_by_rounding_is_the_same(tmp_path: Path) -> None:
    coarse = hours()
    row = row_of(coarse, START)
    market = market_of(
        tmp_path, h1=changed(coarse, row, volume=float(coarse.volume[row]) * (1 + 1e-9)), m1=MINUTES
    )
    assert len(market.finer_candles("BTC", START_NS + 60 * MINUTE)) == 60


@pytest.mark.parametrize(
    ("exchange", "coin", "quote"), [("kucoin", "BTC", "USDT"), ("binance", "BTC", "USD")]
)
def test_candles_of_another_market_decide_nothing(
    tmp_path: Path, exchange: str, coin: str, quote: str
) -> None:
    store_series(tmp_path, series_key("binance", "BTC", "USDT", "1h"), hours())
    store_series(tmp_path, series_key(exchange, coin, quote, "1m"), MINUTES)
    market = open_market(tmp_path, ("BTC",), START, END, timeframe="1h", exchange="binance", quote="USDT")
    assert market.finer_candles("BTC", END_NS) == ()


def test_a_timeframe_that_does_not_divide_the_runs_decides_nothing(tmp_path: Path) -> None:
    sevens = resample(MINUTES, 7 * MINUTE, 0)
    market = market_of(tmp_path, h1=hours(), m7=sevens, h2=resample(MINUTES, 120 * MINUTE, 0))
    assert market.finer_candles("BTC", END_NS) == ()


def test_finer_candles_are_part_of_the_data_digest(tmp_path: Path) -> None:
    plain = market_of(tmp_path / "a", h1=hours()).data_digest
    fine = market_of(tmp_path / "b", h1=hours(), m1=MINUTES).data_digest
    row = row_of(MINUTES, "2024-01-02T05:07")
    middle = float((MINUTES.high[row] + MINUTES.low[row]) / 2)
    other = market_of(tmp_path / "c", h1=hours(), m1=changed(MINUTES, row, close=middle)).data_digest
    assert len({plain, fine, other}) == 3
    # Those outside the run, and those that agree with nothing, change nothing and are left out.
    inside = (MINUTES.open_times_ns >= START_NS) & (MINUTES.open_times_ns < END_NS)
    assert market_of(tmp_path / "d", h1=hours(), m1=MINUTES.take(inside)).data_digest == fine
    foreign = candles_from("2024-01-01", 3 * 1440, "1m", seed=4)
    assert market_of(tmp_path / "e", h1=hours(), m1=foreign).data_digest == plain


def test_no_candle_tells_of_its_future(tmp_path: Path) -> None:
    # Goal: whatever happens from T on, in fine or coarse candles, what is known of candles closed by T is the same.
    whole = market_of(tmp_path / "whole", h1=hours(), m1=MINUTES)
    for number, hour in enumerate((1, 9, 23)):
        turn_ns = START_NS + hour * 60 * MINUTE
        row = int(MINUTES.open_times_ns.searchsorted(turn_ns))
        future = candles_from("2024-01-01", 3 * 1440, "1m", seed=50 + number)
        joined = Candles(*(np.concatenate([a[:row], b[row:]]) for a, b in zip(MINUTES, future, strict=True)))
        coarse = resample(without(joined, row + 5), 60 * MINUTE, 0)
        other = market_of(tmp_path / f"{hour}", h1=coarse, m1=joined)
        for close_ns in range(START_NS + 60 * MINUTE, turn_ns + 1, 60 * MINUTE):
            assert other.finer_candles("BTC", close_ns) == whole.finer_candles("BTC", close_ns) != ()


def test_series_that_do_not_meet_find_nothing() -> None:
    hour = 60 * MINUTE
    later = candles_from("2024-02-01", 60, "1m")
    nothing = later.take(slice(0, 0))
    assert find_finer(hours(), hour, later, MINUTE) is None
    assert find_finer(hours(), hour, nothing, MINUTE) is None
    assert find_finer(nothing, hour, later, MINUTE) is None
    assert find_finer(hours(), hour, MINUTES.take(slice(-59, None)), MINUTE) is None
