"""A second exchange, written to be read rather than to be fast, from the rules of docs/orders.md alone.

All numbers are fractions. Nothing is indexed, cached or timed: at every instant it looks through all candles
and all orders. It shares no code with `orchestrator.exchange`; where both agree, either both are right or both
read the rules the same wrong way.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from fractions import Fraction

F = Fraction
NOTHING, CENT, THOUSANDTH = F(0), F(1, 100), F(1, 1000)
FIVE, TWENTY = F(5), F(20)


@dataclass
class NaiveCandle:
    opens: int
    closes: int
    open: Fraction
    high: Fraction
    low: Fraction
    close: Fraction
    volume: Fraction


@dataclass
class NaiveOrder:
    id: str
    component: str
    source: int
    number: int
    account: str
    coin: str
    is_buy: bool
    qty: Fraction
    limit: Fraction | None
    stop: Fraction | None
    tif: str
    expires: int | None
    asked: int
    arrives: int
    close_when_asked: Fraction
    filled: Fraction = NOTHING
    hold: Fraction = NOTHING
    state: str = "flying"  # flying, armed, resting, taking, then over
    triggered: bool = False
    here_since: int = 0
    served_by: int = 0
    busy_until: int = 0
    own_spread: Fraction | None = None  # half of its venue's, bp; None: the rules'
    may_hold_less: bool = False
    holds_less: bool = False

    @property
    def left(self) -> Fraction:
        return self.qty - self.filled


@dataclass
class NaiveRequest:
    at: int
    source: int
    number: int
    component: str
    id: str
    replace: dict[str, Fraction] | None  # None: a cancel


@dataclass
class NaiveAccount:
    cash: Fraction
    coins: dict[str, Fraction] = field(default_factory=dict)


@dataclass
class NaiveRules:
    tick: Fraction = CENT
    lot: Fraction = THOUSANDTH
    min_notional: Fraction = FIVE
    slippage: Fraction = FIVE
    impact: Fraction = NOTHING
    half_spread: Fraction = NOTHING
    maker: Fraction = TWENTY
    taker: Fraction = TWENTY
    share: Fraction = CENT
    threshold: Fraction = CENT
    latency: tuple[int, int] = (50_000_000, 500_000_000)


class NaiveExchange:
    def __init__(
        self,
        candles: dict[str, list[NaiveCandle]],
        accounts: dict[str, NaiveAccount],
        rules: NaiveRules,
        seed: int,
        end: int,
    ) -> None:
        self.candles = candles
        self.accounts = accounts
        self.rules = rules
        self.seed = seed
        self.end = end
        self.now = 0
        self.orders: list[NaiveOrder] = []
        self.requests: list[NaiveRequest] = []
        self.log: list[str] = []
        self.taken: dict[tuple[str, bool, int], Fraction] = {}  # (coin, is buy, candle) -> taken at opens

    # ---- time

    def advance(self, to: int) -> None:
        while True:
            times = [t for t in self._times() if self.now < t <= to]
            # Things may become due at this very instant, such as an opening for a stop triggered at the close.
            if not times:
                break
            self.now = min(times)
            self._instant()
        self.now = to

    def _times(self) -> list[int]:
        times = [t for series in self.candles.values() for c in series for t in (c.opens, c.closes)]
        times += [o.arrives for o in self.orders if o.state == "flying"]
        times += [o.expires for o in self.orders if o.state != "over" and o.expires is not None]
        times += [r.at for r in self.requests]
        return [t for t in times if t <= self.end]

    def _instant(self) -> None:  # noqa: C901 - the declared order of events, top to bottom
        for coin in self.candles:
            self._close(coin)
        for o in sorted(self.orders, key=lambda o: (o.source, o.number)):
            if o.state not in ("over", "flying") and o.expires == self.now:
                self._over(o, "expired expired")
        for r in sorted(self.requests, key=lambda r: (r.source, r.number)):
            if r.at == self.now:
                self.requests.remove(r)
                self._change(r)
        for coin, series in self.candles.items():
            if any(c.opens == self.now for c in series):
                takers = [o for o in self.orders if o.coin == coin and o.state == "taking"]
                for o in sorted(takers, key=lambda o: (o.served_by, o.source, o.number)):
                    self._take(o, "taker_next_open")
        for o in sorted(self.orders, key=lambda o: (o.source, o.number)):
            if o.state == "flying" and o.arrives == self.now:
                self._say(o, "arrived")
                self._enter(o)

    def finish(self) -> None:
        self.advance(self.end)
        for o in self.orders:
            if o.state != "over":
                self._over(o, "cancelled end_of_run")

    # ---- the market

    def _last(self, coin: str) -> NaiveCandle | None:
        closed = [c for c in self.candles[coin] if c.closes <= self.now]
        return closed[-1] if closed else None

    def _current(self, coin: str) -> NaiveCandle | None:
        return next((c for c in self.candles[coin] if c.opens <= self.now < c.closes), None)

    def _m(self, coin: str) -> Fraction:
        ranges = [(c.high - c.low) / c.open for c in self.candles[coin] if c.closes <= self.now][-100:]
        if len(ranges) < 20:
            return F(1)
        ordered = sorted(ranges)
        median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
        if median == 0:
            return F(2) if ranges[-1] > 0 else F(1)
        return min(F(2), max(F(1), ranges[-1] / median))

    def _half_spread(self, o: NaiveOrder) -> Fraction:
        return self.rules.half_spread if o.own_spread is None else o.own_spread

    def _slippage_bp(self, o: NaiveOrder, qty: Fraction) -> Fraction:
        coin = o.coin
        last = self._last(coin)
        assert last is not None
        base = eighth(self.rules.slippage)
        wild = eighth(self.rules.slippage * (self._m(coin) - 1))
        impact = F(0)
        if self.rules.impact and qty and last.volume:
            impact = eighth(self.rules.impact * root(qty / last.volume))
        return base + wild + impact + eighth(self._half_spread(o))

    def _taker_price(self, o: NaiveOrder, reference: Fraction, qty: Fraction) -> Fraction:
        move = self._slippage_bp(o, qty) / 10_000
        if o.is_buy:
            return math.ceil(reference * (1 + move) / self.rules.tick) * self.rules.tick
        return max(math.floor(reference * (1 - move) / self.rules.tick), 1) * self.rules.tick

    def _fits(self, o: NaiveOrder, room: Fraction) -> Fraction:
        if o.left <= room:
            return o.left
        fits = math.floor(room / self.rules.lot) * self.rules.lot
        return o.left if fits > 0 and o.left - fits < self.rules.threshold * o.qty else fits

    # ---- money

    def _available(self, o: NaiveOrder) -> Fraction:
        """What the account has beside the holds of all its other open orders."""
        account = self.accounts[o.account]
        others = [p for p in self.orders if p is not o and p.account == o.account and p.is_buy == o.is_buy]
        if o.is_buy:
            return account.cash - sum((p.hold for p in others), F(0))
        return account.coins.get(o.coin, F(0)) - sum((p.hold for p in others if p.coin == o.coin), F(0))

    def _need(self, o: NaiveOrder) -> Fraction:
        if not o.is_buy:
            return o.left
        if o.holds_less:
            return up8(o.left * (o.limit or o.stop or o.close_when_asked))
        price = o.limit if o.limit is not None else (o.stop or o.close_when_asked) * F(105, 100)
        rate = max(self.rules.maker, self.rules.taker) / 10_000
        return up8(o.left * price * (1 + rate))

    def _cost(self, price: Fraction, qty: Fraction, rate: Fraction) -> Fraction:
        return price * qty + min(up8(price * qty * rate), price * qty)

    def _fill(
        self, o: NaiveOrder, qty: Fraction, reference: Fraction | None, rule: str, is_maker: bool = False
    ) -> None:
        """Fill up to a quantity, as far as the cash goes; a taker's price follows from its reference if any."""
        rate = (self.rules.maker if is_maker else self.rules.taker) / 10_000
        price = o.limit if reference is None else self._taker_price(o, reference, qty)
        assert price is not None
        wanted, cash = qty, self._available(o)
        if o.is_buy and self._cost(price, qty, rate) > cash:
            lots = math.floor(cash / (price * self.rules.lot))
            while self._cost(price, lots * self.rules.lot, rate) > cash:
                lots -= 1
            qty = lots * self.rules.lot
            if o.tif == "FOK":
                qty = F(0)
            if reference is not None:
                price = self._taker_price(o, reference, qty)
        if qty:
            account = self.accounts[o.account]
            notional = price * qty
            fee = min(up8(notional * rate), notional)
            sign = 1 if o.is_buy else -1
            account.cash -= sign * notional + fee
            account.coins[o.coin] = account.coins.get(o.coin, F(0)) + sign * qty
            o.filled += qty
            o.hold = min(self._need(o), self._available(o)) if o.is_buy else o.left
            state = "filled" if o.left == 0 else "partial"
            self._say(o, f"{state} {show(qty)} @ {show(price)} fee {show(fee)} {rule}")
            if o.left == 0:
                o.state = "over"
        if qty < wanted:
            self._over(o, "cancelled insufficient_balance")

    # ---- orders at openings

    def _enter(self, o: NaiveOrder) -> None:
        if o.stop is not None and not o.triggered:
            current = self._current(o.coin)
            if current is None or not self._reaches(o, current.open, current.open):
                o.state, o.here_since = "armed", self.now
                return
            o.triggered = True
            self._say(o, "triggered")
        self._take(o, "taker_open")

    def _reaches(self, o: NaiveOrder, low: Fraction, high: Fraction) -> bool:
        assert o.stop is not None
        return self._ask(o, high) >= o.stop if o.is_buy else self._bid(o, low) <= o.stop

    def _ask(self, o: NaiveOrder, middle: Fraction) -> Fraction:
        return middle * (1 + self._half_spread(o) / 10_000)

    def _bid(self, o: NaiveOrder, middle: Fraction) -> Fraction:
        return middle * (1 - self._half_spread(o) / 10_000)

    def _take(self, o: NaiveOrder, rule: str) -> None:
        current, last = self._current(o.coin), self._last(o.coin)
        if current is None or last is None:
            if o.tif in ("IOC", "FOK"):
                self._kill(o)
            else:
                o.state = "taking"
            return
        key = (o.coin, o.is_buy, current.opens)
        room = max(F(0), last.volume * self.rules.share - self.taken.get(key, F(0)))
        qty = self._fits(o, room)
        if o.limit is not None:
            price = self._taker_price(o, current.open, qty)
            is_beyond = price > o.limit if o.is_buy else price < o.limit
            here = self._ask(o, current.open) if o.is_buy else self._bid(o, current.open)
            if is_beyond and (here <= o.limit if o.is_buy else here >= o.limit):
                before = o.filled
                self._take_and_wait(o, qty, None, "taker_limit")
                self.taken[key] = self.taken.get(key, F(0)) + o.filled - before
                return
            if is_beyond:
                if o.tif in ("IOC", "FOK"):
                    self._kill(o)
                else:
                    o.state, o.here_since = "resting", self.now
                return
        before = o.filled
        self._take_and_wait(o, qty, current.open, rule)
        self.taken[key] = self.taken.get(key, F(0)) + o.filled - before

    def _take_and_wait(self, o: NaiveOrder, qty: Fraction, reference: Fraction | None, rule: str) -> None:
        if o.tif == "FOK" and qty < o.left:
            self._kill(o)
            return
        if qty:
            self._fill(o, qty, reference, rule)
        if o.state == "over":
            return
        if o.tif == "IOC":
            self._kill(o)
        else:
            o.state = "taking"

    def _kill(self, o: NaiveOrder) -> None:
        self._over(o, "cancelled fok_unfillable" if o.tif == "FOK" else "cancelled ioc_remainder")

    # ---- orders at closes

    def _close(self, coin: str) -> None:
        candle = next((c for c in self.candles[coin] if c.closes == self.now), None)
        if candle is None or candle.volume == 0:
            return
        room = {True: candle.volume * self.rules.share, False: candle.volume * self.rules.share}
        length = candle.closes - candle.opens
        there = [o for o in self.orders if o.coin == coin and (o.here_since - candle.opens) * 100 <= length]
        stops = [o for o in there if o.state == "armed" and self._reaches(o, candle.low, candle.high)]
        for o in sorted(stops, key=lambda o: (o.served_by, o.source, o.number)):
            o.triggered = True
            self._say(o, "triggered")
            if o.limit is not None:
                if o.tif in ("IOC", "FOK") and self._current(coin) is None:
                    self._kill(o)
                else:
                    o.state = "taking"
                continue
            assert o.stop is not None
            before = o.filled
            worse = max(o.stop, candle.open) if o.is_buy else min(o.stop, candle.open)
            rule = "stop_reached" if worse == o.stop else "stop_gap"
            self._take_and_wait(o, self._fits(o, room[o.is_buy]), worse, rule)
            room[o.is_buy] = max(F(0), room[o.is_buy] - (o.filled - before))
            key = (coin, o.is_buy, self.now)
            self.taken[key] = self.taken.get(key, F(0)) + o.filled - before
        limits = []
        for o in there:
            if o.state == "resting":
                assert o.limit is not None
                if self._ask(o, candle.low) < o.limit if o.is_buy else self._bid(o, candle.high) > o.limit:
                    limits.append(
                        (not o.is_buy, -o.limit if o.is_buy else o.limit, o.served_by, o.source, o.number, o)
                    )
        for *_, o in sorted(limits, key=lambda item: item[:5]):
            before = o.filled
            qty = self._fits(o, room[o.is_buy])
            if qty:
                self._fill(o, qty, None, "maker_through", is_maker=True)
            room[o.is_buy] = max(F(0), room[o.is_buy] - (o.filled - before))

    # ---- requests

    def draw(self, component: str, kind: str, number: int) -> int:
        low, high = self.rules.latency
        digest = hashlib.sha256(f"{self.seed}|{component}|{kind}|{number}".encode()).digest()
        return low + int.from_bytes(digest[:16], "big") * (high - low + 1) // 2**128

    def ask(
        self,
        *,
        component: str,
        source: int,
        number: int,
        account: str,
        coin: str,
        is_buy: bool,
        qty: Fraction,
        limit: Fraction | None,
        stop: Fraction | None,
        tif: str,
        expires: int | None,
        own_spread: Fraction | None = None,
        may_hold_less: bool = False,
    ) -> None:
        arrives = self.now + self.draw(component, "order", number)
        last = self._last(coin)
        close = last.close if last is not None else F(0)
        o = NaiveOrder(
            f"{component}-{number}", component, source, number, account, coin, is_buy, qty, limit, stop, tif,
            expires, self.now, arrives, close, here_since=arrives, served_by=arrives, busy_until=arrives,
            own_spread=own_spread, may_hold_less=may_hold_less,
        )  # fmt: skip
        reason = self._refuses(o, last is None)
        if reason:
            self._say(o, f"rejected {reason}")
            return
        o.hold = self._need(o)
        self.orders.append(o)
        self._say(o, "accepted")

    def _refuses(self, o: NaiveOrder, has_no_data: bool) -> str:  # noqa: C901, PLR0911 - a list of rules
        if o.qty <= 0:
            return "invalid_qty"
        if o.qty < self.rules.lot:
            return "below_lot"
        if (o.qty / self.rules.lot).denominator != 1:
            return "qty_off_lot"
        for price in (o.limit, o.stop):
            if price is not None and price <= 0:
                return "invalid_price"
            if price is not None and (price / self.rules.tick).denominator != 1:
                return "price_off_tick"
        if (o.expires is not None) != (o.tif == "GTD") or (o.expires is not None and o.expires <= o.arrives):
            return "invalid_expiry"
        if o.arrives > self.end:
            return "after_end_of_run"
        if has_no_data:
            return "no_market_data"
        value = o.limit or o.stop or o.close_when_asked
        if o.qty * value < self.rules.min_notional:
            return "below_min_notional"
        if o.is_buy and o.may_hold_less and self._need(o) > self._available(o):
            o.holds_less = True
        return "insufficient_balance" if self._need(o) > self._available(o) else ""

    def request(
        self, *, component: str, source: int, number: int, order_id: str, replace: dict[str, Fraction] | None
    ) -> None:
        at = self.now + self.draw(component, "cancel", number)
        found = [o for o in self.orders if o.id == order_id]
        reason = ""
        if not found:
            reason = "unknown_order"
        elif found[0].component != component:
            reason = "not_own_order"
        elif found[0].state == "over":
            reason = "already_ended"
        else:
            at = max(at, found[0].arrives + 1, found[0].busy_until)
            if at > self.end:
                reason = "after_end_of_run"
        if reason:
            self.log.append(f"{self.now} {order_id} refused {reason}")
            return
        found[0].busy_until = at
        self.requests.append(NaiveRequest(at, source, number, component, order_id, replace))

    def _change(self, r: NaiveRequest) -> None:
        o = next(o for o in self.orders if o.id == r.id)
        if o.state == "over":
            self._say(o, "refused already_ended")
        elif r.replace is None:
            self._over(o, "cancelled requested")
        else:
            reason = self._replace(o, r.replace)
            if reason:
                self._say(o, f"refused {reason}")

    def _replace(self, o: NaiveOrder, wish: dict[str, Fraction]) -> str:  # noqa: C901, PLR0911, PLR0912 - as above
        if (o.limit is None and o.stop is None) or (o.limit is None and o.triggered):
            return "not_replaceable"
        if "stop_price" in wish and o.triggered:
            return "already_triggered"
        qty, limit, stop = (
            wish.get("qty", o.qty),
            wish.get("limit_price", o.limit),
            wish.get("stop_price", o.stop),
        )
        if qty <= 0:
            return "invalid_qty"
        if qty < self.rules.lot:
            return "below_lot"
        if (qty / self.rules.lot).denominator != 1:
            return "qty_off_lot"
        for old, new in ((o.limit, limit), (o.stop, stop)):
            if new is None:
                continue
            if old is None:
                return "unexpected_price"
            if new <= 0:
                return "invalid_price"
            if (new / self.rules.tick).denominator != 1:
                return "price_off_tick"
        if qty <= o.filled:
            return "already_filled"
        value = limit or stop
        assert value is not None
        if qty * value < self.rules.min_notional:
            return "below_min_notional"
        if (qty, limit, stop) == (o.qty, o.limit, o.stop):
            return "nothing_to_change"
        old_values, old_holds = (o.qty, o.limit, o.stop), o.holds_less
        o.qty, o.limit, o.stop = qty, limit, stop
        o.holds_less = False
        if self._need(o) > self._available(o):
            o.qty, o.limit, o.stop = old_values
            o.holds_less = old_holds
            return "insufficient_balance"
        o.hold = self._need(o)
        names = ("qty", "limit_price", "stop_price")
        changed = [
            f"{name} {show(old)} -> {show(new)}"
            for name, old, new in zip(names, old_values, (qty, limit, stop), strict=True)
            if old is not None and new is not None and old != new
        ]
        self._say(o, f"replaced {', '.join(changed)}")
        waits_for_stop = o.stop is not None and not o.triggered
        is_repriced = (stop != old_values[2]) if waits_for_stop else (limit != old_values[1])
        if is_repriced or qty > old_values[0]:
            o.served_by = self.now
        if qty > old_values[0]:
            o.here_since = self.now
        if is_repriced:
            self._enter(o)
        return ""

    def _over(self, o: NaiveOrder, what: str) -> None:
        o.state, o.hold = "over", F(0)
        self._say(o, what)

    def _say(self, o: NaiveOrder, what: str) -> None:
        self.log.append(f"{self.now} {o.id} {what}")


def up8(value: Fraction) -> Fraction:
    return F(math.ceil(value * 10**8), 10**8)


def eighth(value: Fraction) -> Fraction:
    return F(round(value * 10**8), 10**8)


def root(value: Fraction) -> Fraction:
    scale = 10**40
    return F(math.isqrt(value.numerator * scale * scale // value.denominator), scale)


def show(value: Fraction) -> str:
    """Return a fraction that has an end in decimals as the exact decimal."""
    digits, denominator = 0, value.denominator
    while denominator != 1:
        digits += 1
        denominator = (value * 10**digits).denominator
        assert digits < 60
    whole = f"{(value * 10**digits).numerator:0{digits + 1}d}"
    return whole if not digits else f"{whole[:-digits]}.{whole[-digits:]}"
