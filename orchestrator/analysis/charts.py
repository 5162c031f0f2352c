"""The pictures of a report as plain plotly figures; colours are names that the page fills in, light or dark."""

from __future__ import annotations

import base64
import itertools
from typing import Any, Final

import numpy as np

from orchestrator.analysis.context import HOLD, MarketContext
from orchestrator.analysis.curve import Curve, FloatArray, IntArray
from orchestrator.analysis.downsample import keep_extremes
from orchestrator.analysis.drawdown import falls
from orchestrator.analysis.ratios import value_at_risk
from orchestrator.analysis.regimes import UNKNOWN, Names, Regimes
from orchestrator.analysis.rolling import rolling_sharpe
from orchestrator.analysis.study import Study
from orchestrator.config import NS_PER_DAY, NS_PER_MS
from orchestrator.runs.lines import time_ns_from_text
from orchestrator.runs.reader import Row

__all__ = [
    "COLOURS",
    "Figure",
    "charts_of",
    "curve_line",
    "distribution_chart",
    "equity_chart",
    "overlay_chart",
    "plain_layout",
]

Figure = dict[str, Any]

COLOURS: Final = ("@run", "@hold", "@other", "@loss", "@gain", "@muted", "@bull", "@bear", "@sideways")
"""What a figure may write for a colour; the page replaces each by that of its theme."""

LINE_POINTS: Final = 2_000
# What the pictures of all coins share, so that a page of many coins does not grow with them.
_PRICE_POINTS: Final = 6_000
_PRICE_POINTS_MIN: Final = 500  # a coin
_FILLS_SHOWN: Final = 9_000
_FILLS_SHOWN_MAX: Final = 3_000  # a coin; the largest ones
_BINS: Final = 40
_BIN_WIDTH_MIN: Final = 0.001  # where all days are alike
_STRETCHES: Final = 200

_BANDS: Final = {"bull": "@bull", "bear": "@bear", "sideways": "@sideways"}


def charts_of(study: Study, free_per_day: float) -> dict[str, Figure]:
    """Return the figures of a report by name; those that a run has nothing to show for are absent."""
    context, days = study.context, study.days
    charts = {"equity": equity_chart(study), "exposure": _exposure_chart(study)}
    if study.has_enough_days:
        charts["rolling"] = _rolling_chart(study, free_per_day)
        charts["distribution"] = distribution_chart(days.returns)
    if isinstance(context, str):
        return charts
    for coin in context.prices.market.coins:
        charts[f"price_{coin}"] = _price_chart(context, coin, study.run.fills)
    if context.regimes is not None and context.leader_closes is not None:
        charts["regimes"] = _regimes_chart(context, context.regimes, days.starts_ns)
    return charts


def equity_chart(study: Study) -> Figure:
    """Return equity and what holding gave, with the drawdown under it."""
    curve, context = study.curve, study.context
    lines = [curve_line(curve.times_ns, curve.values, "equity", "@run", width=2)]
    if not isinstance(context, str):
        names = {HOLD: "buy and hold"}
        for name, held in context.curves.items():
            if context.prices.market.coins != (name,):  # of a run of one coin, holding it is holding all
                dash = "solid" if name == HOLD else "dot"
                label = names.get(name, f"{name} alone")
                lines.append(curve_line(held.times_ns, held.values, label, "@hold", dash=dash))
    fallen = -falls(curve.values)
    under = curve_line(curve.times_ns, fallen, "drawdown", "@loss", fill="tozeroy")
    scale = {} if np.any(fallen) else {"range": [-0.1, 0.0]}  # plotly would put a flat line between -1 and +1
    under |= {"yaxis": "y2", "hovertemplate": "%{y:.2%}"}
    layout = plain_layout(
        yaxis={"title": {"text": study.terms.currency}, "domain": [0.34, 1.0]},
        yaxis2={"title": {"text": "drawdown"}, "domain": [0.0, 0.27], "tickformat": ".1~%"} | scale,
        xaxis={"type": "date", "anchor": "y2"},
        showlegend=True,
    )
    return {"data": [*lines, under], "layout": layout}


