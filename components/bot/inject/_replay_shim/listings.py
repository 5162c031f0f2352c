"""Folders list their files by name, whatever order the file system has them in: that differs between machines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

    from _replay_shim.replacing import Replacements

__all__ = ["install"]


def install(replacements: Replacements) -> None:
    """Replace `os.listdir` and `os.scandir`, which `os.walk`, `glob` and `pathlib` go by."""
    plain_listdir, plain_scandir = os.listdir, os.scandir

    def listdir(path: Any = None) -> list[Any]:
        return sorted(plain_listdir(path))

    def scandir(path: Any = None) -> _Listing:
        with plain_scandir(path) as entries:
            return _Listing(sorted(entries, key=lambda entry: entry.name))

    replacements.replace(os, "listdir", listdir)
    replacements.replace(os, "scandir", scandir)


class _Listing:
    """What `os.scandir` returns."""

    def __init__(self, entries: Iterable[Any]) -> None:
        self._entries: Iterator[Any] = iter(entries)

    def __iter__(self) -> _Listing:
        return self

    def __next__(self) -> Any:
        return next(self._entries)

    def close(self) -> None:
        self._entries = iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
