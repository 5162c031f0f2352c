"""When and at what price orders trade: takers at openings, makers and stops on closed candles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from orchestrator.errors import InvariantError
from orchestrator.exchange.book import Book
from orchestrator.exchange.events import OrderArrived, OrderTriggered
from orchestrator.exchange.liquidity import Budget
from orchestrator.exchange.market_view import Candle, FinerCandles, MarketView
from orchestrator.exchange.models import FillModel
from orchestrator.exchange.money import ZERO, from_float
from orchestrator.exchange.orders import Order, OrderStatus
from orchestrator.exchange.settlement import Outcomes, Settlement, Trade, identity
from orchestrator.exchange.slippage import Conditions, Quote, quote_limit, quote_taker
from orchestrator.exchange.vocabulary import Reason, Rule
from orchestrator.protocol import Side

__all__ = ["Execution"]

# A candle says something about an order that was there for all of it but its first hundredth.
_FIRST_PART: Final = 100


class Execution:
    """Turns openings and closed candles into fills.

    Parameters
    ----------
    market, model
        What may be seen, and what is assumed.
    books
        Where orders wait.
    settlement
        What carries the fills out.
    """

    def __init__(
        self, market: MarketView, model: FillModel, books: dict[str, Book], settlement: Settlement
    ) -> None:
        self._market = market
        self._finer = market if isinstance(market, FinerCandles) else None
        self._model = model
        self._books = books
        self._settlement = settlement

    # ------------------------------------------------------------ arrivals and openings

    def arrive(self, order: Order, sim_time_ns: int, out: Outcomes) -> None:
        """Let an order reach the market."""
        self._settlement.say(order, OrderArrived(**identity(order, sim_time_ns)), out)
        self.enter(order, sim_time_ns, out)

    def enter(self, order: Order, sim_time_ns: int, out: Outcomes) -> None:
        """Judge an order that has just arrived, or whose prices have just changed."""
        if order.is_stop:
            opening = self._market.opening_at(order.coin, sim_time_ns)
            if opening is None or not _has_reached(order, from_float(opening.price) * order.side_factor):
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
            if _is_worse(order.side, reference * order.side_factor, order.limit_price):
                self._rest_or_end(order, sim_time_ns, out)
                return
            # A venue would let it take: it does, at the worst price that it allows.
            models = self._model.slippage_for(order.request)
            quote = quote_limit(models, order.side, reference, order.limit_price, trade.qty, conditions)
            trade = trade._replace(quote=quote, rule=Rule.TAKER_LIMIT)
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
    ) -> Trade:
        instrument = self._books[order.coin].instrument
        qty = self._cut(order, budget)
        models = self._model.slippage_for(order.request)
        quote = quote_taker(models, order.side, reference, qty, conditions, instrument)
        return Trade(qty, quote, reference, reference_open_time_ns, volume, conditions, rule)

    def _cut(self, order: Order, budget: Budget) -> Decimal:
        lot_size = self._books[order.coin].instrument.lot_size
        return self._model.liquidity.cut(order.qty, order.remaining_qty, budget.left, lot_size)

    def _trade_and_wait(
        self,
        order: Order,
        trade: Trade,
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
        if trade.qty and not self._settlement.settle(order, trade, budget, sim_time_ns, out):
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
        self._settlement.touched.append(order)
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
        self._settlement.touched.append(order)

    def _end_at_once(self, order: Order, sim_time_ns: int, out: Outcomes) -> None:
        reason = Reason.FOK_UNFILLABLE if order.is_all_or_nothing else Reason.IOC_REMAINDER
        self._settlement.cancel(order, reason, sim_time_ns, out)

    # ------------------------------------------------------------ closed candles

    def judge(self, book: Book, sim_time_ns: int, out: Outcomes) -> None:
        """Judge a coin's resting limits and armed stops on the candle that closes now, if one does."""
        candle = self._market.closed_at(book.coin, sim_time_ns)
        if candle is None or not any(self._reached(book.resting.values(), candle)):
            return
        # Where finer candles are known, they decide the order of events within this one.
        finer = self._finer.finer_candles(book.coin, sim_time_ns) if self._finer is not None else ()
        for part in finer or (candle,):
            self._judge_part(book, part, candle, sim_time_ns, out)

    def _judge_part(self, book: Book, part: Candle, candle: Candle, sim_time_ns: int, out: Outcomes) -> None:
        present = [order for order in book.resting.values() if _was_present(order, part)]
        reached = list(self._reached(present, part))
        if not reached:
            return
        volume = from_float(part.volume)
        budgets = {side: Budget(part.open_time_ns, self._model.liquidity.allowance(volume)) for side in Side}
        stops = sorted((order for order in reached if order.is_stop), key=lambda order: order.priority)
        limits = sorted((order for order in reached if not order.is_stop), key=_price_then_time)
        for order in (*stops, *limits) if self._model.is_pessimistic else (*limits, *stops):
            if order.is_stop:
                self._fill_stop(order, part, candle, budgets[order.side], sim_time_ns, out)
            else:
                self._fill_limit(order, part, budgets[order.side], sim_time_ns, out)

    def _reached(self, orders: Iterable[Order], candle: Candle) -> Iterator[Order]:
        # A candle without volume had no trades, so it reaches nothing.
        if not candle.volume > 0:
            return
        low, high = from_float(candle.low), from_float(candle.high)
        for order in orders:
            # A buy limit and a sell stop ask how low the candle went on their side, the others how high.
            extreme = low if (order.side is Side.BUY) is not order.is_stop else high
            price = extreme * order.side_factor
            if _has_reached(order, price) if order.is_stop else self._is_hit(order, price):
                yield order

    def _is_hit(self, order: Order, price: Decimal) -> bool:
        # Whether a candle traded through a resting limit; touching it is not enough unless so chosen.
        limit = _price(order, order.limit_price)
        if price == limit:
            return self._model.is_touch_enough
        return price < limit if order.side is Side.BUY else price > limit

    def _fill_limit(
        self, order: Order, part: Candle, budget: Budget, sim_time_ns: int, out: Outcomes
    ) -> None:
        qty = self._cut(order, budget)
        if not qty:
            return
        price = _price(order, order.limit_price)
        rule = Rule.MAKER_TOUCH if self._model.is_touch_enough else Rule.MAKER_THROUGH
        volume = from_float(part.volume)
        trade = Trade(qty, Quote(price, ZERO, ()), price, part.open_time_ns, volume, None, rule)
        self._settlement.settle(order, trade, budget, sim_time_ns, out)

    def _fill_stop(
        self, order: Order, part: Candle, candle: Candle, budget: Budget, sim_time_ns: int, out: Outcomes
    ) -> None:
        self._trigger(order, sim_time_ns, out)
        if order.limit_price is not None:
            # It is a limit from now on; what it may take is decided when the next candle opens.
            self._wait(order, sim_time_ns, out, is_at_close=True)
            return
        stop, opened = _price(order, order.stop_price), from_float(part.open)
        reference = max(stop, opened) if order.side is Side.BUY else min(stop, opened)
        rule = Rule.STOP_REACHED if reference == stop else Rule.STOP_GAP
        book, before = self._books[order.coin], order.filled_qty
        conditions = book.conditions(self._market, candle)
        volume = from_float(part.volume)
        trade = self._taking(order, budget, reference, part.open_time_ns, volume, conditions, rule)
        self._trade_and_wait(order, trade, budget, sim_time_ns, out, is_at_close=True)
        book.note_stopped(order.side, sim_time_ns, order.filled_qty - before)

    def _trigger(self, order: Order, sim_time_ns: int, out: Outcomes) -> None:
        order.is_triggered = True
        self._settlement.say(order, OrderTriggered(**identity(order, sim_time_ns)), out)


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
