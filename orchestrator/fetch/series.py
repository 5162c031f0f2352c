"""Bringing one series up to what is asked for: only what is missing, stored as it comes.

The cache is the only state. A fetch that dies - Ctrl+C, kill, power - loses the few pages that are not stored yet, and
the next one asks for what is then missing; two at once do no harm to each other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from orchestrator.config import NS_PER_DAY, NS_PER_SECOND
from orchestrator.errors import DataError
from orchestrator.fetch.pacing import Pace
from orchestrator.fetch.pages import Page, pages
from orchestrator.fetch.patience import Patience
from orchestrator.fetch.source import CcxtSource
from orchestrator.market.cache import store_series
from orchestrator.market.candles import Candles, concatenate, time_text
from orchestrator.market.checks import first_fault
from orchestrator.market.missing import cached_spans, missing_spans, read_absences, remember_absences
from orchestrator.market.series import SeriesKey
from orchestrator.market.spans import Span, joined, spans_of_times, subtract

__all__ = ["SeriesFetch", "SeriesOutcome", "Watcher"]

_STORED_PAGES: Final = 5  # a killed fetch asks for at most these again
_CLOSED_SECONDS: Final = 5  # how long a candle must be closed; exchanges book late trades for a moment
_ABSENT_AFTER_SECONDS: Final = 3_600  # an absence younger than this may still be filled and is not remembered
_REFUSED_MAX: Final = 20  # unsound candles in a page; more is no accident

_NOTHING: Final = Candles(np.empty(0, np.int64), *(np.empty(0) for _ in range(5)))

Watcher = Callable[[SeriesKey, int, int], None]
"""(series, candles done, candles asked for), whenever either changes; called from the fetching threads."""


class SeriesOutcome(msgspec.Struct, kw_only=True):
    """What came of fetching one series."""

    key: SeriesKey
    span: Span  # what was asked for, on the grid and closed
    is_cut: bool = False  # whether the end that was asked for has not come yet
    added: int = 0
    pages: int = 0
    absent: tuple[Span, ...] = ()  # what the exchange does not have of it
    missing: tuple[Span, ...] = ()  # what it was not asked for any more, because of the error
    refused: tuple[str, ...] = ()  # candles of the exchange that break a rule, left out
    error: str | None = None  # why the rest is missing


class SeriesFetch:
    """The fetch of one series.

    Parameters
    ----------
    cache, key
        Where the candles go.
    span
        The open times wanted; cut to the grid and to what is closed at the exchange.
    source, pace, patience
        Whom to ask, when, and how often again.
    watch
        Told of progress.
    """

    def __init__(
        self,
        cache: Path,
        key: SeriesKey,
        span: Span,
        *,
        source: CcxtSource,
        pace: Pace,
        patience: Patience,
        watch: Watcher,
    ) -> None:
        self._cache = cache
        self._key = key
        self._source = source
        self._pace = pace
        self._patience = patience
        self._watch = watch
        self._step_ns = key.timeframe_ns
        self._wanted = span
        self._now_ns = 0
        self._done = 0
        self.outcome = SeriesOutcome(key=key, span=Span(span.start_ns, span.start_ns))

    def run(self) -> None:
        """Ask for everything that is missing; the outcome is complete up to any exception."""
        self._now_ns = self._patience.ask(self._pace, self._source.now_ns)
        span = self.outcome.span = self._closed_span()
        self.outcome.is_cut = self._floor(self._wanted.end_ns) > span.end_ns
        try:
            self._done = (span.length_ns - self._missing_ns(span)) // self._step_ns
            self._tell()
            self._fill(span)
        finally:
            self._conclude(span)

    def _conclude(self, span: Span) -> None:
        known = [*self.outcome.absent, *read_absences(self._cache, self._key)]
        had = cached_spans(self._cache, self._key, span)
        absent = joined(Span(max(a.start_ns, span.start_ns), min(a.end_ns, span.end_ns)) for a in known)
        self.outcome.absent = tuple(rest for gap in absent for rest in subtract(gap, had))
        self.outcome.missing = tuple(subtract(span, [*had, *absent]))

    def _missing_ns(self, span: Span) -> int:
        return sum(gap.length_ns for gap in missing_spans(self._cache, self._key, span))

    def _closed_span(self) -> Span:
        start = self._floor(self._wanted.start_ns + self._step_ns - 1)
        closed = self._floor(self._now_ns - _CLOSED_SECONDS * NS_PER_SECOND)
        return Span(start, max(start, min(self._floor(self._wanted.end_ns), closed)))

    def _floor(self, time_ns: int) -> int:
        return time_ns - (time_ns - self._key.anchor_ns) % self._step_ns

    def _fill(self, span: Span) -> None:
        # What is missing is asked of the cache again after every few pages: another fetch may be at work.
        cursor = span.start_ns
        while missing := missing_spans(self._cache, self._key, Span(cursor, span.end_ns)):
            batch: list[Page] = []
            try:
                for page in pages(missing[0], self._step_ns, self._source.page_candles, self._ask):
                    batch.append(self._checked(page))
                    if page.candles.size == 0 and page.span.end_ns < missing[0].end_ns:
                        batch.append(self._skip_empty_days(Span(page.span.end_ns, missing[0].end_ns)))
                        break
                    if len(batch) >= _STORED_PAGES:
                        break
            finally:
                self._store(batch)
            cursor = batch[-1].span.end_ns

    def _ask(self, start_ns: int, count: int) -> Candles:
        return self._ask_length(self._step_ns, start_ns, count)

    def _ask_length(self, timeframe_ns: int, start_ns: int, count: int) -> Candles:
        key = self._key
        answer = self._patience.ask(
            self._pace, lambda: self._source.page(key.coin, key.quote, timeframe_ns, start_ns, count)
        )
        self.outcome.pages += 1
        return answer

    def _skip_empty_days(self, span: Span) -> Page:
        # After an empty page, days tell in a question or two how much more there is nothing of: years of
        # minutes before a coin was listed would take thousands.
        begin_ns = span.start_ns
        is_long = span.length_ns > 4 * self._source.page_candles * self._step_ns
        if is_long and self._step_ns < NS_PER_DAY and self._source.has_timeframe(NS_PER_DAY):
            days = Span(span.start_ns - span.start_ns % NS_PER_DAY, span.end_ns + -span.end_ns % NS_PER_DAY)
            ask_days = partial(self._ask_length, NS_PER_DAY)
            found = next(pages(days, NS_PER_DAY, self._source.page_candles, ask_days))
            listed_ns = int(found.candles.open_times_ns[0]) if found.candles.size else found.span.end_ns
            begin_ns = min(max(listed_ns, span.start_ns), span.end_ns)
        return Page(_NOTHING, Span(span.start_ns, begin_ns))

    def _checked(self, page: Page) -> Page:
        candles, refused = page.candles, []
        while (
            candles.size and (fault := first_fault(candles, self._step_ns, self._key.anchor_ns)) is not None
        ):
            row, reason = fault
            refused.append(f"{time_text(int(candles.open_times_ns[row]))}: {reason}")
            if reason.startswith("the time") or len(refused) > _REFUSED_MAX:
                raise DataError(f"{self._key}: {self._source.name} gives unsound candles, first {refused[0]}")
            candles = candles.take(np.delete(np.arange(candles.size), row))
        self.outcome.refused += tuple(refused)
        return Page(candles, page.span)

    def _store(self, batch: list[Page]) -> None:
        covered = [page.span for page in batch]
        filled = [page.candles for page in batch if page.candles.size]
        had: list[Span] = []
        if filled:
            candles = concatenate(filled)
            self.outcome.added += store_series(self._cache, self._key, candles).added
            had = spans_of_times(candles.open_times_ns, self._step_ns)
        absent = [rest for span in joined(covered) for rest in subtract(span, had)]
        settled_ns = self._floor(self._now_ns - _ABSENT_AFTER_SECONDS * NS_PER_SECOND)
        settled = [Span(gap.start_ns, min(gap.end_ns, settled_ns)) for gap in absent]
        remember_absences(self._cache, self._key, joined(settled))
        self.outcome.absent = tuple(joined([*self.outcome.absent, *absent]))
        self._done += sum(span.length_ns for span in covered) // self._step_ns
        self._tell()

    def _tell(self) -> None:
        self._watch(self._key, self._done, self.outcome.span.length_ns // self._step_ns)
