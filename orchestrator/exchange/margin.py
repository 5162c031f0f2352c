"""Everything that a run has besides when its accounts may owe: payments, liquidation, and who is asked when."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from orchestrator.account_settings import AccountSettings
from orchestrator.config import EXCHANGE_NAME
from orchestrator.errors import InvariantError
from orchestrator.exchange.book import Book
from orchestrator.exchange.events import OrderAccepted, OrderRequested, SetTimer, TimerKind
from orchestrator.exchange.execution import Execution
from orchestrator.exchange.margin_account import MarginAccount
from orchestrator.exchange.margin_settlement import MarginSettlement
from orchestrator.exchange.margin_terms import build_margin_terms
from orchestrator.exchange.market_view import FundingView, MarketView
from orchestrator.exchange.marks import Marks
from orchestrator.exchange.models import FillModel
from orchestrator.exchange.money import ZERO
from orchestrator.exchange.orders import Order
from orchestrator.exchange.payments import BorrowInterest, FundingPayments, Payments
from orchestrator.exchange.settlement import Outcomes, identity_of
from orchestrator.exchange.vocabulary import Reason
from orchestrator.protocol import Side

__all__ = ["EXCHANGE_SOURCE", "Margin"]

EXCHANGE_SOURCE: Final = -1
"""The declared place of the exchange itself, before all components."""


class Margin:
    """The accounts of a run of kind margin or perpetual, and what happens to them without being asked.

    Parameters
    ----------
    settings
        `[account]`.
    cash
        Account name -> initial cash, in declared order.
    market, funding
        What may be seen; funding is needed by perpetual contracts alone.
    model, books
        Of the exchange.
    end_ns
        End of the run.
    """

    def __init__(
        self,
        settings: AccountSettings,
        cash: Mapping[str, Decimal],
        market: MarketView,
        funding: FundingView | None,
        model: FillModel,
        books: dict[str, Book],
        end_ns: int,
    ) -> None:
        self.marks = Marks(market)
        terms = build_margin_terms(settings)
        self.accounts = {
            name: MarginAccount(name, amount, self.marks, terms, model.fees.rate_max)
            for name, amount in cash.items()
        }
        self._payments: Payments
        if settings.kind == "margin":
            self._payments = BorrowInterest(self.accounts, self.marks, terms, end_ns)
        elif funding is not None:
            self._payments = FundingPayments(self.accounts, tuple(books), self.marks, funding, end_ns)
        else:
            raise InvariantError("an exchange of perpetual contracts was built without funding rates")
        self.settlement = MarginSettlement(model, books, self.accounts, self.marks, terms, self._payments)
        self._model = model
        self._books = books
        self._counter = 0  # of liquidation orders
        self._judgements = 0

    def watch(self, sim_time_ns: int, out: Outcomes) -> None:
        """Ask to judge every account that could be liquidated, once funding of this time is paid."""
        for place, account in enumerate(self.accounts.values()):
            if account.has_debt and account.positions and not account.is_liquidating:
                self._judgements += 1
                out.append(
                    SetTimer(
                        sim_time_ns=sim_time_ns,
                        kind=TimerKind.LIQUIDATION,
                        source=place,
                        counter=self._judgements,
                        subject=account.name,
                    )
                )

    def pay(self, timer: SetTimer, out: Outcomes) -> None:
        """Book what has come due."""
        self._payments.pay(timer, out)

    def judge(
        self, timer: SetTimer, open_orders: dict[str, Order], execution: Execution, out: Outcomes
    ) -> None:
        """Liquidate an account that did not keep its maintenance margin at the worst prices of the candle.

        All its orders are cancelled and all its positions are closed by market orders of the exchange, which
        trade as any taker, from the candle that opens now.
        """
        account = self.accounts[timer.subject]
        positions = {c: q for c, q in account.positions.items() if not self._books[c].has_ended}
        if not positions or account.is_maintained_at_worst():
            return
        now_ns = timer.sim_time_ns
        for order in [order for order in open_orders.values() if order.request.account == account.name]:
            self.settlement.cancel(order, Reason.LIQUIDATION, now_ns, out)
        account.closing = [self._closing_order(account, coin, qty, now_ns) for coin, qty in positions.items()]
        for order in account.closing:
            open_orders[order.client_order_id] = order
            accepted = OrderAccepted(**identity_of(order.request, now_ns), request=order.request)
            self.settlement.say(order, accepted, out)
        for order in account.closing:
            execution.arrive(order, now_ns, out)

    def _closing_order(self, account: MarginAccount, coin: str, qty: Decimal, sim_time_ns: int) -> Order:
        self._counter += 1
        request = OrderRequested(
            sim_time_ns=sim_time_ns,
            component=EXCHANGE_NAME,
            source=EXCHANGE_SOURCE,
            number=self._counter,
            client_order_id=f"{EXCHANGE_NAME}-{self._counter}",
            account=account.name,
            coin=coin,
            side=Side.SELL if qty > 0 else Side.BUY,
            qty=abs(qty),
        )
        return self.settlement.order_type(
            request,
            arrival_time_ns=sim_time_ns,
            hold_price=ZERO,
            side_factor=self._model.side_of(request),
        )
