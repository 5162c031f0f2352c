"""A tape of real trades: the candles it makes, and what an order would have got from the trades themselves."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from orchestrator.arrow_reading import parquet_table
from orchestrator.market.candles import Candles
from orchestrator.market.market import Market
from orchestrator.protocol import Side

__all__ = ["COIN", "MINUTE_NS", "Tape", "Trades", "Walk", "candles_of", "market_of", "read_trades"]

COIN = "BTC"
MINUTE_NS = 60_000_000_000
_NS_PER_MS = 1_000_000


class Trades(NamedTuple):
    """Public trades in order of time; all columns have one length."""

    times_ns: npt.NDArray[np.int64]
    is_buy: npt.NDArray[np.bool_]  # of the taker
    prices: npt.NDArray[np.float64]
    amounts: npt.NDArray[np.float64]  # base currency

    def take(self, rows: slice | npt.NDArray[np.bool_]) -> Trades:
        """Return the given rows."""
        return Trades(self.times_ns[rows], self.is_buy[rows], self.prices[rows], self.amounts[rows])


def read_trades(path: Path) -> Trades:
    """Read a Parquet file with the columns time_ms, side (the taker's), price, amount."""
    table = parquet_table(path, ["time_ms", "side", "price", "amount"])
    return Trades(
        table["time_ms"].to_numpy() * _NS_PER_MS,
        np.asarray(table["side"].to_pylist()) == "buy",
        table["price"].to_numpy(),
        table["amount"].to_numpy(),
    )


def candles_of(trades: Trades, length_ns: int = MINUTE_NS) -> Candles:
    """Return the candles of the trades; an interval without a trade has none."""
    opens = trades.times_ns - trades.times_ns % length_ns
    starts = np.flatnonzero(np.diff(opens, prepend=opens[0] - 1))
    ends = np.append(starts[1:], len(opens)) - 1
    return Candles(
        opens[starts],
        trades.prices[starts],
        np.maximum.reduceat(trades.prices, starts),
        np.minimum.reduceat(trades.prices, starts),
        trades.prices[ends],
        np.add.reduceat(trades.amounts, starts),
    )


def market_of(trades: Trades, end_ns: int) -> Market:
    """Return the market of the trades in candles of a minute, from the first of them to a time."""
    candles = candles_of(trades)
    return Market(
        {COIN: candles},
        exchange="kraken",
        quote="USDT",
        timeframe_ns=MINUTE_NS,
        start_ns=int(candles.open_times_ns[0]),
        end_ns=end_ns,
    )


class Walk(NamedTuple):
    """What walking the trades gave an order."""

    qty: float  # less than ordered when the tape ends before
    price: float  # mean
    wait_ns: int  # from the arrival to the last trade used


class Tape:
    """Real trades, asked what orders would have got from them after their arrival.

    A taker gets what takers of its side got: the next trades of its side, until their amounts make its quantity.
    A resting limit has surely filled once trades beyond its price, of either side, amount to its quantity: whoever
    dealt there would have had to deal with it first. Trades at its price prove nothing, since others may have
    stood before it.
    """

    def __init__(self, trades: Trades) -> None:
        self._trades = trades
        self._sides = {side: trades.take(trades.is_buy == (side is Side.BUY)) for side in Side}
        self._amounts = {side: np.append(0.0, np.cumsum(t.amounts)) for side, t in self._sides.items()}
        self._notionals = {
            side: np.append(0.0, np.cumsum(t.amounts * t.prices)) for side, t in self._sides.items()
        }

    def take(self, side: Side, qty: float, arrival_ns: int) -> Walk:
        """Return what a market order gets that arrives at a time."""
        trades, amounts, notionals = self._sides[side], self._amounts[side], self._notionals[side]
        first = int(trades.times_ns.searchsorted(arrival_ns))
        target = amounts[first] + qty
        last = min(int(amounts.searchsorted(target)), len(trades.prices))
        if last <= first:
            return Walk(0.0, float("nan"), 0)
        taken = min(float(amounts[last]), target) - amounts[first]
        surplus = max(0.0, float(amounts[last]) - target)
        notional = notionals[last] - notionals[first] - surplus * trades.prices[last - 1]
        return Walk(float(taken), float(notional / taken), int(trades.times_ns[last - 1]) - arrival_ns)

    def amount_beyond(
        self, side: Side, limit: float, arrival_ns: int, deadline_ns: int
    ) -> tuple[float, float]:
        """Return how much traded beyond a resting limit, and how much at it or beyond, until a deadline."""
        rows = slice(*self._trades.times_ns.searchsorted([arrival_ns, deadline_ns]))
        prices, amounts = self._trades.prices[rows], self._trades.amounts[rows]
        beyond = prices < limit if side is Side.BUY else prices > limit
        return float(amounts[beyond].sum()), float(amounts[beyond | (prices == limit)].sum())
