"""Which orders a list shows: the filters of Robinhood Crypto's order list."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from orchestrator.protocol import Side
from orchestrator.venues.http import VenueResponse
from orchestrator.venues.orders import VenueOrder
from orchestrator.venues.robinhood.errors import invalid, invalid_symbol
from orchestrator.venues.robinhood.order_body import ORDER_TYPES, TYPE_WORDS
from orchestrator.venues.robinhood.shapes import ORDER_STATES, order_state
from orchestrator.venues.robinhood.stamps import microseconds, parse_stamp

__all__ = ["read_filters"]

Keeps = Callable[[VenueOrder], bool]

_CHOICES: Final[dict[str, Collection[str]]] = {
    "side": tuple(map(str, Side)),
    "state": ORDER_STATES,
    "type": tuple(ORDER_TYPES),
}


def read_filters(query: dict[str, str], coins_by_symbol: dict[str, str]) -> list[Keeps] | VenueResponse:
    """Return what keeps an order in the list, or the error of a value that cannot be."""
    filters: list[Keeps] = []
    for name, value in query.items():
        if not value:
            continue
        if name in _CHOICES and value not in _CHOICES[name]:
            return invalid(f'"{value}" is not a valid choice.', name)
        if name == "symbol" and value not in coins_by_symbol:
            return invalid_symbol(value)
        if name in ("created_at_start", "created_at_end"):
            moment = parse_stamp(value)
            if moment is None:
                return invalid("Enter a valid date/time.", name)
            filters.append(_at_or_after(moment) if name == "created_at_start" else _at_or_before(moment))
        elif name == "symbol":
            filters.append(_coin_is(coins_by_symbol[value]))
        elif name in _FIELDS:
            filters.append(_is(_FIELDS[name], value))
    return filters


_FIELDS: Final[dict[str, Callable[[VenueOrder], str]]] = {
    "id": lambda order: order.venue_order_id,
    "side": lambda order: order.side,
    "state": order_state,
    "type": lambda order: TYPE_WORDS[order.order_type],
}


def _is(field: Callable[[VenueOrder], str], value: str) -> Keeps:
    return lambda order: field(order) == value


def _coin_is(coin: str) -> Keeps:
    return lambda order: order.coin == coin


def _at_or_after(moment: int) -> Keeps:
    return lambda order: microseconds(order.created_ns) >= moment


def _at_or_before(moment: int) -> Keeps:
    return lambda order: microseconds(order.created_ns) <= moment
