"""How fast the exchange alone is, without sockets: candle events with nothing open, and order lifecycles.

Prints one `name: value` line per figure: `exchange_candles_per_second` counts events at which the candles of 3
coins close while nothing is open, `exchange_candles_resting_per_second` the same while a limit of each rests;
`exchange_orders_per_second` counts market orders from request through arrival to the last fill.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from orchestrator.candle import Candle, Opening
from orchestrator.exchange.events import CandlesClosed, OrderRequested, SetTimer, TimerDue
from orchestrator.exchange.exchange import Exchange
from orchestrator.exchange.instruments import resolve_instruments
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.protocol import OrderType, Side

COINS = ("BTC", "ETH", "DOGE")
MINUTE = 60_000_000_000
CANDLES = 20_010
ORDERS = 20_000


class ArrayMarket:
    """A market view over a random walk; every candle is found by division, so that the exchange is measured.

    Its methods are those of `MarketView`; all coins have the same candles.
    """

    def __init__(self) -> None:
        steps = np.random.default_rng(7).normal(0, 0.001, CANDLES + 1)
        path = np.round(30_000 * np.exp(np.cumsum(steps)), 2)
        self._ranges: npt.NDArray[np.float64] = np.abs(np.diff(path)) / path[:-1] + 0.0005
        self._candles = [
            Candle(
                place * MINUTE,
                (place + 1) * MINUTE,
                opened,
                max(opened, closed) + 5,
                min(opened, closed) - 5,
                closed,
                1000.0,
            )
            for place, (opened, closed) in enumerate(zip(path.tolist(), path[1:].tolist(), strict=False))
        ]

    def last_closed(self, coin: str, sim_time_ns: int) -> Candle | None:  # noqa: ARG002, D102
        place = sim_time_ns // MINUTE - 1
        return self._candles[place] if place >= 0 else None

    def closed_at(self, coin: str, sim_time_ns: int) -> Candle | None:  # noqa: D102
        return None if sim_time_ns % MINUTE else self.last_closed(coin, sim_time_ns)

    def opening_at(self, coin: str, sim_time_ns: int) -> Opening | None:  # noqa: ARG002, D102
        place = sim_time_ns // MINUTE
        return Opening(place * MINUTE, self._candles[place].open) if place < CANDLES else None

    def next_open_time(self, coin: str, sim_time_ns: int) -> int | None:  # noqa: ARG002, D102
        place = sim_time_ns // MINUTE + 1
        return place * MINUTE if place < CANDLES else None

    def recent_ranges(self, coin: str, sim_time_ns: int, count: int) -> npt.NDArray[np.float64]:  # noqa: ARG002, D102
        stop = sim_time_ns // MINUTE
        return self._ranges[max(0, stop - count) : stop]


def make_exchange() -> Exchange:
    return Exchange(
        market=ArrayMarket(),
        coins=COINS,
        instruments=resolve_instruments(COINS, {}, "kucoin"),
        model=ExecutionModelSettings(),
        accounts={"main": Decimal(10_000_000)},
        seed=7,
        end_ns=CANDLES * MINUTE,
    )


def handle_candles(exchange: Exchange) -> int:
    events = [CandlesClosed(sim_time_ns=place * MINUTE) for place in range(1, CANDLES)]
    for event in events:
        exchange.handle(event)
    return len(events)


def handle_candles_with_resting_orders(exchange: Exchange) -> int:
    timers: list[SetTimer] = []
    for number, coin in enumerate(COINS, start=1):
        timers += place_order(exchange, MINUTE, number, coin, Side.BUY, limit_price=Decimal(10))
    carry_out(exchange, sorted(timers, key=lambda timer: timer.sim_time_ns))
    events = [CandlesClosed(sim_time_ns=place * MINUTE) for place in range(2, CANDLES)]
    for event in events:
        exchange.handle(event)
    if exchange.account_state("main").cash_held == 0:
        raise RuntimeError("the orders of the benchmark do not rest")
    return len(events)


def handle_orders(exchange: Exchange) -> int:
    # Candle by candle: a buy, a minute later a sell of the same quantity.
    for number in range(1, ORDERS + 1):
        now = (1 + number) * MINUTE
        exchange.handle(CandlesClosed(sim_time_ns=now))
        side = Side.BUY if number % 2 else Side.SELL
        carry_out(exchange, place_order(exchange, now, number, COINS[(number - 1) // 2 % 3], side))
    if exchange.account_state("main").holdings.keys() != set(COINS):
        raise RuntimeError("the orders of the benchmark did not fill")
    return ORDERS


def place_order(
    exchange: Exchange, now: int, number: int, coin: str, side: Side, limit_price: Decimal | None = None
) -> list[SetTimer]:
    request = OrderRequested(
        sim_time_ns=now,
        component="trader",
        source=0,
        number=number,
        client_order_id=f"trader-{number}",
        account="main",
        coin=coin,
        side=side,
        qty=Decimal("0.5"),
        order_type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
        limit_price=limit_price,
    )
    return [outcome for outcome in exchange.handle(request) if isinstance(outcome, SetTimer)]


def carry_out(exchange: Exchange, timers: list[SetTimer]) -> None:
    for timer in timers:
        exchange.handle(TimerDue(sim_time_ns=timer.sim_time_ns, timer=timer))


def rate(work: Callable[[Exchange], int]) -> float:
    """Return the best of three runs, each on a new exchange, by the processor time that they took."""
    best = 0.0
    for _ in range(3):
        exchange = make_exchange()
        begun = time.process_time()
        count = work(exchange)
        best = max(best, count / (time.process_time() - begun))
    return best


def main() -> None:
    print(f"exchange_candles_per_second: {rate(handle_candles):.0f}")
    print(f"exchange_candles_resting_per_second: {rate(handle_candles_with_resting_orders):.0f}")
    print(f"exchange_orders_per_second: {rate(handle_orders):.0f}")


if __name__ == "__main__":
    main()
