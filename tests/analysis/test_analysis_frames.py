"""`load_run`: a run in pandas."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from orchestrator.analysis import load_run
from orchestrator.errors import ConfigError
from tests.analysis.made_runs import make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    make_run(home / "backtest_results" / "run", home / "backtest_cache")
    make_run(home / "backtest_results" / "idle", home / "backtest_cache", every=0)
    return home


@pytest.fixture(autouse=True)
def at_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLAY_HOME", str(folder))


def test_frames(folder: Path) -> None:
    run = load_run("run")
    assert load_run(folder / "backtest_results" / "run").manifest == run.manifest
    for frame in (run.fills, run.orders, run.equity, run.trades):
        assert isinstance(frame.index, pd.DatetimeIndex)
        assert str(frame.index.tz) == "UTC"
        assert frame.index.is_monotonic_increasing
        assert len(frame) > 0
    lines = (folder / "backtest_results" / "run" / "fills.jsonl").read_text(encoding="utf-8").splitlines()
    first = json.loads(lines[0])
    assert len(run.fills) == len(lines)
    assert run.fills.index[0].value == int(first["ts"] * 10) * 10**8
    assert run.fills["fill_price"].iloc[0] == first["fill_price"]
    assert run.fills["slippage_base"].iloc[0] == 5.0
    assert run.fills["qty"].dtype == float
    assert run.orders["limit_price"].isna().all()
    assert run.equity["equity"].iloc[-1] == run.metrics().final_equity
    assert list(run.equity.columns) == ["sequence", "cash", "equity", "qty_BTC", "qty_ETH"]
    assert run.trades["pnl"].sum() == pytest.approx(float(run.metrics().trade_figures.pnl))
    assert (run.trades["holding"] > pd.Timedelta(0)).all()
    daily = run.equity["equity"].resample("1D", closed="right", label="right").last()
    assert run.daily_returns.iloc[1:].to_numpy() == pytest.approx(daily.pct_change().dropna().to_numpy())
    assert run.metrics(risk_free_rate=0.05).risk_free_rate == 0.05
    assert run.configuration["seed"] == 7
    assert "complete" in repr(run)


def test_a_run_without_lines_has_empty_frames() -> None:
    run = load_run("idle")
    for frame in (run.fills, run.orders, run.order_events, run.signals, run.trades):
        assert len(frame) == 0
        assert str(frame.index.tz) == "UTC"
    assert "fill_price" in run.fills
    assert run.metrics().trades == 0


def test_no_such_run() -> None:
    with pytest.raises(ConfigError, match="no run 'none'"):
        load_run("none")
