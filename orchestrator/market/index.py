"""index.json of a series: which Parquet parts hold its candles; replacing it is what commits an import."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from orchestrator.config import NS_PER_SECOND
from orchestrator.errors import DataError
from orchestrator.market.files import write_whole

__all__ = ["INDEX_NAME", "Entry", "index_digest", "read_index", "write_index"]

INDEX_NAME: Final = "index.json"
_VERSION: Final = 1


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One Parquet part; its candles lie in [start_ts, end_ts) and in no other part's."""

    start_ts: int  # open time of the first candle, Unix seconds
    end_ts: int  # close time of the last candle, Unix seconds
    file: str  # beside the index
    candle_count: int
    created_at: str  # wall time, ISO, UTC; for people, nothing depends on it
    sha256: str  # of the file's bytes

    @property
    def start_ns(self) -> int:
        """Open time of the first candle, nanoseconds."""
        return self.start_ts * NS_PER_SECOND

    @property
    def end_ns(self) -> int:
        """Close time of the last candle, nanoseconds."""
        return self.end_ts * NS_PER_SECOND


class _Index(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int
    entries: tuple[Entry, ...]


def read_index(folder: Path) -> tuple[Entry, ...]:
    """Return the parts of a series in order of time; none when the series does not exist.

    Raises
    ------
    DataError
        If the index is not one, is empty, or is of a later version of this program.
    """
    path = folder / INDEX_NAME
    try:
        index = msgspec.json.decode(path.read_bytes(), type=_Index)
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}; remove {folder} and import it again") from None
    if index.version != _VERSION:
        raise DataError(f"{path} has version {index.version}, this program reads {_VERSION}; update it")
    if not index.entries:
        raise DataError(f"{path} lists no parts; remove {folder} and import it again")
    return index.entries


def write_index(folder: Path, entries: tuple[Entry, ...]) -> None:
    """Replace the index by one with these parts, ordered by time."""
    index = _Index(version=_VERSION, entries=entries)
    write_whole(folder / INDEX_NAME, msgspec.json.format(msgspec.json.encode(index), indent=1))


def index_digest(entries: tuple[Entry, ...]) -> str:
    """Return the SHA-256 hex over the digests of the parts, in order of time."""
    return hashlib.sha256("\n".join(entry.sha256 for entry in entries).encode()).hexdigest()
