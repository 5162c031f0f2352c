"""A run with training, window by window: what each model gave on the past it was made of and on what came after.

Returns a year are not compounded (Pardo, "The Evaluation and Optimization of Trading Strategies", 2008, chapter
11: an annualised rate of profit): return x 365 / days. A week compounded to a year says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from orchestrator.analysis.curve import DAYS_PER_YEAR, Curve
from orchestrator.analysis.in_sample import InSample, in_sample_of
from orchestrator.analysis.stamps import stamp
from orchestrator.analysis.study import Study
from orchestrator.analysis.walk_forward_figures import AgeFigures, WalkForwardFigures, WindowFigures
from orchestrator.config import NS_PER_DAY, NS_PER_SECOND
from orchestrator.runs.lines import time_ns_from_text
from orchestrator.runs.reader import Row, Run

__all__ = ["TrainedWindow", "trained_windows", "walk_forward_of"]

_AGES_MAX: Final = 14
_DAYS_MIN: Final = 5  # below it, daily returns tell nothing of an edge
_NORMAL_95: Final = 1.959963984540054


class TrainedWindow(NamedTuple):
    """One training as far as the run went; nanoseconds since the epoch."""

    trained_ns: int
    train_from_ns: int
    train_until_ns: int
    use_from_ns: int
    use_until_ns: int
    made_ns: int  # until when the data reached that the models in use were made of; the latest of all coins
    lines: tuple[Row, ...]  # of models.jsonl, one a coin


def trained_windows(run: Run, curve: Curve) -> list[TrainedWindow]:
    """Return the trainings whose models came into use before the run ended, in the order of time."""
    groups: dict[int, list[Row]] = {}
    for row in run.models:
        groups.setdefault(time_ns_from_text(row["ts"]), []).append(row)
    if not groups:
        return []
    end_ns = int(curve.times_ns[-1])
    starts = [int(rows[0]["use_from"]) * NS_PER_SECOND for rows in groups.values()]
    windows: list[TrainedWindow] = []
    made: dict[str, int] = {}
    for (trained_ns, rows), use_from_ns, next_ns in zip(
        groups.items(), starts, [*starts[1:], end_ns], strict=True
    ):
        made |= {row["coin"]: int(row["train_until"]) for row in rows if row["state"] != "kept"}
        if use_from_ns >= end_ns:
            break
        windows.append(
            TrainedWindow(
                trained_ns=trained_ns,
                train_from_ns=int(rows[0]["train_from"]) * NS_PER_SECOND,
                train_until_ns=int(rows[0]["train_until"]) * NS_PER_SECOND,
                use_from_ns=use_from_ns,
                use_until_ns=min(next_ns, end_ns),
                made_ns=max(made.values()) * NS_PER_SECOND,
                lines=tuple(rows),
            )
        )
    return windows


def walk_forward_of(study: Study) -> WalkForwardFigures | None:
    """Return the figures of a run's trainings; None where nothing was trained, or no model came into use."""
    windows = trained_windows(study.run, study.curve)
    if not windows:
        return None
    measured = [in_sample_of(study.run, window.lines) for window in windows]
    figures = tuple(
        _window(study.curve, window, claim) for window, claim in zip(windows, measured, strict=True)
    )
    inside = [f.in_sample_annual for f in figures if f.in_sample_annual is not None]
    inside_annual = sum(inside) / len(inside) if inside else None
    low, high = _mean_interval(_daily_returns(study.curve, windows))
    has_look_ahead = any(window.made_ns > window.use_from_ns for window in windows)
    sources = sorted({claim.source for claim in measured if claim is not None})
    return WalkForwardFigures(
        trainings=len(windows),
        models_trained=sum(f.models_trained for f in figures),
        models_kept=sum(f.models_kept for f in figures),
        days=sum(f.days for f in figures),
        out_of_sample_return=math.prod(1.0 + f.out_of_sample_return for f in figures) - 1.0,
        out_of_sample_annual=_annual_of(figures),
        in_sample_annual=inside_annual,
        in_sample_source=" and ".join(sources) or None,
        # Of the same windows on both sides.
        efficiency=_ratio(_annual_of([f for f in figures if f.in_sample_annual is not None]), inside_annual),
        windows_gaining=sum(f.out_of_sample_return > 0.0 for f in figures),
        daily_mean_low=low,
        daily_mean_high=high,
        has_look_ahead=has_look_ahead,
        has_edge=None if low is None or has_look_ahead else low > 0.0,
        windows=figures,
        ages=tuple(_ages(study.curve, windows)),
    )


