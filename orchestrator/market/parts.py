"""Parquet parts: a month of a series, or a piece of its last one; the truth of the cache."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from orchestrator.arrow_reading import parquet_table
from orchestrator.config import NS_PER_SECOND
from orchestrator.errors import DataError
from orchestrator.market.arrow import arrow_array, float_view, int_view
from orchestrator.market.candles import VALUES, Candles
from orchestrator.market.files import write_whole
from orchestrator.market.index import Entry

__all__ = ["month_slices", "read_part", "write_part"]


def month_slices(candles: Candles) -> dict[str, slice]:
    """Return, for each calendar month (UTC) with candles, such as "2024-01", its rows."""
    months = candles.open_times_ns.astype("datetime64[ns]").astype("datetime64[M]")
    names, starts = np.unique(months, return_index=True)
    stops = [*starts[1:].tolist(), candles.size]
    return {str(n): slice(a, b) for n, a, b in zip(names, starts.tolist(), stops, strict=True)}


def write_part(folder: Path, month: str, candles: Candles, timeframe_ns: int) -> Entry:
    """Write candles of one month as a new part and return its entry; the index does not know it yet.

    The digest in the file's name keeps two different parts from ever sharing one, so that nothing that an
    index points to is overwritten.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - a run reads mapped files and never needs it

    times = candles.open_times_ns // NS_PER_SECOND
    table = pa.table([arrow_array(column) for column in (times, *candles.values)], names=["time", *VALUES])
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    data = memoryview(sink.getvalue())
    digest = hashlib.sha256(data).hexdigest()
    name = f"{month}-{digest[:12]}.parquet"
    write_whole(folder / name, data)
    return Entry(
        start_ts=int(times[0]),
        end_ts=int(times[-1]) + timeframe_ns // NS_PER_SECOND,
        file=name,
        candle_count=candles.size,
        created_at=_now_text(),
        sha256=digest,
    )


def read_part(folder: Path, entry: Entry) -> Candles:
    """Return the candles of a part.

    Raises
    ------
    DataError
        If the file is missing or is not, byte for byte, what the index says.
    """
    path = folder / entry.file
    remedy = "import these candles again with --replace"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; {remedy}") from None
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise DataError(f"{path} is corrupt: its SHA-256 is not the one in the index; {remedy}")
    table = parquet_table(data, ["time", *VALUES])
    times = int_view(table["time"]) * NS_PER_SECOND
    return Candles(times, *(float_view(table[name]) for name in VALUES))


def _now_text() -> str:
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 - bookkeeping for people, reaches no result
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")
