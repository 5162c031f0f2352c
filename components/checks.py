"""What an author hands to the SDK, checked where it is handed over and refused in the author's terms."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final

from orchestrator.errors import ConfigError
from orchestrator.protocol import NUMBER_DIGITS_MAX, SignalValue, TimeInForce

__all__ = ["exact", "history_count", "order_id", "positive", "signal_value", "time_in_force", "timeframe"]

HISTORY_MAX: Final = 100_000
"""Candles that one `history` call may ask for."""

_WHOLE_MIN, _WHOLE_MAX = -(2**63), 2**64 - 1  # what a message can carry


def exact(name: str, value: object) -> Decimal:
    """Return a quantity or price as a finite `Decimal`; floats are refused, since they are not what they show."""
    if isinstance(value, float):
        text = repr(float(value))
        raise ConfigError(
            f"{name} is the float {text}; money is exact here: write Decimal({text!r}), or Decimal(str(x))"
        )
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise ConfigError(
            f"{name} has the type {type(value).__name__}; write a Decimal such as Decimal('0.1')"
        )
    number = Decimal(value)
    if not number.is_finite():
        raise ConfigError(f"{name} is {number}; it must be a finite number")
    exponent = int(number.as_tuple().exponent)
    if number.adjusted() >= NUMBER_DIGITS_MAX or exponent < -NUMBER_DIGITS_MAX:
        raise ConfigError(
            f"{name} is {number:.9g}; at most {NUMBER_DIGITS_MAX} digits on either side of the point are allowed: "
            "use replay.round_qty, or quantize"
        )
    return number


def positive(name: str, value: object) -> Decimal:
    """Return an exact number above 0."""
    number = exact(name, value)
    if number <= 0:
        raise ConfigError(f"{name} is {number}; it must be above 0")
    return number


def signal_value(key: str, value: object) -> SignalValue:
    """Return a value that a signal can carry, as a plain int, float, str or bool."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ConfigError(f"signal {key} is the text {value!r}, which is not valid Unicode") from None
        return str(value)
    if isinstance(value, int):
        if not _WHOLE_MIN <= value <= _WHOLE_MAX:
            raise ConfigError(f"signal {key} has more than 64 bits; use float(...)")
        return int(value)
    if not isinstance(value, float):
        raise ConfigError(
            f"signal {key} has the type {type(value).__name__}; int, float, str or bool are allowed, "
            f"such as {key}=float(...)"
        )
    if not math.isfinite(value):
        raise ConfigError(f"signal {key} is {float(value)}; leave it out until it is a finite number")
    return float(value)  # numpy's float64 is a float too, but no message carries it


def time_in_force(value: TimeInForce | str) -> TimeInForce:
    """Return how long an order stays, by its name."""
    try:
        return TimeInForce(value)
    except ValueError:
        raise ConfigError(f"time_in_force {value!r} is not known; use {', '.join(TimeInForce)}") from None


def order_id(value: object) -> str:
    """Return a client_order_id."""
    if not isinstance(value, str):
        raise ConfigError(f"client_order_id {value!r} is not one; use what buy or sell returned")
    return value


def timeframe(value: object) -> str:
    """Return the name of a candle length; whether the run can make it is for the orchestrator to say."""
    if not isinstance(value, str):
        raise ConfigError(f'timeframe {value!r} is not understood; write such as "5m", "1h", "1d"')
    return value


def history_count(value: object) -> int:
    """Return a number of candles."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= HISTORY_MAX:
        raise ConfigError(f"count {value!r} is not allowed; a whole number from 1 to {HISTORY_MAX}")
    return int(value)
