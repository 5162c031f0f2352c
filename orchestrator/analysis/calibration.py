"""Fits slippage and latency to a user's live fills, by what the exchange would have charged at the same moments.

Each live order is set against the open of the candle that contains it, as the exchange's takers are; what it
paid beyond that, in basis points, is explained by a base and by the square root of its share of the last
candle's volume. Orders that were sent when a candle closed tell the latency: how long after it they filled.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from itertools import chain, combinations, groupby
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from orchestrator.analysis.live_fills import LiveFill
from orchestrator.errors import DataError
from orchestrator.exchange.instruments import Instrument
from orchestrator.exchange.market_view import MarketView
from orchestrator.exchange.models import build_fill_model
from orchestrator.exchange.money import EXACT, ROUNDED, from_float, plain
from orchestrator.exchange.slippage import Conditions, quote_taker
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.protocol import Side

__all__ = ["Calibration", "FillError", "calibrate"]

Floats = npt.NDArray[np.float64]

_ORDERS_MIN: Final = 5  # fewer say nothing
_IMPACT_ORDERS_MIN: Final = 10
_LATENCY_ORDERS_MIN: Final = 10
_LATENCY_SHARE_MIN: Final = 0.5  # of the orders: else they were not sent when candles closed
_LATENCY_MS_MAX: Final = 5_000.0
_RESOLUTION_NS: Final = 1_000_000  # coarser times do not tell a latency
_BPS_MAX: Final = 9_999.0
_BPS_STEP: Final = Decimal("0.0001")
_MS_STEP: Final = Decimal("0.001")
_NS_PER_MS: Final = 1_000_000


class FillError(msgspec.Struct, frozen=True, kw_only=True):
    """One live order against the fitted model; rows of one time and side are one order."""

    rows: tuple[int, ...]
    time_ns: int
    side: Side
    qty: Decimal
    live_price: Decimal  # mean of its rows
    model_price: Decimal
    error_bps: float  # positive: the model is worse for the trader


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """What was fitted, and how well it fits."""

    settings: dict[str, Any]  # keys of [execution_model]
    fills: tuple[FillError, ...]
    bias_bps: float  # mean error
    median_bps: float  # of absolute errors
    high_bps: float  # 95 % of absolute errors lie at or below it
    default_bias_bps: float  # the same at the defaults of [execution_model]
    default_median_bps: float
    live_pnl: Decimal  # quote currency, before fees; what is left is marked at the last close
    model_pnl: Decimal
    pnl_difference_pct: float | None  # of the live one; None when that is 0
    pnl_difference_bps: float  # of the traded notional
    notes: tuple[str, ...]


class _Order(NamedTuple):
    """A live order with what the market was when it filled."""

    rows: tuple[int, ...]
    time_ns: int
    side: Side
    qty: Decimal
    price: Decimal
    reference: Decimal
    open_time_ns: int
    conditions: Conditions

    @property
    def cost_bps(self) -> float:
        """What it paid beyond the reference."""
        worse = float(self.price / self.reference) - 1
        return 1e4 * (worse if self.side is Side.BUY else -worse)

    @property
    def root(self) -> float:
        """Square root of its share of the last closed candle's volume."""
        return math.sqrt(float(self.qty) / float(self.conditions.volume))


def calibrate(fills: list[LiveFill], market: MarketView, instrument: Instrument) -> Calibration:
    """Return the settings under which the exchange would have filled most like the live fills.

    Parameters
    ----------
    fills
        In order of time, all of one coin.
    market
        Candles of the coin round all of them.
    instrument
        Rules of the coin; model prices are rounded to its tick.

    Raises
    ------
    DataError
        If fewer than 5 orders lie in candles whose last one before had a volume.
    """
    with localcontext(ROUNDED):
        found = [_placed(group, market, instrument.coin) for group in _grouped(fills)]
        orders = [order for order in found if order is not None]
        if len(orders) < _ORDERS_MIN:
            raise DataError(
                f"{len(orders)} of {len(found)} orders lie in cached candles that follow one with volume; "
                f"at least {_ORDERS_MIN} are needed: give more fills, or fetch the candles round them"
            )
        notes = []
        if len(orders) < len(found):
            notes.append(f"{len(found) - len(orders)} of {len(found)} orders lie in gaps and are left out")
        settings, slippage_notes = _fit_slippage(orders)
        latency, latency_notes = _fit_latency(orders)
        return _judge(
            orders, {**settings, **latency}, instrument, (*notes, *slippage_notes, *latency_notes), market
        )


