"""Answers the commands that do nothing but clear the screen: bots start a shell for one in every loop."""

from __future__ import annotations

from typing import Any

__all__ = ["is_clear"]

_CLEARING = ("clear", "cls")


def is_clear(command: Any) -> bool:
    """Return whether a command line, or a list of arguments, is exactly one that clears the screen."""
    if isinstance(command, (list, tuple)):
        if len(command) != 1:
            return False
        command = command[0]
    if isinstance(command, bytes):
        command = command.decode("utf-8", "replace")
    return isinstance(command, str) and command.strip() in _CLEARING
