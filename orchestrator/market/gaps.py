"""Gaps: stretches without candles between two candles of a coin; and whether a run accepts them."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from orchestrator.config import NS_PER_SECOND
from orchestrator.errors import DataError
from orchestrator.market.candles import Candles, time_text

__all__ = ["Gap", "accept_gaps", "duration_text", "find_gaps", "gaps_in_run"]

_LISTED_MAX: Final = 5
_STEPS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


class Gap(NamedTuple):
    """No candle opens in [start_ns, end_ns); the ones on both sides exist."""

    start_ns: int
    end_ns: int

    @property
    def length_ns(self) -> int:
        """How long the stretch is."""
        return self.end_ns - self.start_ns


def find_gaps(candles: Candles, timeframe_ns: int) -> list[Gap]:
    """Return the gaps between sorted candles, in order of time."""
    times = candles.open_times_ns
    rows = np.flatnonzero(np.diff(times) > timeframe_ns)
    return [Gap(int(times[row]) + timeframe_ns, int(times[row + 1])) for row in rows]


def gaps_in_run(candles: Candles, timeframe_ns: int, start_ns: int, end_ns: int) -> list[Gap]:
    """Return the gaps that reach into [start_ns, end_ns), cut to it.

    What lies before the first candle of all or after the last one of all is no gap: there the coin has not
    begun yet, or has ended.
    """
    cut = (Gap(max(g.start_ns, start_ns), min(g.end_ns, end_ns)) for g in find_gaps(candles, timeframe_ns))
    return [gap for gap in cut if gap.length_ns >= timeframe_ns]


def accept_gaps(gaps: dict[str, list[Gap]], policy: str, max_gap_ns: int | None) -> list[str]:
    """Return one remark for each coin with gaps, or refuse them.

    Parameters
    ----------
    gaps
        Coin to its gaps in the run.
    policy
        "fail" refuses any gap; "stale" accepts those of at most `max_gap_ns` (None: of any length).

    Raises
    ------
    DataError
        Listing the first refused gaps, with the exact flags that would accept all of them.
    """
    limit_ns = 0 if policy == "fail" else max_gap_ns
    refused = [
        (gap, coin)
        for coin, found in gaps.items()
        for gap in found
        if limit_ns is not None and gap.length_ns > limit_ns
    ]
    if refused:
        raise DataError(_refusal(refused, policy, limit_ns))
    return [f"{coin}: {_summary(found)}, kept stale" for coin, found in gaps.items() if found]


def duration_text(length_ns: int) -> str:
    """Return a length such as "1h20m" or "2d4h"."""
    rest = length_ns // NS_PER_SECOND
    words = []
    for size, unit in _STEPS:
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count}{unit}")
    return "".join(words) or "0s"


def _summary(gaps: list[Gap]) -> str:
    longest = max(gap.length_ns for gap in gaps)
    return f"{len(gaps)} gap{'s' if len(gaps) > 1 else ''}, longest {duration_text(longest)}"


def _refusal(refused: list[tuple[Gap, str]], policy: str, limit_ns: int | None) -> str:
    refused = sorted(refused)
    listed = ", ".join(
        f"{coin} {time_text(gap.start_ns)} ({duration_text(gap.length_ns)})"
        for gap, coin in refused[:_LISTED_MAX]
    )
    more = f" and {len(refused) - _LISTED_MAX} more" if len(refused) > _LISTED_MAX else ""
    longest = max(gap.length_ns for gap, _ in refused)
    flag = f"--gaps stale --max-gap {_flag_duration(longest)}"
    if policy == "fail":
        found, flags = f"{len(refused)} gap(s) in the candles", f"--gaps stale, or with {flag}"
    else:
        found, flags = (
            f"{len(refused)} gap(s) longer than {duration_text(limit_ns or 0)} in the candles",
            flag,
        )
    return f"{found}: {listed}{more}; accept them with {flags}"


def _flag_duration(length_ns: int) -> str:
    # One whole number and one unit, as --max-gap takes it; never shorter than the gap. Rounded up to a larger
    # unit only where that adds little; a gap is a whole number of seconds, so the last unit always fits.
    counts = ((-(-length_ns // (size * NS_PER_SECOND)), size * NS_PER_SECOND, unit) for size, unit in _STEPS)
    return next(f"{count}{unit}" for count, size_ns, unit in counts if length_ns % size_ns == 0 or count >= 3)
