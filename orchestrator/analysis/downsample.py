"""Fewer points for a picture, with every extreme kept; never for a number."""

from __future__ import annotations

import numpy as np

from orchestrator.analysis.curve import FloatArray, IntArray

__all__ = ["keep_extremes"]


def keep_extremes(values: FloatArray, points: int) -> IntArray:
    """Return the rows of a series that a picture needs: of each stretch its lowest and highest, and both ends.

    Parameters
    ----------
    values
        Shape (n,), n >= 1, without NaN.
    points
        About how many rows to return at most; at least 4. A shorter series is returned whole.

    Returns
    -------
    IntArray
        Ascending, without repetition; the overall minimum and maximum are among them.

    References
    ----------
    Min-max decimation, as in Jugel et al., "M4: A Visualization-Oriented Time Series Data Aggregation",
    VLDB 7(10), 2014.
    """
    count = len(values)
    if count <= points:
        return np.arange(count, dtype=np.int64)
    size = -(-count // ((points - 2) // 2))
    whole = count // size * size
    stretches = values[:whole].reshape(-1, size)
    begins = np.arange(0, whole, size)
    rest = values[whole:]
    tail = [whole + int(np.argmin(rest)), whole + int(np.argmax(rest))] if rest.size else []
    rows = np.concatenate(
        (begins + np.argmin(stretches, axis=1), begins + np.argmax(stretches, axis=1), [0, count - 1, *tail])
    )
    return np.unique(rows.astype(np.int64))
