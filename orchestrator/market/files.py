"""Files that are either written whole or not at all, and a lock that two processes respect.

A write goes to a temporary name in the same folder, reaches the disk, and only then takes its final name.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from orchestrator.errors import DataError, ReplayError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no flock; there one process at a time is up to the user
    fcntl = None  # type: ignore[assignment]

__all__ = ["TEMPORARY_SUFFIX", "locked", "make_folder", "remove_quietly", "write_whole"]

TEMPORARY_SUFFIX: Final = ".tmp"
_LOCK_SECONDS_MAX: Final = 120.0  # wall seconds; an import of years of 1m candles takes a few
_LOCK_POLL_SECONDS: Final = 0.01


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Write a file so that every reader sees the old content or the new one, never a part.

    Raises
    ------
    ReplayError
        If the disk is full or the folder cannot be written; the old file, if any, is untouched.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        remove_quietly(temporary)
        raise _unwritable(path, error) from None


def make_folder(folder: Path) -> None:
    """Create a folder and its parents where they are missing; `ReplayError` when that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None


def remove_quietly(path: Path) -> None:
    """Remove a file that nobody needs; one that cannot be removed stays and does no harm."""
    with suppress(OSError):
        path.unlink()


@contextmanager
def locked(path: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold the lock of a file, shared among readers or exclusive for one writer.

    Raises
    ------
    DataError
        If another process holds it for two minutes of wall time.
    ReplayError
        If the lock file cannot be made; a reader of a folder it may not write goes on without the lock,
        since then nobody of its kind writes there either.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if exclusive:
            raise _unwritable(path, error) from None
        yield
        return
    try:
        _lock(descriptor, path, exclusive=exclusive)
        yield
    finally:
        os.close(descriptor)  # closing gives the lock back


def _lock(descriptor: int, path: Path, *, exclusive: bool) -> None:
    if fcntl is None:  # pragma: no cover
        return
    operation = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    deadline = time.monotonic() + _LOCK_SECONDS_MAX
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise DataError(
                    f"{path.parent} is in use by another process for {_LOCK_SECONDS_MAX:.0f} s; "
                    "wait until its import ends and try again"
                ) from None
            time.sleep(_LOCK_POLL_SECONDS)
        else:
            return


def _sync_folder(folder: Path) -> None:
    # A rename reaches the disk with its folder; without this a power cut could bring the old name back.
    if os.name == "nt":  # pragma: no cover - Windows opens no folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> ReplayError:
    return ReplayError(
        f"{path} cannot be written: {error.strerror or error}; free space or allow writing there, "
        "or set REPLAY_HOME to another folder"
    )
