"""Equity rows in files: an Arrow stream while the run goes on, Parquet when it has ended.

The stream is written as whole messages, one write each, so that a reader meets at most one cut-off message,
and everything before it is good. `time` is whole Unix seconds: ticks are closes of candles, which are on
whole seconds.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.arrow_reading import parquet_table
from orchestrator.errors import DataError, InvariantError
from orchestrator.runs.layout import EQUITY_FILE, EQUITY_STREAM
from orchestrator.runs.records import EquityRows

__all__ = ["batch_message", "join_rows", "read_parquet", "read_stream", "schema_message", "stream_to_parquet"]

_NS_PER_SECOND: Final = 1_000_000_000
_ROW_GROUP: Final = 16_384  # rows; what the end of a run holds in memory at once
_FIXED: Final = ("sequence", "time", "cash", "equity")


def _schema(coins: Sequence[str]) -> pa.Schema:
    whole = [(name, pa.int64()) for name in _FIXED[:2]]
    return pa.schema(
        [*whole, *((name, pa.float64()) for name in (*_FIXED[2:], *(f"qty_{coin}" for coin in coins)))]
    )


def schema_message(coins: Sequence[str]) -> bytes:
    """Return the message that opens a stream of the coins' rows."""
    return bytes(_schema(coins).serialize())


def batch_message(rows: EquityRows, coins: Sequence[str]) -> bytes:
    """Return the message of some rows, n >= 1.

    Raises
    ------
    InvariantError
        If a time is not on a whole second.
    """
    seconds, rest = np.divmod(rows.sim_times_ns, _NS_PER_SECOND)
    if rest.any():
        raise InvariantError(
            f"equity at {rows.sim_times_ns[rest != 0][0]} ns is not on a whole second, as ticks are"
        )
    columns = [rows.sequences, seconds, rows.cash, rows.equity, *np.ascontiguousarray(rows.quantities.T)]
    arrays = [pa.array(column) for column in columns]
    return bytes(pa.record_batch(arrays, schema=_schema(coins)).serialize())


def join_rows(parts: Sequence[EquityRows]) -> EquityRows:
    """Return consecutive parts, at least one, as one."""
    if len(parts) == 1:
        return parts[0]
    names = [field.name for field in msgspec.structs.fields(EquityRows)]
    return EquityRows(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def stream_to_parquet(directory: Path, coins: Sequence[str]) -> None:
    """Write equity.parquet from the stream beside it, a row group at a time, and remove the stream.

    Raises
    ------
    OSError
        If it cannot be written; the stream still stands and the temporary file is gone.
    """
    stream, final = directory / EQUITY_STREAM, directory / EQUITY_FILE
    temporary = final.with_name(f".{final.name}.part")
    try:
        # A sink of Python's own keeps the number of an error, which tells a full disk from a broken one.
        with temporary.open("wb") as sink:
            with pq.ParquetWriter(sink, _schema(coins), compression="zstd") as writer:
                for table in _row_groups(stream):
                    writer.write_table(table)
            sink.flush()
            os.fsync(sink.fileno())
        temporary.replace(final)
    except (OSError, pa.ArrowException) as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise
        # Arrow's own errors, such as a stream that is cut off, carry no number.
        raise OSError(errno.EIO, f"{stream.name}: {error}") from error
    stream.unlink()


def _row_groups(stream: Path) -> Iterator[pa.Table]:
    pending: list[pa.RecordBatch] = []
    n_rows = 0
    with pa.OSFile(str(stream)) as source, pa.ipc.open_stream(source) as batches:
        for batch in batches:
            pending.append(batch)
            n_rows += batch.num_rows
            if n_rows >= _ROW_GROUP:
                yield pa.Table.from_batches(pending)
                pending, n_rows = [], 0
    if pending:
        yield pa.Table.from_batches(pending)


def read_parquet(path: Path, coins: Sequence[str]) -> EquityRows:
    """Read the equity of a run that has ended.

    Raises
    ------
    DataError
        If it is no Parquet file, or its columns are not those of the run.
    """
    try:
        table = parquet_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path} cannot be read: {error}; repeat the run from its {path.parent / 'config.toml'}"
        ) from None
    return _rows(table, coins, path)


def read_stream(path: Path, coins: Sequence[str]) -> tuple[EquityRows, bool]:
    """Read the equity of a run that goes on, or that died.

    Returns
    -------
    tuple[EquityRows, bool]
        The rows of all whole messages, and whether the last message was cut off.

    Raises
    ------
    DataError
        If it cannot be opened, or its columns are not those of the run.
    """
    batches: list[pa.RecordBatch] = []
    is_cut = False
    try:
        with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
            for batch in reader:
                batches.append(batch)  # noqa: PERF402 - what came before a cut-off message is kept
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException):
        is_cut = True
    table = pa.Table.from_batches(batches) if batches else _schema(coins).empty_table()
    return _rows(table, coins, path), is_cut


def _rows(table: pa.Table, coins: Sequence[str], path: Path) -> EquityRows:
    if table.schema.names != _schema(coins).names:
        raise DataError(
            f"{path} has columns {', '.join(table.schema.names)}; a run of {', '.join(coins)} has others"
        )
    columns = [column.to_numpy() for column in table.columns]
    quantities = np.column_stack(columns[4:]) if coins else np.empty((table.num_rows, 0))
    return EquityRows(
        sequences=columns[0],
        sim_times_ns=columns[1] * _NS_PER_SECOND,
        cash=columns[2],
        equity=columns[3],
        quantities=quantities,
    )
