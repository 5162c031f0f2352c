"""How orders trade: takers at openings, makers and stops on closed candles, and the settling of each fill."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple, TypedDict

from orchestrator.errors import InvariantError
from orchestrator.exchange.account import Account
from orchestrator.exchange.book import Book
from orchestrator.exchange.events import (
    OrderArrived,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderTriggered,
    Outcome,
    SetTimer,
)
from orchestrator.exchange.liquidity import Budget
from orchestrator.exchange.market_view import Candle, MarketView
from orchestrator.exchange.models import FillModel
from orchestrator.exchange.money import (
    ONE,
    ZERO,
    fee_amount,
    from_float,
    plain,
    quotient,
    round_bps,
)
from orchestrator.exchange.orders import Order, OrderStatus
from orchestrator.exchange.slippage import Conditions, Quote, quote_taker
from orchestrator.exchange.vocabulary import Reason, Rule
from orchestrator.protocol import FillState, Liquidity, Side

__all__ = ["Execution"]

Outcomes = list[Outcome | SetTimer]

# A candle says something about an order that was there for all of it but its first hundredth.
_FIRST_PART: Final = 100
_FEE_QUANTUM: Final = Decimal("1e-8")


class _Trade(NamedTuple):
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
        return Liquidity.MAKER if self.conditions is None else Liquidity.TAKER


class Execution:
    """Turns openings and closed candles into fills.

    Parameters
    ----------
    market, model
        What may be seen, and what is assumed.
    books, accounts
        Changed here and by `Exchange`, nowhere else.
    """

    def __init__(
        self, market: MarketView, model: FillModel, books: dict[str, Book], accounts: dict[str, Account]
    ) -> None:
        self._market = market
        self._model = model
        self._books = books
        self._accounts = accounts
        self._fill_count = 0
        self.touched: list[Order] = []  # changed by the event in hand; checked at its end

    # ------------------------------------------------------------ arrivals and openings

    def arrive(self, order: Order, sim_time_ns: int, out: Outcomes) -> None:
        """Let an order reach the market."""
        self._say(order, OrderArrived(**_identity(order, sim_time_ns)), out)
        self.enter(order, sim_time_ns, out)

    def enter(self, order: Order, sim_time_ns: int, out: Outcomes) -> None:
        """Judge an order that has just arrived, or whose prices have just changed."""
        if order.is_stop:
            opening = self._market.opening_at(order.coin, sim_time_ns)
            if opening is None or not _has_reached(order, from_float(opening.price)):
                self._rest(order, OrderStatus.ARMED, sim_time_ns)
                return
            self._trigger(order, sim_time_ns, out)
        self._attempt(order, Rule.TAKER_OPEN, sim_time_ns, out)

    def reopen(self, book: Book, sim_time_ns: int, out: Outcomes) -> None:
        """Serve the takers that waited for a candle to open."""
        for order in book.open():
            self._attempt(order, Rule.TAKER_NEXT_OPEN, sim_time_ns, out)

    def _attempt(self, order: Order, rule: Rule, sim_time_ns: int, out: Outcomes) -> None:
        # Take from the candle that is open at the time, then place what is left.
        opening = self._market.opening_at(order.coin, sim_time_ns)
        last = self._market.last_closed(order.coin, sim_time_ns) if opening is not None else None
        if opening is None or last is None:
            self._wait(order, sim_time_ns, out)
            return
        book = self._books[order.coin]
        conditions = book.conditions(self._market, last)
        budget = book.budget(order.side, opening.open_time_ns, self._model.liquidity, conditions)
        reference = from_float(opening.price)
        trade = self._taking(
            order, budget, reference, opening.open_time_ns, conditions.volume, conditions, rule
        )
        if order.limit_price is not None and _is_worse(order.side, trade.quote.price, order.limit_price):
            self._rest_or_end(order, sim_time_ns, out)
        else:
            self._trade_and_wait(order, trade, budget, sim_time_ns, out)

    def _taking(
        self,
        order: Order,
        budget: Budget,
        reference: Decimal,
        reference_open_time_ns: int,
        volume: Decimal,
        conditions: Conditions,
        rule: Rule,
    ) -> _Trade:
        instrument = self._books[order.coin].instrument
        qty = self._cut(order, budget)
        quote = quote_taker(self._model.slippage, order.side, reference, qty, conditions, instrument)
        return _Trade(qty, quote, reference, reference_open_time_ns, volume, conditions, rule)

    def _cut(self, order: Order, budget: Budget) -> Decimal:
        lot_size = self._books[order.coin].instrument.lot_size
        return self._model.liquidity.cut(order.qty, order.remaining_qty, budget.left, lot_size)

    def _trade_and_wait(
        self,
        order: Order,
        trade: _Trade,
        budget: Budget,
        sim_time_ns: int,
        out: Outcomes,
        *,
        is_at_close: bool = False,
    ) -> None:
        # A taker trades what it can; the rest waits, or ends where it may not wait.
        if order.is_all_or_nothing and trade.qty < order.remaining_qty:
            self._end_at_once(order, sim_time_ns, out)
            return
        if trade.qty and not self._settle(order, trade, budget, sim_time_ns, out):
            return
        if order.is_immediate:
            self._end_at_once(order, sim_time_ns, out)
        else:
            self._wait(order, sim_time_ns, out, is_at_close=is_at_close)

    # ------------------------------------------------------------ places

    def _wait(self, order: Order, sim_time_ns: int, out: Outcomes, *, is_at_close: bool = False) -> None:
        # A candle that opens at a close is still to come; otherwise IOC and FOK find no market and end.
        may_wait = is_at_close and self._market.opening_at(order.coin, sim_time_ns) is not None
        if order.is_immediate and not may_wait:
            self._end_at_once(order, sim_time_ns, out)
            return
        book = self._books[order.coin]
        book.put(order, OrderStatus.WAITING)
        self.touched.append(order)
        timer = book.opening_timer(self._market, sim_time_ns, includes_now=is_at_close)
        if timer is not None:
            out.append(timer)

    def _rest_or_end(self, order: Order, sim_time_ns: int, out: Outcomes) -> None:
        if order.is_immediate:
            self._end_at_once(order, sim_time_ns, out)
        else:
            self._rest(order, OrderStatus.RESTING, sim_time_ns)

    def _rest(self, order: Order, status: OrderStatus, sim_time_ns: int) -> None:
        order.active_since_ns = sim_time_ns
        self._books[order.coin].put(order, status)
        self.touched.append(order)

    def _end_at_once(self, order: Order, sim_time_ns: int, out: Outcomes) -> None:
        reason = Reason.FOK_UNFILLABLE if order.is_all_or_nothing else Reason.IOC_REMAINDER
        self.cancel(order, reason, sim_time_ns, out)

    # ------------------------------------------------------------ closed candles

    def judge(self, book: Book, sim_time_ns: int, out: Outcomes) -> None:
        """Judge a coin's resting limits and armed stops on the candle that closes now, if one does."""
        candle = self._market.closed_at(book.coin, sim_time_ns)
        if candle is None or not candle.volume > 0:
            return
        low, high = from_float(candle.low), from_float(candle.high)
        present = [order for order in book.resting.values() if _was_present(order, candle)]
        stops = [o for o in present if o.is_stop and _has_reached(o, low if o.side is Side.SELL else high)]
        limits = [o for o in present if not o.is_stop and self._is_hit(o, low, high)]
        if not (stops or limits):
            return
        volume = from_float(candle.volume)
        budgets = {
            side: Budget(candle.open_time_ns, self._model.liquidity.allowance(volume)) for side in Side
        }
        stops.sort(key=lambda order: order.priority)
        limits.sort(key=_price_then_time)
        for order in (*stops, *limits) if self._model.is_pessimistic else (*limits, *stops):
            fill = self._fill_stop if order.is_stop else self._fill_limit
            fill(order, candle, volume, budgets[order.side], sim_time_ns, out)

    def _is_hit(self, order: Order, low: Decimal, high: Decimal) -> bool:
        # Whether a candle traded through a resting limit; touching it is not enough unless so chosen.
        limit = _price(order, order.limit_price)
        if order.side is Side.BUY:
            return low < limit or (self._model.is_touch_enough and low == limit)
        return high > limit or (self._model.is_touch_enough and high == limit)

    def _fill_limit(
        self, order: Order, candle: Candle, volume: Decimal, budget: Budget, sim_time_ns: int, out: Outcomes
    ) -> None:
        qty = self._cut(order, budget)
        if not qty:
            return
        price = _price(order, order.limit_price)
        rule = Rule.MAKER_TOUCH if self._model.is_touch_enough else Rule.MAKER_THROUGH
        trade = _Trade(qty, Quote(price, ZERO, ()), price, candle.open_time_ns, volume, None, rule)
        self._settle(order, trade, budget, sim_time_ns, out)

    def _fill_stop(
        self, order: Order, candle: Candle, volume: Decimal, budget: Budget, sim_time_ns: int, out: Outcomes
    ) -> None:
        self._trigger(order, sim_time_ns, out)
        if order.limit_price is not None:
            # It is a limit from now on; what it may take is decided when the next candle opens.
            self._wait(order, sim_time_ns, out, is_at_close=True)
            return
        stop, opened = _price(order, order.stop_price), from_float(candle.open)
        reference = max(stop, opened) if order.side is Side.BUY else min(stop, opened)
        rule = Rule.STOP_REACHED if reference == stop else Rule.STOP_GAP
        conditions = self._books[order.coin].conditions(self._market, candle)
        trade = self._taking(order, budget, reference, candle.open_time_ns, volume, conditions, rule)
        self._trade_and_wait(order, trade, budget, sim_time_ns, out, is_at_close=True)

    def _trigger(self, order: Order, sim_time_ns: int, out: Outcomes) -> None:
        order.is_triggered = True
        self._say(order, OrderTriggered(**_identity(order, sim_time_ns)), out)

    # ------------------------------------------------------------ settling and ending

    def _settle(self, order: Order, trade: _Trade, budget: Budget, sim_time_ns: int, out: Outcomes) -> bool:
        # Cut to the cash, write the fill, end what is done. Returns whether the order is still open.
        account = self._accounts[order.request.account]
        instrument = self._books[order.coin].instrument
        fee_rate = self._model.fees.rate(account.name, trade.liquidity, sim_time_ns)
        qty = trade.qty
        if order.side is Side.BUY:
            qty = _payable(trade, account.available_cash + order.hold, fee_rate, instrument.lot_size)
        is_cut = qty < trade.qty
        if not is_cut:
            self._write_fill(order, account, trade, fee_rate, sim_time_ns, out)
        elif qty and not order.is_all_or_nothing:
            trade = trade._replace(qty=qty)
            if trade.conditions is not None:  # a smaller quantity has less impact
                quote = quote_taker(
                    self._model.slippage, order.side, trade.reference, qty, trade.conditions, instrument
                )
                trade = trade._replace(quote=quote)
            self._write_fill(order, account, trade, fee_rate, sim_time_ns, out)
        if is_cut:
            self.cancel(order, Reason.INSUFFICIENT_BALANCE, sim_time_ns, out)
        budget.spend(qty)
        return order.filled_qty < order.qty and not is_cut

    def _write_fill(
        self,
        order: Order,
        account: Account,
        trade: _Trade,
        fee_rate: Decimal,
        sim_time_ns: int,
        out: Outcomes,
    ) -> None:
        notional = trade.quote.price * trade.qty
        fee = fee_amount(notional, fee_rate)
        order.filled_qty += trade.qty
        need = order.need()
        if order.side is Side.BUY:
            # A fill dearer than its hold may leave less than the remainder needs; it holds what there is.
            hold = min(need, account.available_cash + order.hold - notional - fee)
            account.change(
                order.client_order_id,
                order.coin,
                cash=-notional - fee,
                cash_held=hold - order.hold,
                qty=trade.qty,
            )
        else:
            hold = need
            account.change(
                order.client_order_id,
                order.coin,
                cash=notional - fee,
                qty=-trade.qty,
                qty_held=hold - order.hold,
            )
        order.hold = hold
        account.record(order.side, order.coin, trade.qty, notional, fee)
        self._model.fees.record(account.name, notional, sim_time_ns)
        is_filled = order.filled_qty == order.qty
        if is_filled:
            self._books[order.coin].put(order, OrderStatus.FILLED)
        self.touched.append(order)
        self._fill_count += 1
        self._say(order, self._filled(order, trade, fee, is_filled=is_filled, sim_time_ns=sim_time_ns), out)

    def _filled(
        self, order: Order, trade: _Trade, fee: Decimal, *, is_filled: bool, sim_time_ns: int
    ) -> OrderFilled:
        is_bounded = self._model.liquidity.allowance(trade.volume).is_finite()
        return OrderFilled(
            **_identity(order, sim_time_ns),
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
        self._say(order, OrderCancelled(**_identity(order, sim_time_ns), reason=reason), out)

    def expire(self, order: Order, sim_time_ns: int, out: Outcomes) -> None:
        """End an order whose time in force is over."""
        self._end(order, OrderStatus.EXPIRED)
        self._say(order, OrderExpired(**_identity(order, sim_time_ns), reason=Reason.EXPIRED), out)

    def _end(self, order: Order, status: OrderStatus) -> None:
        self._books[order.coin].put(order, status)
        self.hold(order, ZERO)

    def hold(self, order: Order, amount: Decimal) -> None:
        """Let an order hold an amount: quote currency for a buy, base for a sell."""
        account = self._accounts[order.request.account]
        if order.side is Side.BUY:
            account.change(order.client_order_id, order.coin, cash_held=amount - order.hold)
        else:
            account.change(order.client_order_id, order.coin, qty_held=amount - order.hold)
        order.hold = amount
        self.touched.append(order)

    def _say(self, order: Order, outcome: Outcome, out: Outcomes) -> None:
        order.history.append(outcome)
        out.append(outcome)


class _Identity(TypedDict):
    sim_time_ns: int
    client_order_id: str
    component: str
    source: int
    coin: str


def _identity(order: Order, sim_time_ns: int) -> _Identity:
    request = order.request
    return {
        "sim_time_ns": sim_time_ns,
        "client_order_id": request.client_order_id,
        "component": request.component,
        "source": request.source,
        "coin": request.coin,
    }


def _price(order: Order, price: Decimal | None) -> Decimal:
    if price is None:
        raise InvariantError(f"{order} lacks the price that its type has; {order.story()}")
    return price


def _is_worse(side: Side, price: Decimal, limit: Decimal) -> bool:
    return price > limit if side is Side.BUY else price < limit


def _has_reached(order: Order, price: Decimal) -> bool:
    # A stop is reached by touching it: for the trader that is the worse assumption.
    stop = _price(order, order.stop_price)
    return price >= stop if order.side is Side.BUY else price <= stop


def _was_present(order: Order, candle: Candle) -> bool:
    late_by_ns = order.active_since_ns - candle.open_time_ns
    return late_by_ns * _FIRST_PART <= candle.close_time_ns - candle.open_time_ns


def _price_then_time(order: Order) -> tuple[bool, Decimal, tuple[int, int, int]]:
    # Within a side the better price is served first, then the earlier arrival; buys before sells.
    limit = _price(order, order.limit_price)
    is_sell = order.side is Side.SELL
    return (is_sell, limit if is_sell else -limit, order.priority)


def _payable(trade: _Trade, cash: Decimal, fee_rate: Decimal, lot_size: Decimal) -> Decimal:
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
