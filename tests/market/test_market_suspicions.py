"""What sound candles may hide is found, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from orchestrator.market.cache import store_series
from orchestrator.market.candles import Candles
from orchestrator.market.resample import resample
from orchestrator.market.suspicions import find_flat_runs, find_outliers, find_sum_difference
from orchestrator.market.synthetic import synthetic_candles
from orchestrator.market.verify import verify_series
from tests.market.builders import KEY, candles_from, without

STEP = KEY.timeframe_ns
HOUR = 12 * STEP


def flattened(candles: Candles, *rows: int) -> Candles:
    columns = [column.copy() for column in candles.values]
    for row in rows:
        for column in columns[:4]:
            column[row] = candles.close[row]
        columns[4][row] = 0.0
    return Candles(candles.open_times_ns, *columns)


def market(count: int = 2_000) -> Candles:
    start = int(candles_from("2024-01-01", 1).open_times_ns[0])
    return synthetic_candles("BTC", "5m", start_ns=start, end_ns=start + count * STEP, seed=3)


def test_flat_runs_end_at_a_candle_that_moves_and_at_a_gap() -> None:
    candles = flattened(candles_from("2024-01-01", 40), 0, 1, 2, 10, 20, 21, 39)
    runs = find_flat_runs(candles, STEP)
    first = int(candles.open_times_ns[0])
    assert [((run.start_ns - first) // STEP, run.candles) for run in runs] == [
        (0, 3),
        (10, 1),
        (20, 2),
        (39, 1),
    ]
    assert runs[0].end_ns == first + 3 * STEP
    quiet = candles._replace(volume=np.zeros(candles.size))  # without volume, but moving
    assert [run.candles for run in find_flat_runs(quiet, STEP)] == [3, 1, 2, 1]
    apart = without(flattened(candles_from("2024-01-01", 40), 5, 6, 7), 6)
    assert [run.candles for run in find_flat_runs(apart, STEP)] == [1, 1]
    assert find_flat_runs(candles_from("2024-01-01", 40), STEP) == []


def test_an_outlier_is_what_its_neighbours_did_not_see() -> None:
    candles = market()
    assert find_outliers(candles) == []
    low, high = candles.low.copy(), candles.high.copy()
    low[700] *= 0.8
    high[0] *= 1.3
    high[1_999] *= 1.5
    found = find_outliers(candles._replace(low=low, high=high))
    times = [(outlier.open_time_ns - int(candles.open_times_ns[0])) // STEP for outlier in found]
    assert (times, [outlier.field for outlier in found]) == ([1_999, 0, 700], ["high", "high", "low"])
    assert 0.45 < found[0].fraction < 0.55


def test_a_level_that_stays_is_no_outlier() -> None:
    candles = market()
    columns = [column.copy() for column in candles.values]
    for column in columns[:4]:
        column[1_000:] *= 1.4
    assert find_outliers(Candles(candles.open_times_ns, *columns)) == []
    assert find_outliers(candles.take(slice(0, 2))) == []


def test_sums_that_do_not_add_up_are_named_with_their_size() -> None:
    finer = without(market(), 100)  # a hole does no harm where the longer candles have it too
    hourly = resample(finer, HOUR, 0)
    same = find_sum_difference(hourly, HOUR, 0, finer, STEP, "5m")
    assert same is not None
    assert (same.compared, same.differing, same.price_bp_max, same.volume_pct_max) == (166, 0, 0.0, 0.0)
    close, volume = hourly.close.copy(), hourly.volume.copy()
    close[50] *= 1.001
    volume[60] /= 0.8
    other = hourly._replace(close=close, volume=volume)
    found = find_sum_difference(other, HOUR, 0, finer, STEP, "5m")
    assert found is not None
    assert (found.differing, round(found.price_bp_max, 2), round(found.volume_pct_max, 2)) == (2, 9.99, 20.0)
    assert found.price_time_ns == hourly.open_times_ns[50]
    assert found.volume_time_ns == hourly.open_times_ns[60]
    assert find_sum_difference(hourly, HOUR, 0, market(5), STEP, "5m") is None


def test_verify_reports_them_with_the_finest_series(tmp_path: Path) -> None:
    finer = flattened(market(), 500, 501)
    store_series(tmp_path, KEY, finer)
    hourly = resample(finer, HOUR, 0)
    close = hourly.close.copy()
    close[3] = hourly.low[3]
    store_series(tmp_path, KEY._replace(timeframe="1h"), hourly._replace(close=close).take(slice(0, 166)))
    report = verify_series(tmp_path, KEY)
    assert [run.candles for run in report.flat_runs] == [2]
    assert (report.sums, report.is_suspicious, report.problems) == (None, True, ())
    longer = verify_series(tmp_path, KEY._replace(timeframe="1h"))
    assert longer.sums is not None
    assert (longer.sums.finer, longer.sums.compared, longer.sums.differing) == ("5m", 166, 1)
    assert longer.is_suspicious
