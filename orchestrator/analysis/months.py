"""Returns by calendar month, UTC."""

from __future__ import annotations

import numpy as np

from orchestrator.analysis.curve import Curve
from orchestrator.analysis.metrics import MonthlyReturn

__all__ = ["monthly_returns"]


def monthly_returns(curve: Curve) -> tuple[MonthlyReturn, ...]:
    """Return the growth in each month that a curve touches; the first and last may not be whole."""
    begin, end = curve.times_ns[0].astype("datetime64[ns]"), curve.times_ns[-1].astype("datetime64[ns]")
    last = (end - np.timedelta64(1, "ns")).astype(
        "datetime64[M]"
    )  # a run that ends at midnight has no day more
    months = np.arange(begin.astype("datetime64[M]"), max(last, begin.astype("datetime64[M]")) + 1)
    edges = np.append(months, months[-1] + 1).astype("datetime64[ns]")
    rows = np.searchsorted(curve.times_ns, edges.astype(np.int64), "right") - 1
    values = curve.values[np.maximum(rows, 0)]
    return tuple(
        MonthlyReturn(
            month=str(month),
            total_return=float(values[place + 1] / values[place] - 1.0) if values[place] > 0.0 else 0.0,
            is_whole=bool(edges[place] >= begin and edges[place + 1] <= end),
        )
        for place, month in enumerate(months)
    )
