"""Calibration: settings that made fills are found again in them, and bad ground is said to be bad."""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.single_orders import Ask, play
from orchestrator.analysis.calibration import Calibration, calibrate, non_negative_fit
from orchestrator.analysis.live_fills import LiveFill
from orchestrator.cli.main import cli
from orchestrator.config import load_settings, parse_date_ns
from orchestrator.errors import DataError
from orchestrator.exchange.instruments import Instrument
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.market.cache import store_series
from orchestrator.market.candles import Candles
from orchestrator.market.market import Market
from orchestrator.market.series import series_key
from orchestrator.protocol import Side

D = Decimal
MINUTE = 60_000_000_000
START_NS = parse_date_ns("2024-01-01")
COUNT = 600
FINE = Instrument(coin="BTC", tick_size=D("1e-8"), lot_size=D("1e-8"), min_notional=D(0))


def made_candles() -> Candles:
    """Return ten hours of minutes whose ranges and volumes differ much."""
    chance = np.random.default_rng(3)
    closes = np.round(40_000 * np.exp(np.cumsum(chance.normal(0, 5e-4, COUNT + 1))), 2)
    opened, closed = closes[:-1], closes[1:]
    spread = np.round(chance.exponential(30, COUNT), 2) + 0.01
    opens_ns = START_NS + np.arange(COUNT, dtype=np.int64) * MINUTE
    high, low = np.maximum(opened, closed) + spread, np.minimum(opened, closed) - spread
    return Candles(opens_ns, opened, high, low, closed, np.round(chance.exponential(20, COUNT) + 0.5, 3))


CANDLES = made_candles()


def market_of(candles: Candles = CANDLES) -> Market:
    return Market(
        {"BTC": candles},
        exchange="binance",
        quote="USDT",
        timeframe_ns=MINUTE,
        start_ns=START_NS,
        end_ns=START_NS + COUNT * MINUTE,
    )


MARKET = market_of()


def fills_of(model: ExecutionModelSettings, *, count: int = 120, seed: int = 1) -> list[LiveFill]:
    """Return fills that the exchange gave orders which were sent when candles closed."""
    chance = np.random.default_rng(seed)
    end_ns = START_NS + COUNT * MINUTE
    fills = []
    for number, row in enumerate(np.sort(chance.choice(np.arange(110, COUNT - 5), count, replace=False)), 1):
        side = Side.BUY if chance.random() < 0.5 else Side.SELL
        qty = D(str(round(chance.exponential(0.5) + 0.001, 4)))
        got = play(Ask(number, START_NS + int(row) * MINUTE, side, qty), MARKET, (), model, FINE, end_ns)
        (fill,) = got.fills
        fills.append(LiveFill(number, got.arrival_ns, side, fill.qty, fill.price))
    return fills


def unlimited(**fields: Any) -> ExecutionModelSettings:
    return ExecutionModelSettings(liquidity_model="unlimited", **fields)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["fixed", "volatility"]),
    st.integers(100, 3_000),
    st.integers(0, 10_000),
    st.integers(1, 400),
    st.integers(20, 2_000),
    st.integers(0, 100),
)
def test_known_settings_are_recovered(
    model: str, slippage: int, impact: int, low: int, width: int, seed: int
) -> None:
    known = unlimited(
        slippage_model=model,
        slippage_bps=D(slippage) / 100,
        impact_bps=D(impact) / 100,
        latency_ms=(D(low), D(low + width)),
    )
    found = calibrate(fills_of(known, seed=seed), MARKET, FINE)
    fitted = found.settings
    assert fitted["slippage_model"] == model
    assert float(fitted["slippage_bps"]) == pytest.approx(slippage / 100, abs=0.01)
    assert float(fitted["impact_bps"]) == pytest.approx(impact / 100, abs=0.02)
    assert fitted["latency_model"] == "uniform"
    assert [float(bound) for bound in fitted["latency_ms"]] == pytest.approx(
        [low, low + width], abs=0.1 * width
    )
    assert found.high_bps < 0.01
    assert found.pnl_difference_pct == pytest.approx(0, abs=0.01)
    assert not found.notes


