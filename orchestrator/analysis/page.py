"""report.html: one file that needs nothing else, made of a study and its metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jinja2
import msgspec
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from orchestrator.analysis import formats
from orchestrator.analysis.charts import charts_of
from orchestrator.analysis.metrics import DAYS_MIN, Metrics
from orchestrator.analysis.ratios import rate_per_day
from orchestrator.analysis.rolling import rolling_window
from orchestrator.analysis.shown import (
    BENCHMARK,
    COSTS,
    RETURNS,
    RISK,
    TRADES,
    plain_metrics,
    shown,
)
from orchestrator.analysis.study import Study
from orchestrator.analysis.trade_rows import trade_rows
from orchestrator.analysis.walk_forward_charts import walk_forward_charts
from orchestrator.runs.layout import CONFIG_FILE

__all__ = ["TRADES_SHOWN", "environment", "report_page", "script_json"]

TRADES_SHOWN: Final = 3_000
"""Trades in the page's table; trades.csv has all."""

_TEMPLATES: Final = Path(__file__).parent / "templates"


def environment() -> jinja2.Environment:
    """Return the environment of the pages: everything is escaped, a missing name is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        plotly_script=Markup(get_plotlyjs()),  # noqa: S704 - a package's own script
        style=_verbatim("report.css"),
        script=_verbatim("report.js"),
        raw=_raw,
        tone=_tone,
    )
    made.filters.update(
        percent=formats.percent,
        signed=formats.signed_percent,
        points=formats.signed_points,
        money=formats.money,
        number=formats.number,
        moment=formats.moment,
        hours=formats.hours_text,
        days=formats.days_text,
        whole_days=formats.whole_days,
        script_json=script_json,
    )
    return made


def report_page(study: Study, metrics: Metrics) -> str:
    """Return the page of a run."""
    plain = plain_metrics(metrics)
    charts = charts_of(study, rate_per_day(metrics.risk_free_rate))
    if metrics.walk_forward is not None:
        charts |= walk_forward_charts(study, metrics.walk_forward)
    run = study.run
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            m=plain,
            title=f"{run.name}: replay report",
            charts=charts,
            price_coins=[name.removeprefix("price_") for name in charts if name.startswith("price_")],
            returns=shown(RETURNS, plain),
            risk=shown(RISK, plain),
            trade_columns=_side_by_side(TRADES, plain, _trade_parts(plain)),
            costs=shown(COSTS, plain, "costs"),
            benchmark_columns=_side_by_side(BENCHMARK, plain, _benchmark_parts(plain)),
            calendar=_calendar(plain),
            trade_table=trade_rows(study.book.trades, TRADES_SHOWN),
            warnings=[remark["text"] for remark in plain["warnings"] if remark["level"] == "warning"],
            notes=[remark["text"] for remark in plain["warnings"] if remark["level"] == "note"],
            manifest=msgspec.to_builtins(run.manifest),
            config_text=(run.directory / CONFIG_FILE).read_text(encoding="utf-8"),
            rolling_days=rolling_window(metrics.days) if study.has_enough_days else None,
            days_min=DAYS_MIN,
        )
    )


def script_json(value: Any) -> Markup:
    """Return a value as JSON that may stand inside a script element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704


def _verbatim(name: str) -> Markup:
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704 - our own file


def _raw(value: Any) -> str:
    # As it stands in metrics.json, so that whoever reads the page by program gets the same figure.
    return msgspec.json.Encoder(decimal_format="number").encode(value).decode()


def _tone(value: Any) -> str:
    return "" if value is None or value == 0 else "gain" if value > 0 else "loss"


def _side_by_side(items: tuple[Any, ...], plain: Mapping[str, Any], parts: dict[str, str]) -> dict[str, Any]:
    # One row a figure, one column a part.
    columns = [shown(items, plain, path) for path in parts.values()]
    return {"headings": list(parts), "rows": list(zip(*columns, strict=True)) if columns else []}


def _trade_parts(plain: Mapping[str, Any]) -> dict[str, str]:
    coins = [coin for coin, figures in plain["trade_figures_by_coin"].items() if figures["trades"]]
    return {"all": "trade_figures"} | {coin: f"trade_figures_by_coin.{coin}" for coin in coins}


def _benchmark_parts(plain: Mapping[str, Any]) -> dict[str, str]:
    labels = {"buy_and_hold": "buy and hold"}
    return {labels.get(name, f"{name} alone"): f"benchmarks.{name}" for name in plain["benchmarks"]}


def _calendar(plain: Mapping[str, Any]) -> list[dict[str, Any]]:
    # One row a year; the strength of a colour is that of the largest month at most.
    months = plain["monthly_returns"]
    largest = max((abs(month["total_return"]) for month in months), default=0.0) or 1.0
    years: dict[str, dict[str, Any]] = {}
    for month in months:
        year, number = month["month"].split("-")
        row = years.setdefault(year, {"year": year, "cells": [None] * 12, "growth": 1.0})
        row["growth"] *= 1.0 + month["total_return"]
        strength = round(10 + 50 * abs(month["total_return"]) / largest)
        row["cells"][int(number) - 1] = {**month, "strength": strength}
    return list(years.values())