def _window(curve: Curve, window: TrainedWindow, claim: InSample | None) -> WindowFigures:
    days = (window.use_until_ns - window.use_from_ns) / NS_PER_DAY
    outside = _growth(curve, window.use_from_ns, window.use_until_ns) - 1.0
    inside_annual = None if claim is None else _annual(claim.total_return, claim.days)
    outside_annual = _annual(outside, days)
    states = [line["state"] for line in window.lines]
    return WindowFigures(
        trained_at=stamp(window.trained_ns),
        train_from=stamp(window.train_from_ns),
        train_until=stamp(window.train_until_ns),
        use_from=stamp(window.use_from_ns),
        use_until=stamp(window.use_until_ns),
        days=days,
        models_trained=len(states) - states.count("kept"),
        models_kept=states.count("kept"),
        in_sample_return=None if claim is None else claim.total_return,
        in_sample_days=None if claim is None else claim.days,
        in_sample_annual=inside_annual,
        out_of_sample_return=outside,
        out_of_sample_annual=outside_annual,
        efficiency=_ratio(outside_annual, inside_annual),
    )


def _annual(growth: float, days: float) -> float:
    return growth * DAYS_PER_YEAR / days if days else 0.0


def _annual_of(figures: Sequence[WindowFigures]) -> float:
    return _annual(sum(f.out_of_sample_return for f in figures), sum(f.days for f in figures))


def _ratio(outside: float, inside: float | None) -> float | None:
    # What a loss is worth over a loss, nobody can say.
    return None if inside is None or inside <= 0.0 else outside / inside


def _growth(curve: Curve, from_ns: int, until_ns: int) -> float:
    begin, end = (_value(curve, time_ns) for time_ns in (from_ns, until_ns))
    return end / begin if begin > 0.0 else 1.0


def _value(curve: Curve, time_ns: int) -> float:
    # A value stands until the next sample.
    return float(curve.values[max(int(np.searchsorted(curve.times_ns, time_ns, "right")) - 1, 0)])


def _day_edges(window: TrainedWindow) -> Iterator[tuple[int, int]]:
    # Whole days of use, from the first moment of use on.
    for begin_ns in range(window.use_from_ns, window.use_until_ns - NS_PER_DAY + 1, NS_PER_DAY):
        yield begin_ns, begin_ns + NS_PER_DAY


def _daily_returns(curve: Curve, windows: Sequence[TrainedWindow]) -> list[float]:
    return [_growth(curve, *edges) - 1.0 for window in windows for edges in _day_edges(window)]


def _mean_interval(returns: list[float]) -> tuple[float | None, float | None]:
    # 95 % of the mean of daily returns, by Student's distribution: of few days the normal one finds edges too often.
    if len(returns) < _DAYS_MIN:
        return None, None
    mean, error = float(np.mean(returns)), float(np.std(returns, ddof=1)) / math.sqrt(len(returns))
    factor = _student_95(len(returns) - 1)
    return mean - factor * error, mean + factor * error


def _student_95(freedom: int) -> float:
    # The 97.5 % quantile; Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.5: right to 0.001 from 4
    # degrees of freedom on.
    z = _NORMAL_95
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return sum(term / float(freedom) ** power for power, term in enumerate(terms))


def _ages(curve: Curve, windows: Sequence[TrainedWindow]) -> Iterator[AgeFigures]:
    by_age: dict[int, list[float]] = {}
    for window in windows:
        for begin_ns, end_ns in _day_edges(window):
            age = (begin_ns - window.made_ns) // NS_PER_DAY
            if age >= 0:
                by_age.setdefault(age, []).append(_growth(curve, begin_ns, end_ns) - 1.0)
    if not by_age:
        return
    width = -(-(max(by_age) + 1 - min(by_age)) // _AGES_MAX)
    for first in range(min(by_age), max(by_age) + 1, width):
        returns = [value for age in range(first, first + width) for value in by_age.get(age, ())]
        if returns:
            yield AgeFigures(
                days_from=first,
                days_until=first + width,
                days=len(returns),
                mean_daily_return=float(np.mean(returns)),
                total_return=math.prod(1.0 + value for value in returns) - 1.0,
            )
