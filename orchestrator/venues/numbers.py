"""Numbers as venues write them: strings without an exponent, at the increment of the pair."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, Literal

from orchestrator.exchange.money import EXACT, plain

__all__ = ["decimals_of", "float_formatter", "parse_number", "round_half", "round_to", "text", "text_at"]

_DIGITS_MAX: Final = 40
_ROUNDING: Final = decimal.Context(prec=120, rounding=ROUND_HALF_EVEN, traps=[decimal.InvalidOperation])


def text(value: Decimal) -> str:
    """Return a number without an exponent and without zeros at its end."""
    return format(plain(value), "f")


def text_at(value: Decimal, increment: Decimal) -> str:
    """Return a number with at least as many decimals as an increment has, and no exponent."""
    decimals = decimals_of(increment)
    short = text(value)
    has = len(short) - short.index(".") - 1 if "." in short else 0
    return short if has >= decimals else f"{value:.{decimals}f}"


def decimals_of(increment: Decimal) -> int:
    """Return how many decimals an increment has: 2 of 0.01, 0 of 1 or 10."""
    exponent = plain(increment).as_tuple().exponent
    return max(0, -int(exponent))


def float_formatter(increment: Decimal | None = None) -> Callable[[float], str]:
    """Return what writes a float with the decimals of an increment, or all it has where that is more."""
    decimals = 0 if increment is None else decimals_of(increment)

    def write(value: float) -> str:
        short = f"{value:.{decimals}f}"
        if float(short) == value:
            return short
        exact = repr(value)
        return exact if "e" not in exact else format(Decimal(exact), "f")

    return write


def parse_number(value: object) -> Decimal | None:
    """Return a number that a bot sent as a JSON number or a string; None for anything that is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        number = Decimal(str(value).strip())
    except decimal.InvalidOperation:
        return None
    if not number.is_finite():
        return None
    exponent = int(number.as_tuple().exponent)
    return number if number.adjusted() < _DIGITS_MAX and exponent >= -_DIGITS_MAX else None


def round_to(value: Decimal, increment: Decimal, mode: Literal["floor", "ceiling"]) -> Decimal:
    """Return the nearest multiple of an increment (> 0) in a direction: "floor" or "ceiling"; value >= 0."""
    count = EXACT.divide_int(value, increment)
    below = EXACT.multiply(count, increment)
    return below if mode == "floor" or below == value else EXACT.add(below, increment)


def round_half(value: Decimal, decimals: int) -> Decimal:
    """Return the value rounded half to even to a number of decimals."""
    return _ROUNDING.quantize(value, Decimal(1).scaleb(-decimals))
