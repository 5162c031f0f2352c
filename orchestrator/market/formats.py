"""The formats of candle files: CSV, Parquet, Feather, JSON rows, each to an Arrow table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa

from orchestrator.arrow_reading import arrow_source, parquet_table
from orchestrator.errors import ConfigError, DataError
from orchestrator.market.candles import VALUES

__all__ = ["ROW", "read_table"]

ROW: Final = ("time", *VALUES)
"""What a row without names holds, in this order."""

_HEADERLESS_WIDTHS: Final = (6, 12)  # the six values; Binance's rows, which begin with them


def read_table(path: Path) -> Any:
    """Return the rows of a file as an Arrow table; the names of its columns are the file's own, or `ROW`.

    Raises
    ------
    DataError
        If the file is missing, empty, truncated or corrupt.
    ConfigError
        If the ending of its name tells no format that is understood.
    """
    where = str(path)
    reader = _reader_of(path)
    if path.is_dir():
        raise DataError(f"{where} is a folder; name the files in it, such as {where}/*")
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            data: bytes = stream.read()
        if not data.strip():
            raise DataError(f"{where} is empty; candles were expected, download it again")
        return reader(data, where)
    except FileNotFoundError:
        raise DataError(f"{where} does not exist; check the name") from None
    except (OSError, pa.ArrowException, msgspec.DecodeError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise DataError(
            f"{where} cannot be read, it is truncated or corrupt: {text}; download it again"
        ) from None


def _reader_of(path: Path) -> Any:
    name = path.name.lower().removesuffix(".gz")
    for ending, reader in _READERS.items():
        if name.endswith(ending):
            return reader
    known = ", ".join(_READERS)
    raise ConfigError(f"{path}: the format cannot be told from the name; files may end in {known}")


def _read_parquet(data: bytes, _where: str) -> Any:
    return parquet_table(data)


def _read_feather(data: bytes, _where: str) -> Any:
    from pyarrow import feather  # noqa: PLC0415 - imports pandas

    return feather.read_table(arrow_source(data), use_threads=False)


def _read_csv(data: bytes, where: str) -> Any:
    from pyarrow import csv  # noqa: PLC0415 - a run reads mapped files and never needs it

    first_line = data.split(b"\n", 1)[0].decode("utf-8-sig").strip()
    delimiter = max(",;\t", key=first_line.count)
    fields = [field.strip().strip('"') for field in first_line.split(delimiter)]
    has_header = _is_header(fields)
    names = None if has_header else _headerless_names(len(fields), where)
    # One thread, because only then a broken row is named by its number.
    read = csv.ReadOptions(use_threads=False, column_names=names)
    try:
        return csv.read_csv(
            arrow_source(data), read_options=read, parse_options=csv.ParseOptions(delimiter=delimiter)
        )
    except pa.ArrowInvalid as error:
        found = re.search(r"Row #(\d+): (.*)", " ".join(str(error).split()))
        if found is None:
            raise
        row = int(found[1]) - int(has_header)
        raise DataError(f"{where}: row {row}: {found[2]}; the file is truncated or corrupt") from None


def _read_json(data: bytes, where: str) -> Any:
    rows = msgspec.json.decode(data)
    if not isinstance(rows, list):
        raise DataError(
            f"{where}: expected a list of rows, found {type(rows).__name__}; see `replay data import --help`"
        )
    if not rows:
        raise DataError(f"{where} has no rows; candles were expected, download it again")
    if isinstance(rows[0], dict):
        names = list(rows[0])
        lists = {
            name: [_item(row, name, dict, number, where) for number, row in enumerate(rows)] for name in names
        }
    else:
        names = _headerless_names(len(rows[0]) if isinstance(rows[0], list) else 0, where)
        lists = {
            name: [_item(row, place, list, number, where) for number, row in enumerate(rows)]
            for place, name in enumerate(names[: len(ROW)])
        }
    return pa.table({name: _json_column(values) for name, values in lists.items()})


def _item(row: Any, key: Any, kind: type[Any], number: int, where: str) -> Any:
    try:
        if isinstance(row, kind):
            return row[key]
    except LookupError:
        pass
    raise DataError(f"{where}: row {number + 1}: {str(row)[:60]} is not like the first row; correct the file")


def _json_column(values: list[Any]) -> Any:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # numbers and texts in one column
        return pa.array([None if value is None else str(value) for value in values])


_READERS: Final[dict[str, Any]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".feather": _read_feather,
    ".json": _read_json,
}


def _is_header(fields: list[str]) -> bool:
    # A row of candles has numbers after its time; a header has none anywhere.
    return not any(re.fullmatch(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?", field) for field in fields[1:])


def _headerless_names(width: int, where: str) -> list[str]:
    if width not in _HEADERLESS_WIDTHS:
        raise DataError(
            f"{where}: rows without a header have {width} columns; expected 6 ({', '.join(ROW)}), "
            "or add a header line that names them"
        )
    return [*ROW, *(f"column {number}" for number in range(len(ROW) + 1, width + 1))]
