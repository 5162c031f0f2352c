"""Keeps a bot from writing in the folders that it was copied from.

A bot that names a file by its whole path leaves its working copy, and would change what its live self works
with. What it does so is refused, as the guard refuses a network: by an audit hook, which cannot be removed. Reading
is not refused, nor is what programs without Python do; the run directory tells whether a folder has changed.
"""

from __future__ import annotations

import os
import sys
from typing import Any

__all__ = ["install"]

FOLDERS = "REPLAY_BOT_KEPT_OUT"
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PLACES = {
    # event -> which of its arguments are paths that change
    "os.chmod": (0,), "os.link": (1,), "os.mkdir": (0,), "os.remove": (0,), "os.rename": (0, 1), "os.rmdir": (0,),
    "os.symlink": (1,), "os.truncate": (0,), "os.utime": (0,), "sqlite3.connect": (0,),
}  # fmt: skip
_OF_REPLAY = ("backtest_results", "backtest_cache", "replay_data")  # where runs write


def install(clock: Any, folder: str) -> None:
    """Add the audit hook, if there are folders to be kept out of.

    Parameters
    ----------
    clock
        Of the process: refusals are counted.
    folder
        The working copy, which may lie below a folder of the user's with the whole run directory.
    """
    given = [os.path.realpath(each) for each in os.environ.get(FOLDERS, "").split(os.pathsep) if each]
    if given:
        sys.addaudithook(_Fence(clock, given, folder).audit)


class _Fence:
    def __init__(self, clock: Any, given: list[str], folder: str) -> None:
        self._clock = clock
        self._heads = tuple(each.rstrip(os.sep) + os.sep for each in given)
        self._run = os.path.realpath(f"{folder}/../..") + os.sep

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See every event of the interpreter; only those that change files matter."""
        if event == "open":
            if arguments[2] & _WRITING:
                self._check(event, arguments[0])
        elif event in _PLACES:
            for index in _PLACES[event]:
                self._check(event, arguments[index])

    def _check(self, event: str, path: Any) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return  # a descriptor: what it was opened for was seen
        place = os.path.realpath(os.fsdecode(path).removeprefix("file:"))
        if not self._is_users(place):
            return
        clock = self._clock
        clock.call({"op": "refused", "what": event, "target": place, "client": ""})
        clock.advance_ns(clock.latency_ns)  # a loop that tries again must not stand still
        raise PermissionError(
            13, "a bot under replay works in a copy and writes nothing in the user's own folder", place
        )

    def _is_users(self, place: str) -> bool:
        if place.startswith(self._run):
            return False
        for head in self._heads:
            if (place + os.sep).startswith(head):
                return not any(
                    f"{os.sep}{name}{os.sep}" in f"{os.sep}{place[len(head) :]}{os.sep}"
                    for name in _OF_REPLAY
                )
        return False
