"""`replay data export`: a series as a file that other programs read, whole or not at all.

Exported files come back with `replay data import` as they were, value for value.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa

from orchestrator.config import NS_PER_MS, NS_PER_SECOND
from orchestrator.errors import DataError
from orchestrator.market.arrow import arrow_array
from orchestrator.market.candles import VALUES, Candles, time_text
from orchestrator.market.files import make_folder, write_whole
from orchestrator.market.mapped import map_series
from orchestrator.market.series import SeriesKey
from orchestrator.market.spans import Span

__all__ = ["FORMATS", "ExportFormat", "candles_csv", "export_series"]

ExportFormat = Literal["csv", "parquet", "feather"]
FORMATS: Final[tuple[ExportFormat, ...]] = ("csv", "parquet", "feather")


def export_series(
    cache: Path,
    key: SeriesKey,
    folder: Path,
    kind: ExportFormat,
    *,
    span: Span | None = None,
    replace: bool = False,
) -> Path:
    """Write the candles of a series into a file and return where it is.

    Parameters
    ----------
    cache, key
        What is exported.
    folder
        The file is made in a folder of it, named by the exchange.
    kind
        csv and parquet: columns time (Unix seconds), open, high, low, close, volume, named `BTC-USDT_5m`.
        feather: as freqtrade keeps it, columns date (UTC) and the same five, named `BTC_USDT-5m`.
    span
        The open times to export; None: all.
    replace
        Whether a file that is already there is replaced.

    Raises
    ------
    DataError
        If the series is not cached, has no candle in the span, or the file exists and is not to be replaced.
    ReplayError
        If the file cannot be written.
    """
    candles = map_series(cache, key)
    if span is not None:
        first, last = candles.open_times_ns.searchsorted([span.start_ns, span.end_ns])
        candles = candles.take(slice(int(first), int(last)))
        if candles.size == 0:
            when = f"{time_text(span.start_ns)} to {time_text(span.end_ns)}"
            raise DataError(f"{key} has no candles from {when}; see replay data list")
    pair = f"{key.coin}_{key.quote}-" if kind == "feather" else f"{key.coin}-{key.quote}_"
    path = folder / key.exchange / f"{pair}{key.timeframe}.{kind}"
    if path.exists() and not replace:
        raise DataError(f"{path} exists; give --replace, or another --output-dir")
    make_folder(path.parent)
    write_whole(path, _WRITERS[kind](candles))
    return path


def _table(times: Any, name: str, candles: Candles) -> Any:
    return pa.table([times, *(arrow_array(column) for column in candles.values)], names=[name, *VALUES])


def candles_csv(candles: Candles) -> memoryview:
    """Return candles as CSV: time (Unix seconds), open, high, low, close, volume, with a header."""
    from pyarrow import csv  # noqa: PLC0415 - only this command needs it

    sink = pa.BufferOutputStream()
    table = _table(arrow_array(candles.open_times_ns // NS_PER_SECOND), "time", candles)
    sink.write((",".join(table.column_names) + "\n").encode())  # Arrow's own header has quotes
    csv.write_csv(table, sink, csv.WriteOptions(include_header=False))
    return memoryview(sink.getvalue())


def _parquet(candles: Candles) -> memoryview:
    import pyarrow.parquet as pq  # noqa: PLC0415 - only this command needs it

    sink = pa.BufferOutputStream()
    table = _table(arrow_array(candles.open_times_ns // NS_PER_SECOND), "time", candles)
    pq.write_table(table, sink, compression="zstd")
    return memoryview(sink.getvalue())


def _feather(candles: Candles) -> memoryview:
    # Feather is Arrow's file format; freqtrade compresses it with lz4.
    milliseconds = np.ascontiguousarray(candles.open_times_ns // NS_PER_MS)
    kind = pa.timestamp("ms", tz="UTC")
    dates = pa.Array.from_buffers(kind, len(milliseconds), [None, pa.py_buffer(milliseconds)])
    table = _table(dates, "date", candles)
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)  # why: orchestrator.arrow_reading
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


_WRITERS: Final = {"csv": candles_csv, "parquet": _parquet, "feather": _feather}
