"""Between numpy columns and Arrow ones, without copies and without pandas.

pyarrow's own `to_numpy` and `pa.array` look for pandas first, and its import costs a starting run 0.2 s.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["arrow_array", "float_view", "int_view"]


def arrow_array(column: npt.NDArray[Any]) -> Any:
    """Return an int64 or float64 column as an Arrow array that shares its memory."""
    kind = pa.int64() if column.dtype.kind == "i" else pa.float64()
    return pa.Array.from_buffers(kind, len(column), [None, pa.py_buffer(np.ascontiguousarray(column))])


def int_view(column: Any) -> npt.NDArray[np.int64]:
    """Return an int64 Arrow column without nulls as a numpy array that shares its memory."""
    return _view(column, np.dtype(np.int64))


def float_view(column: Any) -> npt.NDArray[np.float64]:
    """Return a float64 Arrow column without nulls as a numpy array that shares its memory."""
    return _view(column, np.dtype(np.float64))


def _view(column: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
    return np.frombuffer(
        column.buffers()[1], dtype=dtype, count=len(column), offset=column.offset * dtype.itemsize
    )
