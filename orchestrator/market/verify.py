"""Is the cache what its index says, and are its candles sound? Everything is read again.

Problems make a series unsound. Gaps are for each run to accept or refuse; flat runs, outliers and sums that do
not add up (`suspicions`) are for the user to judge.
"""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from orchestrator.errors import DataError
from orchestrator.market.cache import LOCK_NAME, read_series, series_in
from orchestrator.market.candles import Candles, concatenate, time_text, values_digest
from orchestrator.market.checks import first_fault
from orchestrator.market.files import locked
from orchestrator.market.gaps import Gap, find_gaps
from orchestrator.market.index import Entry, read_index
from orchestrator.market.mapped import map_file, mapped_path
from orchestrator.market.missing import read_absences
from orchestrator.market.parts import read_part
from orchestrator.market.series import SeriesKey
from orchestrator.market.spans import Span
from orchestrator.market.suspicions import (
    FlatRun,
    Outlier,
    SumDifference,
    find_flat_runs,
    find_outliers,
    find_sum_difference,
)

__all__ = ["SeriesReport", "verify_series"]


class SeriesReport(NamedTuple):
    """What was found in one series."""

    key: SeriesKey
    candle_count: int
    start_ns: int | None  # first open time; None without readable candles
    end_ns: int | None  # last close time
    digest: str  # of the values, however they are spread over parts; empty when a part cannot be read
    gaps: tuple[Gap, ...]
    problems: tuple[str, ...]
    flat_runs: tuple[FlatRun, ...] = ()
    outliers: tuple[Outlier, ...] = ()
    sums: SumDifference | None = None  # None without a finer series, or when they cannot be compared
    absent: tuple[Span, ...] = ()  # for which the exchange was found to have no candles, in order, apart

    def is_at_the_exchange(self, gap: Gap) -> bool:
        """Whether a gap is the exchange's own: it was asked for all of it and had nothing."""
        row = bisect_right(self.absent, gap.start_ns, key=lambda span: span.start_ns) - 1
        return row >= 0 and gap.end_ns <= self.absent[row].end_ns

    @property
    def is_suspicious(self) -> bool:
        """Whether there is anything for the user to judge besides gaps."""
        return bool(self.flat_runs or self.outliers or (self.sums is not None and self.sums.differing))


def verify_series(cache: Path, key: SeriesKey) -> SeriesReport:
    """Read a series again and report everything that is wrong with it."""
    folder = cache / key.folder
    with locked(folder / LOCK_NAME, exclusive=False):
        try:
            entries = read_index(folder)
        except DataError as error:
            return SeriesReport(key, 0, None, None, "", (), (str(error),))
        pieces: list[Candles] = []
        problems: list[str] = []
        absent = _absences(cache, key, problems)
        for entry in entries:
            try:
                pieces.append(read_part(folder, entry))
            except DataError as error:
                problems.append(str(error))
            else:
                problems += _entry_problems(key, entry, pieces[-1])
        is_whole = len(pieces) == len(entries)
        if not pieces:
            return SeriesReport(key, 0, None, None, "", (), tuple(problems))
        candles = concatenate(pieces)
        problems += _candle_problems(key, candles)
        if is_whole:
            problems += _mapped_problems(mapped_path(folder, entries), candles)
    is_judged = is_whole and not problems  # of broken candles nothing follows
    return SeriesReport(
        key,
        candles.size,
        int(candles.open_times_ns[0]),
        int(candles.open_times_ns[-1]) + key.timeframe_ns,
        values_digest(candles) if is_whole else "",
        tuple(find_gaps(candles, key.timeframe_ns)) if is_whole else (),
        tuple(problems),
        flat_runs=tuple(find_flat_runs(candles, key.timeframe_ns)) if is_judged else (),
        outliers=tuple(find_outliers(candles)) if is_judged else (),
        sums=_sum_difference(cache, key, candles) if is_judged else None,
        absent=absent,
    )


def _absences(cache: Path, key: SeriesKey, problems: list[str]) -> tuple[Span, ...]:
    try:
        return tuple(read_absences(cache, key))
    except DataError as error:
        problems.append(str(error))
        return ()


def _sum_difference(cache: Path, key: SeriesKey, candles: Candles) -> SumDifference | None:
    # The finest series that is readable; one that is not is unsound in its own report.
    others = (other for other in series_in(cache) if key.can_be_made_of(other))
    for finer in sorted(others, key=lambda other: other.timeframe_ns):
        folder = cache / finer.folder
        try:
            with locked(folder / LOCK_NAME, exclusive=False):
                parts = read_series(folder, read_index(folder))
        except DataError:
            continue
        found = find_sum_difference(
            candles, key.timeframe_ns, key.anchor_ns, parts, finer.timeframe_ns, finer.timeframe
        )
        if found is not None:
            return found
    return None


def _entry_problems(key: SeriesKey, entry: Entry, candles: Candles) -> list[str]:
    first, last = int(candles.open_times_ns[0]), int(candles.open_times_ns[-1]) + key.timeframe_ns
    if (candles.size, first, last) == (entry.candle_count, entry.start_ns, entry.end_ns):
        return []
    found = f"{candles.size} candles, {time_text(first)} to {time_text(last)}"
    expected = f"{entry.candle_count}, {time_text(entry.start_ns)} to {time_text(entry.end_ns)}"
    return [f"{entry.file} holds {found}; the index says {expected}"]


def _candle_problems(key: SeriesKey, candles: Candles) -> list[str]:
    fault = first_fault(candles, key.timeframe_ns, key.anchor_ns)
    if fault is None:
        return []
    row, reason = fault
    return [f"row {row + 1} ({time_text(int(candles.open_times_ns[row]))}): {reason}"]


def _mapped_problems(path: Path, candles: Candles) -> list[str]:
    if not path.exists():
        return []
    try:
        mapped = map_file(path)
    except (OSError, pa.ArrowException, KeyError) as error:
        return [f"{path.name} cannot be mapped: {error}; remove it, it is built again"]
    pairs = zip((mapped.open_times_ns, *mapped.values), (candles.open_times_ns, *candles.values), strict=True)
    if all(np.array_equal(one, other) for one, other in pairs):
        return []
    return [f"{path.name} differs from the Parquet parts; remove it, it is built again"]
