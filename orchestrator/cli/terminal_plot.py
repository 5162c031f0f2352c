"""Small plots of text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["bars", "calendar_lines"]

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


def calendar_lines(coverage: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a calendar for each name: a row a year, a column a month.

    Parameters
    ----------
    coverage
        Name to months such as "2024-01" to a share, 0 to 1; a month that is not named is outside.
    """
    lines = []
    for name, months in coverage.items():
        lines += ["", f"{name:<32}JFMAMJJASOND"]
        for year in sorted({month[:4] for month in months}):
            shares = [months.get(f"{year}-{month:02}") for month in range(1, 13)]
            lines.append(f"{year:>30}  {''.join(map(_share_sign, shares))}".rstrip())
    return lines


def _share_sign(share: float | None) -> str:
    if share is None:
        return " "
    return "·" if share == 0 else _EIGHTHS[min(8, 1 + int(share * 7))]  # full only when nothing is missing
