"""Which candles of a series are not cached, and which of those the exchange has been found not to have.

Absences stand in `absent.json` beside the index. They are knowledge about the exchange, not candles: nothing a
run reads depends on them, they only keep a fetch from asking again, and candles imported later win over them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from orchestrator.config import NS_PER_SECOND
from orchestrator.errors import DataError
from orchestrator.market.cache import LOCK_NAME, remove_strays
from orchestrator.market.files import locked, make_folder, write_whole
from orchestrator.market.index import Entry, read_index
from orchestrator.market.parts import read_part
from orchestrator.market.series import SeriesKey
from orchestrator.market.spans import Span, joined, spans_of_times, subtract

__all__ = [
    "ABSENCES_NAME",
    "cached_spans",
    "forget_absences",
    "missing_spans",
    "read_absences",
    "remember_absences",
]

ABSENCES_NAME: Final = "absent.json"
_VERSION: Final = 1


class _Absences(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int
    ranges: tuple[tuple[int, int], ...]  # Unix seconds, half-open, in order


def read_absences(cache: Path, key: SeriesKey) -> list[Span]:
    """Return the stretches for which the exchange had no candles, in order.

    Raises
    ------
    DataError
        If the file is not one or is of a later version of this program.
    """
    path = cache / key.folder / ABSENCES_NAME
    try:
        absences = msgspec.json.decode(path.read_bytes(), type=_Absences)
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(
            f"{path} cannot be read: {error}; remove it, the exchange is then asked again"
        ) from None
    if absences.version != _VERSION:
        raise DataError(f"{path} has version {absences.version}, this program reads {_VERSION}; update it")
    return [Span(start * NS_PER_SECOND, end * NS_PER_SECOND) for start, end in absences.ranges]


def remember_absences(cache: Path, key: SeriesKey, spans: list[Span]) -> None:
    """Add stretches for which the exchange had no candles; `ReplayError` when the cache cannot be written."""
    if not spans:
        return
    folder = cache / key.folder
    make_folder(folder)
    with locked(folder / LOCK_NAME, exclusive=True):
        remove_strays(folder, read_index(folder))
        known = read_absences(cache, key)
        merged = joined([*known, *spans])
        if merged != known:
            _write(folder, merged)


def forget_absences(cache: Path, key: SeriesKey, span: Span) -> None:
    """Forget what the exchange did not have within a span, so that it is asked again."""
    folder = cache / key.folder
    if not (folder / ABSENCES_NAME).exists():
        return
    with locked(folder / LOCK_NAME, exclusive=True):
        kept = [rest for known in read_absences(cache, key) for rest in subtract(known, [span])]
        _write(folder, kept)


def cached_spans(cache: Path, key: SeriesKey, span: Span) -> list[Span]:
    """Return the stretches of a span that are cached candle by candle, in order."""
    folder = cache / key.folder
    if not folder.is_dir():
        return []
    with locked(folder / LOCK_NAME, exclusive=False):
        entries = [e for e in read_index(folder) if e.start_ns < span.end_ns and e.end_ns > span.start_ns]
        return joined(piece for entry in entries for piece in _entry_spans(folder, key, entry))


def missing_spans(cache: Path, key: SeriesKey, span: Span) -> list[Span]:
    """Return what of a span is neither cached nor known to be absent: what a fetch has to ask for."""
    return subtract(span, [*cached_spans(cache, key, span), *read_absences(cache, key)])


def _entry_spans(folder: Path, key: SeriesKey, entry: Entry) -> list[Span]:
    step_ns = key.timeframe_ns
    if entry.candle_count * step_ns == entry.end_ns - entry.start_ns:
        return [Span(entry.start_ns, entry.end_ns)]  # no hole: the file need not be read
    return spans_of_times(read_part(folder, entry).open_times_ns, step_ns)


def _write(folder: Path, spans: list[Span]) -> None:
    ranges = tuple((span.start_ns // NS_PER_SECOND, span.end_ns // NS_PER_SECOND) for span in spans)
    write_whole(folder / ABSENCES_NAME, msgspec.json.encode(_Absences(version=_VERSION, ranges=ranges)))
