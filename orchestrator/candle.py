"""A candle, and the part of one that is known while it is still open; shared by rooms side by side."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Candle", "Opening"]


class Candle(NamedTuple):
    """A closed candle over [open_time_ns, close_time_ns); prices in quote, volume in base currency."""

    open_time_ns: int
    close_time_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Opening(NamedTuple):
    """The part of a still-open candle that is known from its first moment: its open."""

    open_time_ns: int
    price: float
