"""The parameters of a request to Binance: from the query and from a form in the body alike."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from orchestrator.venues.binance.errors import malformed, mandatory
from orchestrator.venues.http import VenueResponse, parse_query
from orchestrator.venues.numbers import parse_number
from orchestrator.venues.venue import Call

__all__ = ["Handler", "Params", "RefusedError", "with_params"]

_DIGITS_MAX: Final = 19  # of a 64-bit number


class RefusedError(Exception):
    """A request that cannot be answered; `answer` is what the bot gets. Never leaves this package."""

    def __init__(self, answer: VenueResponse) -> None:
        super().__init__(answer.body)
        self.answer = answer


class Params:
    """Names and values; where both have a name, the query's value counts."""

    def __init__(self, call: Call) -> None:
        form = parse_query(call.request.body.decode(errors="replace")) if call.request.body else []
        self._values = {**dict(form), **call.query}

    def has(self, name: str) -> bool:
        """Return whether a parameter has a value."""
        return bool(self._values.get(name))

    def find(self, name: str) -> str | None:
        """Return a parameter that may be absent."""
        return self._values.get(name) or None

    def text(self, name: str) -> str:
        """Return a parameter that must be there."""
        if not self.has(name):
            raise RefusedError(mandatory(name))
        return self._values[name]

    def whole(self, name: str) -> int | None:
        """Return a whole number (>= 0) that may be absent."""
        value = self.find(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX):
            raise RefusedError(malformed(name))
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """Return how many rows are wanted, from 1 to `most`."""
        given = self.whole("limit")
        return default if given is None else min(max(given, 1), most)

    def number(self, name: str) -> Decimal:
        """Return a positive number that must be there."""
        value = parse_number(self.text(name))
        if value is None or value <= 0:
            raise RefusedError(malformed(name))
        return value


Handler = Callable[[Call, Params], VenueResponse]


def with_params(handle: Handler) -> Callable[[Call], VenueResponse]:
    """Return what reads the parameters of a call, and answers with the error of a wrong one."""

    def answer(call: Call) -> VenueResponse:
        try:
            return handle(call, Params(call))
        except RefusedError as refused:
            return refused.answer

    return answer
