"""Walk-forward figures on curves whose windows are known by hand."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.curve import Curve
from orchestrator.analysis.in_sample import Measured, measured_of, models_key, write_measured
from orchestrator.analysis.walk_forward import trained_windows, walk_forward_of
from orchestrator.analysis.walk_forward_figures import WalkForwardFigures
from orchestrator.durations import NS_PER_DAY, NS_PER_SECOND, parse_date_ns
from orchestrator.errors import DataError

START = parse_date_ns("2024-01-01")
DAY = 86_400


def line(
    day: float, *, coin: str = "BTC", state: str = "trained", until: float | None = None, embargo: float = 0
) -> Any:
    seconds = START // NS_PER_SECOND
    return {
        "ts": Decimal(seconds + int(day * DAY)),
        "sequence": 1,
        "coin": coin,
        "train_from": seconds + int((day - 10) * DAY),
        "train_until": seconds + int((day if until is None else until) * DAY),
        "use_from": seconds + int((day + embargo) * DAY),
        "state": state,
        "digest": f"{coin}{day}",
    }  # fmt: skip


def curve(values: list[float]) -> Curve:
    """A curve with a sample a day."""
    return Curve(START + np.arange(len(values), dtype=np.int64) * NS_PER_DAY, np.array(values))


def measured(directory: Path, lines: list[Any], values: list[float]) -> WalkForwardFigures:
    run = SimpleNamespace(models=lines, directory=directory, lines=lambda _name: [])
    figures = walk_forward_of(SimpleNamespace(run=run, curve=curve(values)))  # type: ignore[arg-type]
    assert figures is not None
    return figures


def claim(directory: Path, row: Any, content: object) -> None:
    folder = directory / "models" / row["coin"] / str(row["train_until"])
    folder.mkdir(parents=True)
    (folder / "in_sample.json").write_text(json.dumps(content))


def test_windows_follow_one_another_and_end_with_the_run(tmp_path: Path) -> None:
    values = [100.0, 110.0, 121.0, 121.0, 60.5, 66.55]
    figures = measured(tmp_path, [line(0), line(2), line(4), line(6)], values)
    assert figures.trainings == 3  # the fourth never came into use
    windows = figures.windows
    assert [w.out_of_sample_return for w in windows] == pytest.approx([0.21, -0.5, 0.1])
    assert [w.days for w in windows] == [2.0, 2.0, 1.0]
    assert windows[1].out_of_sample_annual == pytest.approx(-0.5 * 365 / 2)
    assert windows[2].use_until == "2024-01-06T00:00:00Z"
    assert figures.windows_gaining == 2
    assert figures.out_of_sample_return == pytest.approx(values[-1] / values[0] - 1)
    assert figures.out_of_sample_annual == pytest.approx((0.21 - 0.5 + 0.1) * 365 / 5)
    assert (figures.in_sample_annual, figures.efficiency, figures.in_sample_source) == (None, None, None)


def test_an_embargo_moves_the_use(tmp_path: Path) -> None:
    figures = measured(
        tmp_path, [line(0, embargo=1), line(3, embargo=1)], [100.0, 100.0, 110.0, 110.0, 121.0, 121.0]
    )
    assert [w.out_of_sample_return for w in figures.windows] == pytest.approx([0.21, 0.0])
    assert figures.days == 4.0


def test_efficiency_over_claims_is_the_mean_of_the_coins(tmp_path: Path) -> None:
    lines = [line(0), line(0, coin="ETH"), line(5), line(5, coin="ETH")]
    for row, gain in zip(lines, (0.2, 0.4, 0.1, 0.1), strict=True):
        claim(tmp_path, row, {"total_return": gain, "days": 10})
    figures = measured(tmp_path, lines, [100.0 + n for n in range(11)])
    assert [w.in_sample_return for w in figures.windows] == pytest.approx([0.3, 0.1])
    assert figures.in_sample_annual == pytest.approx((0.3 + 0.1) / 2 * 36.5)
    assert figures.in_sample_source == "trainer"
    assert figures.efficiency == pytest.approx(figures.out_of_sample_annual / (0.2 * 36.5))
    assert figures.windows[0].efficiency == pytest.approx(0.05 * 73 / (0.3 * 36.5))


def test_a_loss_in_sample_has_no_efficiency(tmp_path: Path) -> None:
    claim(tmp_path, line(0), {"total_return": -0.1, "days": 10})
    figures = measured(tmp_path, [line(0)], [100.0, 90.0])
    assert figures.in_sample_annual == pytest.approx(-3.65)
    assert figures.efficiency is None


def test_one_coin_without_a_claim_leaves_the_window_without_one(tmp_path: Path) -> None:
    claim(tmp_path, line(0), {"total_return": 0.1, "days": 10})
    figures = measured(tmp_path, [line(0), line(0, coin="ETH")], [100.0, 90.0])
    assert figures.in_sample_annual is None


def result(row: Any, total_return: float) -> Measured:
    """What a replay of the window of a training gave."""
    window = {name: row[name] for name in ("train_from", "train_until")}
    return Measured(**window, models=models_key([row]), total_return=total_return, days=10.0, digest="d")


def test_equal_models_of_two_trainings_are_measured_each_on_its_own_window(tmp_path: Path) -> None:
    rows = [{**line(day), "digest": "the same"} for day in (0, 1)]
    kept = {**line(2, state="kept"), "digest": "the same"}
    write_measured(tmp_path, [result(rows[0], 0.1), result(rows[1], 0.2)])
    run = SimpleNamespace(
        models=[*rows, kept],
        directory=tmp_path,
        lines=lambda name: (tmp_path / name).read_bytes().splitlines(),
    )
    figures = walk_forward_of(SimpleNamespace(run=run, curve=curve([1.0] * 4)))  # type: ignore[arg-type]
    assert figures is not None
    assert [window.in_sample_return for window in figures.windows] == [0.1, 0.2, 0.1]


def test_efficiency_is_of_the_windows_whose_in_sample_result_is_known(tmp_path: Path) -> None:
    rows = [line(0), line(1)]
    claim(tmp_path, rows[0], {"total_return": 0.1, "days": 1})
    figures = measured(tmp_path, rows, [100.0, 105.0, 52.5])
    assert figures.efficiency == pytest.approx(0.5)
    assert figures.out_of_sample_annual == pytest.approx(-0.45 * 365 / 2)


def test_what_was_measured_counts_before_what_is_claimed(tmp_path: Path) -> None:
    row = line(0)
    claim(tmp_path, row, {"total_return": 9.0, "days": 10})
    measured_line = result(row, 0.1)
    write_measured(tmp_path, [measured_line])
    run = SimpleNamespace(
        models=[row],
        directory=tmp_path,
        lines=lambda name: (tmp_path / name).read_bytes().splitlines(),
    )
    assert measured_of(run) == [measured_line]  # type: ignore[arg-type]
    figures = walk_forward_of(SimpleNamespace(run=run, curve=curve([1.0, 2.0])))  # type: ignore[arg-type]
    assert figures is not None
    assert figures.in_sample_source == "replay"
    assert figures.windows[0].in_sample_return == 0.1
    (tmp_path / "in_sample.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match="measure again"):
        measured_of(run)  # type: ignore[arg-type]


def test_ages_count_from_the_last_candle_of_the_models_in_use(tmp_path: Path) -> None:
    # The second training fails: its window goes on with models that grow older.
    values = [100.0 * 1.01**n for n in range(7)]
    figures = measured(tmp_path, [line(0, until=-1), line(3, state="kept")], values)
    assert figures.models_kept == 1
    assert [(age.days_from, age.days) for age in figures.ages] == [(n, 1) for n in range(1, 7)]
    assert figures.ages[0].mean_daily_return == pytest.approx(0.01)
    fresh = measured(tmp_path, [line(0), line(3)], values)
    assert [(age.days_from, age.days) for age in fresh.ages] == [(0, 2), (1, 2), (2, 2)]
    assert fresh.ages[0].total_return == pytest.approx(1.01**2 - 1)


def test_old_models_are_put_into_at_most_fourteen_groups(tmp_path: Path) -> None:
    figures = measured(tmp_path, [line(0)], [100.0 + n for n in range(61)])
    assert len(figures.ages) == 12
    assert figures.ages[0].days_until - figures.ages[0].days_from == 5
    assert sum(age.days for age in figures.ages) == 60


def test_an_edge_is_shown_only_when_its_interval_is_above_zero(tmp_path: Path) -> None:
    steady = [100.0 * 1.01**n * (1 + 0.001 * (n % 3)) for n in range(40)]
    figures = measured(tmp_path, [line(0)], steady)
    assert figures.has_edge is True
    assert figures.daily_mean_low is not None
    assert figures.daily_mean_high is not None
    assert 0 < figures.daily_mean_low < 0.01 < figures.daily_mean_high
    wild = [100.0 + 10.0 * (n % 2) for n in range(40)]
    assert measured(tmp_path, [line(0)], wild).has_edge is False
    assert measured(tmp_path, [line(0)], steady[:5]).has_edge is None


@pytest.mark.parametrize(("days", "factor"), [(5, 2.7764), (10, 2.2622), (31, 2.0423), (366, 1.9665)])
def test_few_days_have_a_wide_interval(tmp_path: Path, days: int, factor: float) -> None:
    returns = [0.01 if day % 2 else -0.005 for day in range(days)]
    values = 100.0 * np.cumprod([1.0, *(1.0 + value for value in returns)])
    figures = measured(tmp_path, [line(0)], values.tolist())
    error = float(np.std(returns, ddof=1)) / days**0.5
    assert figures.daily_mean_low == pytest.approx(np.mean(returns) - factor * error, abs=0.001 * error)
    assert figures.daily_mean_high == pytest.approx(np.mean(returns) + factor * error, abs=0.001 * error)


def test_a_model_of_later_candles_proves_nothing(tmp_path: Path) -> None:
    steady = [100.0 * 1.01**n * (1 + 0.001 * (n % 3)) for n in range(40)]
    figures = measured(tmp_path, [line(0, state="given", until=20)], steady)
    assert figures.has_look_ahead
    assert figures.has_edge is None
    assert figures.ages[0].days_from == 0
    assert sum(age.days for age in figures.ages) == 19


def test_a_run_without_training_has_no_windows() -> None:
    assert trained_windows(SimpleNamespace(models=[]), curve([1.0, 2.0])) == []  # type: ignore[arg-type]
    assert walk_forward_of(SimpleNamespace(run=SimpleNamespace(models=[]), curve=curve([1.0]))) is None  # type: ignore[arg-type]
