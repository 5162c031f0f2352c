"""Records as lines of JSON: exact numbers, a fixed order of keys, one spelling per value.

The line that is written is the canonical line that is hashed: compact JSON in ASCII, keys in the order of the
struct's fields with `sim_time_ns` spelt `ts`, a newline at its end. Equal values give equal bytes:

- a `Decimal` is written in fixed notation without trailing zeros (`1E+2` and `100.00` are both `100`);
- `ts` is Unix seconds, exact to the nanosecond, with at least one decimal (`1704067500.0`);
- a float (only signals carry them) is the shortest text that reads back as the same float;
- the keys of a signal's values are sorted: their order says nothing and may depend on a hash seed.

Floats are nowhere on the way of money or time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from json.encoder import encode_basestring_ascii as _quote  # the C function that `json` itself uses
from typing import Any, Final

import msgspec

from orchestrator.errors import InvariantError
from orchestrator.protocol import SignalValue
from orchestrator.runs.records import (
    CashFlowRecord,
    FillRecord,
    ModelRecord,
    OrderEventRecord,
    OrderRecord,
    Record,
    SignalRecord,
)

__all__ = [
    "CASH_FLOWS_FILE",
    "MODELS_FILE",
    "RECORD_TYPES",
    "encode_line",
    "number_text",
    "time_ns_from_text",
    "time_text",
]

_NS_PER_SECOND: Final = 1_000_000_000

CASH_FLOWS_FILE: Final = "cash_flows.jsonl"
"""A result file of runs whose accounts may owe; other runs do not have it, and their digests leave it out."""

MODELS_FILE: Final = "models.jsonl"
"""A result file of runs with training; other runs do not have it, and their digests leave it out."""

RECORD_TYPES: Final[dict[str, type[Record]]] = {
    "orders.jsonl": OrderRecord,
    "order_events.jsonl": OrderEventRecord,
    "fills.jsonl": FillRecord,
    "signals.jsonl": SignalRecord,
    CASH_FLOWS_FILE: CashFlowRecord,
    MODELS_FILE: ModelRecord,
}
"""Which records each line file holds, in the order in which the digest takes the files."""


def number_text(value: Decimal) -> str:
    """Return a finite `Decimal` as a JSON number: exact, fixed notation, no trailing zeros, no negative zero.

    Raises
    ------
    InvariantError
        If the value is not finite: no amount, price or quantity of a run can be.
    """
    text = str(value)
    if "E" in text:
        text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text == "-0":
        return "0"
    if not value.is_finite():
        raise InvariantError(
            f"{value} was to be written as a number of a result file; only finite numbers are allowed"
        )
    return text


def time_text(time_ns: int) -> str:
    """Return nanoseconds since the epoch as Unix seconds: exact, with at least one decimal."""
    seconds, rest = divmod(time_ns, _NS_PER_SECOND)
    if rest == 0:
        return f"{seconds}.0"
    if seconds < 0:  # before 1970 the fraction counts backwards
        seconds, rest = divmod(-time_ns, _NS_PER_SECOND)
        return f"-{seconds}.{f'{rest:09d}'.rstrip('0')}"
    return f"{seconds}.{f'{rest:09d}'.rstrip('0')}"


def time_ns_from_text(seconds: Decimal | str) -> int:
    """Return the nanoseconds of a `ts`, the inverse of `time_text`."""
    whole, _, fraction = format(Decimal(seconds), "f").partition(".")
    magnitude = abs(int(whole)) * _NS_PER_SECOND + int(fraction[:9].ljust(9, "0"))
    return -magnitude if whole.startswith("-") else magnitude


def encode_line(record: Record) -> bytes:
    """Return the canonical line of a record, newline included.

    Raises
    ------
    InvariantError
        If a number in it is not finite.
    """
    return _ENCODERS[type(record)](record)


def _optional_number(value: Decimal | None) -> str:
    return "null" if value is None else number_text(value)


def _optional_text(value: str | None) -> str:
    return "null" if value is None else _quote(value)


def _float_text(value: float) -> str:
    if not math.isfinite(value):
        raise InvariantError(f"a signal carries {value}; only finite numbers are allowed")
    return repr(value)


def _signal_value(value: SignalValue) -> str:
    if isinstance(value, bool):  # before int, which it is too
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    return _float_text(value) if isinstance(value, float) else _quote(value)


def _signal_values(values: dict[str, SignalValue]) -> str:
    return "{" + ",".join([f"{_quote(key)}:{_signal_value(values[key])}" for key in sorted(values)]) + "}"


def _numbers(parts: dict[str, Decimal]) -> str:
    return "{" + ",".join([f"{_quote(key)}:{number_text(value)}" for key, value in parts.items()]) + "}"


# How a field is written, by its annotation.
_WRITERS: Final[dict[Any, Callable[[Any], str]]] = {
    int: str,
    str: _quote,
    str | None: _optional_text,
    Decimal: number_text,
    Decimal | None: _optional_number,
    dict[str, Decimal]: _numbers,
    dict[str, SignalValue]: _signal_values,
}


def _encoder(record_type: type[Record]) -> Callable[[Any], bytes]:
    # Keys and writers are found once per type; a line is then one join over its fields.
    writers: list[tuple[str, str, Callable[[Any], str]]] = []
    for field in msgspec.structs.fields(record_type):
        key, write = ("ts", time_text) if field.name == "sim_time_ns" else (field.name, _WRITERS[field.type])
        writers.append((f"{',' if writers else '{'}{_quote(key)}:", field.name, write))

    def encode(record: Any) -> bytes:
        text = "".join([key + write(getattr(record, name)) for key, name, write in writers])
        return (text + "}\n").encode("ascii")

    return encode


_ENCODERS: Final[dict[type[Record], Callable[[Any], bytes]]] = {
    kind: _encoder(kind) for kind in RECORD_TYPES.values()
}