def overlay_chart(curves: dict[str, Curve]) -> Figure:
    """Return the growth of several runs in one picture, each as a fraction of its beginning."""
    palette = ("@run", "@hold", "@other", "@loss", "@gain", "@muted")
    lines = [
        curve_line(
            curve.times_ns, curve.values / curve.values[0] - 1.0, name, palette[place % len(palette)], width=2
        )
        for place, (name, curve) in enumerate(curves.items())
    ]
    for line in lines:
        line["hovertemplate"] = "%{y:+.2%}"
    return {
        "data": lines,
        "layout": plain_layout(yaxis={"tickformat": "+.1~%"}, xaxis={"type": "date"}, showlegend=True),
    }


def _price_chart(context: MarketContext, coin: str, fills: list[Row]) -> Figure:
    closes, times = context.prices.of(coin), context.prices.times_ns
    is_known = ~np.isnan(closes)
    n_coins = len(context.prices.market.coins)
    points = min(max(_PRICE_POINTS // n_coins, _PRICE_POINTS_MIN), LINE_POINTS)
    data = [curve_line(times[is_known], closes[is_known], f"{coin} close", "@muted", points=points)]
    own = [fill for fill in fills if fill["symbol"].partition("-")[0] == coin]
    shown = min(_FILLS_SHOWN // n_coins, _FILLS_SHOWN_MAX)
    if len(own) > shown:
        own = sorted(own, key=lambda fill: fill["qty"] * fill["fill_price"], reverse=True)[:shown]
    for side, symbol, colour in (("buy", "triangle-up", "@gain"), ("sell", "triangle-down", "@loss")):
        chosen = [fill for fill in own if fill["side"] == side]
        if chosen:
            data.append(_fill_marks(chosen, side, symbol, colour))
    span = [int(times[0]) // NS_PER_MS, int(times[-1]) // NS_PER_MS]
    return {"data": data, "layout": plain_layout(xaxis={"type": "date", "range": span}, showlegend=True)}


def _fill_marks(fills: list[Row], side: str, symbol: str, colour: str) -> Figure:
    times = np.array([time_ns_from_text(fill["ts"]) for fill in fills], dtype=np.int64)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": side,
        "x": _times(times),
        "y": _packed(np.array([float(fill["fill_price"]) for fill in fills])),
        "customdata": _packed(np.array([float(fill["qty"]) for fill in fills])),
        "hovertemplate": f"{side} %{{customdata}} at %{{y}}",
        "marker": {"symbol": symbol, "size": 8, "color": colour, "line": {"width": 0.5, "color": "@paper"}},
    }


def _exposure_chart(study: Study) -> Figure:
    # Extremes would fill the picture where positions come and go within hours: means of stretches instead.
    times, exposure = study.curve.times_ns[1:], study.exposure
    begins = np.arange(0, len(exposure), -(-len(exposure) // _STRETCHES))
    means = np.add.reduceat(exposure, begins) / np.diff(begins, append=len(exposure))
    area = curve_line(times[begins], means, "in coins", "@run", fill="tozeroy")
    area["hovertemplate"] = "%{y:.1%}"
    layout = plain_layout(
        yaxis={
            "tickformat": ".1~%",
            "range": [min(0.0, float(np.min(means))), max(1.0, float(np.max(means)))],
        },
        xaxis={"type": "date"},
    )
    return {"data": [area], "layout": layout}


def _rolling_chart(study: Study, free_per_day: float) -> Figure:
    window, ratios = rolling_sharpe(study.days.returns, free_per_day)
    is_known = ~np.isnan(ratios)
    line = curve_line(study.days.ends_ns[is_known], ratios[is_known], f"Sharpe of {window} days", "@run")
    line["hovertemplate"] = "%{y:.2f}"
    return {"data": [line], "layout": plain_layout(xaxis={"type": "date"}, yaxis={"zeroline": True})}


def distribution_chart(returns: FloatArray) -> Figure:
    """Return how many days gained and lost how much, from their returns, shape (n_days,), n_days >= 1."""
    # Zero is an edge, so that no bar holds gains and losses; unchanged days are a narrow bar of their own on it.
    width = float(np.ptp(returns)) / _BINS or _BIN_WIDTH_MIN
    bins, counts = np.unique(np.floor(returns[returns != 0.0] / width), return_counts=True)
    flat = [np.count_nonzero(returns == 0.0)] if np.any(returns == 0.0) else []
    bars = {
        "type": "bar",
        "x": _packed(np.array([*((bins + 0.5) * width), *(0.0 for _ in flat)])),
        "y": _packed(np.array([*counts, *flat], dtype=np.float64)),
        "width": _packed(np.array([*(width for _ in bins), *(width / 2 for _ in flat)])),
        "marker": {
            "color": [*("@loss" if place < 0 else "@gain" for place in bins), *("@muted" for _ in flat)]
        },
        "hovertemplate": "%{x:.2%}: %{y} days<extra></extra>",
    }
    loss = value_at_risk(returns) or 0.0
    layout = plain_layout(
        xaxis={"tickformat": ".1%"},
        yaxis={"title": {"text": "days"}},
        bargap=0.05,
        shapes=[_upright(-loss)],
        annotations=[
            {
                "x": -loss,
                "y": 1.0,
                "yref": "paper",
                "text": "95 % VaR",
                "showarrow": False,
                "xanchor": "right",
                "font": {"color": "@muted"},
            }
        ],
        hovermode="closest",
    )
    return {"data": [bars], "layout": layout}


def _regimes_chart(context: MarketContext, regimes: Regimes, starts_ns: IntArray) -> Figure:
    closes = context.leader_closes
    assert closes is not None  # noqa: S101 - the caller looked
    inside = closes.ends_ns >= starts_ns[0]
    price = curve_line(closes.ends_ns[inside], closes.closes[inside], f"{context.leader} daily close", "@run")
    legend = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [None],
            "y": [None],
            "name": name,
            "marker": {"symbol": "square", "size": 12, "color": colour},
        }
        for name, colour in _BANDS.items()
    ]
    bands = _bands(regimes.trend, starts_ns)
    return {
        "data": [price, *legend],
        "layout": plain_layout(xaxis={"type": "date"}, shapes=bands, showlegend=True),
    }


def _bands(names: Names, starts_ns: IntArray) -> list[Figure]:
    edges = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)]
    return [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": int(starts_ns[first]) // NS_PER_MS,
            "x1": int(starts_ns[last - 1] + NS_PER_DAY) // NS_PER_MS,
            "y0": 0,
            "y1": 1,
            "fillcolor": _BANDS[str(names[first])],
            "line": {"width": 0},
            "layer": "below",
        }
        for first, last in itertools.pairwise(edges)
        if names[first] != UNKNOWN
    ]


