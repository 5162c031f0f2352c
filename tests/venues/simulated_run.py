"""Emulated exchanges on the real simulated exchange, without engine, processes or sockets."""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from orchestrator.config import parse_date_ns, parse_timeframe_ns
from orchestrator.exchange.events import (
    CancelRequested,
    CandlesClosed,
    Input,
    OrderAccepted,
    OrderRejected,
    OrderRequested,
    RequestRefused,
    RunEnded,
    SetTimer,
    TimerDue,
)
from orchestrator.exchange.exchange import Exchange
from orchestrator.exchange.instruments import resolve_instruments
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.market.candles import Candles
from orchestrator.market.market import Market
from orchestrator.protocol import AccountState
from orchestrator.venue_settings import VenueSettings
from orchestrator.venues.desk import NewOrder
from orchestrator.venues.http import VenueRequest, VenueResponse
from orchestrator.venues.venues import Venues

MS = 1_000_000
SECOND = 1_000 * MS
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = "2024-01-09"  # a Tuesday
PRICES = {"BTC": 37_000.0, "ETH": 2_100.0, "DOGE": 0.08}
DECIMALS = {"BTC": 2, "ETH": 2, "DOGE": 5}


def walk(coin: str, start_ns: int, count: int, length_ns: int = MINUTE) -> Candles:
    """Return candles of a price that wanders; the same ones whatever their number."""
    steps = np.random.default_rng(7).standard_normal((count, 3))
    decimals = DECIMALS[coin]
    closes = (PRICES[coin] * np.exp(np.cumsum(steps[:, 0]) * 0.0005)).round(decimals)
    opens = np.concatenate([[PRICES[coin]], closes[:-1]])
    high = np.maximum(opens, closes) * (1 + np.abs(steps[:, 1]) * 0.0003)
    low = np.minimum(opens, closes) * (1 - np.abs(steps[:, 2]) * 0.0003)
    volume = (1e6 / PRICES[coin] * (1 + np.abs(steps[:, 1]))).round(3)
    times = start_ns + np.arange(count, dtype=np.int64) * length_ns
    high = np.maximum(high.round(decimals), np.maximum(opens, closes))
    low = np.minimum(low.round(decimals), np.minimum(opens, closes))
    return Candles(times, opens, high, low, closes, volume)


def small_market(
    *,
    minutes: int = 2 * 1_440,
    warm_up: int = 1_440,
    coins: tuple[str, ...] = ("BTC", "ETH", "DOGE"),
    late: Mapping[str, int] | None = None,
) -> Market:
    """Return one-minute candles, `warm_up` of them before the start; `late` coins begin so much later."""
    start_ns = parse_date_ns(START)
    first_ns = start_ns - warm_up * MINUTE
    candles = {}
    for coin in coins:
        skipped = (late or {}).get(coin, 0)
        candles[coin] = walk(coin, first_ns, warm_up + minutes).take(slice(skipped, None))
    return Market(
        candles,
        exchange="binance",
        quote="USDT",
        timeframe_ns=parse_timeframe_ns("1m"),
        start_ns=start_ns,
        end_ns=start_ns + minutes * MINUTE,
    )


class RunDesk:
    """What one component may do at one time."""

    def __init__(self, run: SimulatedRun, component: str, account: str) -> None:
        self._run = run
        self.now_ns = run.now_ns
        self.component = component
        self.account = account

    def account_state(self) -> AccountState:
        return self._run.exchange.account_state(self.account)

    def submit(self, order: NewOrder) -> OrderAccepted | OrderRejected:
        run = self._run
        run.order_count += 1
        request = OrderRequested(
            sim_time_ns=self.now_ns,
            component=self.component,
            source=0,
            number=run.order_count,
            client_order_id=f"{self.component}-{run.order_count}",
            account=self.account,
            coin=order.coin,
            side=order.side,
            qty=order.qty,
            order_type=order.order_type,
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            time_in_force=order.time_in_force,
            expire_time_ns=order.expire_time_ns,
            half_spread_bps=order.half_spread_bps,
            may_hold_less=order.may_hold_less,
        )
        found = run.handle(request)
        return next(o for o in found if isinstance(o, OrderAccepted | OrderRejected))

    def cancel(self, client_order_id: str) -> RequestRefused | None:
        run = self._run
        run.change_count += 1
        request = CancelRequested(
            sim_time_ns=self.now_ns,
            component=self.component,
            source=0,
            number=run.change_count,
            client_order_id=client_order_id,
        )
        return next((o for o in run.handle(request) if isinstance(o, RequestRefused)), None)


