"""Shapes of candles and what is most like them; what a trainer and its thinker must do in the same way.

Every sum is taken in a fixed order, column by column, so that equal candles give equal bits on every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["FloatArray", "changes_of", "expected_changes", "patterns_of"]

FloatArray = npt.NDArray[np.float64]

_ROWS = 256  # of the table of distances at a time


def changes_of(closes: FloatArray) -> FloatArray:
    """Return close / close before - 1, shape (n - 1,)."""
    return closes[1:] / closes[:-1] - 1.0


def patterns_of(changes: FloatArray, length: int) -> FloatArray:
    """Return every run of `length` consecutive changes, oldest first, shape (n - length + 1, length)."""
    return np.lib.stride_tricks.sliding_window_view(changes, length)


def expected_changes(
    known: FloatArray, followed: FloatArray, present: FloatArray, neighbours: int
) -> FloatArray:
    """Return what followed the known patterns that are nearest to each present one, on average.

    Parameters
    ----------
    known, followed
        Shapes (n, length) and (n,); n >= 1.
    present
        Shape (m, length).
    neighbours
        How many are averaged; of equally near ones the older first.

    Returns
    -------
    FloatArray
        Shape (m,).
    """
    count = min(neighbours, len(known))
    expected = np.zeros(len(present))
    for first in range(0, len(present), _ROWS):
        rows = slice(first, first + _ROWS)
        distances = np.zeros((len(present[rows]), len(known)))
        for column in range(known.shape[1]):
            gaps = present[rows, column, np.newaxis] - known[np.newaxis, :, column]
            distances += gaps * gaps
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :count]
        for place in range(count):
            expected[rows] += followed[nearest[:, place]]
    return expected / count
