"""Whose code calls: only what the bot's own files ask for counts as a turn of the bot."""

from __future__ import annotations

import os
from types import FrameType

__all__ = ["Callers"]

_SHIM = os.path.dirname(os.path.abspath(__file__)) + os.sep  # noqa: PTH100, PTH120 - pathlib costs 3 ms
_STANDARD_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep  # noqa: PTH100, PTH120
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_ASYNCIO = f"{_STANDARD_LIBRARY}asyncio{os.sep}"  # its loop waits for many tasks: `aio` counts theirs


class Callers:
    """Tells the bot's own frames from those of libraries.

    Parameters
    ----------
    folder
        The bot's working copy; packages installed below it are not its own code.
    """

    def __init__(self, folder: str) -> None:
        self._folder = os.path.realpath(folder) + os.sep
        self._kinds: dict[
            str, bool | None
        ] = {}  # file -> own, foreign, or None: says nothing, ask its caller

    def is_own(self, frame: FrameType | None) -> bool:
        """Return whether the first frame outside the standard library belongs to the bot's own files."""
        while frame is not None:
            name = frame.f_code.co_filename
            try:
                kind = self._kinds[name]
            except KeyError:
                kind = self._kinds[name] = self._kind_of(name)
            if kind is not None:
                return kind
            frame = frame.f_back
        return False

    def _kind_of(self, name: str) -> bool | None:
        if name.startswith("<"):  # frozen modules, exec
            return None
        path = os.path.realpath(name)
        if path.startswith(_ASYNCIO) or any(part in path for part in _PACKAGES):
            return False
        if path.startswith((_SHIM, _STANDARD_LIBRARY)):
            return None
        return path.startswith(self._folder)
