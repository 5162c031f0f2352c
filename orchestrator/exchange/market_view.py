"""What the exchange may see of the market, as of a simulation time: never later than now.

The exchange states its need here and knows nothing of files or columns; `market.Market` fulfils it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from orchestrator.candle import Candle, Opening

__all__ = ["Candle", "FinerCandles", "FundingView", "MarketView", "Opening"]


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


@runtime_checkable
class FinerCandles(Protocol):
    """What a market view offers besides, when candles finer than the run's are cached.

    They decide the order of events within a candle of the run; without them an assumption does
    (`execution_model.intrabar`).
    """

    def finer_candles(self, coin: str, sim_time_ns: int) -> tuple[Candle, ...]:
        """Return the finer candles of the run's candle that closes exactly at the time, oldest first.

        They are of the same exchange and quote, do not overlap, begin at its open time or later and end at
        its close time or earlier; together they have its high, low and volume. Empty when the run's candle
        does not exist or its finer candles are not all known.
        """


class FundingView(Protocol):
    """The funding rates of perpetual contracts."""

    def next_time(self, coin: str, sim_time_ns: int) -> int | None:
        """Return the first funding time later than the time, None when there is none. For scheduling only."""

    def rate_at(self, coin: str, sim_time_ns: int) -> Decimal:
        """Return the rate of the funding at exactly the time: a fraction of the position, of either sign."""
