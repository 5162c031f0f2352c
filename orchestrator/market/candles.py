"""Candles as columns: one array per field, sorted by open time, without duplicates, on the grid."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from orchestrator.config import NS_PER_SECOND

__all__ = ["PRICES", "VALUES", "Candles", "Columns", "concatenate", "time_text", "values_digest"]

PRICES: Final = ("open", "high", "low", "close")
VALUES: Final = (*PRICES, "volume")
"""The order of the five values of a candle, everywhere."""

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Columns(NamedTuple):
    """Candles as one block: `open_times_ns` int64[n], `values` float64[5, n] in the order of `VALUES`."""

    open_times_ns: IntArray
    values: FloatArray


class Candles(NamedTuple):
    """Candles as separate columns, all of one length; slices of it are views."""

    open_times_ns: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray

    @property
    def size(self) -> int:
        """Number of candles (`len` counts the columns)."""
        return len(self.open_times_ns)

    @property
    def values(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """The five value columns in the order of `VALUES`."""
        return (self.open, self.high, self.low, self.close, self.volume)

    def take(self, rows: slice | npt.NDArray[np.bool_] | IntArray) -> Candles:
        """Return the given rows; a slice gives views."""
        return Candles(self.open_times_ns[rows], *(column[rows] for column in self.values))

    def block(self, rows: slice) -> Columns:
        """Return the given rows as one contiguous block."""
        return Columns(self.open_times_ns[rows], np.stack([column[rows] for column in self.values]))


def concatenate(pieces: list[Candles]) -> Candles:
    """Return the rows of all pieces, one after the other; at least one piece."""
    if len(pieces) == 1:
        return pieces[0]
    values = (np.concatenate(columns) for columns in zip(*(piece.values for piece in pieces), strict=True))
    return Candles(np.concatenate([piece.open_times_ns for piece in pieces]), *values)


def values_digest(candles: Candles) -> str:
    """Return the SHA-256 hex of the values, column by column, little-endian: never of any file's bytes."""
    total = hashlib.sha256(np.ascontiguousarray(candles.open_times_ns, dtype="<i8").data)
    for column in candles.values:
        total.update(np.ascontiguousarray(column, dtype="<f8").data)
    return total.hexdigest()


def time_text(time_ns: int) -> str:
    """Return a simulation time as people write it, UTC: `2024-01-31 12:30`, seconds if any."""
    moment = dt.datetime.fromtimestamp(int(time_ns) // NS_PER_SECOND, tz=dt.UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S" if moment.second else "%Y-%m-%d %H:%M")
