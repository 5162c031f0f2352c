"""Unmodified bots: the folder `inject` is put on the path of a bot's interpreter and plays the world to it.

Nothing here imports it. `inject` holds a `sitecustomize` and the package `_replay_shim`; both run inside the
bot's interpreter, which has nothing of ours installed, and use the standard library alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["INJECT_FOLDER"]

INJECT_FOLDER: Final = Path(__file__).parent / "inject"
