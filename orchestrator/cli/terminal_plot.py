"""Small plots of text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["bars"]

_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"


def bars(values: Sequence[float], height: int) -> list[str]:
    """Return `height` lines, top first, with one column a value; the largest fills its column.

    Parameters
    ----------
    values
        At least 0 each.
    """
    largest = max(values, default=0.0)
    filled = [round(value / largest * height * 8) if largest > 0 else 0 for value in values]
    return [
        "".join(_EIGHTHS[min(8, max(0, level - row * 8))] for level in filled)
        for row in reversed(range(height))
    ]
