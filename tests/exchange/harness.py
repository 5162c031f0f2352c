"""Feeds an exchange in the declared order of events and writes down what comes out, as a transcript.

Times are written `minute:second`, such as 1:00.1; candles are one minute long.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.account_settings import AccountSettings
from orchestrator.exchange.events import (
    CancelRequested,
    CandlesClosed,
    CashFlowBooked,
    CoinEnded,
    Input,
    OrderAccepted,
    OrderArrived,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderReplaced,
    OrderRequested,
    OrderTriggered,
    Outcome,
    ReplaceRequested,
    RequestRefused,
    RunEnded,
    SetTimer,
    TimerDue,
)
from orchestrator.exchange.exchange import Exchange
from orchestrator.exchange.instruments import Instrument
from orchestrator.exchange.market_view import Candle, FundingView, Opening
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.protocol import Side

MS = 1_000_000
SECOND = 1_000 * MS
MINUTE = 60 * SECOND

Row = tuple[float, float, float, float, float]  # open, high, low, close, volume


def candles_of(rows: Sequence[Row | None], start_ns: int = 0, length_ns: int = MINUTE) -> tuple[Candle, ...]:
    """Return consecutive candles; None leaves a gap."""
    return tuple(
        Candle(
            start_ns + place * length_ns, start_ns + (place + 1) * length_ns, *(float(value) for value in row)
        )
        for place, row in enumerate(rows)
        if row is not None
    )


class MemoryMarket:
    """A market view over candles in memory; refuses to be asked out of its range of coins."""

    def __init__(self, candles: Mapping[str, Sequence[Candle]]) -> None:
        self.candles = {coin: tuple(series) for coin, series in candles.items()}
        self._opens = {
            coin: [candle.open_time_ns for candle in series] for coin, series in self.candles.items()
        }
        self._closes = {
            coin: [candle.close_time_ns for candle in series] for coin, series in self.candles.items()
        }

    def last_closed(self, coin: str, sim_time_ns: int) -> Candle | None:
        count = bisect.bisect_right(self._closes[coin], sim_time_ns)
        return self.candles[coin][count - 1] if count else None

    def closed_at(self, coin: str, sim_time_ns: int) -> Candle | None:
        candle = self.last_closed(coin, sim_time_ns)
        return candle if candle is not None and candle.close_time_ns == sim_time_ns else None

    def opening_at(self, coin: str, sim_time_ns: int) -> Opening | None:
        count = bisect.bisect_right(self._opens[coin], sim_time_ns)
        if not count:
            return None
        candle = self.candles[coin][count - 1]
        return Opening(candle.open_time_ns, candle.open) if sim_time_ns < candle.close_time_ns else None

    def next_open_time(self, coin: str, sim_time_ns: int) -> int | None:
        count = bisect.bisect_right(self._opens[coin], sim_time_ns)
        return self._opens[coin][count] if count < len(self._opens[coin]) else None

    def recent_ranges(self, coin: str, sim_time_ns: int, count: int) -> npt.NDArray[np.float64]:
        stop = bisect.bisect_right(self._closes[coin], sim_time_ns)
        chosen = self.candles[coin][max(0, stop - count) : stop]
        return np.array([(candle.high - candle.low) / candle.open for candle in chosen])

    @property
    def close_times(self) -> list[int]:
        return sorted({time for series in self._closes.values() for time in series})


class FineMarket(MemoryMarket):
    """A market view that knows finer candles too."""

    def __init__(
        self, candles: Mapping[str, Sequence[Candle]], finer: Mapping[str, Sequence[Candle]]
    ) -> None:
        super().__init__(candles)
        self._finer = finer

    def finer_candles(self, coin: str, sim_time_ns: int) -> tuple[Candle, ...]:
        candle = self.closed_at(coin, sim_time_ns)
        if candle is None:
            return ()
        return tuple(
            part
            for part in self._finer.get(coin, ())
            if candle.open_time_ns <= part.open_time_ns and part.close_time_ns <= candle.close_time_ns
        )


class MemoryFunding:
    """Funding rates by coin and time."""

    def __init__(self, rates: Mapping[str, Mapping[int, Decimal]]) -> None:
        self._rates = rates

    def next_time(self, coin: str, sim_time_ns: int) -> int | None:
        return min((time for time in self._rates.get(coin, {}) if time > sim_time_ns), default=None)

    def rate_at(self, coin: str, sim_time_ns: int) -> Decimal:
        return self._rates[coin][sim_time_ns]


class Harness:
    """An exchange with the queue of timers that an engine would have round it.

    After every event the exchange validates itself; an unfinished timer at the end is an error of the test.
    """

    def __init__(
        self,
        market: MemoryMarket,
        *,
        end_ns: int,
        model: ExecutionModelSettings | None = None,
        accounts: Mapping[str, Decimal] | None = None,
        instruments: Mapping[str, Instrument] | None = None,
        seed: int = 7,
        coin_ends: Mapping[str, int] | None = None,
        account: AccountSettings | None = None,
        funding: FundingView | None = None,
    ) -> None:
        coins = tuple(market.candles)
        self.market = market
        self.now_ns = 0
        self.end_ns = end_ns
        self.outcomes: list[Outcome] = []
        self._timers: list[tuple[tuple[int, int, int, int], SetTimer]] = []
        self._close_times = [time for time in market.close_times if 0 < time <= end_ns]
        self._coin_ends = dict(coin_ends or {})
        rules = {
            coin: Instrument(
                coin=coin, tick_size=Decimal("0.01"), lot_size=Decimal("0.001"), min_notional=Decimal(5)
            )
            for coin in coins
        }
        self.exchange = Exchange(
            market=market,
            coins=coins,
            instruments=instruments or rules,
            model=model or ExecutionModelSettings(),
            accounts=accounts or {"main": Decimal(10_000)},
            seed=seed,
            end_ns=end_ns,
            account=account,
            funding=funding,
        )

    def endow(self, coin: str, qty: Decimal, account: str = "main") -> None:
        """Give an account coins that it did not buy."""
        endowed = self.exchange._accounts[account]
        endowed.change("endowment", coin, qty=qty)
        endowed.record(Side.BUY, coin, qty, Decimal(0), Decimal(0))

    def handle(self, event: Input) -> list[Outcome]:
        """Hand an event over, queue its timers, return its outcomes."""
        said: list[Outcome] = []
        for result in self.exchange.handle(event):
            if isinstance(result, SetTimer):
                key = (result.sim_time_ns, int(result.kind), result.source, result.counter)
                assert result.sim_time_ns >= event.sim_time_ns
                assert key not in [other for other, _ in self._timers], f"two timers with key {key}"
                self._timers.append((key, result))
            else:
                assert result.sim_time_ns == event.sim_time_ns
                said.append(result)
        self.exchange.validate()
        self.outcomes.extend(said)
        return said

    def advance(self, sim_time_ns: int) -> None:
        """Let time pass up to and including a time: candles close first, then timers by their key."""
        while True:
            due = [self._timers and min(self._timers)[0][0], self._close_times and self._close_times[0]]
            times = [time for time in due if time and time <= sim_time_ns]
            if not times:
                break
            self._happen(min(times))
        self.now_ns = sim_time_ns

    def _happen(self, sim_time_ns: int) -> None:
        if self._close_times and self._close_times[0] == sim_time_ns:
            self._close_times.pop(0)
            self.handle(CandlesClosed(sim_time_ns=sim_time_ns))
            for coin, end_ns in self._coin_ends.items():
                if end_ns == sim_time_ns:
                    self.handle(CoinEnded(sim_time_ns=sim_time_ns, coin=coin))
            return
        self._timers.sort(key=lambda item: item[0])
        _, timer = self._timers.pop(0)
        self.handle(TimerDue(sim_time_ns=sim_time_ns, timer=timer))

    def order(self, number: int, coin: str, side: Side, qty: Decimal, **fields: Any) -> list[Outcome]:
        """Place an order now."""
        component = fields.pop("component", "t")
        source = fields.pop("source", 0)
        return self.handle(
            OrderRequested(
                sim_time_ns=self.now_ns,
                component=component,
                source=source,
                number=number,
                client_order_id=f"{component}-{number}",
                account=fields.pop("account", "main"),
                coin=coin,
                side=side,
                qty=qty,
                **fields,
            )
        )

    def cancel(
        self, number: int, client_order_id: str, component: str = "t", source: int = 0
    ) -> list[Outcome]:
        """Ask for a cancel now."""
        return self.handle(
            CancelRequested(
                sim_time_ns=self.now_ns,
                component=component,
                source=source,
                number=number,
                client_order_id=client_order_id,
            )
        )

    def replace(
        self, number: int, client_order_id: str, component: str = "t", source: int = 0, **fields: Decimal
    ) -> list[Outcome]:
        """Ask for a replace now."""
        return self.handle(
            ReplaceRequested(
                sim_time_ns=self.now_ns,
                component=component,
                source=source,
                number=number,
                client_order_id=client_order_id,
                **fields,
            )
        )

    def finish(self) -> None:
        """Let the run come to its end."""
        self.advance(self.end_ns)
        self.handle(RunEnded(sim_time_ns=self.end_ns))
        assert not [key for key, _ in self._timers if key[0] <= self.end_ns], "timers were left"

    def transcript(self) -> list[str]:
        """Return a line for every outcome so far."""
        return [describe(outcome) for outcome in self.outcomes]


def moment(sim_time_ns: int) -> str:
    """Return a time as minute:second."""
    minute, rest = divmod(sim_time_ns, MINUTE)
    second = Decimal(rest) / SECOND
    text = f"{second.normalize():f}" if second else "0"
    whole, _, fraction = text.partition(".")
    return f"{minute}:{whole.zfill(2)}" + (f".{fraction}" if fraction else "")


_WORDS = {
    OrderAccepted: "accepted",
    OrderRejected: "rejected",
    OrderArrived: "arrived",
    OrderTriggered: "triggered",
    OrderReplaced: "replaced",
    OrderCancelled: "cancelled",
    OrderExpired: "expired",
    RequestRefused: "refused",
}


def describe(outcome: Outcome) -> str:
    """Return one outcome as a line of a transcript."""
    if isinstance(outcome, CashFlowBooked):
        coin = f" {outcome.coin}" if outcome.coin else ""
        return f"{moment(outcome.sim_time_ns)} {outcome.account} {outcome.kind}{coin} {outcome.amount:f}"
    head = f"{moment(outcome.sim_time_ns)} {outcome.client_order_id}"
    if isinstance(outcome, OrderFilled):
        return f"{head} {outcome.state} {outcome.qty} @ {outcome.price} fee {outcome.fee} {outcome.rule}"
    return f"{head} {_WORDS[type(outcome)]} {getattr(outcome, 'reason', '')}".rstrip()
