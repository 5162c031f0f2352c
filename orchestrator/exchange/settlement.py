"""What a fill does to an order and its account, and how orders end: the one place that moves money."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple, TypedDict

from orchestrator.exchange.account import Account
from orchestrator.exchange.admission import hold_price
from orchestrator.exchange.book import Book
from orchestrator.exchange.events import (
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderOutcome,
    OrderRequested,
    Outcome,
    SetTimer,
)
from orchestrator.exchange.liquidity import Budget
from orchestrator.exchange.models import FillModel
from orchestrator.exchange.money import ONE, ZERO, fee_amount, plain, quotient, round_bps
from orchestrator.exchange.orders import Order, OrderStatus
from orchestrator.exchange.slippage import Conditions, Quote, quote_limit, quote_taker
from orchestrator.exchange.vocabulary import Reason, Rule
from orchestrator.protocol import FillState, Liquidity, Side

__all__ = ["Outcomes", "Settlement", "Trade", "identity", "identity_of"]

Outcomes = list[Outcome | SetTimer]

_FEE_QUANTUM: Final = Decimal("1e-8")
_RULES_AT_CLOSE: Final = (Rule.MAKER_THROUGH, Rule.MAKER_TOUCH, Rule.STOP_REACHED, Rule.STOP_GAP)


class Trade(NamedTuple):
    """A fill about to be settled, before it is cut to the cash."""

    qty: Decimal
    quote: Quote
    reference: Decimal
    reference_open_time_ns: int
    volume: Decimal  # what bounded the quantity, base currency
    conditions: Conditions | None  # a taker's: its price depends on its quantity
    rule: Rule

    @property
    def liquidity(self) -> Liquidity:
        """Maker where no market conditions made the price."""
        return Liquidity.MAKER if self.conditions is None else Liquidity.TAKER

    @property
    def is_at_close(self) -> bool:
        """Whether a closing candle makes the fill, before anything that is due at its time."""
        return self.rule in _RULES_AT_CLOSE


class Settlement:
    """Writes fills into orders and accounts, and ends orders.

    Parameters
    ----------
    model, books, accounts
        Of the exchange; orders and accounts are changed here and nowhere else.

    Attributes
    ----------
    touched
        Orders that the event in hand changed; the exchange checks them at its end and clears the list.

    Notes
    -----
    This is the settlement of spot accounts; another kind of account replaces what it does otherwise.
    """

    order_type: type[Order] = Order
    shortage = Reason.INSUFFICIENT_BALANCE
    """Why an order is refused, or a fill cut, that the account cannot pay."""

    def __init__(self, model: FillModel, books: dict[str, Book], accounts: dict[str, Account]) -> None:
        self._model = model
        self._books = books
        self._accounts = accounts
        self._fill_count = 0
        self.touched: list[Order] = []

    def settle(self, order: Order, trade: Trade, budget: Budget, sim_time_ns: int, out: Outcomes) -> bool:
        """Carry out a trade, cut to what the account can pay; return whether the order is still open.

        What it cannot pay is cancelled with the reason `shortage`.
        """
        account = self._accounts[order.request.account]
        instrument = self._books[order.coin].instrument
        fee_rate = self._model.fees.rate(account.name, trade.liquidity, sim_time_ns)
        qty = self._payable(order, trade, fee_rate, instrument.lot_size)
        is_cut, before = qty < trade.qty, order.filled_qty
        if not is_cut:
            self._write_fill(order, account, trade, fee_rate, sim_time_ns, out)
        elif qty and not order.is_all_or_nothing:
            trade = trade._replace(qty=qty)
            trade = trade._replace(quote=self._quote_again(order, trade))
            self._write_fill(order, account, trade, fee_rate, sim_time_ns, out)
        if is_cut:
            self.cancel(order, self.shortage, sim_time_ns, out)
        budget.spend(order.filled_qty - before)  # a fill or kill that is cut takes nothing
        return order.filled_qty < order.qty and not is_cut

    def _quote_again(self, order: Order, trade: Trade) -> Quote:
        # A smaller quantity has less impact.
        if trade.conditions is None:
            return trade.quote
        side, reference = order.side, trade.reference
        slippage = self._model.slippage_for(order.request)
        if trade.rule is Rule.TAKER_LIMIT:
            return quote_limit(slippage, side, reference, trade.quote.price, trade.qty, trade.conditions)
        instrument = self._books[order.coin].instrument
        return quote_taker(slippage, side, reference, trade.qty, trade.conditions, instrument)

    def _payable(self, order: Order, trade: Trade, fee_rate: Decimal, lot_size: Decimal) -> Decimal:
        # How much of a trade the account can pay.
        if order.side is Side.SELL:
            return trade.qty
        account = self._accounts[order.request.account]
        return _payable(trade, account.available_cash + order.hold, fee_rate, lot_size)

    def _write_fill(
        self,
        order: Order,
        account: Account,
        trade: Trade,
        fee_rate: Decimal,
        sim_time_ns: int,
        out: Outcomes,
    ) -> None:
        notional = trade.quote.price * trade.qty
        fee = fee_amount(notional, fee_rate)
        order.filled_qty += trade.qty
        self._move(order, trade.qty, notional, fee)
        account.record(order.side, order.coin, trade.qty, notional, fee)
        self._model.fees.record(account.name, notional, sim_time_ns)
        is_filled = order.filled_qty == order.qty
        if is_filled:
            self._books[order.coin].put(order, OrderStatus.FILLED)
        self.touched.append(order)
        self._fill_count += 1
        self.say(order, self._filled(order, trade, fee, is_filled=is_filled, sim_time_ns=sim_time_ns), out)

    def _move(self, order: Order, qty: Decimal, notional: Decimal, fee: Decimal) -> None:
        # Exchange quote for base or base for quote, and let the order hold what its remainder needs.
        account = self._accounts[order.request.account]
        need = order.need()
        if order.side is Side.BUY:
            # A fill dearer than its hold may leave less than the remainder needs; it holds what there is.
            hold = min(need, account.available_cash + order.hold - notional - fee)
            account.change(
                order.client_order_id,
                order.coin,
                cash=-notional - fee,
                cash_held=hold - order.hold,
                qty=qty,
            )
        else:
            hold = need
            account.change(
                order.client_order_id, order.coin, cash=notional - fee, qty=-qty, qty_held=hold - order.hold
            )
        order.hold = hold

    def _filled(
        self, order: Order, trade: Trade, fee: Decimal, *, is_filled: bool, sim_time_ns: int
    ) -> OrderFilled:
        is_bounded = self._model.liquidity.is_bounded
        return OrderFilled(
            **identity(order, sim_time_ns),
            fill_number=self._fill_count,
            account=order.request.account,
            side=order.side,
            qty=plain(trade.qty),
            price=plain(trade.quote.price),
            fee=plain(fee),
            state=FillState.FILLED if is_filled else FillState.PARTIAL,
            liquidity=trade.liquidity,
            reference_price=plain(trade.reference),
            reference_open_time_ns=trade.reference_open_time_ns,
            slippage_bps=plain(trade.quote.slippage_bps),
            slippage_parts=tuple((name, plain(bps)) for name, bps in trade.quote.parts),
            participation=plain(round_bps(quotient(trade.qty, trade.volume))) if is_bounded else ZERO,
            latency_ns=order.arrival_time_ns - order.request.sim_time_ns,
            rule=trade.rule,
        )

    def cancel(self, order: Order, reason: str, sim_time_ns: int, out: Outcomes) -> None:
        """End an order with what is unfilled given up."""
        self._end(order, OrderStatus.CANCELLED)
        self.say(order, OrderCancelled(**identity(order, sim_time_ns), reason=reason), out)

    def expire(self, order: Order, sim_time_ns: int, out: Outcomes) -> None:
        """End an order whose time in force is over."""
        self._end(order, OrderStatus.EXPIRED)
        self.say(order, OrderExpired(**identity(order, sim_time_ns), reason=Reason.EXPIRED), out)

    def _end(self, order: Order, status: OrderStatus) -> None:
        self._books[order.coin].put(order, status)
        self.hold(order, ZERO)

    def hold_price(
        self, side: Side, limit_price: Decimal | None, stop_price: Decimal | None, last_close: Decimal
    ) -> Decimal:
        """Return what a unit of base may cost when it is held for an order, in quote."""
        return hold_price(side, limit_price, stop_price, last_close, self._model.fees.rate_max)

    def refusal(self, order: Order, qty: Decimal, hold_price: Decimal) -> Reason | None:
        """Return why the account cannot hold what a quantity of an order may cost, None when it can."""
        account = self._accounts[order.request.account]
        available = account.available_cash if order.side is Side.BUY else account.available_qty(order.coin)
        return None if order.need_of(qty, hold_price) <= available + order.hold else self.shortage

    def hold(self, order: Order, amount: Decimal) -> None:
        """Let an order hold an amount: quote currency for a buy, base for a sell."""
        account = self._accounts[order.request.account]
        if order.side is Side.BUY:
            account.change(order.client_order_id, order.coin, cash_held=amount - order.hold)
        else:
            account.change(order.client_order_id, order.coin, qty_held=amount - order.hold)
        order.hold = amount
        self.touched.append(order)

    def say(self, order: Order, outcome: OrderOutcome, out: Outcomes) -> None:
        """Report an outcome and remember it with the order."""
        order.history.append(outcome)
        out.append(outcome)


class _Identity(TypedDict):
    sim_time_ns: int
    client_order_id: str
    component: str
    source: int
    coin: str


def identity(order: Order, sim_time_ns: int) -> _Identity:
    """Return the fields that every outcome of an order has."""
    return identity_of(order.request, sim_time_ns)


def identity_of(request: OrderRequested, sim_time_ns: int) -> _Identity:
    """Return the fields that every outcome of a request has."""
    return {
        "sim_time_ns": sim_time_ns,
        "client_order_id": request.client_order_id,
        "component": request.component,
        "source": request.source,
        "coin": request.coin,
    }


def _payable(trade: Trade, cash: Decimal, fee_rate: Decimal, lot_size: Decimal) -> Decimal:
    # The largest quantity up to the trade's, in lots, that the cash pays with its fee.
    price = trade.quote.price

    def costs(qty: Decimal) -> Decimal:
        return price * qty + fee_amount(price * qty, fee_rate)

    if costs(trade.qty) <= cash:
        return trade.qty
    # The fee is rounded up by less than 1e-8, so the answer lies between these two numbers of lots.
    unit_cost = price * lot_size * (ONE + fee_rate)
    low = int(max(ZERO, cash - _FEE_QUANTUM) // unit_cost)
    high = int(cash // unit_cost) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if costs(middle * lot_size) <= cash:
            low = middle
        else:
            high = middle
    return low * lot_size
