"""The candles of one run: everything that may be asked about them, always as of a simulation time.

Nothing that is returned for a time depends on a candle that opens at or after it, with two exceptions that
say so: `opening_at` knows the open of the candle that contains the time, and `next_open_time`, which only
schedules, knows when the next candle opens.
"""

from __future__ import annotations

import copy
import hashlib
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from orchestrator.candle import Candle, Opening
from orchestrator.config import parse_timeframe_ns
from orchestrator.errors import ConfigError
from orchestrator.market.candles import Candles, Columns, values_digest
from orchestrator.market.finer import FinerSeries
from orchestrator.market.open_candles import OpenCandles
from orchestrator.market.resample import resample
from orchestrator.market.timeframes import grid_anchor_ns, timeframe_label
from orchestrator.protocol import CandleFlag

__all__ = ["Market", "TickBlock"]


class TickBlock(NamedTuple):
    """Consecutive ticks; C-contiguous, little-endian, coins in the order of the run.

    A coin without a closed candle yet has NaN prices, open time 0 and flags 0.
    """

    times_ns: npt.NDArray[np.int64]  # [n]
    prices: npt.NDArray[np.float64]  # [n, n_coins, 5]: open, high, low, close, volume
    open_times_ns: npt.NDArray[np.int64]  # [n, n_coins]
    flags: npt.NDArray[np.uint8]  # [n, n_coins], `CandleFlag`


