"""A file that grows by whole pieces: what cannot be written whole is taken back."""

from __future__ import annotations

import contextlib
from pathlib import Path

__all__ = ["Appender"]


class Appender:
    """A file open for appending, made when it does not exist.

    Parameters
    ----------
    path
        What it holds already counts as whole.

    Raises
    ------
    OSError
        If it cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self._stream = path.open("ab", buffering=0)
        self._size = self._stream.tell()  # bytes of whole pieces; the file is never longer between two calls

    def append(self, content: bytes) -> None:
        """Write a piece to the system, whole or not at all.

        Raises
        ------
        OSError
            If it cannot be written; the file is as it was before.
        """
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[self._stream.write(rest) :]
        except OSError:
            # A full disk takes the first part of a piece. Should this fail too, readers cope with the cut.
            with contextlib.suppress(OSError):
                self._stream.truncate(self._size)
            raise
        self._size += len(content)

    def close(self) -> None:
        """Close the file; later calls do nothing."""
        with contextlib.suppress(OSError):  # nothing is buffered here: no write can be lost by it
            self._stream.close()
