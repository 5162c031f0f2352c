"""Helpers of tests with real processes: wait for a condition, find what is left."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

MARKER = "REPLAY_TEST_MARKER"
REPOSITORY = Path(__file__).resolve().parent.parent


_NAP_SECONDS = 0.005
_STARVED_MAX = 20  # wall seconds for one that this process could use, at the worst


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Return whether the condition became true within seconds that this process could use.

    Naps count for what was asked and the condition for its own work: where others hold the cores, what is waited for
    comes late in the same measure. On a machine of its own these are wall seconds.
    """
    begin, left = time.monotonic(), seconds
    while True:
        worked = time.thread_time()
        if condition():
            return True
        left -= time.thread_time() - worked + _NAP_SECONDS
        if left < 0 or time.monotonic() - begin > _STARVED_MAX * seconds:
            return False
        time.sleep(_NAP_SECONDS)


def slowness() -> float:
    """Return how many times longer than alone work takes here now, since others hold the cores; at least 1."""
    wall, work = time.perf_counter(), time.thread_time()
    while time.thread_time() - work < 0.05:
        pass
    return max(1.0, (time.perf_counter() - wall) / 0.05)


def marked_environment(marker: object) -> dict[str, str]:
    """Return an environment that `marked_processes` recognises, inherited by daemons too."""
    search = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    return {**os.environ, MARKER: str(marker), "PYTHONPATH": search, "PYTHONUNBUFFERED": "1"}


def marked_processes(marker: object) -> list[int]:
    """Return the living processes, zombies aside, that were started with the marker in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARKER) == str(marker) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def is_alive(pid: int) -> bool:
    """Return whether the process exists and is no zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def open_descriptors() -> set[tuple[str, str]]:
    """Return the descriptors of this process and what each refers to (Linux); elsewhere nothing."""
    found = set()
    folder = Path("/proc/self/fd")
    for entry in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            found.add((entry.name, str(entry.readlink())))
    return {item for item in found if "/proc/" not in item[1]}
