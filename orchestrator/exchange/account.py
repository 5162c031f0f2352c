"""The money of one account: balances, holds, and a second book that must agree with them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from orchestrator.errors import InvariantError
from orchestrator.exchange.money import ZERO, plain
from orchestrator.exchange.orders import Order
from orchestrator.protocol import AccountState, Side

__all__ = ["Account"]

_HISTORY_LENGTH_MAX: Final = 20


class Account:
    """Balances and holds of one spot account.

    Parameters
    ----------
    name
        As in the configuration.
    initial_cash
        Quote currency.

    Notes
    -----
    Invariants: 0 <= cash_held <= cash; 0 <= holdings_held[coin] <= holdings[coin];
    cash == initial_cash - bought + sold - fees; holdings[coin] == what fills brought and took.
    The right-hand sides are kept apart, by `record`, and compared after every event that touched the account.
    """

    __slots__ = (
        "_history",
        "_notional_bought",
        "_notional_sold",
        "_paid_fees",
        "_traded",
        "cash",
        "cash_held",
        "holdings",
        "holdings_held",
        "initial_cash",
        "name",
        "version",
    )

    def __init__(self, name: str, initial_cash: Decimal) -> None:
        self.name = name
        self.initial_cash = initial_cash
        self.cash = initial_cash
        self.cash_held = ZERO
        self.holdings: dict[str, Decimal] = {}
        self.holdings_held: dict[str, Decimal] = {}
        self.version = 0
        self._notional_bought = ZERO
        self._notional_sold = ZERO
        self._paid_fees = ZERO
        self._traded: dict[str, Decimal] = {}
        self._history: deque[tuple[str, Decimal, Decimal, Decimal, Decimal]] = deque(
            maxlen=_HISTORY_LENGTH_MAX
        )

    @property
    def available_cash(self) -> Decimal:
        """Cash that no open order holds."""
        return self.cash - self.cash_held

    def available_qty(self, coin: str) -> Decimal:
        """Return the quantity of a coin that no open order holds."""
        return self.holdings.get(coin, ZERO) - self.holdings_held.get(coin, ZERO)

    def change(
        self,
        cause: str,
        coin: str,
        *,
        cash: Decimal = ZERO,
        cash_held: Decimal = ZERO,
        qty: Decimal = ZERO,
        qty_held: Decimal = ZERO,
    ) -> None:
        """Apply differences to balances and holds, all or none; the only method that changes them.

        Parameters
        ----------
        cause
            The client order id, for the history.
        coin
            The coin that `qty` and `qty_held` are of.

        Raises
        ------
        InvariantError
            If a balance or a hold would become negative, or a hold larger than its balance.
        """
        new_cash, new_cash_held = self.cash + cash, self.cash_held + cash_held
        new_qty = self.holdings.get(coin, ZERO) + qty
        new_qty_held = self.holdings_held.get(coin, ZERO) + qty_held
        if not (ZERO <= new_cash_held <= new_cash and ZERO <= new_qty_held <= new_qty):
            raise InvariantError(
                f"account {self.name} would have cash {new_cash} ({new_cash_held} held) and {coin} {new_qty} "
                f"({new_qty_held} held) by order {cause}; history: {list(self._history)}"
            )
        self.cash, self.cash_held = new_cash, new_cash_held
        if qty or qty_held or coin in self.holdings:
            self.holdings[coin], self.holdings_held[coin] = new_qty, new_qty_held
        self.version += 1
        self._history.append((cause, cash, cash_held, qty, qty_held))

    def record(self, side: Side, coin: str, qty: Decimal, notional: Decimal, fee: Decimal) -> None:
        """Write a fill into the second book, from which `check` recomputes the balances."""
        if side is Side.BUY:
            self._notional_bought += notional
            self._traded[coin] = self._traded.get(coin, ZERO) + qty
        else:
            self._notional_sold += notional
            self._traded[coin] = self._traded.get(coin, ZERO) - qty
        self._paid_fees += fee

    def check(self, coin: str) -> None:
        """Raise unless cash and one coin equal what the recorded fills say."""
        expected = self._recorded_cash()
        if self.cash != expected:
            raise InvariantError(
                f"account {self.name} has cash {self.cash}, its fills say {expected}; "
                f"history: {list(self._history)}"
            )
        if self.holdings.get(coin, ZERO) != self._traded.get(coin, ZERO):
            raise InvariantError(
                f"account {self.name} has {coin} {self.holdings.get(coin, ZERO)}, its fills say "
                f"{self._traded.get(coin, ZERO)}; history: {list(self._history)}"
            )

    def _recorded_cash(self) -> Decimal:
        return self.initial_cash - self._notional_bought + self._notional_sold - self._paid_fees

    def validate(self, open_orders: Iterable[Order]) -> None:
        """Raise unless every balance adds up and the holds equal those of the account's open orders."""
        cash_held, holdings_held = ZERO, dict[str, Decimal]()
        for order in open_orders:
            if order.side is Side.BUY:
                cash_held += order.hold
            else:
                holdings_held[order.coin] = holdings_held.get(order.coin, ZERO) + order.hold
        for coin in sorted(self.holdings.keys() | self._traded.keys()):
            self.check(coin)
        held = {coin: qty for coin, qty in self.holdings_held.items() if qty}
        if self.cash_held != cash_held or held != {coin: qty for coin, qty in holdings_held.items() if qty}:
            raise InvariantError(
                f"account {self.name} holds {self.cash_held} and {held}, its open orders {cash_held} and "
                f"{holdings_held}; history: {list(self._history)}"
            )
        if not ZERO <= self.cash_held <= self.cash:
            raise InvariantError(f"account {self.name} has cash {self.cash} with {self.cash_held} held")

    def state(self) -> AccountState:
        """Return the balances as components see them."""
        return AccountState(
            cash=plain(self.cash),
            cash_held=plain(self.cash_held),
            holdings={coin: plain(qty) for coin, qty in self.holdings.items()},
            holdings_held={coin: plain(qty) for coin, qty in self.holdings_held.items()},
        )
