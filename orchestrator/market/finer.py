"""Finer candles than a run's: where they are known and agree, they say what happened inside a candle.

A candle of the run is decided by the finest cached series of the same exchange, coin and quote that covers all
of it and sums to it. Whether it does depends on nothing outside that candle, so no future can be seen in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from orchestrator.candle import Candle
from orchestrator.market.cache import series_in
from orchestrator.market.candles import Candles, values_digest
from orchestrator.market.mapped import map_series
from orchestrator.market.series import SeriesKey
from orchestrator.market.timeframes import timeframe_label

__all__ = ["FinerSeries", "find_finer", "finer_notes", "load_finer"]

# Volumes are sums of many trades, rounded on their way; prices are equal or wrong.
_VOLUME_TOLERANCE: Final = 1e-6


class FinerSeries:
    """Candles of one coin that are finer than the run's, and which of the run's candles they decide.

    Parameters
    ----------
    timeframe_ns
        Of the finer candles.
    candles
        Sorted; kept, not copied.
    decided_ns
        Open times of the run's candles that they decide, int64[n], sorted, n >= 1.
    parts
        How many finer candles make one of the run's.
    share
        Of the run's candles, how many are decided, in (0, 1].
    """

    def __init__(
        self,
        timeframe_ns: int,
        candles: Candles,
        decided_ns: npt.NDArray[np.int64],
        parts: int,
        share: float,
    ) -> None:
        self.timeframe_ns = timeframe_ns
        self.share = share
        self._candles = candles
        self._decided_ns = decided_ns
        self._parts = parts

    @property
    def timeframe(self) -> str:
        """Name of the finer timeframe, such as "1m"."""
        return timeframe_label(self.timeframe_ns)

    @property
    def digest(self) -> str:
        """SHA-256 hex of the values of the finer candles."""
        return values_digest(self._candles)

    def parts_of(self, open_time_ns: int) -> tuple[Candle, ...]:
        """Return the finer candles of the run's candle that opens at a time; none when it is not decided."""
        row = int(self._decided_ns.searchsorted(open_time_ns))
        if row == len(self._decided_ns) or self._decided_ns[row] != open_time_ns:
            return ()
        start = int(self._candles.open_times_ns.searchsorted(open_time_ns))
        columns = (column[start : start + self._parts].tolist() for column in self._candles.values)
        times = range(open_time_ns, open_time_ns + self._parts * self.timeframe_ns, self.timeframe_ns)
        return tuple(
            Candle(time, time + self.timeframe_ns, *values)
            for time, *values in zip(times, *columns, strict=True)
        )


def load_finer(
    cache: Path,
    key: SeriesKey,
    base: Candles,
    start_ns: int,
    end_ns: int,
    timeframes: tuple[str, ...] | None = None,
) -> tuple[FinerSeries, ...]:
    """Return the cached series that decide candles of the run, the finest first.

    Parameters
    ----------
    cache
        The cache folder.
    key, base
        The series that the run uses, and its candles.
    start_ns, end_ns
        The run: only candles that open and close inside it are decided.
    timeframes
        Those that may decide; None: all.

    Raises
    ------
    DataError
        If a finer series is corrupt.
    """
    first, last = base.open_times_ns.searchsorted([start_ns, end_ns - key.timeframe_ns + 1])
    inside = base.take(slice(int(first), int(last)))
    found = (
        find_finer(inside, key.timeframe_ns, map_series(cache, other), other.timeframe_ns)
        for other in sorted(series_in(cache), key=lambda other: other.timeframe_ns)
        if key.can_be_made_of(other) and (timeframes is None or other.timeframe in timeframes)
    )
    return tuple(series for series in found if series is not None)


def find_finer(base: Candles, base_ns: int, finer: Candles, finer_ns: int) -> FinerSeries | None:
    """Return the finer candles with the base candles that they cover wholly and sum to; None without any.

    Parameters
    ----------
    base, base_ns
        Candles to be decided and their length.
    finer, finer_ns
        Candles of a length that divides it, on a grid that contains the base one.
    """
    parts = base_ns // finer_ns
    starts = finer.open_times_ns.searchsorted(base.open_times_ns)
    is_covered = starts + parts <= finer.size
    ends = np.where(is_covered, starts + parts - 1, 0)
    # Both are sorted and on one grid: the right first and last candle leave room for exactly the others.
    if finer.size:
        is_covered &= finer.open_times_ns[np.where(is_covered, starts, 0)] == base.open_times_ns
        is_covered &= finer.open_times_ns[ends] == base.open_times_ns + (base_ns - finer_ns)
    covered = base.take(is_covered)
    starts = starts[is_covered]
    is_sum = _sums_to(finer, starts[:, None] + np.arange(parts), covered)
    if not is_sum.any():
        return None
    starts = starts[is_sum]
    candles = finer.take(slice(int(starts[0]), int(starts[-1]) + parts))
    decided_ns = covered.open_times_ns[is_sum]
    return FinerSeries(finer_ns, candles, decided_ns, parts, len(decided_ns) / base.size)


def finer_notes(finer: dict[str, tuple[FinerSeries, ...]]) -> list[str]:
    """Return a remark for the user on which coins' candles are decided by finer ones, if any are."""
    coins = [
        f"{coin} " + " and ".join(_share_text(series) for series in found)
        for coin, found in finer.items()
        if found
    ]
    return [f"finer candles decide what happens inside a candle: {', '.join(coins)}"] if coins else []


def _share_text(series: FinerSeries) -> str:
    # Rounded down, so that 100 % means all.
    if series.share == 1.0:
        return series.timeframe
    return f"{series.timeframe} ({int(series.share * 1000) / 10} % of its candles)"


def _sums_to(finer: Candles, rows: npt.NDArray[np.int64], base: Candles) -> npt.NDArray[np.bool_]:
    # rows: [n, parts], the finer candles of each base candle.
    is_equal: npt.NDArray[np.bool_] = finer.open[rows[:, 0]] == base.open
    is_equal &= finer.close[rows[:, -1]] == base.close
    is_equal &= finer.high[rows].max(axis=1) == base.high
    is_equal &= finer.low[rows].min(axis=1) == base.low
    is_equal &= np.isclose(finer.volume[rows].sum(axis=1), base.volume, rtol=_VOLUME_TOLERANCE, atol=0.0)
    return is_equal