def test_a_fixed_latency_is_recovered() -> None:
    model = unlimited(latency_model="fixed", latency_fixed_ms=D("123.5"))
    fitted = calibrate(fills_of(model), MARKET, FINE).settings
    assert (fitted["latency_model"], fitted["latency_fixed_ms"]) == ("fixed", D("123.5"))


def test_a_lognormal_latency_is_recovered() -> None:
    model = unlimited(latency_model="lognormal", latency_median_ms=D(150), latency_sigma=D("0.6"))
    fitted = calibrate(fills_of(model, count=400), MARKET, FINE).settings
    assert fitted["latency_model"] == "lognormal"
    assert float(fitted["latency_median_ms"]) == pytest.approx(150, rel=0.15)
    assert float(fitted["latency_sigma"]) == pytest.approx(0.6, rel=0.15)


def test_what_was_fitted_is_better_than_the_defaults_and_rows_of_one_time_are_one_order() -> None:
    fills = fills_of(unlimited(slippage_model="fixed", slippage_bps=D(20)))
    halves = [half for fill in fills for half in (fill._replace(qty=fill.qty / 2),) * 2]
    halves = [fill._replace(row=row) for row, fill in enumerate(halves, 1)]
    found = calibrate(halves, MARKET, FINE)
    assert found.fills[0].rows == (1, 2)
    assert found.fills[0].qty == fills[0].qty
    assert len(found.fills) == len(fills)
    assert found.median_bps < 0.01 < found.default_median_bps
    assert found.default_bias_bps < -10
    assert found.pnl_difference_bps == pytest.approx(0, abs=0.01)


def test_fills_better_than_the_open_cost_nothing_and_say_so_in_the_bias() -> None:
    fills = [f._replace(price=f.price * (D("0.999") if f.side is Side.BUY else D("1.001"))) for f in noisy(0)]
    found = calibrate(fills, MARKET, FINE)
    assert found.settings["slippage_bps"] == 0
    assert "slippage_model" not in found.settings
    assert found.bias_bps > 5
    assert found.pnl_difference_pct is not None
    assert found.model_pnl < found.live_pnl


def noisy(slippage: int) -> list[LiveFill]:
    return fills_of(unlimited(slippage_model="fixed" if slippage else None, slippage_bps=D(slippage)))


def test_noise_leaves_the_total_where_it_was() -> None:
    chance = np.random.default_rng(8)
    fills = [
        f._replace(price=(f.price * D(repr(1 + 1e-4 * float(chance.normal(0, 8))))).quantize(D("0.01")))
        for f in noisy(6)
    ]
    found = calibrate(fills, MARKET, FINE)
    assert float(found.settings["slippage_bps"]) == pytest.approx(6, abs=2.5)
    assert abs(found.pnl_difference_bps) < 0.1  # weighted by what they move, errors cancel out
    assert found.median_bps == pytest.approx(5.4, abs=1.5)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda f: f._replace(time_ns=f.time_ns // MINUTE * MINUTE + 7_000_000_000), "are whole seconds"),
        (
            lambda f: f._replace(time_ns=f.time_ns // MINUTE * MINUTE + 30_000_000_001),
            "0 of 120 orders filled",
        ),
    ],
)
def test_times_that_tell_no_latency_are_said(change: Any, note: str) -> None:
    found = calibrate([change(fill) for fill in noisy(5)], MARKET, FINE)
    assert not [key for key in found.settings if "latency" in key]
    assert note in found.notes[0]


