"""What positions cost while they are held: interest on what is borrowed, funding of perpetual contracts.

Both are called back by timers of kind FUNDING, which are set only while something is owed or held.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Protocol

from orchestrator.exchange.events import CashFlowBooked, SetTimer, TimerKind
from orchestrator.exchange.margin_account import MarginAccount
from orchestrator.exchange.margin_terms import MarginTerms
from orchestrator.exchange.market_view import FundingView
from orchestrator.exchange.marks import Marks
from orchestrator.exchange.money import plain, quotient_up_8, round_up_8
from orchestrator.exchange.settlement import Outcomes
from orchestrator.exchange.vocabulary import FlowKind

__all__ = ["BorrowInterest", "FundingPayments", "Payments"]

_HOUR_NS: Final = 3_600_000_000_000
_HOURS_PER_YEAR: Final = Decimal(8_760)


class Payments(Protocol):
    """Who charges for positions."""

    def follow(self, account: MarginAccount, coin: str, after_ns: int, out: Outcomes) -> None:
        """Take note that a fill changed the position of an account in a coin; set a timer if one is needed.

        Parameters
        ----------
        after_ns
            The first payment is the first one later than this: the time of the fill, or a nanosecond less for
            a fill that a closing candle made, since what is due at that time is still to be paid.
        """

    def pay(self, timer: SetTimer, out: Outcomes) -> None:
        """Book the payments of a timer that has come due."""


class BorrowInterest:
    """Interest at every full hour, on the largest debt in each asset since the last full hour.

    Parameters
    ----------
    accounts
        In declared order.
    marks, terms
        What values base that is owed, and the rates.
    end_ns
        End of the run: nothing is charged later.
    """

    def __init__(
        self, accounts: dict[str, MarginAccount], marks: Marks, terms: MarginTerms, end_ns: int
    ) -> None:
        self._accounts = accounts
        self._places = {name: place for place, name in enumerate(accounts)}
        self._marks = marks
        self._terms = terms
        self._end_ns = end_ns
        self._counters = dict.fromkeys(accounts, 0)
        self._pending: dict[str, bool] = dict.fromkeys(accounts, False)

    def follow(self, account: MarginAccount, coin: str, after_ns: int, out: Outcomes) -> None:  # noqa: ARG002 - the protocol
        """Set a timer for the next full hour when the account owes anything."""
        due_ns = (after_ns // _HOUR_NS + 1) * _HOUR_NS
        owed = account.has_debt or account.quote_debt_peak or account.base_debt_peaks
        if not owed or self._pending[account.name] or due_ns > self._end_ns:
            return
        self._pending[account.name] = True
        self._counters[account.name] += 1
        out.append(
            SetTimer(
                sim_time_ns=due_ns,
                kind=TimerKind.FUNDING,
                source=self._places[account.name],
                counter=self._counters[account.name],
                subject=account.name,
            )
        )

    def pay(self, timer: SetTimer, out: Outcomes) -> None:
        """Charge an account for the hour that ends now."""
        account = self._accounts[timer.subject]
        self._pending[account.name] = False
        quote_debt, base_debts = account.quote_debt_peak, dict(account.base_debt_peaks)
        self._charge(account, None, quote_debt, self._terms.quote_rate, timer.sim_time_ns, out)
        for coin, qty in base_debts.items():
            worth = qty * self._marks.mark(coin)
            self._charge(account, coin, worth, self._terms.base_rate, timer.sim_time_ns, out)
        account.start_interest_period()
        self.follow(account, "", timer.sim_time_ns, out)

    def _charge(
        self,
        account: MarginAccount,
        coin: str | None,
        basis: Decimal,
        rate: Decimal,
        sim_time_ns: int,
        out: Outcomes,
    ) -> None:
        amount = -quotient_up_8(basis * rate, _HOURS_PER_YEAR)
        if not amount:
            return
        kind = FlowKind.INTEREST_QUOTE if coin is None else FlowKind.INTEREST_BASE
        account.flow(kind, amount)
        out.append(
            CashFlowBooked(
                sim_time_ns=sim_time_ns,
                account=account.name,
                kind=kind,
                coin=coin,
                amount=plain(amount),
                basis=plain(basis),
                rate=plain(rate),
            )
        )


class FundingPayments:
    """Funding of perpetual contracts: position * mark price * rate, paid by longs when the rate is positive.

    Parameters
    ----------
    accounts, coins
        In declared order.
    marks
        Mark prices: the last closes.
    funding
        The rates of each coin.
    end_ns
        End of the run: nothing is paid later.
    """

    def __init__(
        self,
        accounts: dict[str, MarginAccount],
        coins: tuple[str, ...],
        marks: Marks,
        funding: FundingView,
        end_ns: int,
    ) -> None:
        self._accounts = accounts
        self._places = {coin: place for place, coin in enumerate(coins)}
        self._marks = marks
        self._funding = funding
        self._end_ns = end_ns
        self._counters = dict.fromkeys(coins, 0)
        self._pending: dict[str, bool] = dict.fromkeys(coins, False)

    def follow(self, account: MarginAccount, coin: str, after_ns: int, out: Outcomes) -> None:
        """Set a timer for the coin's next funding when the account has a position in it."""
        if not account.holdings.get(coin) or self._pending[coin]:
            return
        due_ns = self._funding.next_time(coin, after_ns)
        if due_ns is None or due_ns > self._end_ns:
            return
        self._pending[coin] = True
        self._counters[coin] += 1
        out.append(
            SetTimer(
                sim_time_ns=due_ns,
                kind=TimerKind.FUNDING,
                source=self._places[coin],
                counter=self._counters[coin],
                subject=coin,
            )
        )

    def pay(self, timer: SetTimer, out: Outcomes) -> None:
        """Let every account with a position in a coin pay or receive its funding."""
        coin, sim_time_ns = timer.subject, timer.sim_time_ns
        self._pending[coin] = False
        rate = self._funding.rate_at(coin, sim_time_ns)
        for account in self._accounts.values():
            qty = account.holdings.get(coin)
            if qty:
                self._pay(account, coin, qty * self._marks.mark(coin), rate, sim_time_ns, out)
                self.follow(account, coin, sim_time_ns, out)

    @staticmethod
    def _pay(
        account: MarginAccount, coin: str, basis: Decimal, rate: Decimal, sim_time_ns: int, out: Outcomes
    ) -> None:
        # Rounded against the account: what is paid up, what is received down.
        amount = -round_up_8(basis * rate)
        account.flow(FlowKind.FUNDING, amount)
        out.append(
            CashFlowBooked(
                sim_time_ns=sim_time_ns,
                account=account.name,
                kind=FlowKind.FUNDING,
                coin=coin,
                amount=plain(amount),
                basis=plain(basis),
                rate=plain(rate),
            )
        )