class Market:
    """The candles of the coins of one run over [start_ns, end_ns), and those before it as warm-up.

    Parameters
    ----------
    candles
        For each coin, in the order of the run, its sound candles of one timeframe; later ones than the run
        are ignored. The arrays are kept, not copied, and never written.
    exchange, quote, timeframe_ns
        Whose candles they are; the exchange decides where weeks begin.
    start_ns, end_ns
        The run. Ticks are the times in (start_ns, end_ns] at which a candle of any coin closes.
    finer
        For coins that have them, the series that decide what happened inside a candle, the finest first.
    notes
        Remarks for the user, one line each.
    """

    def __init__(
        self,
        candles: dict[str, Candles],
        *,
        exchange: str,
        quote: str,
        timeframe_ns: int,
        start_ns: int,
        end_ns: int,
        finer: dict[str, tuple[FinerSeries, ...]] | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.coins = tuple(candles)
        self.exchange = exchange
        self.quote = quote
        self.timeframe_ns = timeframe_ns
        self.timeframe = timeframe_label(timeframe_ns)
        self.start_ns = start_ns
        self.end_ns = end_ns
        self.notes = notes
        self._visible = {coin: _opened_before(columns, end_ns) for coin, columns in candles.items()}
        self._finer = finer or {}
        self._resampled: dict[tuple[str, int, int], Candles] = {}
        self._open_candles: dict[tuple[str, int, int], OpenCandles] = {}
        self.tick_times_ns = self._find_ticks()
        self.tick_count = len(self.tick_times_ns)
        self.data_digest = self._digest()

    def block(self, start: int, stop: int) -> TickBlock:
        """Return the ticks with indices start..stop (half-open, 0 is the first tick of the run)."""
        times = self.tick_times_ns[start:stop]
        shape = (len(times), len(self.coins))
        prices = np.empty((*shape, 5), dtype="<f8")
        open_times = np.empty(shape, dtype="<i8")
        flags = np.empty(shape, dtype="u1")
        for place, coin in enumerate(self.coins):
            columns = (prices[:, place], open_times[:, place], flags[:, place])
            self._fill_coin(self._visible[coin], times, *columns)
        return TickBlock(times, prices, open_times, flags)

    def with_ticks(self, tick_times_ns: npt.NDArray[np.int64]) -> Self:
        """Return the same market with other ticks: sorted times in (start_ns, end_ns], its own among them."""
        other = copy.copy(self)
        other.tick_times_ns = tick_times_ns
        other.tick_count = len(tick_times_ns)
        return other

    def last_closed(self, coin: str, sim_time_ns: int) -> Candle | None:
        """Return the last candle closed at or before the time, warm-up too; None before the first one."""
        candles = self._visible[coin]
        return self._candle(candles, self._closed_count(candles, sim_time_ns) - 1)

    def closed_at(self, coin: str, sim_time_ns: int) -> Candle | None:
        """Return the candle that closes exactly at the time, None when there is none."""
        candle = self.last_closed(coin, sim_time_ns)
        return candle if candle is not None and candle.close_time_ns == sim_time_ns else None

    @property
    def finer_timeframes(self) -> tuple[str, ...]:
        """Timeframes of the finer candles that decide what happens inside one of the run's, the finest first."""
        names = {series.timeframe_ns: series.timeframe for found in self._finer.values() for series in found}
        return tuple(names[key] for key in sorted(names))

    def finer_candles(self, coin: str, sim_time_ns: int) -> tuple[Candle, ...]:
        """Return the finer candles of the run's candle that closes exactly at the time, oldest first.

        They cover all of it and sum to it; empty when there is no such candle, or none finer that do.
        """
        for series in self._finer.get(coin, ()):
            parts = series.parts_of(sim_time_ns - self.timeframe_ns)
            if parts:
                return parts
        return ()

    def opening_at(self, coin: str, sim_time_ns: int) -> Opening | None:
        """Return the open of the run's candle that contains the time, None in a gap or outside the data."""
        candles = self._visible[coin]
        row = int(candles.open_times_ns.searchsorted(sim_time_ns, "right")) - 1
        if row < 0:
            return None
        open_time_ns = int(candles.open_times_ns[row])
        if open_time_ns < self.start_ns or sim_time_ns >= open_time_ns + self.timeframe_ns:
            return None
        return Opening(open_time_ns, float(candles.open[row]))

    def next_open_time(self, coin: str, sim_time_ns: int) -> int | None:
        """Return when the run's next candle opens, later than the time; None when none does.

        For scheduling only: the value never reaches a component or a price.
        """
        open_times = self._visible[coin].open_times_ns
        row = int(open_times.searchsorted(max(sim_time_ns, self.start_ns - 1), "right"))
        return int(open_times[row]) if row < len(open_times) else None

    def recent_ranges(self, coin: str, sim_time_ns: int, count: int) -> npt.NDArray[np.float64]:
        """Return (high - low) / open of up to `count` candles closed at or before the time, oldest first."""
        candles = self._visible[coin]
        stop = self._closed_count(candles, sim_time_ns)
        rows = slice(max(0, stop - count), stop)
        ranges: npt.NDArray[np.float64] = (candles.high[rows] - candles.low[rows]) / candles.open[rows]
        return ranges

    def coin_begin_ns(self, coin: str) -> int:
        """Return the open time of the coin's first cached candle, warm-up included."""
        return int(self._visible[coin].open_times_ns[0])

    def coin_end_ns(self, coin: str) -> int:
        """Return the close of the coin's last candle inside the run."""
        candles = self._visible[coin]
        stop = self._closed_count(candles, self.end_ns)
        return int(candles.open_times_ns[stop - 1]) + self.timeframe_ns

    def history(self, coin: str, timeframe: str, count: int, sim_time_ns: int) -> Columns:
        """Return the last `count` candles of a timeframe that are closed as of the time, oldest first.

        Fewer when the data begin later. Candles longer than the run's are made of its base candles; an
        interval without any has no candle, one with some has what there is.

        Raises
        ------
        ConfigError
            If the coin is not in the run, the timeframe is not a multiple of the run's, or `count` < 1.
        """
        self._require_coin(coin)
        if count < 1:
            raise ConfigError(f"history of {count} candles is not possible; ask for at least 1")
        timeframe_ns, anchor_ns = self._grid_of(timeframe, None)
        candles = self._of_grid(coin, timeframe_ns, anchor_ns)
        stop = int(candles.open_times_ns.searchsorted(sim_time_ns - timeframe_ns, "right"))
        return candles.block(slice(max(0, stop - count), stop))

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
    ) -> Columns:
        """Return the last `limit` candles that open within two times and are closed as of a third, oldest first.

        Parameters
        ----------
        first_open_ns, last_open_ns
            Both ends belong to it.
        limit
            At least 1.
        anchor_ns
            One open time of the timeframe's grid, for those who count weeks as another exchange does; None: as
            this market's exchange does.

        Raises
        ------
        ConfigError
            As `history` does.
        """
        self._require_coin(coin)
        timeframe_ns, anchor_ns = self._grid_of(timeframe, anchor_ns)
        candles = self._of_grid(coin, timeframe_ns, anchor_ns)
        times = candles.open_times_ns
        stop = int(times.searchsorted(min(last_open_ns, sim_time_ns - timeframe_ns), "right"))
        start = int(times.searchsorted(first_open_ns, "left"))
        return candles.block(slice(max(start, stop - limit, 0), max(stop, start)))

    def open_candle(
        self, coin: str, timeframe: str, sim_time_ns: int, *, anchor_ns: int | None = None
    ) -> Candle | None:
        """Return the candle of a timeframe that is still open at the time, of what is closed of it by then.

        Its `close_time_ns` is when it will close. None while none of its base candles is closed, always for the
        run's own timeframe. Cheap for those who poll: time that moves on costs what closed in between.

        Raises
        ------
        ConfigError
            If the coin is not in the run or the timeframe is not a multiple of the run's.
        """
        self._require_coin(coin)
        timeframe_ns, anchor_ns = self._grid_of(timeframe, anchor_ns)
        key = (coin, timeframe_ns, anchor_ns)
        if key not in self._open_candles:
            self._open_candles[key] = OpenCandles(
                self._visible[coin], self.timeframe_ns, timeframe_ns, anchor_ns
            )
        return self._open_candles[key].at(sim_time_ns)

    def _require_coin(self, coin: str) -> None:
        if coin not in self._visible:
            raise ConfigError(f"coin {coin!r} is not in this run; its coins are {', '.join(self.coins)}")

    def _grid_of(self, timeframe: str, anchor_ns: int | None) -> tuple[int, int]:
        # Length and an open time of a grid that contains the run's.
        timeframe_ns = parse_timeframe_ns(timeframe)
        if anchor_ns is None:
            anchor_ns = grid_anchor_ns(self.exchange, timeframe_ns)
        anchor_ns %= timeframe_ns  # one grid has one name
        if timeframe_ns % self.timeframe_ns or (anchor_ns - self._anchor_ns) % self.timeframe_ns:
            raise ConfigError(
                f"timeframe {timeframe} cannot be made of this run's {self.timeframe} candles; "
                f"use {self.timeframe} or a multiple of it"
            )
        return timeframe_ns, anchor_ns

    @property
    def _anchor_ns(self) -> int:
        return grid_anchor_ns(self.exchange, self.timeframe_ns)

    def _of_grid(self, coin: str, timeframe_ns: int, anchor_ns: int) -> Candles:
        # A longer candle depends on nothing outside its own interval, so all of them can be made at once;
        # who asks as of a time gets those that are closed by then.
        if timeframe_ns == self.timeframe_ns:
            return self._visible[coin]
        key = (coin, timeframe_ns, anchor_ns)
        if key not in self._resampled:
            self._resampled[key] = resample(self._visible[coin], timeframe_ns, anchor_ns)
        return self._resampled[key]

    def _closed_count(self, candles: Candles, sim_time_ns: int) -> int:
        return int(candles.open_times_ns.searchsorted(sim_time_ns - self.timeframe_ns, "right"))

    def _candle(self, candles: Candles, row: int) -> Candle | None:
        if row < 0:
            return None
        open_time_ns = int(candles.open_times_ns[row])
        values = (float(column[row]) for column in candles.values)
        return Candle(open_time_ns, open_time_ns + self.timeframe_ns, *values)

    def _fill_coin(
        self,
        candles: Candles,
        times: npt.NDArray[np.int64],
        prices: npt.NDArray[np.float64],
        open_times: npt.NDArray[np.int64],
        flags: npt.NDArray[np.uint8],
    ) -> None:
        opens_latest = times - self.timeframe_ns  # a candle that closes at the tick opened then
        rows = candles.open_times_ns.searchsorted(opens_latest, "right") - 1
        absent = int(np.count_nonzero(rows < 0))  # rows are sorted: these ticks come first
        prices[:absent] = np.nan
        open_times[:absent] = 0
        flags[:absent] = 0
        known = rows[absent:]
        for place, column in enumerate(candles.values):
            prices[absent:, place] = column[known]
        open_times[absent:] = candles.open_times_ns[known]
        is_new = open_times[absent:] == opens_latest[absent:]
        new, stale = CandleFlag.PRESENT | CandleFlag.NEW, CandleFlag.PRESENT | CandleFlag.STALE
        flags[absent:] = np.where(is_new, np.uint8(new), np.uint8(stale))

    def _find_ticks(self) -> npt.NDArray[np.int64]:
        # All closes lie on one grid: marking its points is linear, where a union of sorted lists is not.
        first = self.start_ns + self.timeframe_ns - (self.start_ns - self._anchor_ns) % self.timeframe_ns
        points = max(0, (self.end_ns - first) // self.timeframe_ns + 1)
        is_tick = np.zeros(points, dtype=np.bool_)
        for candles in self._visible.values():
            closes = candles.open_times_ns + self.timeframe_ns
            inside = slice(*closes.searchsorted([first, self.end_ns + 1]))
            is_tick[(closes[inside] - first) // self.timeframe_ns] = True
        return np.flatnonzero(is_tick) * self.timeframe_ns + first

    def _digest(self) -> str:
        # Values, never file bytes. Reading them all has a second use: every mapped page is touched once, so
        # the resident size is flat from here on.
        total = hashlib.sha256(f"{self.exchange}\n{self.quote}\n{self.timeframe_ns}\n".encode())
        for coin, candles in self._visible.items():
            total.update(f"{coin} {values_digest(candles)}\n".encode())
        for coin, found in self._finer.items():
            for series in found:
                total.update(f"{coin} {series.timeframe_ns} {series.digest}\n".encode())
        return total.hexdigest()


def _opened_before(candles: Candles, end_ns: int) -> Candles:
    return candles.take(slice(0, int(candles.open_times_ns.searchsorted(end_ns, "left"))))
