"""How long an order, cancel or replace takes to the market: drawn by key, so that nothing else changes it."""

from __future__ import annotations

import hashlib
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final, Literal, Protocol

__all__ = ["FixedLatency", "LatencyModel", "RequestKind", "UniformLatency", "milliseconds_to_ns"]

RequestKind = Literal["order", "cancel"]
_NS_PER_MS: Final = 1_000_000


class LatencyModel(Protocol):
    """A source of latencies."""

    def draw_ns(self, component: str, kind: RequestKind, number: int) -> int:
        """Return the latency (ns, > 0) of a component's request by its own number."""


def milliseconds_to_ns(milliseconds: Decimal, *, rounding: str) -> int:
    """Return whole nanoseconds, at least 1."""
    return max(1, int((milliseconds * _NS_PER_MS).to_integral_value(rounding=rounding)))


def draw_fraction(seed: int, component: str, kind: RequestKind, number: int) -> int:
    """Return a number in [0, 2^128) that depends on nothing but the key."""
    key = f"{seed}|{component}|{kind}|{number}".encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:16], "big")


class UniformLatency:
    """Every whole nanosecond of a closed interval is equally likely."""

    def __init__(self, seed: int, low_ms: Decimal, high_ms: Decimal) -> None:
        self._seed = seed
        self._low_ns = milliseconds_to_ns(low_ms, rounding=ROUND_CEILING)
        self._count = max(1, milliseconds_to_ns(high_ms, rounding=ROUND_FLOOR) - self._low_ns + 1)

    def draw_ns(self, component: str, kind: RequestKind, number: int) -> int:
        """Return the latency of a request."""
        return self._low_ns + (draw_fraction(self._seed, component, kind, number) * self._count >> 128)


class FixedLatency:
    """The same latency for everything."""

    def __init__(self, latency_ms: Decimal) -> None:
        self._latency_ns = milliseconds_to_ns(latency_ms, rounding=ROUND_CEILING)

    def draw_ns(self, component: str, kind: RequestKind, number: int) -> int:  # noqa: ARG002 - the protocol
        """Return the fixed latency."""
        return self._latency_ns
