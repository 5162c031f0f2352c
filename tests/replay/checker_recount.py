"""The checker's own exchange: every fill, end and balance again, from candles, requests and arrivals.

What it takes from the result files is only what nothing else says: which orders were asked for and when, when
each arrived at the market, and when a requested cancel did. Market orders only; any other type is reported as
what this checker cannot check.
"""

from __future__ import annotations

import enum
import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from tests.replay.checker_files import Row
from tests.replay.checker_market import CoinMarket, exact

BPS = Fraction(1, 10_000)
HOLD_MARGIN = Fraction(105, 100)
WIDE = Context(prec=100)


class Kind(enum.IntEnum):
    """What comes first at one time."""

    COIN_END = 1
    CANCEL = 2
    OPENING = 3
    ARRIVAL = 4
    REQUEST = 5


class Rules(NamedTuple):
    """What the configuration says of one coin and of the market as a whole."""

    tick: Fraction
    lot: Fraction
    min_notional: Fraction


class Model(NamedTuple):
    """[execution_model] in fractions; None bounds nothing."""

    base_bps: Fraction
    is_scaled: bool  # by volatility
    impact_bps: Fraction
    spread_bps: Fraction
    fee_rate: Fraction
    fee_rate_max: Fraction
    share: Fraction | None
    threshold: Fraction


@dataclass(slots=True)
class Order:
    """An order from its request to its end."""

    row: Row
    place: int  # of its component in the declared order
    number: int
    arrival_ns: int | None
    filled: Fraction = Fraction(0)
    hold: Fraction = Fraction(0)
    hold_price: Fraction = Fraction(0)
    end_ns: int | None = None

    @property
    def id(self) -> str:
        return str(self.row["client_order_id"])

    @property
    def coin(self) -> str:
        return str(self.row["symbol"]).rpartition("-")[0]

    @property
    def is_buy(self) -> bool:
        return bool(self.row["side"] == "buy")

    @property
    def qty(self) -> Fraction:
        return Fraction(self.row["qty"])

    @property
    def remaining(self) -> Fraction:
        return self.qty - self.filled

    @property
    def priority(self) -> tuple[int, int, int]:
        return (self.arrival_ns or 0, self.place, self.number)


class Turn(NamedTuple):
    """The account as of the start of a stage's turn; free is what no open order holds."""

    cash: Fraction
    free_cash: Fraction
    qty: dict[str, Fraction]
    free_qty: dict[str, Fraction]


class Balance(NamedTuple):
    """What the account held after all that happened at a time."""

    time_ns: int
    cash: Fraction
    qty: dict[str, Fraction]


@dataclass(slots=True)
class Coin:
    """A coin's market, its waiting takers, and what is left of each side's share of the open candle."""

    market: CoinMarket
    rules: Rules
    place: int
    waiting: list[Order] = field(default_factory=list)
    pending_ns: int | None = None
    budgets: dict[tuple[str, int], Fraction] = field(default_factory=dict)
    has_ended: bool = False


