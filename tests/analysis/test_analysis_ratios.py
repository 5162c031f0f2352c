"""Every ratio against empyrical-reloaded to 1e-9, on random and on real returns; by hand what it lacks."""

from __future__ import annotations

import math
from pathlib import Path

import empyrical
import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.curve import Curve, FloatArray, days_of
from orchestrator.analysis.drawdown import max_drawdown
from orchestrator.analysis.ratios import (
    cagr,
    calmar,
    expected_shortfall,
    kurtosis,
    omega,
    rate_per_day,
    sharpe,
    sharpe_per_day,
    skew,
    sortino,
    value_at_risk,
    volatility,
)
from orchestrator.analysis.relative import relative_to
from orchestrator.analysis.uncertainty import probabilistic_sharpe
from orchestrator.config import NS_PER_DAY

YEAR = 365


def random_returns(seed: int, days: int = 400, drift: float = 0.0005) -> FloatArray:
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.standard_t(4, size=days) * 0.02 + drift


def close(value: float | None, expected: float) -> bool:
    return value is not None and math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-9)


def check_against_empyrical(returns: FloatArray, market: FloatArray, annual_rate: float) -> None:
    free = rate_per_day(annual_rate)
    growth = float(np.prod(1.0 + returns))
    curve = np.concatenate(([1.0], np.cumprod(1.0 + returns)))
    grown = cagr(growth, len(returns))
    assert close(volatility(returns), empyrical.annual_volatility(returns, annualization=YEAR))
    assert close(sharpe(returns, free), empyrical.sharpe_ratio(returns, free, annualization=YEAR))
    assert close(sortino(returns, free), empyrical.sortino_ratio(returns, free, annualization=YEAR))
    assert close(grown, empyrical.annual_return(returns, annualization=YEAR))
    assert close(max_drawdown(curve), -empyrical.max_drawdown(returns))
    assert close(calmar(grown, max_drawdown(curve)), empyrical.calmar_ratio(returns, annualization=YEAR))
    assert close(omega(returns, free), empyrical.omega_ratio(returns, risk_free=free, annualization=YEAR))
    assert close(value_at_risk(returns), -empyrical.value_at_risk(returns, 0.05))
    assert close(expected_shortfall(returns), -empyrical.conditional_value_at_risk(returns, 0.05))
    assert close(skew(returns), float(scipy.stats.skew(returns)))
    assert close(kurtosis(returns), float(scipy.stats.kurtosis(returns)))
    against = relative_to(returns, market, free)
    assert close(against.beta, empyrical.beta(returns, market, free))
    assert close(against.alpha, empyrical.alpha(returns, market, free, annualization=YEAR))
    assert close(against.correlation, float(np.corrcoef(returns, market)[0, 1]))
    assert close(against.information_ratio, empyrical.excess_sharpe(returns, market) * math.sqrt(YEAR))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("annual_rate", [0.0, 0.04])
def test_random_returns(seed: int, annual_rate: float) -> None:
    check_against_empyrical(random_returns(seed), random_returns(100 + seed), annual_rate)


@pytest.mark.shared
@pytest.mark.parametrize("coin", ["ETH", "SOL", "XRP"])
def test_real_returns(shared_data: Path, coin: str) -> None:
    found = {name: daily_returns(shared_data, name) for name in ("BTC", coin)}
    size = min(len(returns) for returns in found.values())
    check_against_empyrical(found[coin][-size:], found["BTC"][-size:], 0.03)


def daily_returns(shared_data: Path, coin: str) -> FloatArray:
    table = pq.read_table(shared_data / "binance_2025q1" / f"{coin}-USDT_5m.parquet")
    times = table["time"].to_numpy() * 1_000_000_000 + 300_000_000_000  # closes
    return days_of(Curve(times.astype(np.int64), table["close"].to_numpy())).returns


def test_by_hand() -> None:
    returns = np.array([0.10, -0.05, 0.0, 0.02])
    mean = 0.0175
    spread = math.sqrt(sum((r - mean) ** 2 for r in returns) / 3)
    assert sharpe_per_day(returns) == pytest.approx(mean / spread)
    assert sharpe(returns) == pytest.approx(mean / spread * math.sqrt(365))
    # Downside over all four days, not over the one that lost.
    assert sortino(returns) == pytest.approx(mean / math.sqrt(0.05**2 / 4) * math.sqrt(365))
    assert omega(returns) == pytest.approx(0.12 / 0.05)
    assert cagr(1.21, 2 * 365) == pytest.approx(0.10)
    assert calmar(0.10, 0.25) == pytest.approx(0.4)
    assert rate_per_day(0.05) == pytest.approx(1.05 ** (1 / 365) - 1)
    losses = np.arange(-10, 90) / 1000  # -1.0 % … : the worst five of hundred are -1.0 … -0.6 %
    assert expected_shortfall(losses) == pytest.approx(0.008)
    assert value_at_risk(losses) == pytest.approx(0.01 - 0.05 * 0.099)
    assert skew(np.array([1.0, 1.0, 1.0, 5.0])) == pytest.approx(2 / math.sqrt(3))
    assert kurtosis(np.array([-1.0, 1.0, -1.0, 1.0])) == pytest.approx(-2.0)


def test_what_is_not_defined_is_none() -> None:
    none, flat, rising = np.zeros(0), np.zeros(40), np.full(40, 0.01)
    for figure in (volatility, sharpe, sortino, omega, skew, kurtosis, value_at_risk, expected_shortfall):
        assert figure(none) is None
    for figure in (sharpe, sortino, omega, skew, kurtosis):
        assert figure(flat) is None
    assert sharpe(rising) is None  # no spread: no ratio, however large rounding would make it
    assert sortino(rising) is None
    assert omega(rising) is None
    assert cagr(2.0, 0.0) is None
    assert cagr(1e300, 0.001) is None
    assert calmar(0.1, 0.0) is None
    assert calmar(None, 0.1) is None
    assert relative_to(none, none) == (None, None, None, None)
    assert relative_to(rising, flat).beta is None


@given(st.integers(0, 2**32), st.floats(1e-6, 1e9))
def test_scaling_equity_changes_no_ratio(seed: int, factor: float) -> None:
    values = np.concatenate(([10_000.0], 10_000.0 * np.cumprod(1.0 + random_returns(seed, 60))))
    times = np.arange(61, dtype=np.int64) * NS_PER_DAY
    returns, scaled = days_of(Curve(times, values)).returns, days_of(Curve(times, values * factor)).returns
    for figure in (sharpe, sortino, omega, volatility, skew, kurtosis, value_at_risk, expected_shortfall):
        assert figure(scaled) == pytest.approx(figure(returns), rel=1e-7)
    assert max_drawdown(values * factor) == pytest.approx(max_drawdown(values))
    growth, same = cagr(values[-1] / values[0], 60.0), cagr(values[-1] * factor / (values[0] * factor), 60.0)
    assert same == pytest.approx(growth, rel=1e-7)
    fall, same_fall = max_drawdown(values), max_drawdown(values * factor)
    assert calmar(same, same_fall) == pytest.approx(calmar(growth, fall), rel=1e-7)
    assert probabilistic_sharpe(scaled) == pytest.approx(probabilistic_sharpe(returns), rel=1e-7)
    market = random_returns(seed + 1, 60)
    expected, found = relative_to(returns, market), relative_to(scaled, market)
    assert found._asdict() == pytest.approx(expected._asdict(), rel=1e-6, abs=1e-9)
