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


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Return whether the condition became true within the wall seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


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
