"""The simulated exchange: requests, closed candles and timers in; judgements, fills and timers out.

A decider: it touches no clock and no file. Whoever owns the clock calls `handle` with events in the order of
DESIGN 3 and calls back for each timer; everything that follows from an event is in the list it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, getcontext, setcontext
from typing import Any

from orchestrator.account_settings import AccountSettings
from orchestrator.config import ExecutionModelSettings
from orchestrator.errors import CausalityError, InvariantError
from orchestrator.exchange.account import Account
from orchestrator.exchange.admission import (
    expiry_reason,
    likely_price,
    notional_reason,
    prices_reason,
    qty_reason,
)
from orchestrator.exchange.book import Book
from orchestrator.exchange.ended import EndedOrder, EndedOrders
from orchestrator.exchange.events import (
    CancelRequested,
    CandlesClosed,
    CoinEnded,
    Input,
    OrderAccepted,
    OrderRejected,
    OrderReplaced,
    OrderRequested,
    ReplaceRequested,
    RequestRefused,
    RunEnded,
    SetTimer,
    TimerDue,
    TimerKind,
)
from orchestrator.exchange.execution import Execution
from orchestrator.exchange.instruments import Instrument
from orchestrator.exchange.margin import Margin
from orchestrator.exchange.market_view import FundingView, MarketView
from orchestrator.exchange.models import build_fill_model
from orchestrator.exchange.money import EXACT, ZERO, from_float
from orchestrator.exchange.orders import Order
from orchestrator.exchange.replacing import propose
from orchestrator.exchange.settlement import Outcomes, Settlement, identity, identity_of
from orchestrator.exchange.vocabulary import Reason
from orchestrator.protocol import AccountState, Side

__all__ = ["Exchange"]

_Change = CancelRequested | ReplaceRequested


class Exchange:
    """Orders, fills and accounts of one run.

    Parameters
    ----------
    market
        What may be seen of the candles.
    coins
        In the order of the run.
    instruments
        Rules per coin, as `resolve_instruments` gives them.
    model
        `[execution_model]`.
    accounts
        Name -> initial cash, quote currency.
    seed
        Of the run; keys the latency draws.
    end_ns
        End of the run: nothing arrives later.
    account
        `[account]`, which says what all accounts may do; spot accounts when absent.
    funding
        Rates of perpetual contracts; only accounts of that kind need them.
    """

    def __init__(
        self,
        *,
        market: MarketView,
        coins: tuple[str, ...],
        instruments: Mapping[str, Instrument],
        model: ExecutionModelSettings,
        accounts: Mapping[str, Decimal],
        seed: int,
        end_ns: int,
        account: AccountSettings | None = None,
        funding: FundingView | None = None,
    ) -> None:
        self._market = market
        self._model = build_fill_model(model, seed)
        self._books = {coin: Book(instruments[coin], place) for place, coin in enumerate(coins)}
        self._accounts: Mapping[str, Account]
        self._settlement: Settlement
        self._margin: Margin | None = None  # of accounts that may owe; spot accounts do without
        if account is None or account.kind == "spot":
            spot = self._accounts = {name: Account(name, cash) for name, cash in accounts.items()}
            self._settlement = Settlement(self._model, self._books, spot)
        else:
            self._margin = Margin(account, accounts, market, funding, self._model, self._books, end_ns)
            self._accounts, self._settlement = self._margin.accounts, self._margin.settlement
        self._execution = Execution(market, self._model, self._books, self._settlement)
        self._open: dict[str, Order] = {}
        self._ended = EndedOrders(coins)
        self._changes: dict[tuple[int, int], _Change] = {}  # (source, number) -> on its way
        self._end_ns = end_ns
        self._now_ns = 0
        self._has_ended = False
        self._handlers: dict[type, Callable[[Any, Outcomes], None]] = {
            OrderRequested: self._request,
            CancelRequested: self._request_change,
            ReplaceRequested: self._request_change,
            CandlesClosed: self._close_candles,
            TimerDue: self._be_called,
            CoinEnded: self._end_coin,
            RunEnded: self._end_run,
        }

    def handle(self, event: Input) -> Outcomes:
        """Take an event and return what follows from it at once, in order.

        Raises
        ------
        CausalityError
            If the event is earlier than one before it, or a timer is not called at its time.
        InvariantError
            If the books do not add up afterwards.
        """
        if event.sim_time_ns < self._now_ns:
            raise CausalityError(f"{type(event).__name__} at {event.sim_time_ns} after time {self._now_ns}")
        self._now_ns = event.sim_time_ns
        if type(event) is CandlesClosed and not self._open and self._margin is None:
            return []
        if self._margin is not None:
            self._margin.marks.now_ns = event.sim_time_ns
        out: Outcomes = []
        before = getcontext()
        setcontext(EXACT)
        try:
            self._handlers[type(event)](event, out)
            self._check_touched()
        finally:
            setcontext(before)
        return out

    # ------------------------------------------------------------ questions

    def account_state(self, account: str) -> AccountState:
        """Return the balances of an account as components see them."""
        return self._accounts[account].state()

    def account_version(self, account: str) -> int:
        """Return a number that changes whenever an order, a fill or a payment changes what an account has or holds.

        Prices alone do not change it, though the free margin in the state of an account that may owe follows them.
        """
        return self._accounts[account].version

    def cash(self, account: str) -> Decimal:
        """Return the cash of an account, held or not; quote currency."""
        return self._accounts[account].cash

    def quantity(self, account: str, coin: str) -> Decimal:
        """Return how much of a coin an account has, held or not."""
        return self._accounts[account].holdings.get(coin, ZERO)

    def has_open_orders(self, account: str) -> bool:
        """Return whether any order of an account has not ended."""
        return any(order.request.account == account for order in self._open.values())

    def validate(self) -> None:
        """Recompute every invariant from orders and fills; raise `InvariantError` for the first broken.

        Costs a look at each open order and account; call it now and then, and before `RunEnded` ends all orders.
        """
        before = getcontext()
        setcontext(EXACT)
        try:
            orders_by_account: dict[str, list[Order]] = {name: [] for name in self._accounts}
            for order in self._open.values():
                order.check(self._now_ns)
                self._books[order.coin].check(order)
                orders_by_account[order.request.account].append(order)
            for book in self._books.values():
                book.check_all(self._open)
                book.check_opening(self._market, self._now_ns)
            for name, account in self._accounts.items():
                account.validate(orders_by_account[name])
        finally:
            setcontext(before)

    def _check_touched(self) -> None:
        for order in self._settlement.touched:
            order.check(self._now_ns)
            book = self._books[order.coin]
            book.check(order)
            book.check_opening(self._market, self._now_ns)
            self._accounts[order.request.account].check(order.coin)
            if order.has_ended and self._open.pop(order.client_order_id, None) is not None:
                self._ended.add(order.request)
        self._settlement.touched.clear()

    # ------------------------------------------------------------ new orders

    def _request(self, event: OrderRequested, out: Outcomes) -> None:
        if self._known(event.client_order_id) is not None:
            raise InvariantError(f"order {event.client_order_id} was requested twice")
        arrival_ns = event.sim_time_ns + self._model.latency.draw_ns(event.component, "order", event.number)
        verdict = self._admit(event, arrival_ns)
        if isinstance(verdict, Reason):
            out.append(
                OrderRejected(
                    **identity_of(event, event.sim_time_ns),
                    request=event,
                    reason=verdict,
                    notify_time_ns=arrival_ns,
                )
            )
            return
        self._open[event.client_order_id] = verdict
        self._settlement.hold(verdict, verdict.need())
        accepted = OrderAccepted(**identity_of(event, event.sim_time_ns), request=event)
        verdict.history.append(accepted)
        out.append(accepted)
        out.append(_timer(TimerKind.ARRIVAL, arrival_ns, event))
        if event.expire_time_ns is not None and event.expire_time_ns <= self._end_ns:
            out.append(_timer(TimerKind.EXPIRY, event.expire_time_ns, event))

    def _admit(self, event: OrderRequested, arrival_ns: int) -> Order | Reason:
        book = self._books.get(event.coin)
        if book is None:
            return Reason.UNKNOWN_SYMBOL
        instrument = book.instrument
        reason = (
            qty_reason(event.qty, instrument)
            or prices_reason(event.order_type, event.limit_price, event.stop_price, instrument)
            or expiry_reason(event.time_in_force, event.expire_time_ns, arrival_ns)
        )
        if reason is not None:
            return reason
        if book.has_ended:
            return Reason.END_OF_DATA
        if arrival_ns > self._end_ns or self._has_ended:
            return Reason.AFTER_END_OF_RUN
        last = self._market.last_closed(event.coin, event.sim_time_ns)
        if last is None:
            return Reason.NO_MARKET_DATA
        close = from_float(last.close)
        likely = likely_price(event.limit_price, event.stop_price, close)
        reason = notional_reason(event.qty, likely, instrument)
        if reason is not None:
            return reason
        price = self._settlement.hold_price(event.side, event.limit_price, event.stop_price, close)
        order = self._settlement.order_type(
            event, arrival_time_ns=arrival_ns, hold_price=price, side_factor=self._model.side_of(event)
        )
        shortage = self._settlement.refusal(order, order.qty, price)
        if shortage is not None and event.may_hold_less and event.side is Side.BUY and self._margin is None:
            # What the fill costs beyond the hold comes from free cash; it is cut to what there is.
            order.hold_price = likely
            shortage = self._settlement.refusal(order, order.qty, likely)
        return shortage or order

    # ------------------------------------------------------------ cancels and replaces

    def _request_change(self, event: _Change, out: Outcomes) -> None:
        due_ns = event.sim_time_ns + self._model.latency.draw_ns(event.component, "cancel", event.number)
        order = self._open.get(event.client_order_id)
        reason = self._change_reason(event)
        if order is not None and reason is None:
            # One connection keeps its order: a request never overtakes its order or an earlier request.
            due_ns = max(due_ns, order.arrival_time_ns + 1, order.latest_request_ns)
            if due_ns > self._end_ns:
                reason = Reason.AFTER_END_OF_RUN
        if order is None or reason is not None:
            out.append(self._refusal(event, reason or Reason.UNKNOWN_ORDER, due_ns))
            return
        order.latest_request_ns = due_ns
        self._changes[event.source, event.number] = event
        out.append(_timer(TimerKind.CANCEL, due_ns, event))

    def _known(self, client_order_id: str) -> OrderRequested | EndedOrder | None:
        # An order that was accepted: all of it while it is open, its component and coin afterwards.
        order = self._open.get(client_order_id)
        return order.request if order is not None else self._ended.find(client_order_id)

    def _change_reason(self, event: _Change) -> Reason | None:
        known = self._known(event.client_order_id)
        if known is None:
            return Reason.UNKNOWN_ORDER
        if known.component != event.component:
            return Reason.NOT_OWN_ORDER
        return Reason.ALREADY_ENDED if isinstance(known, EndedOrder) else None

    def _refusal(self, event: _Change, reason: Reason, notify_time_ns: int) -> RequestRefused:
        known = self._known(event.client_order_id)
        return RequestRefused(
            sim_time_ns=self._now_ns,
            client_order_id=event.client_order_id,
            component=event.component,
            source=event.source,
            coin=known.coin if known is not None else "",
            reason=reason,
            notify_time_ns=notify_time_ns,
        )

    def _change(self, timer: SetTimer, out: Outcomes) -> None:
        event = self._changes.pop((timer.source, timer.counter))
        order = self._open.get(event.client_order_id)
        if order is None:
            out.append(self._refusal(event, Reason.ALREADY_ENDED, self._now_ns))
        elif isinstance(event, CancelRequested):
            self._settlement.cancel(order, Reason.REQUESTED, self._now_ns, out)
        else:
            self._replace(order, event, out)

    def _replace(self, order: Order, event: ReplaceRequested, out: Outcomes) -> None:
        instrument = self._books[order.coin].instrument
        verdict = propose(order, event, instrument, self._settlement)
        if isinstance(verdict, Reason):
            out.append(self._refusal(event, verdict, self._now_ns))
            return
        changes, is_repriced = verdict.changes(order), verdict.is_repriced(order)
        if verdict.loses_place(order):
            order.priority_time_ns = self._now_ns
        if verdict.qty > order.qty:
            # What this candle did before says nothing about the quantity that is new.
            order.active_since_ns = self._now_ns
        order.qty, order.hold_price = verdict.qty, verdict.hold_price
        order.limit_price, order.stop_price = verdict.limit_price, verdict.stop_price
        self._settlement.hold(order, order.need())
        self._settlement.say(order, OrderReplaced(**identity(order, self._now_ns), reason=changes), out)
        if is_repriced:
            self._execution.enter(order, self._now_ns, out)

    # ------------------------------------------------------------ time

    def _close_candles(self, event: CandlesClosed, out: Outcomes) -> None:
        for book in self._books.values():
            if book.resting:
                self._execution.judge(book, event.sim_time_ns, out)
        if self._margin is not None:
            self._margin.watch(event.sim_time_ns, out)

    def _be_called(self, event: TimerDue, out: Outcomes) -> None:
        timer = event.timer
        if timer.sim_time_ns != event.sim_time_ns:
            raise CausalityError(
                f"timer for {timer.subject} at {timer.sim_time_ns} was called at {event.sim_time_ns}"
            )
        if timer.kind is TimerKind.OPENING:
            self._execution.reopen(self._books[timer.subject], event.sim_time_ns, out)
        elif timer.kind is TimerKind.CANCEL:
            self._change(timer, out)
        elif self._margin is not None and timer.kind is TimerKind.FUNDING:
            self._margin.pay(timer, out)
        elif self._margin is not None and timer.kind is TimerKind.LIQUIDATION:
            self._margin.judge(timer, self._open, self._execution, out)
        else:
            # An order that ended meanwhile needs neither its arrival nor its expiry.
            order = self._open.get(timer.subject)
            if order is not None and timer.kind is TimerKind.ARRIVAL:
                self._execution.arrive(order, event.sim_time_ns, out)
            elif order is not None:
                self._settlement.expire(order, event.sim_time_ns, out)

    def _end_coin(self, event: CoinEnded, out: Outcomes) -> None:
        self._books[event.coin].has_ended = True
        for order in [order for order in self._open.values() if order.coin == event.coin]:
            self._settlement.cancel(order, Reason.END_OF_DATA, event.sim_time_ns, out)

    def _end_run(self, event: RunEnded, out: Outcomes) -> None:
        self._has_ended = True
        for order in list(self._open.values()):
            self._settlement.cancel(order, event.reason, event.sim_time_ns, out)


def _timer(kind: TimerKind, sim_time_ns: int, event: OrderRequested | _Change) -> SetTimer:
    return SetTimer(
        sim_time_ns=sim_time_ns,
        kind=kind,
        source=event.source,
        counter=event.number,
        subject=event.client_order_id,
    )
