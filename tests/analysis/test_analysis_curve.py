"""Whole days, drawdowns, months and pictures of an equity curve, against tables worked by hand and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.curve import Curve, days_of
from orchestrator.analysis.downsample import keep_extremes
from orchestrator.analysis.drawdown import drawdowns, falls, max_drawdown
from orchestrator.analysis.months import monthly_returns
from orchestrator.analysis.ratios import sharpe
from orchestrator.analysis.rolling import rolling_sharpe, rolling_window
from orchestrator.config import NS_PER_DAY, parse_date_ns

HOUR = NS_PER_DAY // 24


def curve(values: list[float], start: str = "2024-01-01", step: int = HOUR) -> Curve:
    times = parse_date_ns(start) + np.arange(len(values), dtype=np.int64) * step
    return Curve(times, np.array(values, dtype=np.float64))


def test_an_unrealised_loss_is_a_drawdown() -> None:
    """Bought at 100, fallen to 80, recovered to 102."""
    (fall,) = drawdowns(curve([100.0, 80.0, 102.0]), 10)
    assert fall.fraction == pytest.approx(0.20)
    assert fall.value == 20.0
    start = parse_date_ns("2024-01-01")
    assert (fall.peak_ns, fall.trough_ns, fall.recovery_ns) == (start, start + HOUR, start + 2 * HOUR)
    assert fall.duration_ns == 2 * HOUR


def test_the_worst_falls_come_first_and_do_not_overlap() -> None:
    values = [100.0, 90.0, 100.0, 110.0, 55.0, 66.0, 111.0, 110.0, 112.0, 101.92]
    found = drawdowns(curve(values), 3)
    assert [round(fall.fraction, 6) for fall in found] == [0.5, 0.1, 0.09]
    assert [fall.value for fall in found] == pytest.approx([55.0, 10.0, 10.08])
    start = parse_date_ns("2024-01-01")
    assert [(fall.peak_ns - start) // HOUR for fall in found] == [3, 0, 8]
    assert found[2].recovery_ns is None  # 112 was not seen again
    assert found[2].end_ns == start + 9 * HOUR
    assert len(drawdowns(curve(values), 10)) == 4
    assert drawdowns(curve([1.0, 1.0, 2.0]), 10) == []


@given(st.lists(st.floats(0.5, 2.0), min_size=1, max_size=60))
def test_drawdowns_as_a_plain_loop_finds_them(factors: list[float]) -> None:
    values = list(np.cumprod([100.0, *factors]))
    expected, peak, lowest = [], values[0], values[0]
    for value in [*values[1:], None]:
        if value is None or value >= peak:
            if lowest < peak:
                expected.append((peak - lowest) / peak)
            peak = lowest = peak if value is None else value
        else:
            lowest = min(lowest, value)
    found = drawdowns(curve(values), 100)
    assert [fall.fraction for fall in found] == pytest.approx(sorted(expected, reverse=True))
    assert max_drawdown(np.array(values)) == pytest.approx(max(expected, default=0.0))
    assert falls(np.array(values)).max() == max_drawdown(np.array(values))


def test_days_are_whole_and_close_at_midnight() -> None:
    start = parse_date_ns("2024-01-01T18:00")
    times = start + np.array([0, 6, 7, 29, 30, 31, 55], dtype=np.int64) * HOUR
    days = days_of(Curve(times, np.array([100.0, 101.0, 150.0, 110.0, 111.1, 99.0, 88.88])))
    # Midnights: 01-02 00:00 (value at 6 h), 01-03 00:00 (30 h), 01-04 00:00 (54 h: the last value stands).
    assert days.ends_ns.tolist() == [parse_date_ns("2024-01-03"), parse_date_ns("2024-01-04")]
    assert days.closes.tolist() == [101.0, 111.1, 99.0]
    assert days.returns == pytest.approx([0.1, 99 / 111.1 - 1])
    assert days.starts_ns.tolist() == [parse_date_ns("2024-01-02"), parse_date_ns("2024-01-03")]


def test_a_run_within_a_day_has_no_whole_day() -> None:
    assert days_of(curve([1.0, 2.0], "2024-01-01T02:00")).returns.size == 0
    assert days_of(curve([1.0, 2.0])).returns.size == 0
    ruined = days_of(curve([1.0, 0.0, 0.0], step=NS_PER_DAY))
    assert ruined.returns.tolist() == [-1.0, 0.0]


def test_months() -> None:
    values = [100.0, 110.0, 99.0, 120.0]
    times = [parse_date_ns(text) for text in ("2023-12-15", "2024-01-01", "2024-02-01", "2024-02-10")]
    found = monthly_returns(Curve(np.array(times, dtype=np.int64), np.array(values)))
    assert [month.month for month in found] == ["2023-12", "2024-01", "2024-02"]
    assert [month.total_return for month in found] == pytest.approx([0.1, -0.1, 120 / 99 - 1])
    assert [month.is_whole for month in found] == [False, True, False]
    whole = monthly_returns(Curve(np.array(times[1:3], dtype=np.int64), np.array(values[1:3])))
    assert [(month.month, month.is_whole) for month in whole] == [("2024-01", True)]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=500), st.integers(4, 60))
def test_a_picture_keeps_every_extreme(values: list[float], points: int) -> None:
    series = np.array(values)
    rows = keep_extremes(series, points)
    assert rows[0] == 0
    assert rows[-1] == len(series) - 1
    assert np.all(np.diff(rows) > 0)
    assert series[rows].min() == series.min()
    assert series[rows].max() == series.max()
    assert len(rows) <= max(points + 4, 8)


def test_a_rolling_ratio_is_the_ratio_of_each_window() -> None:
    returns = np.random.Generator(np.random.PCG64(3)).normal(0.001, 0.02, 70)
    window, ratios = rolling_sharpe(returns, 0.0001)
    assert window == rolling_window(70) == 30
    assert np.isnan(ratios[:29]).all()
    expected = [sharpe(returns[stop - 30 : stop], 0.0001) for stop in range(30, 71)]
    assert ratios[29:] == pytest.approx(expected)
    assert (rolling_window(30), rolling_window(400)) == (15, 90)
