"""A second opinion on accounts that may owe, from what was said alone: fractions, lists, no cleverness.

It reads the outcomes of a whole run of one account in their order, keeps books of its own, and says for each
what should have been: whether an order may be accepted, what a debt costs, who is to be liquidated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from orchestrator.exchange.events import (
    CashFlowBooked,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderRequested,
    Outcome,
)
from orchestrator.exchange.market_view import Candle
from orchestrator.protocol import Side

HOUR = 3_600 * 10**9
EIGHT_DECIMALS = 10**8


def up(value: Fraction) -> Fraction:
    """Return a value rounded up to 8 decimals."""
    return Fraction(math.ceil(value * EIGHT_DECIMALS), EIGHT_DECIMALS)


@dataclass(frozen=True)
class NaiveTerms:
    """Fractions, not percent."""

    leverage: Fraction
    maintenance: Fraction
    quote_rate: Fraction  # per year
    base_rate: Fraction
    liquidation_fee: Fraction
    fee: Fraction
    is_perpetual: bool


@dataclass
class Waiting:
    """An open order."""

    coin: str
    is_buy: bool
    left: Fraction
    price: Fraction  # the highest it is reckoned with


@dataclass
class NaiveBooks:
    """What one account should have."""

    candles: Mapping[str, Sequence[Candle]]
    terms: NaiveTerms
    cash: Fraction
    funding: Mapping[str, Mapping[int, Fraction]]
    end_ns: int
    qty: dict[str, Fraction] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    peaks: dict[str, Fraction] = field(default_factory=dict)  # "" is quote
    interest_due_ns: int | None = None
    liquidations: int = 0
    cuts: int = 0

    # ------------------------------------------------------------ prices

    def mark(self, coin: str, now_ns: int) -> Fraction:
        closed = [candle for candle in self.candles[coin] if candle.close_time_ns <= now_ns]
        return Fraction(repr(closed[-1].close))

    def worst(self, coin: str, now_ns: int) -> Fraction:
        now = [candle for candle in self.candles[coin] if candle.close_time_ns == now_ns]
        if not now:
            return self.mark(coin, now_ns)
        return Fraction(repr(now[0].low if self.qty[coin] > 0 else now[0].high))

    def equity(self, now_ns: int) -> Fraction:
        return self.cash + sum(q * self.mark(c, now_ns) for c, q in self.qty.items() if q)

    def exposure(self, now_ns: int) -> Fraction:
        return sum((abs(q) * self.mark(c, now_ns) for c, q in self.qty.items() if q), Fraction(0))

    # ------------------------------------------------------------ what should be

    def likely(self, orders: Sequence[Waiting], now_ns: int) -> Fraction:
        whole = Fraction(0)
        for coin in self.candles:
            held = self.qty.get(coin, Fraction(0))
            worth = held * self.mark(coin, now_ns) if held else Fraction(0)
            sides = [
                sum(
                    (up(o.left * o.price) for o in orders if o.coin == coin and o.is_buy is is_buy),
                    Fraction(0),
                )
                for is_buy in (True, False)
            ]
            whole += max(abs(worth), worth + sides[0], sides[1] - worth)
        return whole

    def may_order(self, order: Waiting, now_ns: int) -> bool:
        before = list(self.waiting.values())
        after = [*before, order]
        fees = sum((up(o.left * o.price) for o in after), Fraction(0)) * self.terms.fee
        needed = self.likely(after, now_ns)
        return needed <= self.likely(before, now_ns) or (
            (self.equity(now_ns) - fees) * self.terms.leverage >= needed
        )

    def may_fill(self, fill: OrderFilled, qty: Fraction) -> bool:
        sign = 1 if fill.side is Side.BUY else -1
        before = self.qty.get(fill.coin, Fraction(0))
        after = before + sign * qty
        if abs(after) <= abs(before):
            return True
        held = {coin: (q, self.mark(coin, fill.sim_time_ns)) for coin, q in self.qty.items() if q}
        notional = Fraction(fill.price) * qty
        cash = self.cash - sign * notional - up(notional * self.terms.fee)
        for price in (self.mark(fill.coin, fill.sim_time_ns), Fraction(fill.price)):
            held[fill.coin] = (after, price)
            equity = cash + sum(q * value for q, value in held.values())
            if equity * self.terms.leverage < sum(abs(q) * value for q, value in held.values()):
                return False
        return True

    def is_to_be_liquidated(self, now_ns: int) -> bool:
        held = {coin: q for coin, q in self.qty.items() if q}
        if not held or (self.cash >= 0 and all(q > 0 for q in held.values())):
            return False
        worth = self.cash + sum(q * self.worst(c, now_ns) for c, q in held.items())
        exposure = sum(abs(q) * self.worst(c, now_ns) for c, q in held.items())
        return worth < exposure * self.terms.maintenance

    @property
    def is_liquidating(self) -> bool:
        return any(name.startswith("exchange-") for name in self.waiting)

    def payments(self, now_ns: int) -> list[tuple[str, str | None, Fraction]]:
        """Return the kind, coin and amount of what is to be paid at a time."""
        if self.terms.is_perpetual:
            return [
                ("funding", coin, -up(self.qty[coin] * self.mark(coin, now_ns) * rates[now_ns]))
                for coin, rates in self.funding.items()
                if now_ns in rates and self.qty.get(coin)
            ]
        if now_ns != self.interest_due_ns:
            return []
        due = []
        for coin, peak in self.peaks.items():
            rate = self.terms.base_rate if coin else self.terms.quote_rate
            basis = peak * self.mark(coin, now_ns) if coin else peak
            if basis and rate:
                kind = "interest_base" if coin else "interest_quote"
                due.append((kind, coin or None, -up(basis * rate / 8760)))
        return due

    def begin_interest_period(self, now_ns: int) -> None:
        self.interest_due_ns = None
        self.peaks = {}
        self.note_debts(now_ns)

    def note_debts(self, now_ns: int) -> None:
        debts = {"": -self.cash, **{coin: -q for coin, q in self.qty.items()}}
        for name, debt in debts.items():
            if debt > 0:
                self.peaks[name] = max(self.peaks.get(name, Fraction(0)), debt)
        due_ns = (now_ns // HOUR + 1) * HOUR
        if self.peaks and self.interest_due_ns is None and due_ns <= self.end_ns:
            self.interest_due_ns = due_ns

    # ------------------------------------------------------------ what was said

    def audit(self, outcomes: Sequence[Outcome], until_ns: int) -> None:
        """Read a whole run; assert for each outcome, and at each time, that it had to be so."""
        ticks = {candle.close_time_ns for series in self.candles.values() for candle in series}
        fundings = {time for rates in self.funding.values() for time in rates} if self.funding else set()
        hours = set(range(HOUR, until_ns + 1, HOUR))
        spoken = {outcome.sim_time_ns for outcome in outcomes}
        for now_ns in sorted(time for time in ticks | fundings | hours | spoken if time <= until_ns):
            said = [outcome for outcome in outcomes if outcome.sim_time_ns == now_ns]
            self._audit_time(now_ns, said, is_tick=now_ns in ticks)

    def _audit_time(self, now_ns: int, said: list[Outcome], *, is_tick: bool) -> None:
        was_liquidating = self.is_liquidating
        # What a closing candle filled stands before what is paid, and that before anything else.
        first = 0
        while first < len(said) and is_tick and _is_of_the_close(said, first):
            self._take(said[first])
            first += 1
        due = self.payments(now_ns)
        paid = [o for o in said if isinstance(o, CashFlowBooked) and o.kind != "liquidation_fee"]
        assert sorted((o.kind, o.coin or "", Fraction(o.amount)) for o in paid) == sorted(
            (kind, coin or "", amount) for kind, coin, amount in due
        )
        for flow in paid:
            self.cash += Fraction(flow.amount)
        if now_ns == self.interest_due_ns:
            self.begin_interest_period(now_ns)
        rest = [o for o in said[first:] if o not in paid]
        begins = any(isinstance(o, OrderAccepted) and o.component == "exchange" for o in rest)
        should = is_tick and not was_liquidating and self.is_to_be_liquidated(now_ns)
        assert begins == should, f"liquidation at {now_ns}: {begins}, not {should}"
        self.liquidations += begins
        for outcome in rest:
            self._take(outcome)

    def _take(self, outcome: Outcome) -> None:
        if isinstance(outcome, OrderAccepted):
            order = self._as_waiting(outcome.request)
            if outcome.component == "exchange":
                assert outcome.request.qty == abs(self.qty[outcome.coin])
            else:
                assert not self.is_liquidating
                assert self.may_order(order, outcome.sim_time_ns), outcome
            self.waiting[outcome.client_order_id] = order
        elif isinstance(outcome, OrderRejected):
            if outcome.reason == "insufficient_margin":
                assert not self.may_order(self._as_waiting(outcome.request), outcome.sim_time_ns), outcome
            assert (outcome.reason == "liquidation") <= self.is_liquidating
        elif isinstance(outcome, OrderFilled):
            self._fill(outcome)
        elif isinstance(outcome, OrderCancelled | OrderExpired):
            self.waiting.pop(outcome.client_order_id)
            self.cuts += outcome.reason == "insufficient_margin"
        elif isinstance(outcome, CashFlowBooked):
            assert outcome.kind == "liquidation_fee"
            assert Fraction(outcome.amount) == -up(Fraction(outcome.basis) * self.terms.liquidation_fee)
            self.cash += Fraction(outcome.amount)
            self.note_debts(outcome.sim_time_ns)

    def _as_waiting(self, request: OrderRequested) -> Waiting:
        if request.limit_price is not None:
            price = Fraction(request.limit_price)
        else:
            base = request.stop_price
            mark = self.mark(request.coin, request.sim_time_ns) if base is None else Fraction(base)
            price = mark * Fraction(105, 100)
        if request.component == "exchange":
            price = Fraction(0)
        return Waiting(request.coin, request.side is Side.BUY, Fraction(request.qty), price)

    def _fill(self, fill: OrderFilled) -> None:
        qty, notional = Fraction(fill.qty), Fraction(fill.qty) * Fraction(fill.price)
        assert Fraction(fill.fee) == up(notional * self.terms.fee)
        assert self.may_fill(fill, qty), fill
        assert (fill.rule == "liquidation") == (fill.component == "exchange")
        sign = 1 if fill.side is Side.BUY else -1
        self.qty[fill.coin] = self.qty.get(fill.coin, Fraction(0)) + sign * qty
        self.cash -= sign * notional + Fraction(fill.fee)
        order = self.waiting[fill.client_order_id]
        order.left -= qty
        assert order.left >= 0
        if not order.left:
            del self.waiting[fill.client_order_id]
        # What a closing candle fills owes what is due at that very time.
        is_of_the_close = fill.rule.startswith(("maker", "stop"))
        self.note_debts(fill.sim_time_ns - is_of_the_close)


def _is_of_the_close(said: list[Outcome], place: int) -> bool:
    # Fills of resting orders and triggered stops, and what such a fill's cut ends; takers come later.
    outcome = said[place]
    if isinstance(outcome, OrderFilled):
        return outcome.rule.startswith(("maker", "stop"))
    return (
        isinstance(outcome, OrderCancelled)
        and outcome.reason == "insufficient_margin"
        and place > 0
        and said[place - 1].client_order_id == outcome.client_order_id  # type: ignore[union-attr]
    ) or type(outcome).__name__ == "OrderTriggered"
