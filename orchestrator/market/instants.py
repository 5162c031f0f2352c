"""Columns of times, however a file spells them, as nanoseconds since the epoch, UTC."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from orchestrator.config import parse_date_ns
from orchestrator.errors import ConfigError, DataError

__all__ = ["instants_ns"]

IntArray = npt.NDArray[np.int64]

# A number of units since 1970 tells its unit by its size: seconds reach 10^11 in the year 5138, milliseconds
# passed it in 1973.
_UNITS: Final = ((1e11, 1_000_000_000, "s"), (1e14, 1_000_000, "ms"), (1e17, 1_000, "us"), (np.inf, 1, "ns"))


def instants_ns(column: Any, where: str) -> IntArray:
    """Return the times of an Arrow column: numbers of s, ms, us or ns, timestamps, dates, or ISO text.

    Times without a zone are UTC.

    Raises
    ------
    DataError
        Naming the first row whose time is missing or not understood.
    """
    if column.null_count:
        row = int(np.argmax(np.asarray(column.is_null().to_pylist())))
        raise DataError(f"{where}: row {row + 1}: the time is missing; correct the file and import it again")
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_integer(kind):
        return _scaled(column.cast(pa.int64()).to_numpy(), where)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _scaled(_whole(column.cast(pa.float64()).to_numpy(), where), where)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _from_timestamps(column, where)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _from_text(column, where)
    raise DataError(f"{where}: the time column is of type {kind}; use Unix numbers, timestamps or ISO text")


def _whole(values: npt.NDArray[np.float64], where: str) -> IntArray:
    broken = ~np.isfinite(values) | (np.abs(values) >= 2.0**63)
    if broken.any():
        row = int(np.argmax(broken))
        raise DataError(f"{where}: row {row + 1}: the time {values[row]} is no time; correct the file")
    # Fractions matter only below a second's grid; scaling them here keeps them for the grid to refuse.
    if (values == np.trunc(values)).all():
        return values.astype(np.int64)
    unit = next(factor for limit, factor, _ in _UNITS if np.abs(values).max() < limit)
    return np.rint(values * unit).astype(np.int64)


def _scaled(values: IntArray, where: str) -> IntArray:
    if not len(values):
        return values
    sizes = np.abs(values)
    limits = [limit for limit, _, _ in _UNITS[:-1]]
    units = np.searchsorted(limits, sizes, side="right")
    if units.min() != units.max():
        row = int(np.argmax(units != units[0]))
        first, other = _UNITS[units[0]][2], _UNITS[units[row]][2]
        raise DataError(
            f"{where}: row {row + 1}: the time {values[row]} is in {other}, the rows before in {first}; "
            "use one unit in a file"
        )
    return values * _UNITS[int(units[0])][1]


def _from_timestamps(column: Any, where: str) -> IntArray:
    try:
        nanoseconds = column.cast(pa.timestamp("ns", tz=getattr(column.type, "tz", None))).cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise DataError(f"{where}: the times do not fit the years 1678 to 2262: {error}") from None
    values: IntArray = nanoseconds.to_numpy()
    return values


def _from_text(column: Any, where: str) -> IntArray:
    for kind in (pa.int64(), pa.timestamp("ns"), pa.timestamp("ns", tz="UTC")):
        try:
            return instants_ns(column.cast(kind), where)
        except pa.ArrowInvalid:
            continue
    texts = column.to_pylist()
    if texts[0].strip().isdigit():  # a column of numbers, but for one: that one is to be named
        stray = next((row for row, text in enumerate(texts) if not text.strip().isdigit()), 0)
        raise _not_understood(texts[stray], stray, where)
    return np.array([_from_iso(text, row, where) for row, text in enumerate(texts)], dtype=np.int64)


def _from_iso(text: str, row: int, where: str) -> int:
    try:
        return parse_date_ns(text.strip().removesuffix("UTC").strip())
    except ConfigError:
        raise _not_understood(text, row, where) from None


def _not_understood(text: str, row: int, where: str) -> DataError:
    return DataError(
        f"{where}: row {row + 1}: the time {text!r} is not understood; "
        "use Unix numbers or ISO text such as 2024-01-31T12:30:00Z"
    )