def _upright(x: float) -> Figure:
    return {
        "type": "line",
        "x0": x,
        "x1": x,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": "@muted", "width": 1, "dash": "dash"},
    }


def curve_line(
    times_ns: IntArray,
    values: FloatArray,
    name: str,
    colour: str,
    *,
    width: float = 1.5,
    dash: str = "solid",
    fill: str | None = None,
    points: int = LINE_POINTS,
) -> Figure:
    """Return a line over time, thinned to so many points with its extremes kept."""
    rows = keep_extremes(values, points) if values.size else np.zeros(0, dtype=np.int64)
    line: Figure = {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": _times(times_ns[rows]),
        "y": _packed(values[rows]),
        "line": {"color": colour, "width": width, "dash": dash},
    }
    return line if fill is None else line | {"fill": fill}


def plain_layout(**more: Any) -> Figure:
    """Return the layout that all pictures share, with more of its own."""
    layout: Figure = {
        "margin": {"l": 56, "r": 12, "t": 8, "b": 36},
        "hovermode": "x unified",
        "showlegend": False,
    }
    return layout | more


def _times(times_ns: IntArray) -> Figure:
    return _packed(times_ns.astype(np.float64) / NS_PER_MS)


def _packed(values: FloatArray) -> Figure:
    # plotly.js reads typed arrays from base64: a third of the size of numbers as text, and nothing is rounded.
    return {"dtype": "f8", "bdata": base64.b64encode(np.ascontiguousarray(values, dtype="<f8").data).decode()}
