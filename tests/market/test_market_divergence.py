"""Two series of one coin: figures by hand."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.market.candles import Candles
from orchestrator.market.divergence import divergence_between

MINUTE = 60 * 10**9


def candles(opens: list[int], closes: list[float]) -> Candles:
    values = np.array(closes)
    return Candles(
        np.array(opens, dtype=np.int64) * MINUTE, values, values, values, values, np.ones(len(closes))
    )


def test_by_hand() -> None:
    a = candles([0, 1, 2, 3, 5], [100.0, 102.0, 99.0, 101.0, 7.0])
    b = candles([0, 1, 2, 3, 4], [100.0, 100.0, 100.0, 100.5, 9.0])
    found = divergence_between(a, b)
    assert found is not None
    apart = [0.0, 2.0, 1.0, 100 * (101 / 100.5 - 1)]
    assert found.candles == 4
    assert found.mean_pct == pytest.approx(np.mean(apart))
    assert found.median_pct == pytest.approx(np.median(apart))
    assert found.high_pct == pytest.approx(np.quantile(apart, 0.99))
    assert found.max_pct == pytest.approx(2.0)
    assert found.adjustment_factor == pytest.approx((1.0 + 101 / 100.5) / 2)
    first, second = (np.diff(np.log(np.array(v))) for v in ([100.0, 102, 99, 101], [100.0, 100, 100, 100.5]))
    centred, other = first - first.mean(), second - second.mean()
    correlation = (centred * other).sum() / np.sqrt((centred**2).sum() * (other**2).sum())
    assert found.correlation == pytest.approx(correlation)
    assert [moment.open_time_ns // MINUTE for moment in found.worst] == [1, 2, 3, 0]
    assert found.worst[0][1:3] == (102.0, 100.0)


def test_nothing_in_common_and_nothing_that_moves() -> None:
    assert divergence_between(candles([0], [1.0]), candles([1], [1.0])) is None
    still = candles([0, 1, 2], [5.0, 5.0, 5.0])
    found = divergence_between(still, still)
    assert found is not None
    assert found.correlation is None
    assert (found.max_pct, found.adjustment_factor) == (0.0, 1.0)


def test_the_ten_worst() -> None:
    times = list(range(30))
    found = divergence_between(candles(times, [100.0 + n for n in times]), candles(times, [100.0] * 30))
    assert found is not None
    assert [moment.open_time_ns // MINUTE for moment in found.worst] == list(range(29, 19, -1))
