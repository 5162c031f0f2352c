"""A trader that uses everything the SDK has, and asserts what it gets; a mistake ends the run with its text.

It hears a thinker called `counter`, which says the sequence of each tick about each coin. DOGE begins later.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from components import Candle, Replay, Snapshot, connect
from orchestrator.errors import ConfigError
from orchestrator.protocol import FillState, Liquidity, Reason, Side

DOGE_BEGINS = datetime(2024, 1, 1, 1, 0, tzinfo=UTC)
TICK = timedelta(minutes=5)


class Everything:
    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.closes: list[float] = []
        self.woken: list[Reason] = []
        self.orders: dict[str, str] = {}  # what it is for -> client_order_id
        self.expected_wake_up: datetime | None = None
        self.heard: set[str] = set()

    def check_the_replay(self) -> None:
        replay = self.replay
        assert replay.name == "everything"
        assert replay.coins == ("BTC", "DOGE")
        assert (replay.currency, replay.timeframe) == ("USD", "5m")
        assert (replay.start, replay.end) == (
            datetime(2024, 1, 1, tzinfo=UTC),
            datetime(2024, 1, 1, 4, tzinfo=UTC),
        )
        assert dict(replay.params) == {"answer": 42, "list": [1, 2.5, "x"], "table": {"deep": True}}
        rules = replay.instruments["BTC"]
        assert rules.tick_size == Decimal("0.01")
        assert replay.round_qty("BTC", rules.lot_size * Decimal("2.7")) == rules.lot_size * 2
        for outside in (
            lambda: replay.buy("BTC", qty=1),
            lambda: replay.account,
            lambda: replay.signal("BTC", x=1),
        ):
            with pytest.raises(ConfigError, match="outside the loop"):
                outside()

    def on_snapshot(self, snapshot: Snapshot) -> None:
        self.woken.append(snapshot.reason)
        if snapshot.step:
            self.between_ticks(snapshot)
        else:
            self.at_a_tick(snapshot)
        self.note(snapshot)
        self.act(snapshot)

    def at_a_tick(self, snapshot: Snapshot) -> None:
        assert Reason.TICK in snapshot.reason
        assert snapshot.time == self.replay.start + snapshot.sequence * TICK
        assert snapshot.sim_time_ns == int(snapshot.time.timestamp()) * 10**9
        candle = snapshot["BTC"]
        assert isinstance(candle, Candle)
        assert candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high
        assert candle.volume > 0
        assert candle.is_new
        assert not candle.is_stale
        assert candle.open_time == snapshot.time - TICK
        self.closes.append(candle.close)
        doge = snapshot["DOGE"]
        assert (doge is None) == (snapshot.time <= DOGE_BEGINS)
        # Said by an earlier stage at this very tick; said by oneself at the tick before.
        signals = snapshot.signals["BTC"]
        assert signals["sequence"] == snapshot.sequence
        assert signals.time("sequence") == snapshot.time
        assert signals.get("mine") == (snapshot.sequence - 1 or None)
        assert dict(snapshot.signals["DOGE"])["sequence"] == snapshot.sequence
        self.check_history(snapshot)
        self.replay.signal("BTC", mine=snapshot.sequence, words="said", truth=True, number=0.5)

    def check_history(self, snapshot: Snapshot) -> None:
        candles = self.replay.history("BTC", "5m", 3)
        assert len(candles) == 3
        assert list(candles.close)[-len(self.closes) :] == self.closes[-3:]
        assert candles.times[-1] == snapshot.time - TICK
        hours = self.replay.history("BTC", "1h", 2)
        assert all(moment + timedelta(hours=1) <= snapshot.time for moment in hours.times)
        if snapshot.time.minute == 0 and snapshot.sequence >= 12:
            base = self.replay.history("BTC", "5m", 12)
            assert (hours.open[-1], hours.close[-1]) == (base.open[0], base.close[-1])
            assert (hours.high[-1], hours.low[-1]) == (max(base.high), min(base.low))
            assert abs(hours.volume[-1] - sum(base.volume)) < 1e-6
        doge = self.replay.history("DOGE", "5m", 100)
        assert len(doge) == max(0, (snapshot.time - DOGE_BEGINS) // TICK)

    def between_ticks(self, snapshot: Snapshot) -> None:
        assert Reason.TICK not in snapshot.reason
        assert snapshot.reason
        candle = snapshot["BTC"]
        assert candle is not None
        assert not candle.is_new
        assert candle.close == self.closes[-1]
        if Reason.WAKE_UP in snapshot.reason:
            assert snapshot.time == self.expected_wake_up

    def note(self, snapshot: Snapshot) -> None:
        account = self.replay.account
        for fill in snapshot.fills:
            assert Reason.ORDER in snapshot.reason
            is_bitcoin = fill.client_order_id == self.orders["buy"]
            assert fill.client_order_id == self.orders["buy" if is_bitcoin else "waiting"]
            assert fill.coin == ("BTC" if is_bitcoin else "DOGE")
            assert (fill.side, fill.liquidity) == (Side.BUY, Liquidity.TAKER)
            assert fill.sim_time_ns == snapshot.sim_time_ns
            assert account.holdings[fill.coin] >= fill.qty
            assert account.cash < Decimal(10_000)
            self.heard.add("filled" if fill.state is FillState.FILLED else "partial")
        for end in snapshot.rejections:
            if end.client_order_id == self.orders.get("too dear"):
                assert end.reason == "insufficient_balance"
            else:
                assert end.reason in ("unknown_order", "already_ended")
            self.heard.add(end.reason)
        for end in snapshot.ends:
            assert end.client_order_id == self.orders["waiting"]
            assert end.reason == "requested"
            self.heard.add("cancelled")

    def act(self, snapshot: Snapshot) -> None:
        replay, account = self.replay, self.replay.account
        if snapshot.step:
            return
        if snapshot.sequence == 1:
            assert account.cash == account.cash_available == Decimal(10_000)
            assert dict(account.holdings) == {"BTC": Decimal(0), "DOGE": Decimal(0)}
            self.expected_wake_up = snapshot.time + timedelta(minutes=1, microseconds=1)
            replay.wake_at(self.expected_wake_up)
        if snapshot.sequence == 2:
            self.orders["buy"] = replay.buy("BTC", qty=Decimal("0.01"))
            assert self.orders["buy"] == "everything-1"
            assert replay.account.cash_available == Decimal(10_000)  # as of the start of the turn
        if snapshot.sequence == 20:
            self.orders["too dear"] = replay.buy("BTC", qty=1_000)
            replay.cancel("everything-777")
        if snapshot.sequence == 30:
            # More than the market has: it waits for later candles, and can be cancelled.
            self.orders["waiting"] = replay.buy("DOGE", qty=Decimal(40_000))
        if snapshot.sequence == 31:
            assert account.cash_available < account.cash
            replay.cancel(self.orders["waiting"])
        if snapshot.sequence == 40:
            replay.cancel(self.orders["buy"])

    def check_the_end(self) -> None:
        assert {
            "filled",
            "partial",
            "insufficient_balance",
            "unknown_order",
            "already_ended",
            "cancelled",
        } <= self.heard
        assert {Reason.TICK, Reason.ORDER, Reason.WAKE_UP} <= set(self.woken)
        assert len(self.closes) == 48
        sys.stdout.write("everything was as it should be\n")


def main() -> None:
    with connect() as replay:
        everything = Everything(replay)
        everything.check_the_replay()
        for snapshot in replay.snapshots():
            everything.on_snapshot(snapshot)
        everything.check_the_end()


if __name__ == "__main__":
    main()
