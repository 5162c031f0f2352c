"""The money of an account that may owe: cash and quantities of either sign, valued at the last closes."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from orchestrator.errors import InvariantError
from orchestrator.exchange.account import Account
from orchestrator.exchange.margin_terms import MarginTerms
from orchestrator.exchange.marks import Marks
from orchestrator.exchange.money import ZERO, plain
from orchestrator.exchange.orders import Order
from orchestrator.protocol import AccountState, Side

__all__ = ["MarginAccount"]

Ordered = dict[tuple[str, Side], Decimal]
"""By coin and side: quantity * highest likely price, quote currency."""


class MarginAccount(Account):
    """Balances of one account of kind margin or perpetual.

    Parameters
    ----------
    name, initial_cash
        As of any account.
    marks, terms
        What values positions, and what backs them.
    fee_rate_max
        The highest fee rate that a fill may pay.

    Attributes
    ----------
    ordered
        By coin and side: quantity * highest likely price of the open orders, quote currency.
    quote_debt_peak, base_debt_peaks
        The largest debts since interest was last charged.
    closing
        The orders of the liquidation that is under way, ended ones included.

    Notes
    -----
    Equity is cash + sum(quantity * last close); exposure is sum(|quantity| * last close).
    Invariants: cash == initial_cash - bought + sold - fees + flows; holdings[coin] == what fills brought and
    took; `ordered` equals what the open orders hold; a peak is never below its debt. After every fill that
    raised the position in a coin the exposure is backed (`MarginTerms.is_backed`).
    """

    __slots__ = (
        "_fee_rate_max",
        "_flows",
        "_marks",
        "_terms",
        "base_debt_peaks",
        "closing",
        "ordered",
        "quote_debt_peak",
    )

    def __init__(
        self, name: str, initial_cash: Decimal, marks: Marks, terms: MarginTerms, fee_rate_max: Decimal
    ) -> None:
        super().__init__(name, initial_cash)
        self._marks = marks
        self._terms = terms
        self._fee_rate_max = fee_rate_max
        self._flows = ZERO
        self.ordered: Ordered = {}
        self.quote_debt_peak = ZERO
        self.base_debt_peaks: dict[str, Decimal] = {}
        self.closing: list[Order] = []

    # ------------------------------------------------------------ what changes it

    def trade(self, cause: str, coin: str, *, cash: Decimal, qty: Decimal) -> None:
        """Add what a fill brought (signed) to the balances."""
        self.cash += cash
        self.holdings[coin] = self.holdings.get(coin, ZERO) + qty
        self._grow_peaks()
        self._note(cause, cash, qty)

    def flow(self, cause: str, amount: Decimal) -> None:
        """Add a payment (negative: paid) to cash and to the second book."""
        self.cash += amount
        self._flows += amount
        self._grow_peaks()
        self._note(cause, amount, ZERO)

    def order(self, coin: str, side: Side, difference: Decimal) -> None:
        """Change what the open orders of a coin and side may trade for."""
        self.ordered[coin, side] = self.ordered.get((coin, side), ZERO) + difference
        self.version += 1

    def start_interest_period(self) -> None:
        """Forget the peaks of the debts: from now on only what is owed now counts."""
        self.quote_debt_peak, self.base_debt_peaks = ZERO, {}
        self._grow_peaks()

    def _grow_peaks(self) -> None:
        self.quote_debt_peak = max(self.quote_debt_peak, -self.cash)
        for coin, qty in self.holdings.items():
            if qty < 0:
                self.base_debt_peaks[coin] = max(self.base_debt_peaks.get(coin, ZERO), -qty)

    def _note(self, cause: str, cash: Decimal, qty: Decimal) -> None:
        self.version += 1
        self._history.append((cause, cash, ZERO, qty, ZERO))

    # ------------------------------------------------------------ what it is worth

    @property
    def positions(self) -> dict[str, Decimal]:
        """The coins that are held or owed, with their signed quantities."""
        return {coin: qty for coin, qty in self.holdings.items() if qty}

    @property
    def has_debt(self) -> bool:
        """Whether it owes quote or any coin; without debts nothing can liquidate it."""
        return self.cash < 0 or any(qty < 0 for qty in self.holdings.values())

    @property
    def is_liquidating(self) -> bool:
        """Whether a liquidation is under way."""
        return any(not order.has_ended for order in self.closing)

    def equity(self) -> Decimal:
        """Return cash and positions at the last closes."""
        return self.cash + sum((q * self._marks.mark(c) for c, q in self.positions.items()), ZERO)

    def exposure(self) -> Decimal:
        """Return what the positions are worth, whichever their sign."""
        return sum((abs(q) * self._marks.mark(c) for c, q in self.positions.items()), ZERO)

    def likely_exposure(self, ordered: Ordered | None = None) -> Decimal:
        """Return the largest exposure that orders could lead to, each coin on its worse side.

        Parameters
        ----------
        ordered
            Instead of what is ordered now.
        """
        ordered = self.ordered if ordered is None else ordered
        coins = dict.fromkeys([*self.positions, *(coin for (coin, _), held in ordered.items() if held)])
        return sum((self._likely_exposure_in(coin, ordered) for coin in coins), ZERO)

    def _likely_exposure_in(self, coin: str, ordered: Ordered) -> Decimal:
        qty = self.holdings.get(coin, ZERO)
        worth = qty * self._marks.mark(coin) if qty else ZERO
        buys, sells = (ordered.get((coin, side), ZERO) for side in (Side.BUY, Side.SELL))
        return max(abs(worth), worth + buys, sells - worth)

    def likely_fees(self, ordered: Ordered | None = None) -> Decimal:
        """Return what orders may cost in fees."""
        return sum((self.ordered if ordered is None else ordered).values(), ZERO) * self._fee_rate_max

    def is_backed(self) -> bool:
        """Return whether its equity is enough for the positions it has."""
        return self._terms.is_backed(self.equity(), self.exposure())

    def is_maintained_at_worst(self) -> bool:
        """Return whether it kept its maintenance margin at the worst prices of the candles that close now."""
        worst = {coin: self._marks.worst(coin, is_long=qty > 0) for coin, qty in self.positions.items()}
        equity = self.cash + sum((qty * worst[coin] for coin, qty in self.positions.items()), ZERO)
        exposure = sum((abs(qty) * worst[coin] for coin, qty in self.positions.items()), ZERO)
        return self._terms.is_maintained(equity, exposure)

    def free_margin(self) -> Decimal:
        """Return the equity that neither positions nor open orders need; negative when they need more."""
        return self.equity() - self._terms.initial_margin(self.likely_exposure()) - self.likely_fees()

    def state(self) -> AccountState:
        """Return the balances as components see them; cash - cash_held is the free margin of this moment."""
        return AccountState(
            cash=plain(self.cash),
            cash_held=plain(self.cash - self.free_margin()),
            holdings={coin: plain(qty) for coin, qty in self.holdings.items()},
            holdings_held={},
        )

    # ------------------------------------------------------------ what must be

    def _recorded_cash(self) -> Decimal:
        return super()._recorded_cash() + self._flows

    def validate(self, open_orders: Iterable[Order]) -> None:
        """Raise unless every balance adds up and `ordered` equals what the account's open orders hold."""
        ordered: Ordered = {}
        for order in open_orders:
            key = (order.coin, order.side)
            ordered[key] = ordered.get(key, ZERO) + order.hold
        for coin in sorted(self.holdings.keys() | self._traded.keys()):
            self.check(coin)
        found = {key: held for key, held in self.ordered.items() if held}
        if found != {key: held for key, held in ordered.items() if held}:
            raise InvariantError(f"account {self.name} has {found} ordered, its open orders {ordered}")
        owed = {coin: -qty for coin, qty in self.holdings.items() if qty < 0}
        if self.quote_debt_peak < -self.cash or any(
            self.base_debt_peaks.get(coin, ZERO) < qty for coin, qty in owed.items()
        ):
            raise InvariantError(
                f"account {self.name} owes {-self.cash} and {owed}, more than the peaks {self.quote_debt_peak} "
                f"and {self.base_debt_peaks}; history: {list(self._history)}"
            )
