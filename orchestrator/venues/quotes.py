"""What a venue shows of a market: best bid and ask, a book made up round the price, the day's statistics.

The last close is taken for the middle. Bid and ask stand half a spread away from it, rounded to the tick away
from it, and carry the time of that close: answers stay the same until the next base candle closes.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np

from orchestrator.config import NS_PER_DAY
from orchestrator.exchange.instruments import Instrument
from orchestrator.exchange.money import BPS, EXACT, ONE, ZERO, from_float, quotient
from orchestrator.market.timeframes import grid_anchor_ns, timeframe_label
from orchestrator.venues.market_data import MarketData
from orchestrator.venues.numbers import round_half, round_to

__all__ = ["Day", "Level", "Quote", "Quotes"]

# A pair whose last candle is older was taken off the exchange, as far as one can know by then.
_SILENCE_NS_MAX: Final = NS_PER_DAY
_SILENCE_CANDLES: Final = 3

# What each level of the made-up book holds, of the volume of the last closed candle; levels this far apart.
_LEVEL_SHARE: Final = Decimal("0.01")
_LEVEL_STEP: Final = BPS


class Quote(NamedTuple):
    """Best prices of one coin; sizes in base currency."""

    last: Decimal
    bid: Decimal
    ask: Decimal
    size: Decimal  # at the bid and at the ask
    time_ns: int  # close of the candle that it is made of


class Level(NamedTuple):
    """One price of a book and what is there."""

    price: Decimal
    qty: Decimal


class Day(NamedTuple):
    """The 24 hours before a time, as far as candles are closed; `opened` is 24 hours ago."""

    opened: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    volume: Decimal  # base currency, 8 decimals
    turnover: Decimal  # quote currency, 8 decimals: volume at the mean of high, low and close
    trades: int  # made up: one for each candle with volume
    first_open_ns: int
    last_close_ns: int

    @property
    def change(self) -> Decimal:
        """What the price has moved, quote currency."""
        return EXACT.subtract(self.last, self.opened)

    @property
    def change_rate(self) -> Decimal:
        """The same as a fraction of the price 24 hours ago."""
        return quotient(self.change, self.opened)

    @property
    def average(self) -> Decimal:
        """Turnover over volume; the last price where nothing was traded."""
        return quotient(self.turnover, self.volume) if self.volume else self.last


class Quotes:
    """Prices of one venue.

    Parameters
    ----------
    market
        Candles of the run.
    instruments
        Tick and lot sizes by coin.
    spread_bps
        From bid to ask.
    depth_levels
        Of the book, on each side.
    """

    def __init__(
        self,
        market: MarketData,
        instruments: Mapping[str, Instrument],
        *,
        spread_bps: Decimal,
        depth_levels: int,
    ) -> None:
        self._market = market
        self._instruments = instruments
        self._timeframe = timeframe_label(market.timeframe_ns)
        self._anchor_ns = grid_anchor_ns(market.exchange, market.timeframe_ns)
        self._depth_levels = depth_levels
        self.half_spread_bps = EXACT.multiply(spread_bps, Decimal("0.5"))
        self._half_spread = EXACT.multiply(self.half_spread_bps, BPS)
        self._quotes: dict[str, tuple[int, Quote | None]] = {}
        self._days: dict[str, tuple[int, Day | None]] = {}

    def grid_ns(self, sim_time_ns: int) -> int:
        """Return the last point of the base candles' grid at or before a time."""
        return sim_time_ns - (sim_time_ns - self._anchor_ns) % self._market.timeframe_ns

    def next_grid_ns(self, sim_time_ns: int) -> int:
        """Return the first point of the base candles' grid after a time: until then nothing changes."""
        return self.grid_ns(sim_time_ns) + self._market.timeframe_ns

    def at(self, coin: str, sim_time_ns: int) -> Quote | None:
        """Return the best prices; None before the coin's first candle and when it has fallen silent."""
        grid_ns = self.grid_ns(sim_time_ns)
        known = self._quotes.get(coin)
        if known is None or known[0] != grid_ns:
            known = self._quotes[coin] = (grid_ns, self._quote(coin, grid_ns))
        return known[1]

    def listed(self, sim_time_ns: int) -> tuple[str, ...]:
        """Return the coins that can be traded at a time, in the order of the run."""
        return tuple(coin for coin in self._market.coins if self.at(coin, sim_time_ns) is not None)

    def _quote(self, coin: str, grid_ns: int) -> Quote | None:
        last = self._market.last_closed(coin, grid_ns) if coin in self._instruments else None
        silence_max = max(_SILENCE_NS_MAX, _SILENCE_CANDLES * self._market.timeframe_ns)
        if last is None or grid_ns - last.close_time_ns > silence_max:
            return None
        middle, tick = from_float(last.close), self._instruments[coin].tick_size
        bid = max(round_to(EXACT.multiply(middle, ONE - self._half_spread), tick, "floor"), tick)
        ask = round_to(EXACT.multiply(middle, ONE + self._half_spread), tick, "ceiling")
        size = self._level_size(coin, from_float(last.volume))
        return Quote(middle, bid, max(ask, EXACT.add(bid, tick)), size, last.close_time_ns)

    def book(self, coin: str, sim_time_ns: int, levels: int) -> tuple[list[Level], list[Level]]:
        """Return bids and asks, best first, at most as many as configured; empty without a quote.

        Levels are a hundredth of a percent apart, at least a tick; on each lies a hundredth of the volume of the
        last closed candle, at least a lot.
        """
        quote = self.at(coin, sim_time_ns)
        if quote is None:
            return [], []
        tick = self._instruments[coin].tick_size
        step = max(round_to(EXACT.multiply(quote.last, _LEVEL_STEP), tick, "ceiling"), tick)
        places = range(min(levels, self._depth_levels))
        bids = [Level(quote.bid - place * step, quote.size) for place in places]
        asks = [Level(quote.ask + place * step, quote.size) for place in places]
        return [level for level in bids if level.price > 0], asks

    def _level_size(self, coin: str, volume: Decimal) -> Decimal:
        lot = self._instruments[coin].lot_size
        return max(round_to(EXACT.multiply(volume, _LEVEL_SHARE), lot, "floor"), lot)

    def day(self, coin: str, sim_time_ns: int) -> Day | None:
        """Return what happened within 24 hours; None where there is no quote."""
        grid_ns = self.grid_ns(sim_time_ns)
        known = self._days.get(coin)
        if known is None or known[0] != grid_ns:
            known = self._days[coin] = (grid_ns, self._day(coin, grid_ns))
        return known[1]

    def _day(self, coin: str, grid_ns: int) -> Day | None:
        quote = self.at(coin, grid_ns)
        if quote is None:
            return None
        count = max(1, NS_PER_DAY // self._market.timeframe_ns)
        first_ns = grid_ns - count * self._market.timeframe_ns
        columns = self._market.closed_between(coin, self._timeframe, first_ns, grid_ns, grid_ns, count)
        if not len(columns.open_times_ns):
            return Day(quote.last, quote.last, quote.last, quote.last, ZERO, ZERO, 0, first_ns, grid_ns)
        opens, highs, lows, closes, volumes = columns.values
        # Added one after the other: the bits do not depend on the machine.
        volume = float(np.add.accumulate(volumes)[-1])
        turnover = float(np.add.accumulate(volumes * ((highs + lows + closes) / 3.0))[-1])
        return Day(
            opened=from_float(opens[0]),
            high=from_float(highs.max()),
            low=from_float(lows.min()),
            last=quote.last,
            volume=round_half(from_float(volume), 8),
            turnover=round_half(from_float(turnover), 8),
            trades=int(np.count_nonzero(volumes > 0)),
            first_open_ns=int(columns.open_times_ns[0]),
            last_close_ns=int(columns.open_times_ns[-1]) + self._market.timeframe_ns,
        )
