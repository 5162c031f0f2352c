"""Stretches of time, half-open, and what is left of them when others are taken away."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Span", "joined", "spans_of_times", "subtract"]


class Span(NamedTuple):
    """The open times in [start_ns, end_ns), nanoseconds since the epoch."""

    start_ns: int
    end_ns: int

    @property
    def length_ns(self) -> int:
        """How long the stretch is."""
        return self.end_ns - self.start_ns


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return the same times as few spans in order: those that touch or overlap become one, empty ones go."""
    result: list[Span] = []
    for span in sorted(spans):
        if span.end_ns <= span.start_ns:
            continue
        if result and span.start_ns <= result[-1].end_ns:
            result[-1] = Span(result[-1].start_ns, max(result[-1].end_ns, span.end_ns))
        else:
            result.append(span)
    return result


def subtract(whole: Span, taken: Iterable[Span]) -> list[Span]:
    """Return what of a span lies in none of the others, in order."""
    left, cursor = [], whole.start_ns
    for span in joined(taken):
        if span.end_ns <= cursor or span.start_ns >= whole.end_ns:
            continue
        if span.start_ns > cursor:
            left.append(Span(cursor, span.start_ns))
        cursor = span.end_ns
    if cursor < whole.end_ns:
        left.append(Span(cursor, whole.end_ns))
    return left


def spans_of_times(open_times_ns: npt.NDArray[np.int64], step_ns: int) -> list[Span]:
    """Return the stretches that candles of length `step_ns` with these sorted open times fill."""
    if not len(open_times_ns):
        return []
    breaks = np.flatnonzero(np.diff(open_times_ns) > step_ns)
    starts = open_times_ns[np.concatenate([[0], breaks + 1])]
    ends = open_times_ns[np.concatenate([breaks, [len(open_times_ns) - 1]])] + step_ns
    return [Span(*pair) for pair in zip(starts.tolist(), ends.tolist(), strict=True)]
