"""Files and bytes given to Arrow to read, so that none of its threads ever holds anything of Python's.

Arrow's threads outlive the call that set them to work: a task tells that it is done first, and lets go of what it
read from afterwards. If that is memory of Python's (bytes, an open file), letting go takes the interpreter's lock.
If the interpreter is ending by then, it ends the thread instead, in the middle of a C++ destructor, and the process
aborts after all its work was done: SIGABRT, "terminate called without an active exception" (apache/arrow issues
34314, 33975 and 50482; CPython before 3.14). So what Arrow reads is a path or memory of its own, and Parquet is
read without its threads: parts are small, and reading them is a small part of any command.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

__all__ = ["arrow_source", "parquet_table"]


def arrow_source(data: bytes) -> Any:
    """Return bytes as an Arrow file over a copy that Arrow owns."""
    copy = pa.BufferOutputStream()
    copy.write(data)
    return pa.BufferReader(copy.getvalue())  # noqa: TID251 - memory of its own


def parquet_table(source: Path | bytes, columns: Sequence[str] | None = None) -> Any:
    """Return a Parquet file, or some of its columns, as an Arrow table; on the calling thread alone.

    Raises
    ------
    OSError, pyarrow.ArrowException
        If it cannot be opened, is no Parquet file or is damaged.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - a run reads mapped files and never needs it

    # `pq.read_table` would import pandas; reading ahead is what the first of Arrow's threads would be started for.
    readable = arrow_source(source) if isinstance(source, bytes) else source
    with pq.ParquetFile(readable, pre_buffer=False) as file:  # noqa: TID251 - the one place
        return file.read(columns=columns, use_threads=False)
