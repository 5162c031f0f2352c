"""A user's own live fills, read from a CSV file: time, side, quantity, price."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final, NamedTuple

from orchestrator.config import NS_PER_SECOND, parse_date_ns
from orchestrator.errors import ConfigError, DataError
from orchestrator.protocol import NUMBER_DIGITS_MAX, Side

__all__ = ["LiveFill", "read_live_fills"]

_COLUMNS: Final = {
    "time": ("time", "timestamp", "ts", "datetime", "date"),
    "side": ("side",),
    "qty": ("qty", "quantity", "amount", "size"),
    "price": ("price",),
}
_NUMBER: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{0,20})?")
# A number of units since 1970 tells its unit by its size.
_UNITS_NS: Final = ((10**11, NS_PER_SECOND), (10**14, 1_000_000), (10**17, 1_000), (10**20, 1))
_TIME_NS_MAX: Final = 2**63


class LiveFill(NamedTuple):
    """One execution."""

    row: int  # in the file, from 1, without the header
    time_ns: int
    side: Side
    qty: Decimal  # base currency
    price: Decimal

    @property
    def signed_qty(self) -> Decimal:
        """What it added to the holdings."""
        return self.qty if self.side is Side.BUY else -self.qty


def read_live_fills(path: Path) -> list[LiveFill]:
    """Return the fills of a file in order of time; of one time, in the file's order.

    The header names the columns `time` (Unix numbers of s, ms, us or ns, or ISO text, UTC without a zone), `side`
    (buy, sell), `qty` and `price`; usual other spellings are understood and other columns are ignored.

    Raises
    ------
    DataError
        If the file cannot be read, lacks a column, or a row is not a fill; with the row.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            fills = list(_fills(csv.reader(stream), path))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; name a CSV file with time, side, qty, price") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}; it must be a CSV file in UTF-8") from None
    if not fills:
        raise DataError(f"{path} has no fills; it needs a row for each, under time, side, qty, price")
    return sorted(fills, key=lambda fill: fill.time_ns)


def _fills(lines: Iterable[list[str]], path: Path) -> Iterator[LiveFill]:
    rows = iter(lines)
    places = _places(next(rows, []), path)
    number = 0
    for cells in rows:
        if not any(cell.strip() for cell in cells):
            continue  # a line without anything, as at the end of a file
        number += 1
        where = f"{path} row {number}"
        if len(cells) <= max(places.values()):
            raise DataError(f"{where}: {len(cells)} values, fewer than the header names; complete the row")
        values = {name: cells[place].strip() for name, place in places.items()}
        yield LiveFill(
            number,
            _time_ns(values["time"], where),
            _side(values["side"], where),
            _amount("qty", values["qty"], where),
            _amount("price", values["price"], where),
        )


def _places(header: list[str], path: Path) -> dict[str, int]:
    found = [cell.strip().lower() for cell in header]
    places = {}
    for name, spellings in _COLUMNS.items():
        spelling = next((spelling for spelling in spellings if spelling in found), None)
        if spelling is None:
            named = ", ".join(cell for cell in found if cell) or "nothing"
            raise DataError(
                f"{path} has no column {name}; its header names {named}; it needs time, side, qty and price"
            )
        places[name] = found.index(spelling)
    return places


def _time_ns(text: str, where: str) -> int:
    if _NUMBER.fullmatch(text):
        value = Decimal(text)
        unit = next((unit for limit, unit in _UNITS_NS if value < limit), 1)
        time_ns = int(value * unit)
    else:
        try:
            time_ns = parse_date_ns(text.removesuffix("UTC").strip())
        except ConfigError:
            time_ns = 0
    if not 0 < time_ns < _TIME_NS_MAX:
        raise DataError(
            f"{where}: time {text!r} is not understood; use Unix numbers or ISO text such as 2024-01-31T12:30:00.5Z"
        )
    return time_ns


def _side(text: str, where: str) -> Side:
    try:
        return Side(text.lower())
    except ValueError:
        raise DataError(f"{where}: side {text!r} is not understood; write buy or sell") from None


def _amount(name: str, text: str, where: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not (value.is_finite() and value > 0 and abs(value.adjusted()) < NUMBER_DIGITS_MAX):
        raise DataError(f"{where}: {name} {text!r} is not a number above 0; correct the row")
    return value
