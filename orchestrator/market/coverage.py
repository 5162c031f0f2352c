"""How much of each month a series has, told by its index alone."""

from __future__ import annotations

import numpy as np

from orchestrator.market.index import Entry
from orchestrator.market.series import SeriesKey

__all__ = ["monthly_coverage"]


def monthly_coverage(key: SeriesKey, entries: tuple[Entry, ...]) -> dict[str, float]:
    """Return, for each month from the first to the last candle, the share of its candles that is cached.

    Parameters
    ----------
    key, entries
        The series and its parts, at least one.

    Returns
    -------
    dict
        Such as {"2024-01": 1.0, "2024-02": 0.43}; a month that begins or ends the series counts whole.
    """
    counts: dict[str, int] = {}
    for entry in entries:
        month = entry.file[:7]
        counts[month] = counts.get(month, 0) + entry.candle_count
    months = np.arange(np.datetime64(min(counts), "M"), np.datetime64(max(counts), "M") + 1)
    lengths = (months + 1).astype("datetime64[ns]") - months.astype("datetime64[ns]")
    expected = np.maximum(lengths.astype(np.int64) // key.timeframe_ns, 1)
    return {
        str(month): min(counts.get(str(month), 0) / int(count), 1.0)
        for month, count in zip(months, expected, strict=True)
    }