def _grouped(fills: list[LiveFill]) -> list[list[LiveFill]]:
    # One order that met several others has several rows of one time.
    return [list(group) for _, group in groupby(fills, key=lambda fill: (fill.time_ns, fill.side))]


def _placed(group: list[LiveFill], market: MarketView, coin: str) -> _Order | None:
    time_ns, side = group[0].time_ns, group[0].side
    opening, last = market.opening_at(coin, time_ns), market.last_closed(coin, time_ns)
    if opening is None or last is None or not last.volume > 0:
        return None
    qty = sum((fill.qty for fill in group), Decimal(0))
    notional = sum((fill.qty * fill.price for fill in group), Decimal(0))
    return _Order(
        tuple(fill.row for fill in group),
        time_ns,
        side,
        qty,
        notional / qty,
        from_float(opening.price),
        opening.open_time_ns,
        Conditions(market, coin, last),
    )


# ---------------------------------------------------------------- slippage


def _fit_slippage(orders: list[_Order]) -> tuple[dict[str, Any], list[str]]:
    costs = np.array([order.cost_bps for order in orders])
    roots = np.array([order.root for order in orders])
    # An order weighs what it moves: then the costs add up, and with them profit and loss.
    weights = np.array([float(order.qty * order.reference) for order in orders])
    factors = {
        "fixed": np.ones(len(orders)),
        "volatility": np.array([float(order.conditions.volatility_factor) for order in orders]),
    }
    notes = []
    has_impact = len(orders) >= _IMPACT_ORDERS_MIN and float(np.ptp(roots)) > 0
    if not has_impact:
        notes.append(
            f"impact is not fitted: it needs {_IMPACT_ORDERS_MIN} orders of different shares of volume"
        )
    fits = {
        name: non_negative_fit([base, roots] if has_impact else [base], costs, weights)
        for name, base in factors.items()
    }
    # Where both fit alike, as in a calm market, the simpler one stands.
    name = min(fits, key=lambda name: (fits[name][1] * (1.0 if name == "fixed" else 1.0 + 1e-9), name))
    base_bps, impact_bps = [_bps(value) for value in [*fits[name][0], 0.0][:2]]
    settings: dict[str, Any] = {"slippage_model": name} if base_bps else {}
    return {**settings, "slippage_bps": base_bps, "impact_bps": impact_bps}, notes


def non_negative_fit(columns: list[Floats], target: Floats, weights: Floats) -> tuple[list[float], float]:
    """Return the factors >= 0 of the columns with the least weighted squared error, and that error.

    Of few columns every choice can be tried: the best solution without a negative factor is the answer.
    """
    scale = np.sqrt(weights / weights.sum())
    best: tuple[list[float], float] = ([0.0] * len(columns), float(((target * scale) ** 2).sum()))
    places = range(len(columns))
    for chosen in chain.from_iterable(combinations(places, count) for count in range(1, len(columns) + 1)):
        matrix = np.stack([columns[place] * scale for place in chosen], axis=1)
        factors = np.linalg.lstsq(matrix, target * scale, rcond=None)[0]
        error = float(((matrix @ factors - target * scale) ** 2).sum())
        if (factors >= 0).all() and error < best[1]:
            by_place = dict(zip(chosen, factors.tolist(), strict=True))
            best = ([by_place.get(place, 0.0) for place in places], error)
    return best


def _bps(value: float) -> Decimal:
    return plain(Decimal(repr(min(value, _BPS_MAX))).quantize(_BPS_STEP))


# ---------------------------------------------------------------- latency


