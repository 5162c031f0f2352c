"""What a taker pays above the reference price, in basis points, as a sum of named parts."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from orchestrator.exchange.instruments import Instrument
from orchestrator.exchange.market_view import Candle, MarketView
from orchestrator.exchange.money import (
    BPS,
    ONE,
    ROUNDED,
    ZERO,
    ceil_to,
    floor_to,
    from_float,
    quotient,
    round_bps,
)
from orchestrator.exchange.vocabulary import SlippagePart
from orchestrator.protocol import Side

__all__ = [
    "Conditions",
    "FixedSlippage",
    "HalfSpread",
    "Quote",
    "SlippageModel",
    "SquareRootImpact",
    "VolatilityScaledSlippage",
    "quote_limit",
    "quote_taker",
    "volatility_factor",
]

_RANGES_COUNT: Final = 100
_RANGES_COUNT_MIN: Final = 20
_FACTOR_MAX: Final = Decimal(2)


class Conditions:
    """What is known of a coin at a simulation time: its last closed candle, and how wild that was.

    Attributes
    ----------
    last
        The last closed candle.
    volume
        Its volume, base currency.
    """

    __slots__ = ("_coin", "_factor", "_market", "last", "volume")

    def __init__(self, market: MarketView, coin: str, last: Candle) -> None:
        self._market = market
        self._coin = coin
        self._factor: Decimal | None = None
        self.last = last
        self.volume = from_float(last.volume)

    @property
    def volatility_factor(self) -> Decimal:
        """The factor m of DESIGN 5, in [1, 2]; computed when first asked for."""
        if self._factor is None:
            ranges = self._market.recent_ranges(self._coin, self.last.close_time_ns, _RANGES_COUNT)
            self._factor = volatility_factor(ranges)
        return self._factor


def volatility_factor(ranges: npt.NDArray[np.float64]) -> Decimal:
    """Return the last range over the median of all, kept within [1, 2]; 1 for fewer than 20 ranges.

    Parameters
    ----------
    ranges
        (high - low) / open of the last closed candles, oldest first, at most 100.
    """
    count = len(ranges)
    if count < _RANGES_COUNT_MIN:
        return ONE
    in_order = np.sort(ranges)
    lower, upper = float(in_order[(count - 1) // 2]), float(in_order[count // 2])
    if ranges[-1] < 0.99 * lower:  # far from the bound, where floats cannot err
        return ONE
    latest, doubled_median = from_float(ranges[-1]), from_float(lower) + from_float(upper)
    if 2 * latest <= doubled_median:
        return ONE
    if latest >= doubled_median:
        return _FACTOR_MAX
    return quotient(2 * latest, doubled_median)


class SlippageModel(Protocol):
    """One part of slippage; a run's slippage is a sum of such parts."""

    def part(self, qty: Decimal, conditions: Conditions) -> tuple[SlippagePart, Decimal]:
        """Return the name and the basis points (>= 0, 8 decimals) for taking a quantity."""


class FixedSlippage:
    """The same number of basis points for every taker."""

    def __init__(self, bps: Decimal) -> None:
        self._part = (SlippagePart.BASE, round_bps(bps))

    def part(self, qty: Decimal, conditions: Conditions) -> tuple[SlippagePart, Decimal]:  # noqa: ARG002 - the protocol
        """Return the fixed basis points."""
        return self._part


class VolatilityScaledSlippage:
    """What a wild market adds to a base of `bps`: bps * (m - 1)."""

    def __init__(self, bps: Decimal) -> None:
        self._bps = bps

    def part(self, qty: Decimal, conditions: Conditions) -> tuple[SlippagePart, Decimal]:  # noqa: ARG002 - the protocol
        """Return the addition for the conditions."""
        return SlippagePart.VOLATILITY, round_bps(self._bps * (conditions.volatility_factor - ONE))


class SquareRootImpact:
    """What the order's own size adds: bps * sqrt(quantity / volume of the last closed candle)."""

    def __init__(self, bps: Decimal) -> None:
        self._bps = bps

    def part(self, qty: Decimal, conditions: Conditions) -> tuple[SlippagePart, Decimal]:
        """Return the addition for the quantity; 0 where nothing can be taken."""
        if not (qty and conditions.volume):
            return SlippagePart.IMPACT, ZERO
        root = ROUNDED.sqrt(quotient(qty, conditions.volume))
        return SlippagePart.IMPACT, round_bps(self._bps * root)


class HalfSpread:
    """The distance from the middle, which the candles are taken for, to the side that is traded with."""

    def __init__(self, bps: Decimal) -> None:
        self._part = (SlippagePart.SPREAD, round_bps(bps))

    def part(self, qty: Decimal, conditions: Conditions) -> tuple[SlippagePart, Decimal]:  # noqa: ARG002 - the protocol
        """Return the half-spread."""
        return self._part


class Quote(NamedTuple):
    """A price for a taker and what it is made of; `parts` sum to `slippage_bps`."""

    price: Decimal
    slippage_bps: Decimal
    parts: tuple[tuple[str, Decimal], ...]


def quote_taker(
    models: tuple[SlippageModel, ...],
    side: Side,
    reference: Decimal,
    qty: Decimal,
    conditions: Conditions,
    instrument: Instrument,
) -> Quote:
    """Return the price of a taker of a quantity: reference * (1 ± slippage), to the tick against it.

    A price never falls below one tick.
    """
    parts = _named_parts(models, qty, conditions)
    named = sum((bps for _, bps in parts), ZERO)
    if side is Side.BUY:
        price = ceil_to(reference * (ONE + named * BPS), instrument.tick_size)
        worse_by = price - reference
    else:
        raw = reference * (ONE - named * BPS)
        price = max(floor_to(raw, instrument.tick_size) if raw > 0 else ZERO, instrument.tick_size)
        worse_by = reference - price
    return _quote(price, worse_by, reference, parts, SlippagePart.ROUNDING)


def quote_limit(
    models: tuple[SlippageModel, ...],
    side: Side,
    reference: Decimal,
    limit: Decimal,
    qty: Decimal,
    conditions: Conditions,
) -> Quote:
    """Return the price of a taker that slippage would carry beyond its limit: the limit itself."""
    worse_by = limit - reference if side is Side.BUY else reference - limit
    return _quote(limit, worse_by, reference, _named_parts(models, qty, conditions), SlippagePart.LIMIT)


def _named_parts(
    models: tuple[SlippageModel, ...], qty: Decimal, conditions: Conditions
) -> list[tuple[str, Decimal]]:
    return [part for model in models if (part := model.part(qty, conditions))[1]]


def _quote(
    price: Decimal,
    worse_by: Decimal,
    reference: Decimal,
    parts: list[tuple[str, Decimal]],
    rest_name: SlippagePart,
) -> Quote:
    # What the parts leave of the whole is a part of its own.
    slippage_bps = round_bps(quotient(worse_by, reference) / BPS)
    rest = slippage_bps - sum((bps for _, bps in parts), ZERO)
    if rest:
        parts.append((rest_name, rest))
    return Quote(price, slippage_bps, tuple(parts))
