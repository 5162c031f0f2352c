"""A market of a few candles, answered by naive loops: written apart from the code that it tries."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from orchestrator.candle import Candle, Opening
from orchestrator.errors import ConfigError
from orchestrator.protocol import CandleFlag

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
T0 = 1_704_067_200 * SECOND
"""Begin of every test's run: 2024-01-01, UTC."""

VOLUME = 1_000_000.0


class Block(NamedTuple):
    times_ns: npt.NDArray[np.int64]
    prices: npt.NDArray[np.float64]
    open_times_ns: npt.NDArray[np.int64]
    flags: npt.NDArray[np.uint8]


class FakeMarket:
    """Candles of one minute from T0 on; the price of a candle is its open, high, low and close.

    Parameters
    ----------
    prices
        By coin, the price of each minute; None where there is no candle.
    """

    timeframe = "1m"
    timeframe_ns = MINUTE

    def __init__(self, prices: dict[str, list[float | None]]) -> None:
        self.coins = tuple(prices)
        self.minutes = max(len(line) for line in prices.values())
        self.candles = {
            coin: [
                Candle(at, at + MINUTE, price, price, price, price, VOLUME)
                for minute, price in enumerate(line)
                if price is not None and (at := T0 + minute * MINUTE) is not None
            ]
            for coin, line in prices.items()
        }
        self.start_ns = T0
        self.end_ns = T0 + self.minutes * MINUTE
        self.tick_times = sorted({c.close_time_ns for line in self.candles.values() for c in line})

    @property
    def tick_count(self) -> int:
        return len(self.tick_times)

    @property
    def coin_ends(self) -> tuple[int, ...]:
        return tuple(line[-1].close_time_ns for line in self.candles.values())

    def block(self, start: int, stop: int) -> Block:
        times = self.tick_times[start:stop]
        prices = np.full((len(times), len(self.coins), 5), np.nan)
        open_times = np.zeros((len(times), len(self.coins)), dtype=np.int64)
        flags = np.zeros((len(times), len(self.coins)), dtype=np.uint8)
        for row, time_ns in enumerate(times):
            for place, coin in enumerate(self.coins):
                candle = self.last_closed(coin, time_ns)
                if candle is None:
                    continue
                is_new = candle.close_time_ns == time_ns
                prices[row, place] = candle[2:]
                open_times[row, place] = candle.open_time_ns
                flags[row, place] = CandleFlag.PRESENT | (CandleFlag.NEW if is_new else CandleFlag.STALE)
        return Block(np.array(times, dtype=np.int64), prices, open_times, flags)

    def last_closed(self, coin: str, sim_time_ns: int) -> Candle | None:
        closed = [c for c in self.candles[coin] if c.close_time_ns <= sim_time_ns]
        return closed[-1] if closed else None

    def closed_at(self, coin: str, sim_time_ns: int) -> Candle | None:
        return next((c for c in self.candles[coin] if c.close_time_ns == sim_time_ns), None)

    def opening_at(self, coin: str, sim_time_ns: int) -> Opening | None:
        for candle in self.candles[coin]:
            if candle.open_time_ns <= sim_time_ns < candle.close_time_ns:
                return Opening(candle.open_time_ns, candle.open)
        return None

    def next_open_time(self, coin: str, sim_time_ns: int) -> int | None:
        return next((c.open_time_ns for c in self.candles[coin] if c.open_time_ns > sim_time_ns), None)

    def recent_ranges(self, coin: str, sim_time_ns: int, count: int) -> npt.NDArray[np.float64]:
        closed = [c for c in self.candles[coin] if c.close_time_ns <= sim_time_ns]
        return np.array([(c.high - c.low) / c.open for c in closed[-count:]])

    def history(
        self, coin: str, timeframe: str, count: int, sim_time_ns: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        if timeframe != self.timeframe:
            raise ConfigError(f"timeframe {timeframe} cannot be made of 1m candles")
        closed = [c for c in self.candles[coin] if c.close_time_ns <= sim_time_ns][-count:]
        return np.array([c.open_time_ns for c in closed], dtype=np.int64), np.array([c[2:] for c in closed]).T