def _fit_latency(orders: list[_Order]) -> tuple[dict[str, Any], list[str]]:
    after_close_ns = [order.time_ns - order.open_time_ns for order in orders]
    if all(time_ns % 1_000_000_000 == 0 for time_ns in after_close_ns):
        return {}, ["latency is not fitted: the times of the fills are whole seconds"]
    samples = np.array([ns / _NS_PER_MS for ns in after_close_ns if 0 < ns <= _LATENCY_MS_MAX * _NS_PER_MS])
    if len(samples) < max(_LATENCY_ORDERS_MIN, _LATENCY_SHARE_MIN * len(orders)):
        soon = f"{len(samples)} of {len(orders)} orders filled within {_LATENCY_MS_MAX / 1000:g} s of a close"
        return {}, [f"latency is not fitted: {soon}; at least {_LATENCY_ORDERS_MIN} and half are needed"]
    low, high = float(samples.min()), float(samples.max())
    if (high - low) * _NS_PER_MS < _RESOLUTION_NS:
        return {"latency_model": "fixed", "latency_fixed_ms": _ms(float(np.median(samples)))}, []
    logs = np.log(samples)
    sigma = float(logs.std())
    uniform = -math.log(high - low)
    lognormal = -float(logs.mean()) - math.log(sigma * math.sqrt(2 * math.pi)) - 0.5
    if uniform >= lognormal:
        margin = (high - low) / (len(samples) - 1)  # the ends of a sample lie inside the true ones
        bounds = (_ms(max(low - margin, 0.001)), _ms(high + margin))
        return {"latency_model": "uniform", "latency_ms": bounds}, []
    return {
        "latency_model": "lognormal",
        "latency_median_ms": _ms(math.exp(float(logs.mean()))),
        "latency_sigma": Decimal(repr(min(sigma, 3.0))).quantize(_BPS_STEP),
    }, []


def _ms(value: float) -> Decimal:
    return plain(Decimal(repr(value)).quantize(_MS_STEP))


# ---------------------------------------------------------------- how well it fits


def _judge(
    orders: list[_Order],
    settings: dict[str, Any],
    instrument: Instrument,
    notes: tuple[str, ...],
    market: MarketView,
) -> Calibration:
    errors = _errors(orders, ExecutionModelSettings(**settings), instrument)
    defaults = np.array([e.error_bps for e in _errors(orders, ExecutionModelSettings(), instrument)])
    bps = np.array([error.error_bps for error in errors])
    mark = market.last_closed(instrument.coin, orders[-1].time_ns)
    close = from_float(mark.close) if mark is not None else orders[-1].reference
    live = _pnl([(e.side, e.qty, e.live_price) for e in errors], close)
    model = _pnl([(e.side, e.qty, e.model_price) for e in errors], close)
    notional = sum((error.qty * error.live_price for error in errors), Decimal(0))
    return Calibration(
        settings=settings,
        fills=tuple(errors),
        bias_bps=float(bps.mean()),
        median_bps=float(np.median(np.abs(bps))),
        high_bps=float(np.percentile(np.abs(bps), 95)),
        default_bias_bps=float(defaults.mean()),
        default_median_bps=float(np.median(np.abs(defaults))),
        live_pnl=live,
        model_pnl=model,
        pnl_difference_pct=float(100 * (model - live) / abs(live)) if live else None,
        pnl_difference_bps=float(10_000 * (model - live) / notional),
        notes=notes,
    )


def _errors(
    orders: list[_Order], settings: ExecutionModelSettings, instrument: Instrument
) -> list[FillError]:
    models = build_fill_model(settings, seed=0).slippage
    errors = []
    for order in orders:
        with localcontext(EXACT):
            quote = quote_taker(models, order.side, order.reference, order.qty, order.conditions, instrument)
        worse = float(quote.price / order.price) - 1
        errors.append(
            FillError(
                rows=order.rows,
                time_ns=order.time_ns,
                side=order.side,
                qty=order.qty,
                live_price=order.price,
                model_price=quote.price,
                error_bps=1e4 * (worse if order.side is Side.BUY else -worse),
            )
        )
    return errors


def _pnl(fills: list[tuple[Side, Decimal, Decimal]], close: Decimal) -> Decimal:
    # Cash that came in, and the holdings that are left at the last close.
    signed = [(qty if side is Side.BUY else -qty, price) for side, qty, price in fills]
    return sum((qty * (close - price) for qty, price in signed), Decimal(0))
