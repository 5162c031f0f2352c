"""Lists of Robinhood Crypto: one page at a time, with the address of the next and of the one before."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from orchestrator.venues.http import VenueResponse
from orchestrator.venues.robinhood.errors import INVALID_CURSOR
from orchestrator.venues.venue import Call

__all__ = ["LIMIT_DEFAULT", "LIMIT_MAX", "Page", "read_page"]

LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 1_000
_LIMIT_DIGITS_MAX: Final = 9  # more digits are more than the maximum anyway


class Page(NamedTuple):
    """One page of rows."""

    rows: list[Any]
    next: str | None  # addresses, with the filters of this request
    previous: str | None

    def body(self, shape: Callable[[Any], Any]) -> dict[str, Any]:
        """Return it as it is sent."""
        return {"next": self.next, "previous": self.previous, "results": [shape(row) for row in self.rows]}


class _Cursor(NamedTuple):
    is_back: bool  # the rows before the place instead of those after it
    place: int

    def text(self) -> str:
        return base64.urlsafe_b64encode(f"{'r' if self.is_back else 'p'}={self.place}".encode()).decode()


def read_page(call: Call, rows: Iterable[Any], place: Callable[[Any], int]) -> Page | VenueResponse:
    """Return the page that a request asks for by `cursor` and `limit`, or the error of a wrong cursor.

    Parameters
    ----------
    rows
        All that its filters leave, in the order of the list.
    place
        What a row is remembered by: falls from row to row, and stays its own when rows are added.
    """
    cursor = _read_cursor(call.query.get("cursor"))
    if isinstance(cursor, VenueResponse):
        return cursor
    limit = _read_limit(call.query.get("limit"))
    if cursor is not None and cursor.is_back:
        before = [row for row in rows if place(row) > cursor.place]
        shown = before[-limit:]
        has_more, has_before = True, len(before) > limit
    else:
        after = rows if cursor is None else (row for row in rows if place(row) < cursor.place)
        found = list(islice(after, limit + 1))
        shown = found[:limit]
        has_more, has_before = len(found) > limit, cursor is not None
    return Page(
        shown,
        _address(call, _Cursor(False, place(shown[-1]))) if shown and has_more else None,
        _address(call, _Cursor(True, place(shown[0]))) if shown and has_before else None,
    )


def _address(call: Call, cursor: _Cursor) -> str:
    path = call.request.path.partition("?")[0]
    kept = [(name, value) for name, value in call.pairs if name != "cursor"]
    return f"https://{call.request.host}{path}?{urlencode([('cursor', cursor.text()), *kept])}"


def _read_cursor(text: str | None) -> _Cursor | VenueResponse | None:
    if not text:
        return None
    try:
        kind, _, place = base64.urlsafe_b64decode(text).decode().partition("=")
        if kind in ("p", "r"):
            return _Cursor(kind == "r", int(place))
    except (binascii.Error, ValueError):
        pass
    return INVALID_CURSOR


def _read_limit(text: str | None) -> int:
    if text is None or not (text.isascii() and text.isdigit()):
        return LIMIT_DEFAULT
    limit = int(text[:_LIMIT_DIGITS_MAX])
    return min(limit, LIMIT_MAX) if limit else LIMIT_DEFAULT
