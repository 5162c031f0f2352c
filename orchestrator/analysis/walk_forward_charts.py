"""The pictures of a run with training: windows on the equity curve, in-sample beside out-of-sample, model age."""

from __future__ import annotations

from typing import Any

import numpy as np

from orchestrator.analysis.charts import Figure, curve_line, plain_layout
from orchestrator.analysis.study import Study
from orchestrator.analysis.walk_forward import TrainedWindow, trained_windows
from orchestrator.analysis.walk_forward_figures import WalkForwardFigures
from orchestrator.config import NS_PER_MS

__all__ = ["walk_forward_charts"]


def walk_forward_charts(study: Study, figures: WalkForwardFigures) -> dict[str, Figure]:
    """Return the figures by name; those that there is nothing to show for are absent."""
    windows = trained_windows(study.run, study.curve)
    charts = {"walk_forward": _windows_chart(study, windows, figures)}
    if any(window.in_sample_annual is not None for window in figures.windows):
        charts["walk_forward_samples"] = _samples_chart(figures)
    if figures.ages:
        charts["walk_forward_ages"] = _ages_chart(figures)
    return charts


def _windows_chart(study: Study, windows: list[TrainedWindow], figures: WalkForwardFigures) -> Figure:
    line = curve_line(study.curve.times_ns, study.curve.values, "equity", "@run")
    gains = [window.out_of_sample_return > 0.0 for window in figures.windows]
    bands = [_band(window, is_gain=is_gain) for window, is_gain in zip(windows, gains, strict=True)]
    legend = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [None],
            "y": [None],
            "name": name,
            "marker": {"symbol": "square", "size": 12, "color": colour},
        }
        for name, colour in (("window gained", "@gain"), ("window lost", "@loss"))
    ]
    layout = plain_layout(
        xaxis={"type": "date"},
        yaxis={"title": {"text": study.terms.currency}},
        shapes=[*bands, *(_training_line(window) for window in windows)],
        showlegend=True,
    )
    return {"data": [line, *legend], "layout": layout}


def _band(window: TrainedWindow, *, is_gain: bool) -> Figure:
    return {
        "type": "rect",
        "xref": "x",
        "yref": "paper",
        "x0": window.use_from_ns // NS_PER_MS,
        "x1": window.use_until_ns // NS_PER_MS,
        "y0": 0,
        "y1": 1,
        "fillcolor": "@gain" if is_gain else "@loss",
        "opacity": 0.12,
        "line": {"width": 0},
        "layer": "below",
    }


def _training_line(window: TrainedWindow) -> Figure:
    at = window.trained_ns // NS_PER_MS
    line = {"color": "@muted", "width": 1, "dash": "dot"}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line}


def _samples_chart(figures: WalkForwardFigures) -> Figure:
    days = [window.trained_at[:10] for window in figures.windows]
    inside = [window.in_sample_annual for window in figures.windows]
    outside = [window.out_of_sample_annual for window in figures.windows]
    return {
        "data": [_bars(days, inside, "in sample", "@muted"), _bars(days, outside, "out of sample", "@run")],
        "layout": plain_layout(
            xaxis={"type": "category", "title": {"text": "trained"}},
            yaxis={"tickformat": ".0%", "title": {"text": "a year"}},
            barmode="group",
            showlegend=True,
        ),
    }


def _ages_chart(figures: WalkForwardFigures) -> Figure:
    names = [
        str(age.days_from) if age.days_until == age.days_from + 1 else f"{age.days_from}-{age.days_until - 1}"
        for age in figures.ages
    ]
    means = np.array([age.mean_daily_return for age in figures.ages])
    bars = _bars(names, means.tolist(), "mean return of a day", "@run")
    bars["marker"] = {"color": ["@gain" if mean > 0.0 else "@loss" for mean in means]}
    bars["hovertemplate"] = "%{y:.3%}<extra></extra>"
    layout = plain_layout(
        xaxis={"type": "category", "title": {"text": "age of the model, days"}},
        yaxis={"tickformat": ".2%", "title": {"text": "mean of a day"}},
    )
    return {"data": [bars], "layout": layout}


def _bars(names: list[str], values: list[Any], name: str, colour: str) -> Figure:
    return {
        "type": "bar",
        "x": names,
        "y": values,
        "name": name,
        "marker": {"color": colour},
        "hovertemplate": "%{y:+.1%}",
    }