class Recount:
    """Runs the orders of a run through the rules again.

    Attributes
    ----------
    events, fills
        The lines that should be in the files, in order.
    balances
        After every fill.
    turns
        By time and stage, for the turns in which something was ordered.
    problems
        What cannot be, found on the way.
    """

    def __init__(
        self,
        coins: dict[str, Coin],
        model: Model,
        *,
        initial_cash: Fraction,
        end_ns: int,
        latency_ns: tuple[int, int],
        stages: list[int],
    ) -> None:
        self.coins = coins
        self.model = model
        self.cash = initial_cash
        self.qty = dict.fromkeys(coins, Fraction(0))
        self.orders: dict[str, Order] = {}  # all that were accepted
        self.events: list[tuple[int, str, str, str | None]] = []
        self.fills: list[dict[str, Any]] = []
        self.balances = [Balance(0, initial_cash, dict(self.qty))]
        self.turns: dict[tuple[int, int], Turn] = {}
        self.problems: list[str] = []
        self._open: dict[str, Order] = {}
        self._held_cash = Fraction(0)
        self._held_qty = dict(self.qty)
        self._end_ns = end_ns
        self._latency_ns = latency_ns
        self._stages = stages
        self._queue: list[tuple[int, int, int, int, Order | Coin | str]] = []
        self._pushed = 0

    def run(self, orders: Iterable[Order], cancels: Iterable[Row], last_ns: int) -> None:
        """Go through everything up to the last tick."""
        for coin in self.coins.values():
            end = coin.market.end_ns(self._end_ns)
            if end < self._end_ns:
                self._push(end, Kind.COIN_END, coin.place, coin)
        for row in cancels:
            self._push(row["ts"], Kind.CANCEL, 0, row["client_order_id"])
        for order in orders:
            self._push(order.row["ts"], Kind.REQUEST, 0, order)
        act = {
            Kind.COIN_END: self._end_coin,
            Kind.CANCEL: self._cancel_requested,
            Kind.OPENING: self._serve_waiting,
            Kind.ARRIVAL: self._arrive,
            Kind.REQUEST: self._request,
        }
        while self._queue and self._queue[0][0] <= last_ns:
            time_ns, kind, _, _, subject = heapq.heappop(self._queue)
            act[Kind(kind)](subject, time_ns)  # type: ignore[operator]

    def end_all(self, time_ns: int, reason: str) -> None:
        """End what is open, as the end of a run does."""
        for order in list(self._open.values()):
            self._end(order, time_ns, "cancelled", reason)

    def _push(
        self, time_ns: int, kind: Kind, source: int, subject: Order | Coin | str, counter: int = 0
    ) -> None:
        self._pushed += 1
        heapq.heappush(self._queue, (time_ns, kind, source, counter or self._pushed, subject))

    # ------------------------------------------------------------ requests

    @property
    def _free_cash(self) -> Fraction:
        return self.cash - self._held_cash

    def _free_qty(self, coin: str) -> Fraction:
        return self.qty[coin] - self._held_qty[coin]

    def _hold(self, order: Order, amount: Fraction) -> None:
        if order.is_buy:
            self._held_cash += amount - order.hold
        else:
            self._held_qty[order.coin] += amount - order.hold
        order.hold = amount

    def _request(self, order: Order, time_ns: int) -> None:
        if order.id in self.orders:
            self._complain(order, time_ns, "was requested twice")
            return
        turn = (time_ns, self._stages[order.place])
        if turn not in self.turns:
            free = {coin: self._free_qty(coin) for coin in self.coins}
            self.turns[turn] = Turn(self.cash, self._free_cash, dict(self.qty), free)
        found = order.row["reason"]
        reason = self._reason(order, time_ns)
        if reason != found:
            self._complain(order, time_ns, f"was rejected as {found}, should be {reason} (None: accepted)")
        if order.row["state"] != ("accepted" if found is None else "rejected"):
            self._complain(order, time_ns, f"has the state {order.row['state']} and the reason {found}")
        if found is not None:
            if order.arrival_ns is not None:
                self._complain(order, time_ns, "was rejected and arrived")
            return
        self._hold(order, self._need(order))
        self.orders[order.id] = self._open[order.id] = order
        self._check_arrival(order, time_ns)
        if order.arrival_ns is not None:
            self._push(order.arrival_ns, Kind.ARRIVAL, order.place, order, order.number)

    def _check_arrival(self, order: Order, time_ns: int) -> None:
        low, high = self._latency_ns
        if order.arrival_ns is not None and not low <= order.arrival_ns - time_ns <= high:
            late = (order.arrival_ns - time_ns) / 1e6
            self._complain(order, time_ns, f"arrived after {late} ms, which is out of the configured range")
        if order.arrival_ns is not None and order.arrival_ns > self._end_ns:
            self._complain(order, time_ns, "arrived after the end of the run")

    def _reason(self, order: Order, time_ns: int) -> str | None:
        coin = self.coins.get(order.coin)
        if coin is None:
            return "unknown_symbol"
        return _misfit(order, coin.rules) or self._hindrance(order, coin, time_ns)

    def _hindrance(self, order: Order, coin: Coin, time_ns: int) -> str | None:
        if coin.has_ended:
            return "end_of_data"
        low, high = self._latency_ns
        if time_ns + low > self._end_ns:
            return "after_end_of_run"
        if order.row["reason"] == "after_end_of_run" and time_ns + high > self._end_ns:
            return "after_end_of_run"
        last = coin.market.last_closed(time_ns)
        if last is None:
            return "no_market_data"
        close = exact(coin.market.table.close[last])
        if order.qty * close < coin.rules.min_notional:
            return "below_min_notional"
        order.hold_price = (
            close * HOLD_MARGIN * (1 + self.model.fee_rate_max) if order.is_buy else Fraction(0)
        )
        free = self._free_cash if order.is_buy else self._free_qty(order.coin)
        return "insufficient_balance" if self._need(order) > free else None

    @staticmethod
    def _need(order: Order) -> Fraction:
        return _up_8(order.remaining * order.hold_price) if order.is_buy else order.remaining

    # ------------------------------------------------------------ what happens at the market

    def _end_coin(self, coin: Coin, time_ns: int) -> None:
        coin.has_ended = True
        for order in [order for order in self._open.values() if self.coins[order.coin] is coin]:
            self._end(order, time_ns, "cancelled", "end_of_data")

    def _cancel_requested(self, order_id: str, time_ns: int) -> None:
        order = self.orders.get(order_id)
        if order is None or order.end_ns is not None:
            self.problems.append(
                f"order_events.jsonl: {order_id} was cancelled at {time_ns}, but was not open"
            )
            return
        if order.arrival_ns is None or time_ns <= order.arrival_ns:
            self._complain(order, time_ns, "was cancelled before it arrived")
        self._end(order, time_ns, "cancelled", "requested")

    def _arrive(self, order: Order, time_ns: int) -> None:
        if order.end_ns is not None:
            self._complain(order, time_ns, "arrived after its end")
            return
        self.events.append((time_ns, order.id, "arrived", None))
        self._attempt(order, time_ns, "taker_open")

    def _serve_waiting(self, coin: Coin, time_ns: int) -> None:
        coin.pending_ns = None
        waiting, coin.waiting = sorted(coin.waiting, key=lambda order: order.priority), []
        for order in waiting:
            if order.end_ns is None:
                self._attempt(order, time_ns, "taker_next_open")

    def _attempt(self, order: Order, time_ns: int, rule: str) -> None:
        coin = self.coins[order.coin]
        now, last = coin.market.open_now(time_ns), coin.market.last_closed(time_ns)
        if now is not None and last is not None:
            table = coin.market.table
            volume = exact(table.volume[last])
            key = (order.row["side"], int(table.opens_ns[now]))
            left = coin.budgets.setdefault(key, _allowance(self.model, volume))
            qty = self._fitting(order, left, coin.rules.lot)
            if order.row["time_in_force"] == "FOK" and qty < order.remaining:
                qty = Fraction(0)
            if qty:
                done = self._fill(order, qty, now, last, time_ns, rule)
                coin.budgets[key] = max(Fraction(0), left - done)
                if order.end_ns is not None:
                    return
        if order.row["time_in_force"] in ("IOC", "FOK"):
            ioc = order.row["time_in_force"] == "IOC"
            self._end(order, time_ns, "cancelled", "ioc_remainder" if ioc else "fok_unfillable")
            return
        coin.waiting.append(order)
        if coin.pending_ns is None:
            coin.pending_ns = coin.market.next_open(time_ns)
            if coin.pending_ns is not None:
                self._push(coin.pending_ns, Kind.OPENING, coin.place, coin)

    def _fitting(self, order: Order, left: Fraction | float, lot: Fraction) -> Fraction:
        if order.remaining <= left:
            return order.remaining
        fitting = Fraction(left) // lot * lot
        is_rest_small = fitting > 0 and order.remaining - fitting < order.qty * self.model.threshold
        return order.remaining if is_rest_small else fitting

    # ------------------------------------------------------------ one fill

    def _fill(self, order: Order, qty: Fraction, now: int, last: int, time_ns: int, rule: str) -> Fraction:
        # Returns the quantity that was filled, cut to the cash.
        coin = self.coins[order.coin]
        price, parts = self._quote(order, qty, now, last)
        wanted = qty
        if order.is_buy:
            qty = self._payable(price, qty, self._free_cash + order.hold, coin.rules.lot)
        if qty < wanted and order.row["time_in_force"] == "FOK":
            qty = Fraction(0)
        if qty:
            if qty < wanted:
                price, parts = self._quote(order, qty, now, last)
            self._settle(order, qty, price, time_ns)
            self._note_fill(order, qty, price, parts, now, last, time_ns, rule)
        if qty < wanted:
            self._end(order, time_ns, "cancelled", "insufficient_balance")
        elif not order.remaining:
            self._end(order, time_ns, "filled", None)
        return qty

    def _quote(
        self, order: Order, qty: Fraction, now: int, last: int
    ) -> tuple[Fraction, dict[str, Fraction]]:
        coin, model = self.coins[order.coin], self.model
        table = coin.market.table
        reference = exact(table.open[now])
        parts = {"base": model.base_bps}
        if model.is_scaled:
            parts["volatility"] = _round_8(model.base_bps * (coin.market.volatility_factor(last) - 1))
        if model.impact_bps:
            parts["impact"] = _round_8(model.impact_bps * _root(qty / exact(table.volume[last])))
        parts["spread"] = model.spread_bps
        named = sum(parts.values())
        if order.is_buy:
            price = -(-reference * (1 + named * BPS) // coin.rules.tick) * coin.rules.tick
            worse = price - reference
        else:
            price = max(reference * (1 - named * BPS) // coin.rules.tick * coin.rules.tick, coin.rules.tick)
            worse = reference - price
        parts["rounding"] = _round_8(worse / reference / BPS) - named
        return price, {name: bps for name, bps in parts.items() if bps}

    def _fee(self, notional: Fraction) -> Fraction:
        return min(_up_8(notional * self.model.fee_rate), notional)

    def _payable(self, price: Fraction, qty: Fraction, cash: Fraction, lot: Fraction) -> Fraction:
        def costs(amount: Fraction) -> Fraction:
            return price * amount + self._fee(price * amount)

        if costs(qty) <= cash:
            return qty
        amount = min(cash / (price * (1 + self.model.fee_rate)), qty) // lot * lot
        while amount > 0 and costs(amount) > cash:
            amount -= lot
        return max(amount, Fraction(0))

    def _settle(self, order: Order, qty: Fraction, price: Fraction, time_ns: int) -> None:
        notional = price * qty
        fee = self._fee(notional)
        free = self._free_cash + order.hold if order.is_buy else self._free_qty(order.coin) + order.hold
        order.filled += qty
        if order.is_buy:
            self.cash -= notional + fee
            self.qty[order.coin] += qty
            self._hold(order, min(self._need(order), free - notional - fee))
        else:
            self.cash += notional - fee
            self.qty[order.coin] -= qty
            self._hold(order, self._need(order))
        self.balances.append(Balance(time_ns, self.cash, dict(self.qty)))
        if self.cash < 0 or self.qty[order.coin] < 0 or order.hold < 0 or order.filled > order.qty:
            self._complain(order, time_ns, "makes a balance or a hold negative, or fills more than ordered")

    def _note_fill(
        self,
        order: Order,
        qty: Fraction,
        price: Fraction,
        parts: dict[str, Fraction],
        now: int,
        last: int,
        time_ns: int,
        rule: str,
    ) -> None:
        table = self.coins[order.coin].market.table
        reference = exact(table.open[now])
        worse = price - reference if order.is_buy else reference - price
        bounded = self.model.share is not None
        self.fills.append(
            {
                "ts": time_ns,
                "fill_id": f"F{len(self.fills) + 1}",
                "client_order_id": order.id,
                "component": order.row["component"],
                "side": order.row["side"],
                "symbol": order.row["symbol"],
                "qty": qty,
                "fill_price": price,
                "fees": self._fee(price * qty),
                "slippage_bps": _round_8(worse / reference / BPS),
                "state": "partial" if order.remaining else "filled",
                "liquidity": "taker",
                "reference_price": reference,
                "reference_candle": Fraction(int(table.opens_ns[now]), 1_000_000_000),
                "latency_ms": Fraction((order.arrival_ns or 0) - order.row["ts"], 1_000_000),
                "slippage_parts": parts,
                "participation": _round_8(qty / exact(table.volume[last])) if bounded else Fraction(0),
                "rule": rule,
            }
        )

    def _end(self, order: Order, time_ns: int, event: str, reason: str | None) -> None:
        order.end_ns = time_ns
        self._hold(order, Fraction(0))
        del self._open[order.id]
        self.events.append((time_ns, order.id, event, reason))

    def _complain(self, order: Order, time_ns: int, what: str) -> None:
        self.problems.append(f"order {order.id} at {time_ns} ns {what}")


def _misfit(order: Order, rules: Rules) -> str | None:
    if order.qty < rules.lot:
        return "below_lot"
    if order.qty % rules.lot:
        return "qty_off_lot"
    has_price = order.row["limit_price"] is not None or order.row["stop_price"] is not None
    return "unexpected_price" if has_price else None


def _allowance(model: Model, volume: Fraction) -> Fraction:
    if model.share is None:
        return Fraction(10**40) if volume else Fraction(0)
    return volume * model.share


def _round_8(value: Fraction) -> Fraction:
    # Half to even, as Python rounds fractions.
    return Fraction(round(value * 10**8), 10**8)


def _up_8(value: Fraction) -> Fraction:
    return Fraction(math.ceil(value * 10**8), 10**8)


def _root(value: Fraction) -> Fraction:
    return Fraction(WIDE.sqrt(WIDE.divide(Decimal(value.numerator), Decimal(value.denominator))))
