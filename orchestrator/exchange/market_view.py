"""What the exchange may see of the market, as of a simulation time: never later than now.

The exchange states its need here and knows nothing of files or columns; `market.Market` fulfils it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from orchestrator.candle import Candle, Opening

__all__ = ["Candle", "MarketView", "Opening"]


class MarketView(Protocol):
    """As-of access to the candles of one run. Coins are named as in the run's configuration."""

    def last_closed(self, coin: str, sim_time_ns: int) -> Candle | None:
        """Return the last candle closed at or before the time, None before the first one."""

    def closed_at(self, coin: str, sim_time_ns: int) -> Candle | None:
        """Return the candle that closes exactly at the time, None when there is none."""

    def opening_at(self, coin: str, sim_time_ns: int) -> Opening | None:
        """Return the open of the candle that contains the time, None in a gap or outside the data."""

    def next_open_time(self, coin: str, sim_time_ns: int) -> int | None:
        """Return the open time of the first candle that opens later than the time, None when none does.

        For scheduling only: the value never reaches a component or a price.
        """

    def recent_ranges(self, coin: str, sim_time_ns: int, count: int) -> npt.NDArray[np.float64]:
        """Return (high - low) / open of up to `count` candles closed at or before the time, oldest first."""
