"""`load_run`: a run in pandas."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from orchestrator.analysis import load_run
from orchestrator.errors import ConfigError
from orchestrator.runs.records import SignalRecord
from orchestrator.runs.writer import RunWriter
from tests.analysis.made_runs import make_run
from tests.runs import samples


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


def test_rows_of_one_time_stay_as_they_are_written(tmp_path: Path) -> None:
    """Every coin's signal of a tick has the tick's time, and fills may share theirs."""
    directory = tmp_path / "run"
    writer = RunWriter.create(directory, coins=samples.COINS, config_toml="", manifest=samples.manifest())
    for sequence in range(1, 6):
        for place, coin in enumerate(samples.COINS):
            writer.write(_signal(sequence, coin, {"long": 10 * sequence + place, "coin": "a"}))
            writer.write(_signal(sequence, coin, {"score": place / 4}))
            parts = {"base": Decimal(sequence), **({"impact": Decimal(2)} if place else {})}
            fill = samples.fill(sequence, qty=str(1 + place))
            writer.write(msgspec.structs.replace(fill, fill_id=f"{sequence}-{place}", slippage_parts=parts))
    writer.finish(msgspec.structs.replace(samples.manifest(), status="complete"))
    run = load_run(directory)
    signals, fills = _lines(directory, "signals.jsonl"), _lines(directory, "fills.jsonl")
    assert len(run.signals) == len(signals) == 20
    for (time, found), said in zip(run.signals.iterrows(), signals, strict=True):
        assert pd.Timestamp(time).timestamp() == said["ts"]
        assert (found["sequence"], found["coin"]) == (said["sequence"], said["coin"])
        values = {key: found[key] for key in ("long", "score", "values.coin") if not pd.isna(found[key])}
        assert values == {"values.coin" if key == "coin" else key: x for key, x in said["values"].items()}
    assert len(run.fills) == len(fills) == 10
    for (_, found), made in zip(run.fills.iterrows(), fills, strict=True):
        assert (found["fill_id"], found["qty"]) == (made["fill_id"], made["qty"])
        assert found["slippage_base"] == made["slippage_parts"]["base"]
        assert found["slippage_impact"] == made["slippage_parts"].get("impact", 0)


def _signal(sequence: int, coin: str, values: dict[str, Any]) -> SignalRecord:
    return msgspec.structs.replace(samples.signal(sequence), coin=coin, values=values)


def _lines(directory: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / name).read_text(encoding="utf-8").splitlines()]


def test_no_such_run() -> None:
    with pytest.raises(ConfigError, match="no run 'none'"):
        load_run("none")
