"""What is shown of a fetch: a bar a series on a terminal, plain lines elsewhere, then what came of each series."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from orchestrator.config import NS_PER_SECOND
from orchestrator.fetch.series import SeriesOutcome, Watcher
from orchestrator.market.candles import time_text
from orchestrator.market.gaps import duration_text
from orchestrator.market.series import SeriesKey
from orchestrator.market.spans import Span

__all__ = ["outcome_lines", "outcome_row", "progress"]

_PLAIN_LINE_SECONDS: Final = 5.0
_SHOWN_MAX: Final = 10


@contextmanager
def progress(*, is_quiet: bool) -> Iterator[Watcher]:
    """Yield the watcher of a fetch; it may be called from several threads."""
    if is_quiet:
        yield lambda _key, _done, _total: None
    elif sys.stderr.isatty():
        with _bars() as watch:
            yield watch
    else:
        yield _plain_lines()


@contextmanager
def _bars() -> Iterator[Watcher]:
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[SeriesKey, TaskID] = {}
    lock = threading.Lock()
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def watch(key: SeriesKey, done: int, total: int) -> None:
            with lock:
                if key not in tasks:
                    tasks[key] = bars.add_task(str(key), total=total)
            bars.update(tasks[key], completed=done)

        yield watch


def _plain_lines() -> Callable[[SeriesKey, int, int], None]:
    state: dict[SeriesKey, tuple[int, int]] = {}
    lock = threading.Lock()
    next_line = time.monotonic() + _PLAIN_LINE_SECONDS

    def watch(key: SeriesKey, done: int, total: int) -> None:
        nonlocal next_line
        with lock:
            state[key] = (done, total)
            if time.monotonic() < next_line:
                return
            next_line = time.monotonic() + _PLAIN_LINE_SECONDS
            all_done, all_total = (sum(column) for column in zip(*state.values(), strict=True))
        click.echo(f"{key}: {done} of {total} candles; all series begun: {all_done} of {all_total}", err=True)

    return watch


def outcome_lines(outcome: SeriesOutcome) -> list[str]:
    """Return what came of a series, for people: counts, then exactly what is missing."""
    key, step_ns = outcome.key, outcome.key.timeframe_ns
    total, absent = outcome.span.length_ns // step_ns, _candles(outcome.absent, step_ns)
    missing = _candles(outcome.missing, step_ns)
    if not total:
        return [f"{key}: nothing to fetch; no candle of these dates is closed yet"]
    lines = [f"{key}: {outcome.added} added, {total - absent - missing} of {total} cached"]
    if outcome.is_cut:
        lines.append(f"  until {time_text(outcome.span.end_ns)}: later candles are not closed yet")
    lines += _span_lines("the exchange has none", outcome.absent, step_ns)
    lines += _span_lines("not fetched", outcome.missing, step_ns)
    lines += [f"  left out, unsound at the exchange: {text}" for text in outcome.refused[:_SHOWN_MAX]]
    if outcome.error is not None:
        lines.append(f"  failed: {outcome.error}")
    return lines


def outcome_row(outcome: SeriesOutcome) -> dict[str, Any]:
    """Return what came of a series, for machines; times in ISO, UTC."""
    step_ns = outcome.key.timeframe_ns
    total = outcome.span.length_ns // step_ns
    return {
        **outcome.key._asdict(),
        "start": _iso(outcome.span.start_ns),
        "end": _iso(outcome.span.end_ns),
        "is_cut": outcome.is_cut,
        "candles": total - _candles(outcome.absent, step_ns) - _candles(outcome.missing, step_ns),
        "added": outcome.added,
        "pages": outcome.pages,
        "absent": [_span_row(span, step_ns) for span in outcome.absent],
        "missing": [_span_row(span, step_ns) for span in outcome.missing],
        "refused": list(outcome.refused),
        "error": outcome.error,
    }


def _span_lines(what: str, spans: tuple[Span, ...], step_ns: int) -> list[str]:
    lines = [
        f"  {what}: {time_text(span.start_ns)} to {time_text(span.end_ns)}, {duration_text(span.length_ns)}, "
        f"{span.length_ns // step_ns} candles"
        for span in spans[:_SHOWN_MAX]
    ]
    if len(spans) > _SHOWN_MAX:
        rest = spans[_SHOWN_MAX:]
        lines.append(f"  and {len(rest)} more stretches, {_candles(rest, step_ns)} candles; --json lists all")
    return lines


def _span_row(span: Span, step_ns: int) -> dict[str, Any]:
    return {
        "start": _iso(span.start_ns),
        "end": _iso(span.end_ns),
        "seconds": span.length_ns // NS_PER_SECOND,
        "candles": span.length_ns // step_ns,
    }


def _candles(spans: tuple[Span, ...], step_ns: int) -> int:
    return sum(span.length_ns for span in spans) // step_ns


def _iso(time_ns: int) -> str:
    return time_text(time_ns).replace(" ", "T") + "Z"
