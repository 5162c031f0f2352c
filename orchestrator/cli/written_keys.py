"""Which keys a configuration file has, before it is judged as a whole."""

from __future__ import annotations

import tomllib
from pathlib import Path

__all__ = ["written_keys"]


def written_keys(path: Path) -> frozenset[str]:
    """Return the top-level keys of a TOML file; none if it cannot be read, which its reader will say."""
    try:
        return frozenset(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return frozenset()
