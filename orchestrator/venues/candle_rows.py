"""Candles as rows of an answer: closed ones first to last, then the one that is still open.

A closed candle never changes, so its row is written once and kept; who polls pays for what is new.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from orchestrator.candle import Candle
from orchestrator.config import parse_timeframe_ns
from orchestrator.venues.market_data import MarketData

__all__ = ["CandleRows", "WriteRow"]

WriteRow = Callable[[Candle], bytes]
"""Writes one candle in a venue's own form, such as b'["1700000000","1.0",…]'."""

_ROWS_MAX: Final = 400_000  # about 100 MB; then they are written anew


class CandleRows:
    """The candles of a venue.

    Parameters
    ----------
    market
        Candles of the run.
    write
        Coin -> what writes its rows; it depends on the candle alone.
    holes
        Whether an interval without trades has no row or a flat one without volume.
    """

    def __init__(
        self, market: MarketData, write: Callable[[str], WriteRow], holes: Literal["keep", "fill"] = "keep"
    ) -> None:
        self._market = market
        self._make_writer = write
        self._is_filling = holes == "fill"
        self._writers: dict[str, WriteRow] = {}
        self._rows: dict[tuple[str, str], dict[int, bytes]] = {}
        self._kept = 0  # rows in all of them

    def rows(
        self,
        coin: str,
        timeframe: str,
        sim_time_ns: int,
        *,
        first_open_ns: int = 0,
        last_open_ns: int | None = None,
        limit: int,
        anchor_ns: int = 0,
    ) -> list[bytes]:
        """Return the last `limit` candles that open within the bounds, oldest first, the open one included.

        The open candle is made of base candles that are closed; while there is none of them it is flat at the
        last close, without volume. It belongs to the answer whenever its open time is within the bounds.

        Raises
        ------
        ConfigError
            If the timeframe cannot be made of the run's candles.
        """
        length_ns = parse_timeframe_ns(timeframe)
        open_ns = sim_time_ns - (sim_time_ns - anchor_ns) % length_ns
        last_ns = open_ns if last_open_ns is None else min(last_open_ns, open_ns)
        opened = None
        if first_open_ns <= open_ns <= last_ns:
            opened = self.open_candle(coin, timeframe, sim_time_ns, anchor_ns=anchor_ns)
        room = limit - (opened is not None)
        rows = self._closed(
            coin, timeframe, length_ns, anchor_ns, sim_time_ns, first_open_ns, min(last_ns, open_ns - 1), room
        )
        if opened is not None:
            rows.append(self._writer(coin)(opened))
        return rows

    def open_candle(
        self, coin: str, timeframe: str, sim_time_ns: int, *, anchor_ns: int = 0
    ) -> Candle | None:
        """Return the open candle, flat while nothing of it is known; None before the coin's first candle."""
        opened = self._market.open_candle(coin, timeframe, sim_time_ns, anchor_ns=anchor_ns)
        if opened is not None:
            return opened
        last = self._market.last_closed(coin, sim_time_ns)
        if last is None:
            return None
        length_ns = parse_timeframe_ns(timeframe)
        open_ns = sim_time_ns - (sim_time_ns - anchor_ns) % length_ns
        return flat(open_ns, length_ns, last.close)

    def candles(
        self,
        coin: str,
        timeframe: str,
        sim_time_ns: int,
        *,
        first_open_ns: int,
        last_open_ns: int,
        limit: int,
        anchor_ns: int = 0,
    ) -> list[Candle]:
        """Return the last `limit` closed candles within the bounds as they are, oldest first."""
        columns = self._market.closed_between(
            coin, timeframe, first_open_ns, last_open_ns, sim_time_ns, limit, anchor_ns=anchor_ns
        )
        length_ns = parse_timeframe_ns(timeframe)
        times = columns.open_times_ns.tolist()
        values = columns.values.T.tolist()
        return [Candle(time, time + length_ns, *row) for time, row in zip(times, values, strict=True)]

    def _closed(
        self,
        coin: str,
        timeframe: str,
        length_ns: int,
        anchor_ns: int,
        sim_time_ns: int,
        first_ns: int,
        last_ns: int,
        limit: int,
    ) -> list[bytes]:
        if limit < 1 or last_ns < first_ns:
            return []
        if self._is_filling:
            # The window is counted in intervals, so that a hole takes the place of a row.
            last_ns -= (last_ns - anchor_ns) % length_ns
            first_ns = max(first_ns, last_ns - (limit - 1) * length_ns)
        columns = self._market.closed_between(
            coin, timeframe, first_ns, last_ns, sim_time_ns, limit, anchor_ns=anchor_ns
        )
        times: list[int] = columns.open_times_ns.tolist()
        known = self._rows.setdefault((coin, timeframe), {})
        try:
            rows = [known[time] for time in times]
        except KeyError:
            if self._kept >= _ROWS_MAX:
                self._rows.clear()
                self._kept, known = 0, self._rows.setdefault((coin, timeframe), {})
            write, before = self._writer(coin), len(known)
            for time, values in zip(times, columns.values.T.tolist(), strict=True):
                if time not in known:
                    known[time] = write(Candle(time, time + length_ns, *values))
            self._kept += len(known) - before
            rows = [known[time] for time in times]
        if not self._is_filling:
            return rows
        first_ns += (anchor_ns - first_ns) % length_ns
        return self._filled(
            coin, timeframe, length_ns, anchor_ns, sim_time_ns, first_ns, last_ns, times, rows
        )

    def _filled(
        self,
        coin: str,
        timeframe: str,
        length_ns: int,
        anchor_ns: int,
        sim_time_ns: int,
        first_ns: int,
        last_ns: int,
        times: list[int],
        rows: list[bytes],
    ) -> list[bytes]:
        if len(times) == (last_ns - first_ns) // length_ns + 1:
            return rows
        before = self.candles(
            coin,
            timeframe,
            sim_time_ns,
            first_open_ns=0,
            last_open_ns=first_ns - 1,
            limit=1,
            anchor_ns=anchor_ns,
        )
        real = self.candles(
            coin,
            timeframe,
            sim_time_ns,
            first_open_ns=first_ns,
            last_open_ns=last_ns,
            limit=max(1, len(times)),
            anchor_ns=anchor_ns,
        )
        # A flat candle after each candle until the next one; nothing before the coin's first.
        start_ns = first_ns if before else (times[0] if times else last_ns + length_ns)
        write, filled = self._writer(coin), []
        by_time = dict(zip(times, rows, strict=True))
        closes = {candle.open_time_ns: candle.close for candle in real}
        close = before[0].close if before else 0.0
        for time in range(start_ns, last_ns + 1, length_ns):
            close = closes.get(time, close)
            filled.append(by_time.get(time) or write(flat(time, length_ns, close)))
        return filled

    def _writer(self, coin: str) -> WriteRow:
        if coin not in self._writers:
            self._writers[coin] = self._make_writer(coin)
        return self._writers[coin]


def flat(open_ns: int, length_ns: int, price: float) -> Candle:
    """Return a candle in which nothing was traded."""
    return Candle(open_ns, open_ns + length_ns, price, price, price, price, 0.0)
