"""The interval and the probability of a Sharpe ratio: published values, coverage, the same every time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from orchestrator.analysis.ratios import sharpe
from orchestrator.analysis.uncertainty import (
    block_days,
    probabilistic_sharpe,
    probability_above,
    sharpe_interval,
    stationary_samples,
)


def test_the_probability_of_the_paper() -> None:
    """Bailey and López de Prado 2012, the example of a fund with 24 monthly returns and a ratio of 0.458."""
    assert probability_above(0.458, 0.0, 24, 0.0, 3.0) == pytest.approx(0.982, abs=5e-4)
    assert probability_above(0.458, 0.0, 24, -2.448, 10.164) == pytest.approx(0.913, abs=5e-4)


def test_the_probability_by_hand() -> None:
    returns = np.array([0.01, -0.01] * 30 + [0.02, -0.03])
    ratio = np.mean(returns) / np.std(returns, ddof=1)
    centred = (returns - np.mean(returns)) / np.std(returns)
    variance = 1 - np.mean(centred**3) * ratio + (np.mean(centred**4) - 1) / 4 * ratio**2
    z = ratio * math.sqrt(61) / math.sqrt(variance)
    assert probabilistic_sharpe(returns) == pytest.approx(0.5 * (1 + math.erf(z / math.sqrt(2))))
    assert probabilistic_sharpe(np.zeros(40)) is None
    assert probability_above(2.0, 0.0, 24, 3.0, 3.0) is None  # no such distribution


def test_blocks_run_on_and_wrap_round() -> None:
    rows = stationary_samples(50, 400, 5.0, np.random.PCG64(1))
    assert rows.shape == (400, 50)
    assert rows.min() == 0
    assert rows.max() == 49
    runs_on = (rows[:, 1:] == (rows[:, :-1] + 1) % 50).mean()
    assert runs_on == pytest.approx(
        1 - 1 / 5 + 1 / 5 / 50, abs=0.01
    )  # a new block may begin where one would go on
    assert np.bincount(rows.ravel(), minlength=50).min() > 0.8 * 400  # every day is as likely
    assert [block_days(1), block_days(1000)] == pytest.approx([1.0, 10.0])


def test_the_interval_is_the_same_every_time_and_depends_on_the_seed() -> None:
    returns = np.random.Generator(np.random.PCG64(5)).normal(0.001, 0.02, 120)
    first, again, other = (sharpe_interval(returns, seed) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    assert first is not None
    ratio = sharpe(returns)
    assert ratio is not None
    assert first.low < ratio < first.high
    assert (first.level, first.samples) == (0.95, 2000)
    assert sharpe_interval(np.zeros(40), 7) is None


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.Generator(np.random.PCG64(11))
    truth = 0.05 * math.sqrt(365)
    hits = 0
    for seed in range(60):
        found = sharpe_interval(generator.normal(0.001, 0.02, 250), seed)
        assert found is not None
        hits += found.low <= truth <= found.high
    assert hits >= 51  # of 60; 95 % are 57


def test_a_trending_series_has_a_wider_interval_than_its_shuffle() -> None:
    generator = np.random.Generator(np.random.PCG64(2))
    slow = np.convolve(generator.normal(0, 0.02, 430), np.ones(30) / 30, mode="valid")[:400]
    together, shuffled = sharpe_interval(slow, 7), sharpe_interval(generator.permutation(slow), 7)
    assert together is not None
    assert shuffled is not None
    assert together.high - together.low > 1.5 * (shuffled.high - shuffled.low)
