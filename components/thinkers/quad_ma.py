"""Quad moving average: four averages of the close; the more of them are in order, the stronger the signal.

`long` is the number of neighbouring pairs (shorter, longer) whose shorter average is the higher one, `short` the
number whose shorter average is the lower one; 3 means that all four are in order. Said when it changes.

Parameters: `periods` (four ascending numbers of candles, default 5, 10, 20, 50).
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise

from components import Replay, connect

__all__ = ["MovingAverages", "main"]


class MovingAverages:
    """Simple moving averages of one coin's closes, each updated by one addition and one subtraction."""

    def __init__(self, periods: tuple[int, ...]) -> None:
        self._periods = periods
        self._closes: deque[float] = deque(maxlen=periods[-1])
        self._sums = [0.0] * len(periods)

    def add(self, close: float) -> None:
        """Take the next close."""
        closes = self._closes
        for place, period in enumerate(self._periods):
            leaving = closes[-period] if len(closes) >= period else 0.0
            self._sums[place] += close - leaving
        closes.append(close)

    def strength(self) -> tuple[int, int] | None:
        """Return (long, short), None before the longest period is full."""
        if len(self._closes) < self._periods[-1]:
            return None
        averages = [total / period for total, period in zip(self._sums, self._periods, strict=True)]
        pairs = list(pairwise(averages))
        return sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)


def main() -> None:
    """Think until the replay ends."""
    with connect() as replay:
        periods = _periods(replay)
        averages = {coin: MovingAverages(periods) for coin in replay.coins}
        said: dict[str, tuple[int, int]] = {}
        is_begun = False
        for snapshot in replay.snapshots():
            for coin in replay.coins:
                candle = snapshot[coin]
                if not is_begun:  # the past before the run, and the first candle with it
                    for close in replay.history(coin, replay.timeframe, periods[-1]).close:
                        averages[coin].add(close)
                elif candle is None or not candle.is_new:
                    continue
                else:
                    averages[coin].add(candle.close)
                strength = averages[coin].strength()
                if strength is not None and strength != said.get(coin):
                    said[coin] = strength
                    replay.signal(coin, long=strength[0], short=strength[1])
            is_begun = True


def _periods(replay: Replay) -> tuple[int, ...]:
    periods = tuple(replay.params.get("periods", (5, 10, 20, 50)))
    if (
        len(periods) != 4
        or any(not isinstance(p, int) or p < 1 for p in periods)
        or list(periods) != sorted(set(periods))
    ):
        raise SystemExit(
            f"periods {list(periods)} is not allowed; give four ascending whole numbers such as [5, 10, 20, 50]"
        )
    return periods


if __name__ == "__main__":
    main()
