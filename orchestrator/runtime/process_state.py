"""Whether a process still lives, and what it was started as."""

from __future__ import annotations

import psutil

__all__ = ["command_line_of", "is_process_alive"]


def is_process_alive(process_id: int) -> bool:
    """Return whether a process exists and has not ended: one that waits to be reaped has."""
    try:
        return bool(psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def command_line_of(process_id: int) -> str:
    """Return the words that a process was started with; empty when it is gone."""
    try:
        return " ".join(psutil.Process(process_id).cmdline())
    except psutil.Error:
        return ""
