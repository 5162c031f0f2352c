"""Requests and responses as a bot's client sends and receives them, without any transport."""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import parse_qsl

import msgspec

__all__ = ["JSON_HEADERS", "Failure", "VenueRequest", "VenueResponse", "header", "parse_query"]

Failure = Literal["timeout", "reset"]

JSON_HEADERS: Final = (("Content-Type", "application/json"),)


class VenueRequest(msgspec.Struct, frozen=True):
    """One request; `path` carries the query exactly as it was sent, since signatures cover it."""

    method: str  # in capitals
    host: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class VenueResponse(msgspec.Struct, frozen=True):
    """What the bot's client gets.

    `valid_until_ns`: the identical request gets the identical answer before this simulation time; None: ask
    again. `failure`: no answer at all, the client sees its own time-out or a reset connection; the other fields
    mean nothing then. `takes_ns`: how long the answer takes, None for the usual latency.
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = JSON_HEADERS
    valid_until_ns: int | None = None
    failure: Failure | None = None
    takes_ns: int | None = None


def header(request: VenueRequest, name: str) -> str | None:
    """Return the value of a header by its name in lower case, None when it is absent."""
    for key, value in request.headers:
        if key.lower() == name:
            return value
    return None


def parse_query(text: str) -> list[tuple[str, str]]:
    """Return the names and values of a query, in their order, blank values too."""
    if "%" in text or "+" in text:
        return parse_qsl(text, keep_blank_values=True)
    pairs = []
    for part in text.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((name, value))
    return pairs
