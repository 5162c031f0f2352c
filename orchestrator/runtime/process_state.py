"""Whether a process still lives."""

from __future__ import annotations

import psutil

__all__ = ["is_process_alive"]


def is_process_alive(process_id: int) -> bool:
    """Return whether a process exists and has not ended: one that waits to be reaped has."""
    try:
        return bool(psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
