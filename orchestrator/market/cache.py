"""The market data cache: series of candles as monthly Parquet parts under an index.

Layout: `<cache>/<exchange>/<COIN>-<QUOTE>/<timeframe>/` holds the parts, `index.json` and a mapped file.
New candles are written as parts that no index knows; replacing the index commits them all at once. Whoever
dies before that leaves only files without an entry, which the next writer removes.

A month that has all its candles is never written again. The last month of a series may be several parts;
it becomes one when it is complete, when a later month begins or when the parts become many.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from orchestrator.errors import DataError
from orchestrator.market.candles import VALUES, Candles, concatenate, time_text
from orchestrator.market.files import TEMPORARY_SUFFIX, locked, make_folder, remove_quietly
from orchestrator.market.index import INDEX_NAME, Entry, read_index, write_index
from orchestrator.market.parts import month_slices, read_part, write_part
from orchestrator.market.series import SeriesKey, series_key

__all__ = ["LOCK_NAME", "Stored", "entries_of", "read_series", "remove_strays", "series_in", "store_series"]

LOCK_NAME: Final = ".lock"
_OPEN_PARTS_MAX: Final = 16  # an open month is made one part when appending would give it more


class Stored(NamedTuple):
    """What storing candles changed."""

    key: SeriesKey
    added: int
    replaced: int
    unchanged: int


def series_in(cache: Path) -> list[SeriesKey]:
    """Return the series of a cache, sorted; none when the folder does not exist."""
    keys = []
    for path in cache.glob(f"*/*-*/*/{INDEX_NAME}"):
        exchange, pair, timeframe = path.parent.relative_to(cache).parts
        coin, _, quote = pair.partition("-")
        keys.append(series_key(exchange, coin, quote, timeframe))
    return sorted(keys)


def entries_of(cache: Path, key: SeriesKey) -> tuple[Entry, ...]:
    """Return the parts of a series in order of time."""
    return read_index(cache / key.folder)


def read_series(folder: Path, entries: tuple[Entry, ...]) -> Candles:
    """Return all candles of a series from its parts, checked against the digests in the index."""
    return concatenate([read_part(folder, entry) for entry in entries])


def store_series(cache: Path, key: SeriesKey, candles: Candles, *, replace: bool = False) -> Stored:
    """Add candles to a series: all of them, or, on any error, none.

    Parameters
    ----------
    cache, key
        Where they go; created when missing.
    candles
        At least one, already checked (`checks.check_candles`).
    replace
        Whether a candle that differs from the cached one of the same time replaces it.

    Raises
    ------
    DataError
        If a candle differs from the cached one and `replace` is false: the first difference is named.
    ReplayError
        If the disk is full or the cache cannot be written.
    """
    folder = cache / key.folder
    make_folder(folder)
    with locked(folder / LOCK_NAME, exclusive=True):
        entries = read_index(folder)
        remove_strays(folder, entries)
        plan = [
            _plan_month(folder, key, month, candles.take(rows), entries, replace=replace)
            for month, rows in month_slices(candles).items()
        ]
        _commit(folder, key, entries, plan)
        return Stored(
            key,
            added=sum(month.added for month in plan),
            replaced=sum(month.replaced for month in plan),
            unchanged=candles.size - sum(month.added + month.replaced for month in plan),
        )


class _MonthPlan(NamedTuple):
    """What is to be done to one month: nothing (`merged` is the old), append `fresh`, or write `merged`."""

    month: str
    old_entries: tuple[Entry, ...]
    merged: Candles
    fresh: Candles
    added: int
    replaced: int

    def is_complete(self, timeframe_ns: int) -> bool:
        """Whether the last candle of the month is there, so that only a gap could still be filled."""
        month_end = (np.datetime64(self.month, "M") + 1).astype("datetime64[ns]").astype(np.int64)
        return bool(self.merged.open_times_ns[-1] + timeframe_ns >= month_end)

    @property
    def is_append(self) -> bool:
        """Whether all that is new comes after all that is old."""
        is_later = self.fresh.size > 0 and self.fresh.open_times_ns[0] >= self.old_entries[-1].end_ns
        return not self.replaced and bool(is_later)


def _plan_month(
    folder: Path, key: SeriesKey, month: str, new: Candles, entries: tuple[Entry, ...], *, replace: bool
) -> _MonthPlan:
    old_entries = tuple(entry for entry in entries if entry.file.startswith(month))
    readable = [
        part
        for entry in old_entries
        if (part := _read_or_give_up(folder, entry, new, replace=replace)) is not None
    ]
    if not readable:
        return _MonthPlan(month, old_entries, new, new, added=new.size, replaced=0)
    old = concatenate(readable)
    is_known = np.isin(new.open_times_ns, old.open_times_ns, assume_unique=True)
    rows = np.searchsorted(old.open_times_ns, new.open_times_ns[is_known])
    differs = _differs(old.take(rows), new.take(is_known))
    if differs.any() and not replace:
        raise DataError(_difference_text(key, old.take(rows), new.take(is_known), int(np.argmax(differs))))
    fresh = new.take(~is_known)
    kept = old.take(~np.isin(old.open_times_ns, new.open_times_ns, assume_unique=True))
    merged = concatenate([kept, new])
    merged = merged.take(np.argsort(merged.open_times_ns, kind="stable"))
    lost = len(readable) < len(old_entries)  # a corrupt part that the new candles cover is replaced whole
    return _MonthPlan(month, old_entries, merged, fresh, fresh.size, int(differs.sum()) + int(lost))


def _read_or_give_up(folder: Path, entry: Entry, new: Candles, *, replace: bool) -> Candles | None:
    # --replace is also the way out of a corrupt part, as long as no candle is lost by it.
    try:
        return read_part(folder, entry)
    except DataError:
        inside = (new.open_times_ns >= entry.start_ns) & (new.open_times_ns < entry.end_ns)
        if replace and int(inside.sum()) >= entry.candle_count:
            return None
        raise


def _commit(folder: Path, key: SeriesKey, entries: tuple[Entry, ...], plan: list[_MonthPlan]) -> None:
    touched = {month.month for month in plan}
    kept = [entry for entry in entries if entry.file[:7] not in touched]
    last_month = max([*touched, *(entry.file[:7] for entry in entries)])
    result = kept
    try:
        for month in plan:
            result += _write_month(folder, key, month, is_open=month.month == last_month)
        result = _close_months(folder, key, result, last_month)
        result.sort(key=lambda entry: entry.start_ts)
        _require_order(folder, result)
        if tuple(result) != entries:
            write_index(folder, tuple(result))
    except BaseException:
        remove_strays(folder, read_index(folder))
        raise
    remove_strays(folder, tuple(result))


def _write_month(folder: Path, key: SeriesKey, plan: _MonthPlan, *, is_open: bool) -> list[Entry]:
    old = list(plan.old_entries)
    if old and not plan.added and not plan.replaced:
        return old
    stays_open = is_open and not plan.is_complete(key.timeframe_ns)
    if old and stays_open and plan.is_append and len(old) < _OPEN_PARTS_MAX:
        return [*old, write_part(folder, plan.month, plan.fresh, key.timeframe_ns)]
    return [write_part(folder, plan.month, plan.merged, key.timeframe_ns)]


def _close_months(folder: Path, key: SeriesKey, entries: list[Entry], last_month: str) -> list[Entry]:
    # A month that is no longer the last one becomes one part.
    months: dict[str, list[Entry]] = {}
    for entry in entries:
        months.setdefault(entry.file[:7], []).append(entry)
    closed: list[Entry] = []
    for month, parts in months.items():
        if month != last_month and len(parts) > 1:
            whole = concatenate([read_part(folder, part) for part in sorted(parts, key=lambda e: e.start_ts)])
            closed.append(write_part(folder, month, whole, key.timeframe_ns))
        else:
            closed.extend(parts)
    return closed


def _require_order(folder: Path, entries: list[Entry]) -> None:
    for before, after in pairwise(entries):
        if before.end_ts > after.start_ts:
            raise DataError(
                f"{folder}: parts {before.file} and {after.file} overlap; remove the folder and import again"
            )


def remove_strays(folder: Path, entries: tuple[Entry, ...]) -> None:
    """Remove what a process that died has left: parts without an entry, temporary files.

    Only under the exclusive lock: nobody else's write is in flight, so what has no entry is left over.
    """
    known = {entry.file for entry in entries}
    for path in folder.iterdir():
        is_stray_part = path.suffix == ".parquet" and path.name not in known
        if is_stray_part or path.suffix == TEMPORARY_SUFFIX:
            remove_quietly(path)


def _differs(old: Candles, new: Candles) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    differs = np.zeros(new.size, dtype=np.bool_)
    for before, after in zip(old.values, new.values, strict=True):
        differs |= before != after
    return differs


def _difference_text(key: SeriesKey, old: Candles, new: Candles, row: int) -> str:
    name, before, after = next(
        (name, float(a[row]), float(b[row]))
        for name, a, b in zip(VALUES, old.values, new.values, strict=True)
        if a[row] != b[row]
    )
    when = time_text(int(new.open_times_ns[row]))
    return (
        f"{key}: {name} at {when} is {after!r} in the new candles and {before!r} in the cache; "
        "give --replace to accept the new ones"
    )
