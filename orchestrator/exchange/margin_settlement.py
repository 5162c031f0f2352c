"""What a fill does to an account that may owe: nothing is held, margin backs what positions it leads to."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from orchestrator.config import EXCHANGE_NAME
from orchestrator.errors import InvariantError
from orchestrator.exchange.account import Account
from orchestrator.exchange.admission import likely_bound
from orchestrator.exchange.book import Book
from orchestrator.exchange.events import CashFlowBooked
from orchestrator.exchange.margin_account import MarginAccount
from orchestrator.exchange.margin_terms import MarginTerms
from orchestrator.exchange.marks import Marks
from orchestrator.exchange.models import FillModel
from orchestrator.exchange.money import ZERO, fee_amount, plain, round_up_8
from orchestrator.exchange.orders import Order
from orchestrator.exchange.payments import Payments
from orchestrator.exchange.settlement import Outcomes, Settlement, Trade
from orchestrator.exchange.vocabulary import FlowKind, Reason, Rule
from orchestrator.protocol import Side

__all__ = ["MarginOrder", "MarginSettlement"]

_SIGNS: Final = {Side.BUY: 1, Side.SELL: -1}


class MarginOrder(Order):
    """An order whose `hold` is what its remainder may trade for, in quote, on either side."""

    __slots__ = ()

    def need_of(self, qty: Decimal, hold_price: Decimal) -> Decimal:
        """Return what a quantity of this order may trade for."""
        return round_up_8(qty * hold_price)


class MarginSettlement(Settlement):
    """Writes fills into accounts that may owe.

    Parameters
    ----------
    model, books
        Of the exchange.
    accounts
        The accounts; changed here, by payments and by nothing else.
    marks, terms, payments
        What values positions, what backs them, and what they cost.
    """

    order_type = MarginOrder
    shortage = Reason.INSUFFICIENT_MARGIN

    def __init__(
        self,
        model: FillModel,
        books: dict[str, Book],
        accounts: dict[str, MarginAccount],
        marks: Marks,
        terms: MarginTerms,
        payments: Payments,
    ) -> None:
        super().__init__(model, books, dict[str, Account](accounts))
        self._margin_accounts = accounts
        self._marks = marks
        self._terms = terms
        self._payments = payments

    def hold_price(
        self,
        side: Side,  # noqa: ARG002 - both sides are bounded alike
        limit_price: Decimal | None,
        stop_price: Decimal | None,
        last_close: Decimal,
    ) -> Decimal:
        """Return the price that bounds what a unit of base may trade for, without fees."""
        return likely_bound(limit_price, stop_price, last_close)

    def refusal(self, order: Order, qty: Decimal, hold_price: Decimal) -> Reason | None:
        """Return why the account may not order it, None when it may.

        It may when its equity backs all positions that its open orders could lead to and pays their fees, or
        when the order does not raise what has to be backed.
        """
        account = self._margin_accounts[order.request.account]
        if account.is_liquidating:
            return Reason.LIQUIDATION
        key = (order.coin, order.side)
        proposed = account.ordered.get(key, ZERO) + order.need_of(qty, hold_price) - order.hold
        ordered = {**account.ordered, key: proposed}
        exposure, equity = account.likely_exposure(ordered), account.equity() - account.likely_fees(ordered)
        if exposure <= account.likely_exposure() or self._terms.is_backed(equity, exposure):
            return None
        return self.shortage

    def hold(self, order: Order, amount: Decimal) -> None:
        """Let an order count with an amount that it may trade for."""
        account = self._margin_accounts[order.request.account]
        account.order(order.coin, order.side, amount - order.hold)
        order.hold = amount
        self.touched.append(order)

    def _payable(self, order: Order, trade: Trade, fee_rate: Decimal, lot_size: Decimal) -> Decimal:
        # How much of a trade the equity backs, in lots; all of it when it does not raise the position.
        if self._is_backed(order, trade.quote.price, trade.qty, fee_rate):
            return trade.qty
        low, high = 0, int(trade.qty / lot_size)
        while high - low > 1:
            middle = (low + high) // 2
            if self._is_backed(order, trade.quote.price, middle * lot_size, fee_rate):
                low = middle
            else:
                high = middle
        return low * lot_size

    def _is_backed(self, order: Order, price: Decimal, qty: Decimal, fee_rate: Decimal) -> bool:
        account = self._margin_accounts[order.request.account]
        before = account.holdings.get(order.coin, ZERO)
        after = before + _SIGNS[order.side] * qty
        if abs(after) <= abs(before):
            return True
        mark, notional = self._marks.mark(order.coin), price * qty
        paid = _SIGNS[order.side] * notional + fee_amount(notional, fee_rate)
        equity = account.equity() - before * mark - paid
        exposure = account.exposure() - abs(before) * mark
        # At its own price too: a fill far from the last close would otherwise begin with a gain that backs it.
        return all(
            self._terms.is_backed(equity + after * value, exposure + abs(after) * value)
            for value in (mark, price)
        )

    def _move(self, order: Order, qty: Decimal, notional: Decimal, fee: Decimal) -> None:
        account = self._margin_accounts[order.request.account]
        sign = _SIGNS[order.side]
        before = account.holdings.get(order.coin, ZERO)
        account.trade(order.client_order_id, order.coin, cash=-sign * notional - fee, qty=sign * qty)
        self.hold(order, order.need())
        is_raised = abs(account.holdings[order.coin]) > abs(before)
        if is_raised and not account.is_backed():
            raise InvariantError(
                f"account {account.name} took a position in {order.coin} that its equity does not back; "
                f"{order.story()}"
            )

    def _write_fill(
        self,
        order: Order,
        account: Account,
        trade: Trade,
        fee_rate: Decimal,
        sim_time_ns: int,
        out: Outcomes,
    ) -> None:
        is_liquidation = order.request.component == EXCHANGE_NAME
        if is_liquidation:
            trade = trade._replace(rule=Rule.LIQUIDATION)
        super()._write_fill(order, account, trade, fee_rate, sim_time_ns, out)
        owner = self._margin_accounts[account.name]
        if is_liquidation and self._terms.liquidation_fee_rate:
            self._charge_liquidation(owner, order, trade, sim_time_ns, out)
        after_ns = sim_time_ns - 1 if trade.is_at_close else sim_time_ns
        self._payments.follow(owner, order.coin, after_ns, out)

    def _charge_liquidation(
        self, account: MarginAccount, order: Order, trade: Trade, sim_time_ns: int, out: Outcomes
    ) -> None:
        notional, rate = trade.quote.price * trade.qty, self._terms.liquidation_fee_rate
        amount = -fee_amount(notional, rate)
        account.flow(order.client_order_id, amount)
        out.append(
            CashFlowBooked(
                sim_time_ns=sim_time_ns,
                account=account.name,
                kind=FlowKind.LIQUIDATION_FEE,
                coin=order.coin,
                amount=plain(amount),
                basis=plain(notional),
                rate=plain(rate),
            )
        )
