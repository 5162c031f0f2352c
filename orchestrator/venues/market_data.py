"""What venues may see of the market, always as of a simulation time; `market.Market` fulfils it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from orchestrator.candle import Candle

__all__ = ["ClosedColumns", "MarketData"]


class ClosedColumns(Protocol):
    """Closed candles as one block: `open_times_ns` int64[n], `values` float64[5, n] (open … volume)."""

    @property
    def open_times_ns(self) -> npt.NDArray[np.int64]: ...  # noqa: D102 - see above

    @property
    def values(self) -> npt.NDArray[np.float64]: ...  # noqa: D102 - see above


class MarketData(Protocol):
    """The candles of the coins of a run."""

    coins: tuple[str, ...]
    exchange: str
    quote: str
    timeframe_ns: int

    def last_closed(self, coin: str, sim_time_ns: int) -> Candle | None:
        """Return the last candle closed at or before the time, warm-up too; None before the first one."""

    def closed_between(
        self,
        coin: str,
        timeframe: str,
        first_open_ns: int,
        last_open_ns: int,
        sim_time_ns: int,
        limit: int,
        *,
        anchor_ns: int | None = None,
    ) -> ClosedColumns:
        """Return the last `limit` closed candles that open within [first_open_ns, last_open_ns]."""

    def open_candle(
        self, coin: str, timeframe: str, sim_time_ns: int, *, anchor_ns: int | None = None
    ) -> Candle | None:
        """Return the candle that is still open at the time, of what is closed of it by then."""
