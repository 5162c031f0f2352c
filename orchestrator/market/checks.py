"""The rules that candles must keep before anybody believes them; the first row that breaks one is named."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from orchestrator.errors import DataError
from orchestrator.market.candles import PRICES, VALUES, Candles, time_text
from orchestrator.market.timeframes import timeframe_label

__all__ = ["check_candles", "first_fault"]

Mask = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


def check_candles(candles: Candles, timeframe_ns: int, anchor_ns: int, where: str) -> None:
    """Refuse candles that break a rule.

    Parameters
    ----------
    candles
        Rows in the order of the file.
    timeframe_ns, anchor_ns
        The grid: open times are `anchor_ns` plus whole multiples of `timeframe_ns`.
    where
        What is checked, for the message: a file or a series.

    Raises
    ------
    DataError
        Naming `where`, the row (counted from 1, header not counted), its time and the reason.
    """
    fault = first_fault(candles, timeframe_ns, anchor_ns)
    if fault is not None:
        row, reason = fault
        when = time_text(int(candles.open_times_ns[row]))
        raise DataError(f"{where}: row {row + 1} ({when}): {reason}; correct the file and import it again")


def first_fault(candles: Candles, timeframe_ns: int, anchor_ns: int) -> tuple[int, str] | None:
    """Return the index of the first row that breaks a rule and the reason, or None when all are kept."""
    found: tuple[int, str, Mask] | None = None
    for reason, broken in _rules(candles, timeframe_ns, anchor_ns):
        row = int(np.argmax(broken)) if broken.size else 0
        if broken.size and broken[row] and (found is None or row < found[0]):
            found = (row, reason, broken)
    return None if found is None else (found[0], _with_values(found[1], candles, found[0]))


def _rules(candles: Candles, timeframe_ns: int, anchor_ns: int) -> Iterator[tuple[str, Mask]]:
    # Of two rules broken in the same row the one that comes first here is named: the plainer cause.
    for name, column in zip(VALUES, candles.values, strict=True):
        yield f"{name} is not a finite number", ~np.isfinite(column)
    yield from _time_rules(candles.open_times_ns, timeframe_ns, anchor_ns)
    for name, column in zip(PRICES, candles.values, strict=False):
        yield f"{name} is not above zero", column <= 0
    yield "volume is negative", candles.volume < 0
    yield "low is above high", candles.low > candles.high
    for name, column in (("open", candles.open), ("close", candles.close)):
        yield f"{name} is outside low to high", (column < candles.low) | (column > candles.high)


def _time_rules(times_ns: IntArray, timeframe_ns: int, anchor_ns: int) -> Iterator[tuple[str, Mask]]:
    steps = np.diff(times_ns, prepend=times_ns[:1] - 1)
    yield "the time is the same as in the row before", steps == 0
    yield "the time is earlier than in the row before", steps < 0
    label = timeframe_label(timeframe_ns)
    yield f"the time is off the grid of {label} candles", (times_ns - anchor_ns) % timeframe_ns != 0


def _with_values(reason: str, candles: Candles, row: int) -> str:
    if reason.startswith("the time"):
        return reason
    shown = ", ".join(f"{n} {float(c[row]):.15g}" for n, c in zip(VALUES, candles.values, strict=True))
    return f"{reason} ({shown})"
