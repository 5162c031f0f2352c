"""Writes down the first turns of a bot, when it is asked to: `replay pace` finds in them how long a cycle is.

A line for each turn: the simulated time at which it ended, and a number that is the same for turns that sent the
same requests. What differs from request to request for its own sake (times, signatures, identifiers) is left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from _replay_shim import real

__all__ = ["TurnLog", "open_turn_log"]

ENVIRONMENT_TURNS = "REPLAY_BOT_TURNS"
_TURNS_MAX = 20_000
_REQUESTS_MAX = 10_000  # of one turn; what is beyond does not tell turns apart
_OWN = re.compile(r"[0-9a-fA-F-]{16,}|\d{9,}(?:\.\d+)?")  # identifiers, signatures, times


class TurnLog:
    """The turns of one process.

    Parameters
    ----------
    path
        Of the file; lines are appended.
    now_ns
        Tells the simulated time.
    """

    def __init__(self, path: str, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._requests: list[str] = []
        self._count = 0

    def request(self, key: str) -> None:
        """Note a request of the turn that goes on, such as `GET https://host/path?query`."""
        if len(self._requests) < _REQUESTS_MAX:
            self._requests.append(_OWN.sub("#", key))

    def end_turn(self) -> None:
        """Write down the turn that has ended."""
        requests, self._requests = self._requests, []
        if self._count < _TURNS_MAX:
            self._count += 1
            # PYTHONHASHSEED is fixed, so that a process that was replaced by exec writes the same.
            real.write(self._file, f"{self._now_ns()} {hash(chr(10).join(requests))}\n".encode())


def open_turn_log(now_ns: Callable[[], int]) -> TurnLog | None:
    """Return the log of this process's turns if it is the bot's first one and its turns are wanted."""
    folder = os.environ.get(ENVIRONMENT_TURNS)
    if not folder or os.environ.get("REPLAY_BOT_PROCESS") != "0":
        return None
    return TurnLog(f"{folder}/{os.environ['REPLAY_COMPONENT']}.turns", now_ns)
