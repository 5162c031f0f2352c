"""From method and path to the endpoint that answers: one look-up for fixed paths, a short list for the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from orchestrator.venues.http import VenueResponse

if TYPE_CHECKING:
    from orchestrator.venues.venue import Call

__all__ = ["Endpoint", "Router"]


class Endpoint(msgspec.Struct, frozen=True):
    """One thing that a venue answers."""

    method: str
    pattern: str  # such as /api/v1/orders/{orderId}
    handle: Callable[[Call], VenueResponse]
    pool: str = ""  # whose limit it counts against
    weight: int = 1
    is_private: bool = False  # needs a key
    is_market_data: bool = (
        False  # depends on nothing but market and time: stays the same within a base candle
    )

    @property
    def name(self) -> str:
        """As requests are counted: `GET /api/v1/orders/{orderId}`."""
        return f"{self.method} {self.pattern}"


class Router:
    """The endpoints of one venue; a fixed path wins over a pattern, an earlier pattern over a later one."""

    def __init__(self, endpoints: list[Endpoint]) -> None:
        self.endpoints = tuple(endpoints)
        self._fixed: dict[tuple[str, str], Endpoint] = {}
        self._patterns: dict[tuple[str, int], list[tuple[tuple[str, ...], Endpoint]]] = {}
        for endpoint in endpoints:
            parts = tuple(endpoint.pattern.split("/"))
            if "{" in endpoint.pattern:
                self._patterns.setdefault((endpoint.method, len(parts)), []).append((parts, endpoint))
            else:
                self._fixed[endpoint.method, endpoint.pattern] = endpoint

    def find(self, method: str, path: str) -> tuple[Endpoint, tuple[str, ...]] | None:
        """Return the endpoint of a path without its query, and the parts that stand for names."""
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return fixed, ()
        parts = path.split("/")
        for pattern, endpoint in self._patterns.get((method, len(parts)), ()):
            values = _match(pattern, parts)
            if values is not None:
                return endpoint, values
        return None


def _match(pattern: tuple[str, ...], parts: list[str]) -> tuple[str, ...] | None:
    values = []
    for wanted, found in zip(pattern, parts, strict=True):
        if wanted.startswith("{"):
            if not found:
                return None
            values.append(found)
        elif wanted != found:
            return None
    return tuple(values)
