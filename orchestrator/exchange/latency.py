"""How long an order, cancel or replace takes to the market: drawn by key, so that nothing else changes it."""

from __future__ import annotations

import hashlib
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import Final, Literal, Protocol

from orchestrator.exchange.money import ONE, ROUNDED

__all__ = [
    "FixedLatency",
    "LatencyModel",
    "LognormalLatency",
    "RequestKind",
    "UniformLatency",
    "milliseconds_to_ns",
]

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


class LognormalLatency:
    """A typical latency with a long tail: median * exp(sigma * z), z standard normal, cut at a maximum.

    Every step is decimal and correctly rounded, so that machines agree; floating-point logarithms need not.
    """

    def __init__(self, seed: int, *, median_ms: Decimal, sigma: Decimal, max_ms: Decimal) -> None:
        self._seed = seed
        self._median_ms = median_ms
        self._sigma = sigma
        self._max_ns = milliseconds_to_ns(max_ms, rounding=ROUND_FLOOR)

    def draw_ns(self, component: str, kind: RequestKind, number: int) -> int:
        """Return the latency of a request."""
        # The middle of one of 2^128 equal steps, so never 0 or 1.
        draw = 2 * draw_fraction(self._seed, component, kind, number) + 1
        with localcontext(ROUNDED):
            z = normal_quantile(Decimal(draw) / _STEPS)
            latency_ms = self._median_ms * (self._sigma * z).exp()
        return min(milliseconds_to_ns(latency_ms, rounding=ROUND_CEILING), self._max_ns)


_STEPS: Final = Decimal(2**129)

# Acklam's rational approximation of the inverse of the normal distribution; relative error below 1.2e-9.
_TAIL: Final = Decimal("0.02425")
_A: Final = (
    Decimal("-39.69683028665376"),
    Decimal("220.9460984245205"),
    Decimal("-275.9285104469687"),
    Decimal("138.3577518672690"),
    Decimal("-30.66479806614716"),
    Decimal("2.506628277459239"),
)
_B: Final = (
    Decimal("-54.47609879822406"),
    Decimal("161.5858368580409"),
    Decimal("-155.6989798598866"),
    Decimal("66.80131188771972"),
    Decimal("-13.28068155288572"),
    ONE,
)
_C: Final = (
    Decimal("-0.007784894002430293"),
    Decimal("-0.3223964580411365"),
    Decimal("-2.400758277161838"),
    Decimal("-2.549732539343734"),
    Decimal("4.374664141464968"),
    Decimal("2.938163982698783"),
)
_D: Final = (
    Decimal("0.007784695709041462"),
    Decimal("0.3224671290700398"),
    Decimal("2.445134137142996"),
    Decimal("3.754408661907416"),
    ONE,
)


def normal_quantile(probability: Decimal) -> Decimal:
    """Return the z below which a standard normal value lies with a probability in (0, 1).

    References
    ----------
    P. J. Acklam, "An algorithm for computing the inverse normal cumulative distribution function", 2003.
    """
    with localcontext(ROUNDED):
        if probability > ONE - _TAIL:
            return -normal_quantile(ONE - probability)
        if probability < _TAIL:
            tail = (-2 * probability.ln()).sqrt()
            return _polynomial(_C, tail) / _polynomial(_D, tail)
        middle = probability - Decimal("0.5")
        square = middle * middle
        return middle * _polynomial(_A, square) / _polynomial(_B, square)


def _polynomial(coefficients: tuple[Decimal, ...], x: Decimal) -> Decimal:
    value = coefficients[0]
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value
