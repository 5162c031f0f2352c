"""Marks the accounts to market at every tick, in segments between changes of balance.

Between two fills cash and quantities do not change, so a whole stretch of ticks is valued at once, column by
column. Each operation is one IEEE multiplication or addition in the coins' declared order: the same bits on
every machine.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from orchestrator.engine.price_feed import PriceFeed
from orchestrator.exchange.exchange import Exchange
from orchestrator.runs.records import EquityRows

__all__ = ["EquityBook", "EquityMarker"]

_CLOSE = 3  # column of a price block


class EquityMarker:
    """Turns balances and closes into equity rows.

    Invariant: rows up to `_done` ticks are written; `_cash` and `_quantities` have held since then.
    """

    def __init__(self, n_coins: int) -> None:
        self._n_coins = n_coins
        self._cash = 0.0
        self._quantities: tuple[float, ...] = (0.0,) * n_coins
        self._done = 0

    @property
    def done(self) -> int:
        """Number of ticks whose rows have been made."""
        return self._done

    @property
    def cash(self) -> float:
        """Cash of all accounts since the last change."""
        return self._cash

    @property
    def quantities(self) -> tuple[float, ...]:
        """Quantity per coin of all accounts since the last change."""
        return self._quantities

    def set_balances(self, cash: float, quantities: tuple[float, ...]) -> None:
        """Take new balances; rows of earlier ticks must have been closed with `close_segment` before."""
        self._cash = cash
        self._quantities = quantities

    def close_segment(
        self, stop: int, first: int, times_ns: npt.NDArray[np.int64], prices: npt.NDArray[np.float64]
    ) -> EquityRows | None:
        """Return the rows of the ticks not yet made, up to `stop` (exclusive); None when there are none.

        Parameters
        ----------
        stop
            Number of ticks whose rows shall exist afterwards.
        first
            Tick index of the first row of the blocks.
        times_ns, prices
            Blocks of shape (n,) and (n, n_coins, 5) that cover the missing ticks.
        """
        start = self._done
        if stop <= start:
            return None
        window = slice(start - first, stop - first)
        closes = prices[window, :, _CLOSE]
        equity = np.full(stop - start, self._cash)
        for coin, quantity in enumerate(self._quantities):
            if quantity != 0.0:  # a coin not yet listed has NaN prices and cannot be held
                equity += quantity * closes[:, coin]
        self._done = stop
        return EquityRows(
            sequences=np.arange(start + 1, stop + 1, dtype=np.int64),
            sim_times_ns=times_ns[window].copy(),
            cash=np.full(stop - start, self._cash),
            equity=equity,
            quantities=np.tile(np.asarray(self._quantities, dtype=np.float64), (stop - start, 1)),
        )


class EquityBook:
    """The equity rows of a run: all accounts together, marked at every tick.

    Parameters
    ----------
    exchange
        Whose balances they are.
    accounts
        Names of the accounts, each once.
    feed
        The ticks, with the prices that mark them.
    coins
        In the order of the rows.
    """

    def __init__(
        self, exchange: Exchange, accounts: Collection[str], feed: PriceFeed, coins: tuple[str, ...]
    ) -> None:
        self._exchange = exchange
        self._accounts = sorted(accounts)
        self._feed = feed
        self._coins = coins
        self._marker = EquityMarker(len(coins))
        self.take_balances()

    def value(self) -> float:
        """Return what the accounts are worth at the last closes."""
        total = self._marker.cash
        for coin, quantity in enumerate(self._marker.quantities):
            if quantity != 0.0:
                total += quantity * self._feed.mark(coin)
        return total

    def rows_until(self, stop: int) -> EquityRows | None:
        """Return the rows of the ticks before one (its index) that were not returned yet; None without any."""
        feed = self._feed
        return self._marker.close_segment(stop, feed.first, feed.block.times_ns, feed.marks.prices)

    def take_balances(self) -> None:
        """Mark what the accounts have now from the next row on."""
        cash = sum(self._exchange.cash(account) for account in self._accounts)
        quantities = tuple(
            float(sum(self._exchange.quantity(account, coin) for account in self._accounts))
            for coin in self._coins
        )
        self._marker.set_balances(float(cash), quantities)
