"""What surrounds a run: buy and hold, regimes without look-ahead, other exchanges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.benchmark import buy_and_hold_return, hold
from orchestrator.analysis.curve import Curve, Days, FloatArray, total_return
from orchestrator.analysis.prices import DailyCloses
from orchestrator.analysis.regime_figures import figures_of_regimes
from orchestrator.analysis.regimes import (
    TREND_WINDOWS,
    UNKNOWN,
    classify,
    regimes_of,
    trend_classes,
    volatility_classes,
)
from orchestrator.config import NS_PER_DAY

DAY = NS_PER_DAY


def days(count: int, first: int = 0, returns: FloatArray | None = None) -> Days:
    ends = (np.arange(count, dtype=np.int64) + first + 1) * DAY
    found = np.zeros(count) if returns is None else returns
    closes = 100.0 * np.concatenate((np.ones(1), np.cumprod(1.0 + found)))
    return Days(ends, closes, found)


def walk(count: int, seed: int = 1) -> FloatArray:
    steps = np.random.Generator(np.random.PCG64(seed)).normal(0.0, 0.03, count)
    walked: FloatArray = 100.0 * np.exp(np.cumsum(steps))
    return walked


def test_buy_and_hold_over_time() -> None:
    ticks = Curve(np.array([0, 10, 20, 30]), np.array([1000.0, 1.0, 1.0, 1.0]))  # only the first value counts
    bitcoin = (0, 50.0, np.array([55.0, 60.0, 40.0]))
    late = (15, 2.0, np.array([np.nan, 3.0, 4.0]))  # begins after the first tick
    held = hold(ticks, [bitcoin, late], 0.001)
    coins, late_coins = 500 / 50.05, 500 / 2.002
    assert held.values == pytest.approx(
        [1000, coins * 55 + 500, coins * 60 + late_coins * 3, coins * 40 + late_coins * 4]
    )
    assert total_return(held.values) == pytest.approx(buy_and_hold_return([(50.0, 40.0), (2.0, 4.0)], 0.001))
    assert hold(ticks, [None], 0.001).values.tolist() == [1000.0] * 4


def test_trend_by_hand() -> None:
    rising, falling = np.linspace(100, 200, 30), np.linspace(200, 100, 30)
    flat = np.full(30, 100.0)
    assert set(trend_classes(rising, (5, 20))[19:]) == {"bull"}
    assert set(trend_classes(falling, (5, 20))[19:]) == {"bear"}
    assert set(trend_classes(flat, (5, 20))[19:]) == {"sideways"}
    assert set(trend_classes(rising, (5, 20))[:19]) == {UNKNOWN}
    assert set(trend_classes(rising[:19], (5, 20))) == {UNKNOWN}
    # Mean of 2 against 4: 102.5 / 101.5 is within 2 %, 107 / 103.5 is not.
    assert trend_classes(np.array([100.0, 101, 102, 103, 111]), (2, 4)).tolist()[3:] == ["sideways", "bull"]


def test_volatility_ranks_itself_among_its_own_past() -> None:
    calm, wild = 1.001, 1.08
    factors = [calm ** (-1) ** n for n in range(60)] + [wild ** (-1) ** n for n in range(10)]
    names = volatility_classes(np.cumprod([100.0, *factors]), (5, 15))
    assert set(names[:19]) == {UNKNOWN}
    assert UNKNOWN not in set(names[19:])
    assert names[-3] == "high"


@given(st.integers(0, 200), st.integers(120, 199))
def test_regimes_know_nothing_of_later_days(seed: int, cut: int) -> None:
    closes, other = walk(200, seed), walk(200, seed + 1000)
    changed = np.concatenate((closes[:cut], other[cut:]))
    for tell, windows in ((trend_classes, (20, 80)), (volatility_classes, (20, 90))):
        before, after = tell(closes, windows), tell(changed, windows)
        assert before[:cut].tolist() == after[:cut].tolist()


def test_a_day_has_the_class_that_was_known_when_it_began() -> None:
    known = np.array([10, 20, 30], dtype=np.int64)
    names = np.array(["a", "b", "c"])
    assert classify(names, known, np.array([5, 10, 19, 30, 99])).tolist() == [UNKNOWN, "a", "a", "c", "c"]


@pytest.mark.parametrize(
    ("history", "run_days", "windows"),
    [(250, 30, (50, 200)), (0, 180, (20, 80)), (0, 60, (5, 20)), (60, 40, (20, 80)), (0, 30, None)],
)
def test_shorter_windows_where_history_is_short(
    history: int, run_days: int, windows: tuple[int, int] | None
) -> None:
    market = DailyCloses((np.arange(history + run_days, dtype=np.int64) + 1) * DAY, walk(history + run_days))
    found = regimes_of(days(run_days, first=history), market)
    assert (None if found is None else found.trend_windows) == windows
    assert windows is None or windows in TREND_WINDOWS


def test_figures_of_regimes_are_of_their_own_days() -> None:
    closes = np.concatenate((np.linspace(100, 300, 100), np.linspace(300, 100, 100)))
    market = DailyCloses((np.arange(200, dtype=np.int64) + 1) * DAY, closes)
    returns = np.random.Generator(np.random.PCG64(4)).normal(0, 0.01, 100)
    run_days = days(100, first=100, returns=returns)
    regimes = regimes_of(run_days, market)
    assert regimes is not None
    held = Curve(np.arange(100, 201, dtype=np.int64) * DAY, closes[99:])
    found = figures_of_regimes(regimes, run_days, held, "BTC", 0.0)
    for group, names in (
        (found.trend, regimes.trend),
        (found.volatility, regimes.volatility),
        (found.combined, regimes.combined),
    ):
        assert sum(figures.days for figures in group) == 100
        assert sum(figures.share for figures in group) == pytest.approx(1.0)
        growth = np.prod([1 + figures.total_return for figures in group])
        assert growth == pytest.approx(np.prod(1 + returns))
        for figures in group:
            inside = returns[names == figures.name]
            assert figures.total_return == pytest.approx(np.prod(1 + inside) - 1)
            assert (figures.sharpe is None) == (inside.size < 30)
    assert {figures.name for figures in found.combined} <= {
        UNKNOWN,
        "sideways",
        *(f"{way}, {level} volatility" for way in ("bull", "bear") for level in ("low", "medium", "high")),
    }
