"""The file that processes map: one uncompressed Arrow IPC file per series, named by the digest of its parts.

Parquet is the truth and this is derived from it, so it is built when first needed and can be removed at any
time. All processes that map it share one copy in memory. A file that is replaced is unlinked, never
overwritten: who has it mapped keeps it.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from orchestrator.errors import DataError
from orchestrator.market.arrow import arrow_array, float_view, int_view
from orchestrator.market.cache import LOCK_NAME, read_series
from orchestrator.market.candles import VALUES, Candles
from orchestrator.market.files import locked, remove_quietly, write_whole
from orchestrator.market.index import Entry, index_digest, read_index
from orchestrator.market.series import SeriesKey

__all__ = ["map_file", "map_series", "mapped_path"]

_TIME = "open_time_ns"


def mapped_path(folder: Path, entries: tuple[Entry, ...]) -> Path:
    """Return where the mapped file of a series with these parts stands, if it was built."""
    return folder / f"{index_digest(entries)[:24]}.arrow"


def map_series(cache: Path, key: SeriesKey) -> Candles:
    """Return all candles of a series as read-only views of its mapped file, building it when it is missing.

    Raises
    ------
    DataError
        If the series is not cached or one of its parts is corrupt.
    ReplayError
        If the mapped file must be built and cannot be written.
    """
    folder = cache / key.folder
    if folder.is_dir():
        with locked(folder / LOCK_NAME, exclusive=False):
            candles = _map_existing(folder, read_index(folder))
        if candles is not None:
            return candles
        with locked(folder / LOCK_NAME, exclusive=True):
            entries = read_index(folder)
            candles = _map_existing(folder, entries)  # somebody else may have built it meanwhile
            if candles is None and entries:
                candles = _build(folder, entries)
    else:
        candles = None
    if candles is None:
        raise DataError(f"{key} is not cached in {cache}; import it with `replay data import FILE`")
    return candles


def map_file(path: Path) -> Candles:
    """Map one Arrow file; `pyarrow.ArrowInvalid` or `OSError` when it is not a whole one."""
    batch = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
    return Candles(int_view(batch.column(_TIME)), *(float_view(batch.column(name)) for name in VALUES))


def _map_existing(folder: Path, entries: tuple[Entry, ...]) -> Candles | None:
    if not entries:
        return None
    try:
        candles = map_file(mapped_path(folder, entries))
    except (OSError, pa.ArrowInvalid, KeyError):
        return None  # missing or damaged: derived data are simply built again
    return candles if candles.size == sum(entry.candle_count for entry in entries) else None


def _build(folder: Path, entries: tuple[Entry, ...]) -> Candles:
    columns = [arrow_array(column) for column in read_series(folder, entries)]
    batch = pa.record_batch(columns, names=[_TIME, *VALUES])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    path = mapped_path(folder, entries)
    write_whole(path, memoryview(sink.getvalue()))
    for other in folder.glob("*.arrow"):
        if other != path:
            remove_quietly(other)
    return map_file(path)