def test_few_orders_fit_no_impact_and_too_few_nothing() -> None:
    found = calibrate(noisy(5)[:7], MARKET, FINE)
    assert found.settings["impact_bps"] == 0
    assert "impact is not fitted" in found.notes[0]
    with pytest.raises(DataError, match=r"4 of 4 orders lie in cached candles .* at least 5 are needed"):
        calibrate(noisy(5)[:4], MARKET, FINE)


def test_orders_in_gaps_are_left_out_and_counted() -> None:
    fills = noisy(5)
    gone = [int((fill.time_ns - START_NS) // MINUTE) for fill in fills[10:13]]
    found = calibrate(fills, market_of(CANDLES.take(np.delete(np.arange(COUNT), gone))), FINE)
    assert found.notes[0] == "3 of 120 orders lie in gaps and are left out"
    assert len(found.fills) == 117


def test_a_fit_has_no_negative_factor_and_the_least_error() -> None:
    chance = np.random.default_rng(2)
    for _ in range(50):
        columns = [chance.random(20), chance.random(20)]
        target, weights = chance.normal(0.2, 1, 20), chance.random(20) + 0.1
        factors, error = non_negative_fit(columns, target, weights)
        assert min(factors) >= 0
        for other in (*np.mgrid[0:2:9j, 0:2:9j].reshape(2, -1).T, factors):
            rest = target - other[0] * columns[0] - other[1] * columns[1]
            assert error <= float((weights / weights.sum()) @ rest**2) + 1e-12


# ---------------------------------------------------------------- the command


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPLAY_HOME", str(tmp_path))
    store_series(tmp_path / "backtest_cache", series_key("binance", "BTC", "USDT", "1m"), CANDLES)
    return tmp_path


def write_csv(home: Path, fills: list[LiveFill]) -> str:
    lines = [f"{fill.time_ns},{fill.side},{fill.qty},{fill.price}" for fill in fills]
    (home / "fills.csv").write_text("\n".join(["time,side,qty,price", *lines]))
    return str(home / "fills.csv")


def test_the_command_prints_a_section_that_a_run_takes(home: Path) -> None:
    model = unlimited(slippage_model="fixed", slippage_bps=D("7.5"), impact_bps=D(12))
    path = write_csv(home, fills_of(model))
    done = CliRunner().invoke(cli, ["calibrate", path, "--coin", "btc"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("# fitted to 120 fills of fills.csv on binance BTC-USDT 1m candles\n")
    config = home / "replay.toml"
    config.write_text(done.stdout)
    dates = {"start_date": "2024-01-01", "end_date": "2024-01-02", "coins": ["BTC"]}
    loaded = load_settings(config, dates).execution_model
    assert float(loaded.slippage_bps) == pytest.approx(7.5, abs=0.01)
    assert float(loaded.impact_bps) == pytest.approx(12, abs=0.1)
    assert loaded.latency_ms is not None
    assert "total P&L    live " in done.stderr
    assert "and 110 smaller errors; --json lists all" in done.stderr


def test_the_command_prints_everything_as_json(home: Path) -> None:
    path = write_csv(home, noisy(5))
    done = CliRunner().invoke(cli, ["calibrate", path, "--coin", "BTC", "--json"])
    plain = json.loads(done.stdout)
    assert set(Calibration.__struct_fields__) < set(plain)
    assert len(plain["fills"]) == 120
    assert plain["candles"] == "binance BTC-USDT 1m"
    section = tomllib.loads(plain["toml"])["execution_model"]
    assert section["slippage_bps"] == pytest.approx(5, abs=0.01)


def test_fills_outside_the_candles_name_their_row(home: Path) -> None:
    fills = noisy(5)
    fills[-1] = fills[-1]._replace(time_ns=START_NS + (COUNT + 5) * MINUTE)
    done = CliRunner().invoke(cli, ["calibrate", write_csv(home, fills), "--coin", "BTC"])
    assert isinstance(done.exception, DataError)
    assert "row 120: 2024-01-01T10:05:00Z lies outside the candles of binance BTC-USDT 1m" in str(
        done.exception
    )
