"""Candle files of other programs, read into columns.

What a column is called differs from program to program; `_SPELLINGS` lists what is understood, in order of
preference, without regard to case, spaces and underscores.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from orchestrator.errors import DataError
from orchestrator.market.candles import VALUES, Candles
from orchestrator.market.formats import ROW, read_table
from orchestrator.market.instants import instants_ns

__all__ = ["read_candles"]

_SPELLINGS: Final = {
    "time": (
        *(
            "opentime",
            "timestamp",
            "time",
            "unix",
            "unixtime",
            "unixtimestamp",
            "ts",
            "t",
            "datetime",
            "date",
        ),
        *("opentimems", "timems", "opents", "startat", "starttime", "indexlevel0", "index", ""),
    ),
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "max", "highprice"),
    "low": ("low", "l", "min", "lowprice"),
    "close": ("close", "c", "closeprice", "last"),
    "volume": ("volume", "vol", "v", "basevolume", "volumebase", "amount", "qty"),
}
_MISSING_TEXTS: Final = frozenset({"", "nan", "null", "none", "na", "n/a", "#n/a", "-nan"})


def read_candles(path: Path) -> Candles:
    """Return the candles of a file, in the file's order, not yet checked.

    A number that is missing becomes NaN, for the check to name its row.

    Raises
    ------
    DataError
        If the file is missing, empty, truncated or corrupt, or lacks a column; with the row, if any.
    ConfigError
        If the ending of its name tells no format that is understood.
    """
    where = str(path)
    table = read_table(path)
    if table.num_rows == 0:
        raise DataError(f"{where} has no rows; candles were expected, download it again")
    columns = _find_columns(table, where)
    times = instants_ns(columns["time"], where)
    return Candles(times, *(_floats(columns[name], name, where) for name in VALUES))


def _find_columns(table: Any, where: str) -> dict[str, Any]:
    plain = {re.sub(r"[\s_]", "", name).lower(): name for name in reversed(table.column_names)}
    found = {
        wanted: next((plain[spelling] for spelling in spellings if spelling in plain), None)
        for wanted, spellings in _SPELLINGS.items()
    }
    missing = [name for name, column in found.items() if column is None]
    if missing:
        names = ", ".join(map(repr, table.column_names))
        raise DataError(
            f"{where}: found the columns {names}, without {', '.join(missing)}; "
            f"expected {', '.join(ROW)} or a common spelling of them"
        )
    return {wanted: table[name] for wanted, name in found.items()}


def _floats(column: Any, name: str, where: str) -> npt.NDArray[np.float64]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    try:
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            return _with_nan(column.cast(pa.float64(), safe=False))
        if pa.types.is_null(kind):
            return np.full(len(column), np.nan)
        return _with_nan(column.cast(pa.float64()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return np.array(
            [_number(v, name, row, where) for row, v in enumerate(column.to_pylist())], dtype=np.float64
        )


def _with_nan(column: Any) -> npt.NDArray[np.float64]:
    # + 0.0 turns a negative zero, which some programs write for no volume, into the plain one.
    values: npt.NDArray[np.float64] = column.fill_null(np.nan).to_numpy() + 0.0
    return values


def _number(value: Any, name: str, row: int, where: str) -> float:
    if value is None or str(value).strip().lower() in _MISSING_TEXTS:
        return np.nan
    try:
        return float(value) + 0.0
    except (TypeError, ValueError):
        raise DataError(
            f"{where}: row {row + 1}: {name} {value!r} is not a number; correct the file"
        ) from None
