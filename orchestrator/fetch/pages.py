"""Paging through a stretch of an exchange's candles until every open time in it is either had or known absent.

Exchanges differ in what they answer to "candles from this time on": the first ones there are, those of a window, of
that window only the newest. So nothing is concluded from the form of a page. What lies between the
first and the last candle of a page is known; a page that lacks its beginning is asked for that again, and an
empty one is asked for twice, since an empty answer is also what a momentary fault looks like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from orchestrator.market.candles import Candles, concatenate
from orchestrator.market.spans import Span

__all__ = ["Ask", "Page", "pages"]

Ask = Callable[[int, int], Candles]
"""(start_ns, count) -> candles that open at or after the time, sorted."""


class Page(NamedTuple):
    """Candles, and the stretch that they cover: what is not among them there, the exchange does not have."""

    candles: Candles
    span: Span


def pages(span: Span, timeframe_ns: int, page_candles: int, ask: Ask) -> Iterator[Page]:
    """Yield pages that together cover a span, in order of time.

    Parameters
    ----------
    span
        Both ends on the grid of the timeframe.
    page_candles
        How many candles one question may ask for.
    """
    cursor = span.start_ns
    while cursor < span.end_ns:
        page = _page(Span(cursor, span.end_ns), timeframe_ns, page_candles, ask)
        yield page
        cursor = page.span.end_ns


def _page(span: Span, timeframe_ns: int, page_candles: int, ask: Ask) -> Page:
    window_ns = min(page_candles * timeframe_ns, span.length_ns)
    window = Span(span.start_ns, span.start_ns + window_ns)
    candles = _after(ask(span.start_ns, window_ns // timeframe_ns), span.start_ns)
    if candles.size == 0:
        candles = _after(ask(span.start_ns, window_ns // timeframe_ns), span.start_ns)
        if candles.size == 0:
            return Page(candles, window)
    candles = _with_head(span.start_ns, candles, timeframe_ns, page_candles, ask)
    inside = candles.take(slice(0, int(candles.open_times_ns.searchsorted(span.end_ns))))
    if inside.size == 0:  # the exchange's next candle lies beyond what is asked for
        return Page(inside, span)
    return Page(inside, Span(span.start_ns, int(inside.open_times_ns[-1]) + timeframe_ns))


def _with_head(start_ns: int, candles: Candles, timeframe_ns: int, page_candles: int, ask: Ask) -> Candles:
    # Each round either finds an earlier candle or ends.
    while (first := int(candles.open_times_ns[0])) > start_ns:
        count = min(page_candles, max(1, (first - start_ns) // timeframe_ns))
        head = _after(ask(start_ns, count), start_ns)
        head = head.take(slice(0, int(np.searchsorted(head.open_times_ns, first))))
        if head.size == 0:
            break
        is_joined = int(head.open_times_ns[-1]) + timeframe_ns == first
        candles = concatenate([head, candles]) if is_joined else head  # what lies between is asked for later
    return candles


def _after(candles: Candles, start_ns: int) -> Candles:
    return candles.take(slice(int(np.searchsorted(candles.open_times_ns, start_ns)), candles.size))
