"""Numbers of a query, and the pages that long lists come in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from orchestrator.venues.kucoin.envelope import Refusal
from orchestrator.venues.venue import Call

__all__ = ["NUMBER_MAX", "after_last_id", "page_of", "within"]

_T = TypeVar("_T")

NUMBER_MAX: Final = 10**15
_PAGE_SIZE_MIN, _PAGE_SIZE, _PAGE_SIZE_MAX = 10, 50, 500


def within(call: Call, name: str, *, low: int = 0, high: int = NUMBER_MAX, default: int) -> int:
    """Return a whole number of the query, the default when it is absent, brought within the bounds.

    Raises
    ------
    Refusal
        400100 when it is no whole number.
    """
    value = call.query.get(name)
    if not value:
        return default
    try:
        number = int(float(value))
    except (ValueError, OverflowError):
        raise Refusal("400100", f"{name} is not a number") from None
    return min(max(number, low), high)


def page_of(call: Call, found: Sequence[_T], write: Callable[[_T], dict[str, Any]]) -> dict[str, Any]:
    """Return the page that a query asks for; only what is on it is written. `found` is newest first."""
    current = within(call, "currentPage", low=1, default=1)
    wanted = within(call, "pageSize", low=1, default=_PAGE_SIZE)
    if wanted > _PAGE_SIZE_MAX:
        raise Refusal("400100", f"pageSize should not greater than {_PAGE_SIZE_MAX}")
    size = max(wanted, _PAGE_SIZE_MIN)
    return {
        "currentPage": current,
        "pageSize": size,
        "totalNum": len(found),
        "totalPage": -(-len(found) // size),
        "items": [write(one) for one in found[(current - 1) * size : current * size]],
    }


def after_last_id(call: Call, numbered: Iterable[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    """Return the rows after `lastId`, of numbers that fall; the new `lastId` goes on from there."""
    last = within(call, "lastId", default=0)
    limit = within(call, "limit", low=1, high=100, default=20)
    rows = ((number, row) for number, row in numbered if not last or number < last)
    found = list(islice(rows, limit))
    return {"lastId": found[-1][0] if found else 0, "items": [row for _, row in found]}
