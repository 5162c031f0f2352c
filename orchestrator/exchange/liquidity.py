"""How much of a candle the orders of one coin and side may take, and how an order is cut to it."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Protocol

from orchestrator.exchange.money import ZERO, floor_to

__all__ = ["Budget", "LiquidityModel", "ShareOfVolume", "UnlimitedLiquidity"]

_PERCENT: Final = Decimal("0.01")


class Budget:
    """What is left for one coin and side in one candle.

    Attributes
    ----------
    open_time_ns
        The candle.
    left
        Base currency, >= 0; infinite when nothing bounds it.
    """

    __slots__ = ("left", "open_time_ns")

    def __init__(self, open_time_ns: int, left: Decimal) -> None:
        self.open_time_ns = open_time_ns
        self.left = left

    def spend(self, qty: Decimal) -> None:
        """Take a quantity out; a remainder filled for being small may exceed what is left."""
        self.left = max(ZERO, self.left - qty)


class LiquidityModel(Protocol):
    """How much may be traded, and how orders are cut."""

    is_bounded: bool  # whether the volume bounds what a candle trades

    def allowance(self, volume: Decimal) -> Decimal:
        """Return the quantity that one coin and side may take of a candle with a volume (base currency)."""

    def cut(self, ordered: Decimal, remaining: Decimal, left: Decimal, lot_size: Decimal) -> Decimal:
        """Return how much of an order's remainder fits into what is left, in whole lots."""


class ShareOfVolume:
    """A percentage of the volume; a remainder below a threshold of the order is filled with the rest."""

    is_bounded = True

    def __init__(self, max_volume_pct: Decimal, partial_fill_threshold: Decimal) -> None:
        self._share = max_volume_pct * _PERCENT
        self._threshold = partial_fill_threshold

    def allowance(self, volume: Decimal) -> Decimal:
        """Return the share of the volume."""
        return volume * self._share

    def cut(self, ordered: Decimal, remaining: Decimal, left: Decimal, lot_size: Decimal) -> Decimal:
        """Return how much of an order's remainder fits into what is left, in whole lots."""
        if remaining <= left:
            return remaining
        fitting = floor_to(left, lot_size)
        is_rest_negligible = fitting > 0 and remaining - fitting < ordered * self._threshold
        return remaining if is_rest_negligible else fitting


class UnlimitedLiquidity:
    """No bound but that a candle without volume trades nothing."""

    is_bounded = False

    def allowance(self, volume: Decimal) -> Decimal:
        """Return infinity, or 0 without volume."""
        return Decimal("Infinity") if volume > ZERO else ZERO

    def cut(self, ordered: Decimal, remaining: Decimal, left: Decimal, lot_size: Decimal) -> Decimal:  # noqa: ARG002 - the protocol
        """Return all or nothing."""
        return remaining if left else ZERO
