"""One order alone in the simulated exchange: nobody else uses up the candles that it meets."""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from orchestrator.exchange.events import (
    CandlesClosed,
    Input,
    OrderFilled,
    OrderRequested,
    RunEnded,
    SetTimer,
    TimerDue,
)
from orchestrator.exchange.exchange import Exchange
from orchestrator.exchange.instruments import Instrument
from orchestrator.exchange.market_view import MarketView
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.protocol import OrderType, Side, TimeInForce

__all__ = ["Ask", "Got", "play"]

_PLENTY = Decimal(10**12)


class Ask(NamedTuple):
    """An order to be played; a limit has a price and a deadline."""

    number: int  # keys its latency
    time_ns: int
    side: Side
    qty: Decimal
    limit: Decimal | None = None
    deadline_ns: int | None = None


class Got(NamedTuple):
    """What an order got."""

    qty: float
    price: float  # mean; NaN without a fill
    arrival_ns: int
    fills: tuple[OrderFilled, ...]


def play(
    ask: Ask,
    market: MarketView,
    closes_ns: Sequence[int],
    model: ExecutionModelSettings,
    instrument: Instrument,
    end_ns: int,
) -> Got:
    """Return what the exchange gives an order.

    Parameters
    ----------
    closes_ns
        When candles close, ascending; only a limit needs them.
    end_ns
        When what is left of it is given up.
    """
    exchange = Exchange(
        market=market,
        coins=(instrument.coin,),
        instruments={instrument.coin: instrument},
        model=model,
        accounts={"main": _PLENTY},
        seed=7,
        end_ns=end_ns,
    )
    _endow(exchange, instrument.coin)
    request = OrderRequested(
        sim_time_ns=ask.time_ns,
        component="trader",
        source=0,
        number=ask.number,
        client_order_id=f"trader-{ask.number}",
        account="main",
        coin=instrument.coin,
        side=ask.side,
        qty=ask.qty,
        order_type=OrderType.MARKET if ask.limit is None else OrderType.LIMIT,
        limit_price=ask.limit,
        time_in_force=TimeInForce.GTC if ask.deadline_ns is None else TimeInForce.GTD,
        expire_time_ns=ask.deadline_ns,
    )
    run = _Run(exchange, request, end_ns)
    if ask.limit is not None:
        first = bisect.bisect_right(closes_ns, ask.time_ns)
        run.pass_through(closes_ns[first : bisect.bisect_right(closes_ns, ask.deadline_ns or end_ns)])
    run.finish()
    return run.got(ask.qty)


def _endow(exchange: Exchange, coin: str) -> None:
    # Coins out of nothing, in both books of the account: a sale must not need a purchase first.
    account = exchange._accounts["main"]
    account.change("endowment", coin, qty=_PLENTY)
    account.record(Side.BUY, coin, _PLENTY, Decimal(0), Decimal(0))


class _Run:
    """The queue of timers round an exchange with one order."""

    def __init__(self, exchange: Exchange, request: OrderRequested, end_ns: int) -> None:
        self._exchange = exchange
        self._end_ns = end_ns
        self._timers: list[tuple[int, int, int, SetTimer]] = []
        self._fills: list[OrderFilled] = []
        self._filled = Decimal(0)
        self._qty = request.qty
        self._handle(request)
        # The first timer of an accepted order is its arrival.
        self._arrival_ns = self._timers[0][0] if self._timers else request.sim_time_ns

    def pass_through(self, closes_ns: Iterable[int]) -> None:
        """Let candles close, and what is due before; at one time candles close first."""
        for close_ns in closes_ns:
            self._until(close_ns)
            if self._filled == self._qty:
                return
            self._handle(CandlesClosed(sim_time_ns=close_ns))

    def finish(self) -> None:
        """Let all that is due happen, and the run end."""
        self._until(self._end_ns + 1)
        if self._filled < self._qty:
            self._handle(RunEnded(sim_time_ns=self._end_ns))

    def got(self, qty: Decimal) -> Got:
        """Return what the order got."""
        notional = sum((fill.qty * fill.price for fill in self._fills), Decimal(0))
        filled = sum((fill.qty for fill in self._fills), Decimal(0))
        price = float(notional / filled) if filled else float("nan")
        return Got(float(min(filled, qty)), price, self._arrival_ns, tuple(self._fills))

    def _until(self, time_ns: int) -> None:
        while self._timers and self._timers[0][0] < time_ns and self._filled < self._qty:
            timer = heapq.heappop(self._timers)[-1]
            self._handle(TimerDue(sim_time_ns=timer.sim_time_ns, timer=timer))

    def _handle(self, event: Input) -> None:
        for outcome in self._exchange.handle(event):
            if isinstance(outcome, SetTimer):
                heapq.heappush(
                    self._timers, (outcome.sim_time_ns, int(outcome.kind), outcome.counter, outcome)
                )
            elif isinstance(outcome, OrderFilled):
                self._fills.append(outcome)
                self._filled += outcome.qty