class SimulatedRun:
    """A market, an exchange, venues, and a clock that the test moves."""

    def __init__(
        self,
        venues: Mapping[str, VenueSettings],
        *,
        market: Market | None = None,
        cash: str = "10000",
        model: ExecutionModelSettings | None = None,
        accounts: tuple[str, ...] = ("main",),
    ) -> None:
        self.market = market if market is not None else small_market()
        self.now_ns = self.market.start_ns
        self.order_count = self.change_count = 0
        self.outcomes: list[Any] = []
        self._timers: list[tuple[int, int, int, int, SetTimer]] = []
        instruments = resolve_instruments(self.market.coins, {}, self.market.exchange)
        self.instruments = instruments
        model = model or ExecutionModelSettings(slippage_bps=Decimal(0), fee_bps=Decimal(10))
        self.exchange = Exchange(
            market=self.market,
            coins=self.market.coins,
            instruments=instruments,
            model=model,
            accounts={name: Decimal(cash) for name in accounts},
            seed=7,
            end_ns=self.market.end_ns,
        )
        self.venues = Venues(
            venues,
            market=self.market,
            instruments=instruments,
            currency="USD",
            maker_bps=Decimal(10),
            taker_bps=Decimal(10),
            seed=7,
        )

    # ------------------------------------------------------------ time

    def handle(self, event: Input) -> list[Any]:
        """Give an event to the exchange and tell everybody what follows."""
        found = self.exchange.handle(event)
        for outcome in found:
            if isinstance(outcome, SetTimer):
                key = (outcome.sim_time_ns, int(outcome.kind), outcome.source, outcome.counter)
                heapq.heappush(self._timers, (*key, outcome))
            else:
                self.venues.note(outcome)
                self.outcomes.append(outcome)
        return found

    def advance(self, duration_ns: int) -> None:
        """Let time pass, and everything happen that is due."""
        stop_ns = self.now_ns + duration_ns
        ticks = self.market.tick_times_ns
        first = int(ticks.searchsorted(self.now_ns, "right"))
        for tick in [*ticks[first : int(ticks.searchsorted(stop_ns, "right"))].tolist(), None]:
            bound = stop_ns if tick is None else tick
            while self._timers and (
                self._timers[0][0] < bound or (tick is None and self._timers[0][0] == bound)
            ):
                timer = heapq.heappop(self._timers)[-1]
                self.handle(TimerDue(sim_time_ns=timer.sim_time_ns, timer=timer))
            if tick is not None:
                self.handle(CandlesClosed(sim_time_ns=tick))
        self.now_ns = stop_ns

    def end(self) -> None:
        """End the run now."""
        self.handle(RunEnded(sim_time_ns=self.now_ns))

    # ------------------------------------------------------------ requests

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        component: str = "bot",
        account: str = "main",
    ) -> VenueResponse:
        """Send a request as it stands."""
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        request = VenueRequest(
            method=method,
            host=parts.netloc,
            path=path,
            headers=tuple((headers or {}).items()),
            body=body.encode() if isinstance(body, str) else body,
        )
        return self.venues.answer(request, RunDesk(self, component, account))

    def json(self, method: str, url: str, **more: Any) -> Any:
        """Send a request and return the decoded answer."""
        return json.loads(self.send(method, url, **more).body)
