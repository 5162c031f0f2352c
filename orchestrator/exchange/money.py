"""Exact arithmetic: the decimal contexts of the exchange and rounding to ticks, lots and the fee quantum.

Under `EXACT` a result that does not fit is an error, never rounded in silence; what must be rounded
(quotients, roots, fees) says so by calling a function of this module.
"""

from __future__ import annotations

import decimal
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import Final

__all__ = [
    "BPS",
    "EXACT",
    "ONE",
    "ROUNDED",
    "ZERO",
    "ceil_to",
    "fee_amount",
    "floor_to",
    "from_float",
    "is_multiple",
    "plain",
    "quotient",
    "quotient_up_8",
    "round_bps",
    "round_up_8",
]

EXACT: Final = decimal.Context(
    prec=120,
    rounding=ROUND_HALF_EVEN,
    traps=[
        decimal.Inexact,
        decimal.InvalidOperation,
        decimal.DivisionByZero,
        decimal.Overflow,
        decimal.FloatOperation,
    ],
)
"""For balances and products: anything that would be rounded raises `decimal.Inexact`."""

ROUNDED: Final = decimal.Context(
    prec=34,
    rounding=ROUND_HALF_EVEN,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)
"""For quotients, roots and logarithms: correctly rounded to 34 digits, so equal on every machine."""

# Quantize may drop digits by its nature, so it runs apart from `EXACT`.
_HALF_EVEN: Final = decimal.Context(prec=120, rounding=ROUND_HALF_EVEN, traps=[decimal.InvalidOperation])
_CEILING: Final = decimal.Context(prec=120, rounding=ROUND_CEILING, traps=[decimal.InvalidOperation])

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
BPS: Final = Decimal("0.0001")
_EIGHT_DECIMALS: Final = Decimal("1e-8")


def from_float(value: float) -> Decimal:
    """Return the shortest decimal that reads back as the float: the price as it was published."""
    return Decimal(repr(float(value)))


def quotient(dividend: Decimal, divisor: Decimal) -> Decimal:
    """Return the quotient, rounded to 34 digits."""
    return ROUNDED.divide(dividend, divisor)


def quotient_up_8(dividend: Decimal, divisor: Decimal) -> Decimal:
    """Return the quotient of two numbers (>= 0, > 0), rounded up to 8 decimals, exactly."""
    quanta, rest = EXACT.divmod(EXACT.scaleb(dividend, 8), divisor)
    return EXACT.scaleb(EXACT.add(quanta, ONE) if rest else quanta, -8)


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` (> 0) that is not above `value` (>= 0)."""
    return EXACT.multiply(EXACT.divide_int(value, step), step)


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of `step` (> 0) that is not below `value` (>= 0)."""
    floor = floor_to(value, step)
    return floor if floor == value else EXACT.add(floor, step)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Return whether `value` is an exact multiple of `step`; values with absurdly many digits are not."""
    try:
        return EXACT.remainder(value, step) == 0
    except (decimal.Inexact, decimal.InvalidOperation):
        return False


def round_up_8(value: Decimal) -> Decimal:
    """Return the value rounded up to 8 decimals, as fees and holds are."""
    return _CEILING.quantize(value, _EIGHT_DECIMALS)


def round_bps(value: Decimal) -> Decimal:
    """Return basis points (or a ratio) to 8 decimals, half to even: what the result files carry."""
    return _HALF_EVEN.quantize(value, _EIGHT_DECIMALS)


def fee_amount(notional: Decimal, rate: Decimal) -> Decimal:
    """Return the fee on an executed notional, rounded up to 8 decimals, but never above the notional."""
    return min(round_up_8(EXACT.multiply(notional, rate)), notional)


def plain(value: Decimal) -> Decimal:
    """Return an equal value without trailing zeros or exponent: 0.10 as 0.1, 1E+2 as 100."""
    short = EXACT.normalize(value)
    # Only whole numbers may have an exponent left.
    return _HALF_EVEN.quantize(short, ONE) if short == short.to_integral_value() else short
