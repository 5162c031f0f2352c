"""The engine as transcripts: what goes in (`>`) and what comes out (`<`), line by line, on the real exchange.

Latency is 200 ms, candles last a minute, and everything fills whole at the open of the candle that contains it.
"""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.engine import engine as engine_module
from orchestrator.engine import wake_ups as wake_ups_module
from orchestrator.engine.commands import Checkpoint, PublishSnapshot, WakeComponent, Write, WriteEquity
from orchestrator.engine.engine import INSTRUCTIONS_MAX
from orchestrator.errors import CausalityError, ComponentError, ProtocolError
from orchestrator.protocol import (
    Acknowledgement,
    CancelOrder,
    ClosedCandles,
    HistoryQuery,
    Instruction,
    OrderType,
    PublishSignal,
    QueryRefused,
    Reason,
    ReplaceOrder,
    SetWakeUp,
    Side,
    SubmitOrder,
    TimeInForce,
)
from orchestrator.runs.records import OrderRecord, SignalRecord
from tests.engine.markets import MINUTE, T0, FakeMarket
from tests.engine.plays import Play, Script, at_minute, make_engine

NAMES = ("thinker", "trader")


def market(minutes: int = 4) -> FakeMarket:
    return FakeMarket({"BTC": [100.0 + minute for minute in range(minutes)]})


def buy(number: int = 1, qty: str = "1", coin: str = "BTC", **more: object) -> SubmitOrder:
    return SubmitOrder(number, coin, Side.BUY, Decimal(qty), **more)  # type: ignore[arg-type]


def sell(number: int, qty: str = "1", coin: str = "BTC") -> SubmitOrder:
    return SubmitOrder(number, coin, Side.SELL, Decimal(qty))


def lines(text: str) -> list[str]:
    """The lines of a transcript; one that begins with neither sign goes on with the line before."""
    found: list[str] = []
    for line in text.strip().splitlines():
        if line.strip()[0] in "<>":
            found.append(line.strip())
        else:
            found[-1] += f" {line.strip()}"
    return found


def play(script: Script, minutes: int = 4, **model: object) -> Play:
    it = Play(make_engine(market(minutes), **model), NAMES, script)  # type: ignore[arg-type]
    it.run()
    return it


class TestStages:
    def test_a_run_in_which_nobody_speaks(self) -> None:
        assert play({}, minutes=2).lines == lines("""
            < tick 1 at 60
            < wake thinker 1.0 at 60 tick account
            < wake trader 1.0 at 60 tick account
            < tick 2 at 120
            < wake thinker 2.0 at 120 tick
            < wake trader 2.0 at 120 tick
            < equity 1..2
        """)

    def test_a_signal_is_heard_at_the_same_tick_by_later_stages_and_at_the_next_by_its_own(self) -> None:
        said = PublishSignal("BTC", {"long": 3})
        assert play({"thinker 1.0": (said,)}, minutes=2).lines == lines("""
            < tick 1 at 60
            < wake thinker 1.0 at 60 tick account
            > thinker 1.0 PublishSignal
            < signal thinker BTC.long=3
            < wake trader 1.0 at 60 tick hears BTC.long=3 account
            < tick 2 at 120
            < wake thinker 2.0 at 120 tick hears BTC.long=3
            < wake trader 2.0 at 120 tick
            < equity 1..2
        """)

    def test_what_a_later_stage_says_no_earlier_one_hears(self) -> None:
        said = PublishSignal("BTC", {"mood": "calm"})
        it = play({"trader 1.0": (said,)}, minutes=2)
        assert it.lines[5:7] == lines("""
            < tick 2 at 120
            < wake thinker 2.0 at 120 tick
        """)
        assert it.lines[7] == "< wake trader 2.0 at 120 tick hears BTC.mood=calm"

    def test_components_of_one_stage_are_woken_together_and_the_next_when_all_have_spoken(self) -> None:
        names = ("a", "b", "c")
        engine = make_engine(market(2), (("a", 1), ("b", 2), ("c", 1)))
        woken = [names[c.component] for c in engine.advance() if isinstance(c, WakeComponent)]
        assert woken == list(engine.awaited) == ["a", "c"]
        assert engine.handle(2, Acknowledgement(1, 0)) == []
        assert list(engine.awaited) == ["a"]
        (wake,) = engine.handle(0, Acknowledgement(1, 0))
        assert isinstance(wake, WakeComponent)
        assert names[wake.component] == "b"
        assert engine.handle(1, Acknowledgement(1, 0)) == []
        assert not engine.is_waiting

    def test_who_has_nothing_of_its_own_gets_the_very_same_snapshot(self) -> None:
        it = play({}, minutes=2)
        assert it.snapshots["thinker 2.0"] is it.snapshots["trader 2.0"]
        (first, second) = (c.snapshot for c in it.commands if isinstance(c, PublishSnapshot))
        assert second is it.snapshots["thinker 2.0"]
        assert first.news is None  # spectators never see what concerns one component alone


class TestOrders:
    def test_an_order_is_held_at_once_arrives_after_its_latency_and_wakes_only_its_component(self) -> None:
        assert play({"trader 1.0": (buy(),)}, minutes=2).lines == lines("""
            < tick 1 at 60
            < wake thinker 1.0 at 60 tick account
            < wake trader 1.0 at 60 tick account
            > trader 1.0 SubmitOrder
            < order trader-1 accepted
            < event trader-1 arrived
            < fill F1 trader-1 1 at 101
            < event trader-1 filled
            < show trader trader-1
            < equity 1..1
            < wake trader 1.1 at 60.2 order filled trader-1 account
            < tick 2 at 120
            < wake thinker 2.0 at 120 tick account
            < wake trader 2.0 at 120 tick
            < equity 2..2
        """)

    def test_a_rejection_reaches_its_component_after_the_latency_too(self) -> None:
        assert play({"trader 1.0": (buy(qty="1000"),)}, minutes=2).lines == lines("""
            < tick 1 at 60
            < wake thinker 1.0 at 60 tick account
            < wake trader 1.0 at 60 tick account
            > trader 1.0 SubmitOrder
            < order trader-1 rejected insufficient_balance
            < wake trader 1.1 at 60.2 order refused trader-1 insufficient_balance
            < tick 2 at 120
            < wake thinker 2.0 at 120 tick
            < wake trader 2.0 at 120 tick
            < equity 1..2
        """)

    def test_an_outcome_that_falls_on_a_tick_is_told_with_the_tick(self) -> None:
        it = play({"trader 1.0": (buy(),)}, minutes=3, latency_ms=60_000)
        assert "< wake trader 2.0 at 120 tick+order filled trader-1 account" in it.lines
        assert not any(turn.endswith(".1") for turn in it.snapshots)

    def test_what_arrives_when_the_last_candle_has_closed_ends_with_the_run(self) -> None:
        it = play({"trader 1.0": (buy(),)}, minutes=2, latency_ms=60_000)
        assert it.lines[6:] == lines("""
            < event trader-1 arrived
            < wake thinker 2.0 at 120 tick account
            < wake trader 2.0 at 120 tick account
            < equity 1..2
            < event trader-1 cancelled end_of_run
        """)

    def test_the_row_of_a_tick_holds_the_fills_of_that_tick_and_of_no_later_one(self) -> None:
        it = play({"trader 1.0": (buy(),)}, minutes=4, latency_ms=60_000)
        rows = [c.rows for c in it.commands if isinstance(c, WriteEquity)]
        held = {
            int(s): (float(c), float(e), float(q[0]))
            for r in rows
            for s, c, e, q in zip(r.sequences, r.cash, r.equity, r.quantities, strict=True)
        }
        # Bought at 120 s, the open of the third candle: 102. Closes are 100, 101, 102, 103.
        assert held == {
            1: (10_000.0, 10_000.0, 0.0),
            2: (9_898.0, 9_999.0, 1.0),
            3: (9_898.0, 10_000.0, 1.0),
            4: (9_898.0, 10_001.0, 1.0),
        }

    def test_an_order_that_would_arrive_after_the_end_is_refused_and_nobody_is_woken_for_it(self) -> None:
        it = play({"trader 2.0": (buy(),)}, minutes=2)
        assert it.lines[-3:] == lines("""
            > trader 2.0 SubmitOrder
            < order trader-1 rejected after_end_of_run
            < equity 1..2
        """)

    def test_in_a_candle_that_the_run_cuts_off_the_data_of_a_coin_have_not_ended(self) -> None:
        cut = market(2)
        cut.end_ns += MINUTE // 2
        it = Play(make_engine(cut), NAMES, {"trader 2.0": (buy(),)})
        it.run()
        assert "< order trader-1 accepted" in it.lines
        assert it.lines[-1] == "< event trader-1 cancelled end_of_run"

    def test_open_orders_end_with_the_run(self) -> None:
        limit = buy(order_type=OrderType.LIMIT, limit_price=Decimal(1))
        it = play({"trader 1.0": (limit,)}, minutes=2)
        assert "< event trader-1 cancelled end_of_run" in it.lines
        assert not any("ended trader-1" in line for line in it.lines)  # nobody is left to hear of it
        assert it.engine._exchange.account_state("main").cash_held == 0

    def test_open_orders_of_a_coin_end_with_its_data_and_their_component_hears_of_it(self) -> None:
        two = FakeMarket({"BTC": [100.0] * 4, "ETH": [10.0, 10.0]})
        limit = buy(coin="ETH", order_type=OrderType.LIMIT, limit_price=Decimal(1))
        it = Play(make_engine(two), NAMES, {"trader 1.0": (limit,), "trader 2.0": (buy(2, coin="ETH"),)})
        after = it.run()[it.lines.index("< tick 2 at 120") :]
        assert after[:8] == lines("""
            < tick 2 at 120
            < event trader-1 cancelled end_of_data
            < wake thinker 2.0 at 120 tick account
            < wake trader 2.0 at 120 tick+order ended trader-1 end_of_data account
            > trader 2.0 SubmitOrder
            < order trader-2 rejected end_of_data
            < wake trader 2.1 at 120.2 order refused trader-2 end_of_data
            < tick 3 at 180
        """)

    def test_a_cancel_takes_a_latency_of_its_own(self) -> None:
        limit = buy(order_type=OrderType.LIMIT, limit_price=Decimal(1))
        it = play({"trader 1.0": (limit,), "trader 2.0": (CancelOrder(1, "trader-1"),)}, minutes=3)
        assert it.lines[it.lines.index("> trader 2.0 CancelOrder") + 1 :][:2] == lines("""
            < event trader-1 cancelled requested
            < wake trader 2.1 at 120.2 order ended trader-1 requested account
        """)

    def test_a_cancel_of_nothing_is_refused_after_the_latency(self) -> None:
        it = play({"trader 1.0": (CancelOrder(1, "trader-9"),)}, minutes=2)
        assert it.lines[4:6] == lines("""
            < event trader-9 refused unknown_order
            < wake trader 1.1 at 60.2 order refused trader-9 unknown_order
        """)

    def test_a_replace_reaches_the_market(self) -> None:
        limit = buy(order_type=OrderType.LIMIT, limit_price=Decimal(50))
        change = ReplaceOrder(1, "trader-1", limit_price=Decimal(60))
        it = play({"trader 1.0": (limit,), "trader 2.0": (change,)}, minutes=3)
        assert any(line.startswith("< event trader-1 replaced") for line in it.lines)

    def test_an_account_is_sent_when_it_changed_and_only_then(self) -> None:
        limit = buy(order_type=OrderType.LIMIT, limit_price=Decimal(50))
        it = play({"trader 2.0": (limit,)}, minutes=4)
        told = {turn for turn, s in it.snapshots.items() if s.news is not None and s.news.account is not None}
        assert told == {"thinker 1.0", "trader 1.0", "thinker 3.0", "trader 3.0"}
        news = it.snapshots["trader 3.0"].news
        assert news is not None
        assert news.account is not None
        assert news.account.cash_held == Decimal(50)

    def test_a_later_stage_sees_what_an_earlier_one_has_just_ordered(self) -> None:
        limit = buy(order_type=OrderType.LIMIT, limit_price=Decimal(50))
        it = play({"thinker 2.0": (limit,)}, minutes=3)
        news = it.snapshots["trader 2.0"].news
        assert news is not None
        assert news.account is not None
        assert news.account.cash_held == Decimal(50)


class TestAccounts:
    def test_of_one_component_are_nobody_else_s_affair(self) -> None:
        it = Play(make_engine(market(3), is_account_shared=False), NAMES, {"trader 1.0": (buy(),)})
        it.run()
        told = {turn for turn, s in it.snapshots.items() if s.news is not None and s.news.account is not None}
        assert told == {"thinker 1.0", "trader 1.0", "trader 1.1"}

    def test_each_pays_with_its_own_cash(self) -> None:
        engine = make_engine(market(3), [("a", 1), ("b", 1)], cash=150, is_account_shared=False)
        it = Play(engine, ("a", "b"), {"a 1.0": (buy(),), "b 1.0": (buy(),)})
        assert [line for line in it.run() if line.startswith("< order")] == lines("""
            < order a-1 accepted
            < order b-1 accepted
        """)

    def test_are_marked_together(self) -> None:
        engine = make_engine(market(3), [("a", 1), ("b", 1)], cash=150, is_account_shared=False)
        it = Play(engine, ("a", "b"), {"a 1.0": (buy(),), "b 1.0": (buy(qty="0.5"),)})
        it.run()
        rows = [c.rows for c in it.commands if isinstance(c, WriteEquity)]
        # Both bought at 101; closes are 100, 101, 102.
        assert [cash for r in rows for cash in r.cash.tolist()] == [300.0, 148.5, 148.5]
        assert [q for r in rows for (q,) in r.quantities.tolist()] == [0.0, 1.5, 1.5]
        assert [e for r in rows for e in r.equity.tolist()] == [300.0, 300.0, 301.5]


class TestOrderOfEvents:
    """Everything falls on one time: minute 3, which is a tick, with a latency of one minute."""

    def test_expiry_then_cancel_then_new_order_then_equity_then_stages(self) -> None:
        # Two resting orders, one that expires at T and one whose cancel arrives at T; an order arrives at T.
        until = buy(
            1,
            order_type=OrderType.LIMIT,
            limit_price=Decimal(1),
            time_in_force=TimeInForce.GTD,
            expire_time_ns=at_minute(3),
        )
        rests = buy(2, order_type=OrderType.LIMIT, limit_price=Decimal(1))
        script: Script = {
            "trader 1.0": (until, rests, SetWakeUp(at_minute(3))),
            "trader 2.0": (buy(3), CancelOrder(1, "trader-2")),
        }
        it = play(script, minutes=5, latency_ms=60_000)
        start = it.lines.index("< tick 3 at 180")
        assert it.lines[start : it.lines.index("< tick 4 at 240")] == lines("""
            < tick 3 at 180
            < event trader-1 expired expired
            < event trader-2 cancelled requested
            < event trader-3 arrived
            < fill F1 trader-3 1 at 103
            < event trader-3 filled
            < show trader trader-3
            < equity 1..2
            < wake thinker 3.0 at 180 tick account
            < wake trader 3.0 at 180 tick+order+wake_up filled trader-3
              ended trader-1 expired ended trader-2 requested account
        """)

    def test_a_resting_order_is_judged_on_the_closed_candle_before_its_cancel_arrives(self) -> None:
        falling = FakeMarket({"BTC": [100.0, 100.0, 100.0, 90.0, 80.0]})
        rests = buy(order_type=OrderType.LIMIT, limit_price=Decimal(95))
        script: Script = {"trader 1.0": (rests,), "trader 3.0": (CancelOrder(1, "trader-1"),)}
        it = Play(make_engine(falling, latency_ms=60_000), NAMES, script)
        after = it.run()[it.lines.index("< tick 4 at 240") :]
        assert after[1:5] == lines("""
            < fill F1 trader-1 1 at 95
            < event trader-1 filled
            < show trader trader-1
            < event trader-1 refused already_ended
        """)

    def test_remainders_are_served_before_orders_that_arrive_at_the_same_time(self) -> None:
        # 1 % of a million coins is what a candle gives; the first order takes all of two candles and a half.
        model = {"liquidity_model": "volume_share", "latency_ms": 60_000, "cash": 10_000_000_000}
        script = {"thinker 1.0": (buy(1, "25000"),), "trader 2.0": (buy(1, "4000"),)}
        it = play(script, minutes=6, **model)
        fills = [line for line in it.lines if line.startswith("< fill")]
        assert fills == lines("""
            < fill F1 thinker-1 10000 at 102
            < fill F2 thinker-1 10000 at 103
            < fill F3 thinker-1 5000 at 104
            < fill F4 trader-1 4000 at 104
        """)

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    def test_orders_of_one_stage_are_decided_in_declared_order_whoever_was_faster(
        self, order: tuple[int, ...]
    ) -> None:
        # Cash pays for one of them only.
        names = ("zoe", "amy", "bob")
        engine = make_engine(market(3), [(name, 1) for name in names], cash=150)
        script = {f"{name} 1.0": (buy(),) for name in names}
        it = Play(engine, names, script, order=lambda woken: sorted(woken, key=order.index))
        decided = [line for line in it.run() if line.startswith("< order")]
        assert decided == lines("""
            < order zoe-1 accepted
            < order amy-1 rejected insufficient_balance
            < order bob-1 rejected insufficient_balance
        """)

    def test_at_equal_times_the_declared_order_decides_then_the_own_counter(self) -> None:
        names = ("zoe", "amy")
        engine = make_engine(market(3), [(name, 1) for name in names])
        script = {"amy 1.0": (buy(1), buy(2)), "zoe 1.0": (buy(1),)}
        it = Play(engine, names, script)
        arrived = [line.split()[2] for line in it.run() if line.endswith("arrived")]
        assert arrived == ["zoe-1", "amy-1", "amy-2"]


class TestWakeUps:
    def test_between_ticks_only_who_asked_is_woken_and_finds_no_candle_new(self) -> None:
        it = play({"trader 1.0": (SetWakeUp(at_minute(1.5)),)}, minutes=2)
        assert it.lines[4:7] == lines("""
            < wake trader 1.1 at 90 wake_up
            < tick 2 at 120
            < wake thinker 2.0 at 120 tick
        """)
        at_tick, later = it.snapshots["trader 1.0"], it.snapshots["trader 1.1"]
        assert (later.prices, later.open_times) == (at_tick.prices, at_tick.open_times)
        assert (at_tick.flags, later.flags) == (b"\x03", b"\x01")

    def test_equal_times_wake_once(self) -> None:
        twice = (SetWakeUp(at_minute(1.5)), SetWakeUp(at_minute(1.5)))
        script = {"trader 1.0": twice, "thinker 1.0": (SetWakeUp(at_minute(1.5)),)}
        it = play(script, minutes=2)
        assert [turn for turn in it.snapshots if turn.endswith(".1")] == ["thinker 1.1", "trader 1.1"]
        assert it.snapshots["trader 1.1"].reason == Reason.WAKE_UP

    def test_a_time_that_has_come_may_be_asked_for_no_more_but_a_later_one_may(self) -> None:
        script = {"trader 1.0": (SetWakeUp(at_minute(1.5)),), "trader 1.1": (SetWakeUp(at_minute(1.75)),)}
        assert "trader 1.2" in play(script, minutes=2).snapshots

    def test_several_may_be_outstanding_in_any_order(self) -> None:
        asked = tuple(SetWakeUp(at_minute(m)) for m in (1.75, 1.25, 1.5))
        it = play({"trader 1.0": asked}, minutes=2)
        assert [line.split()[4] for line in it.lines if "wake_up" in line] == ["at"] * 3
        assert [line.split()[5] for line in it.lines if "wake_up" in line] == ["75", "90", "105"]

    def test_at_a_tick_the_reasons_are_combined(self) -> None:
        it = play({"trader 1.0": (SetWakeUp(at_minute(2)),)}, minutes=2)
        assert it.snapshots["trader 2.0"].reason == Reason.TICK | Reason.WAKE_UP
        assert it.snapshots["thinker 2.0"].reason == Reason.TICK
        assert not any(turn.endswith(".1") for turn in it.snapshots)

    def test_with_an_order_at_the_same_time_too(self) -> None:
        it = play({"trader 1.0": (buy(), SetWakeUp(T0 + MINUTE + 200_000_000))}, minutes=2)
        assert it.snapshots["trader 1.1"].reason == Reason.ORDER | Reason.WAKE_UP

    def test_at_the_end_it_comes_and_after_the_end_never(self) -> None:
        it = play({"trader 1.0": (SetWakeUp(at_minute(2)), SetWakeUp(at_minute(2) + 1))}, minutes=2)
        assert it.snapshots["trader 2.0"].reason == Reason.TICK | Reason.WAKE_UP
        assert len(it.snapshots) == 4

    def test_inside_a_last_candle_that_the_run_cuts_off_it_comes(self) -> None:
        cut = market(2)
        cut.end_ns += MINUTE // 2
        it = Play(make_engine(cut), NAMES, {"trader 2.0": (SetWakeUp(at_minute(2.25)),)})
        it.run()
        assert it.lines[-1] == "< wake trader 2.1 at 135 wake_up"

    def test_so_many_at_a_time_and_no_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wake_ups_module, "WAKE_UPS_MAX", 3)
        asked = tuple(SetWakeUp(at_minute(1.5) + n) for n in range(4))
        assert len(play({"trader 1.0": asked[:3]}, minutes=2).snapshots) == 7
        with pytest.raises(ProtocolError, match="waits for 3 wake-ups already"):
            play({"trader 1.0": asked}, minutes=2)

    def test_who_wakes_itself_without_end_does_not_stop_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine_module, "STEPS_MAX", 5)
        script = {f"trader 1.{n}": (SetWakeUp(at_minute(1) + 1_000 * (n + 1)),) for n in range(6)}
        with pytest.raises(
            ComponentError, match="more than 5 things happened between sequence 1 and the next"
        ):
            play(script, minutes=2)

    @pytest.mark.parametrize("by", [0, -1, -MINUTE])
    def test_now_and_the_past_are_refused(self, by: int) -> None:
        with pytest.raises(ProtocolError, match="not later than now"):
            play({"trader 1.0": (SetWakeUp(at_minute(1) + by),)})

    def test_stages_hold_between_ticks_too(self) -> None:
        # The thinker and the trader wake at the same moment; what the first says the second hears there.
        script: Script = {
            "thinker 1.0": (SetWakeUp(at_minute(1.5)),),
            "trader 1.0": (SetWakeUp(at_minute(1.5)),),
            "thinker 1.1": (PublishSignal("BTC", {"x": 1}),),
        }
        it = play(script, minutes=2)
        after = it.lines[it.lines.index("< signal thinker BTC.x=1") + 1]
        assert after == "< wake trader 1.1 at 90 wake_up hears BTC.x=1"

    def test_steps_are_counted_by_moments_and_begin_anew_at_each_tick(self) -> None:
        script = {
            "trader 1.0": (SetWakeUp(at_minute(1.25)), SetWakeUp(at_minute(1.5))),
            "trader 2.0": (SetWakeUp(at_minute(2.5)),),
        }
        it = play(script, minutes=3)
        assert [turn for turn in it.snapshots if turn.startswith("trader")] == [
            "trader 1.0", "trader 1.1", "trader 1.2", "trader 2.0", "trader 2.1", "trader 3.0",
        ]  # fmt: skip


class TestQueries:
    def query(self, sequence: int = 2, step: int = 0, timeframe: str = "1m", count: int = 10) -> HistoryQuery:
        return HistoryQuery(sequence, step, "BTC", timeframe, count)

    def test_are_answered_as_of_the_snapshot_in_hand(self) -> None:
        it = Play(make_engine(market(5)))
        it.step()
        it.engine.advance()
        answer = it.engine.answer(0, self.query())
        assert isinstance(answer, ClosedCandles)
        candles = market(5).history("BTC", "1m", 10, at_minute(2))
        assert answer.open_times == candles[0].astype("<i8").tobytes()
        assert answer.columns == candles[1].astype("<f8").tobytes(order="C")
        assert len(answer.open_times) == 2 * 8
        assert len(answer.columns) == 2 * 40

    def test_what_cannot_be_answered_is_refused_in_the_author_s_terms(self) -> None:
        it = Play(make_engine(market()))
        it.engine.advance()
        answer = it.engine.answer(0, self.query(1, timeframe="7m"))
        assert isinstance(answer, QueryRefused)
        assert "7m" in answer.reason

    def test_out_of_turn_are_an_error(self) -> None:
        engine = make_engine(market())
        engine.advance()
        for component, query in ((1, self.query(1)), (0, self.query(2)), (0, self.query(1, 1))):
            with pytest.raises(ProtocolError, match="out of turn"):
                engine.answer(component, query)
        assert isinstance(engine.answer(0, self.query(1)), ClosedCandles)
        engine.handle(0, Acknowledgement(1, 0))
        with pytest.raises(ProtocolError, match="thinker asked for history out of turn"):
            engine.answer(0, self.query(1))


class TestMistakes:
    def refused(self, *said: Instruction) -> str:
        with pytest.raises(ProtocolError) as error:
            play({"trader 1.0": said})
        return str(error.value)

    @pytest.mark.parametrize("number", [0, 2, -1])
    def test_order_numbers_have_no_gaps(self, number: int) -> None:
        assert "next number is 1" in self.refused(buy(number))

    def test_an_order_number_is_used_once(self) -> None:
        assert "trader numbered an order 1; its next number is 2" in self.refused(buy(1), buy(1))

    @pytest.mark.parametrize(
        "change", [CancelOrder(2, "trader-1"), ReplaceOrder(2, "trader-1", qty=Decimal(1))]
    )
    def test_cancels_and_replaces_share_a_counter_of_their_own(self, change: Instruction) -> None:
        assert "its next number is 1" in self.refused(buy(1), change)
        assert "its next number is 2" in self.refused(
            buy(1), CancelOrder(1, "trader-1"), ReplaceOrder(1, "trader-1", qty=Decimal(1))
        )

    @pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "-Infinity", "1E+400", "1E-400"])
    @pytest.mark.parametrize("field", ["qty", "limit_price", "stop_price"])
    def test_what_no_result_could_hold_is_no_number(self, field: str, number: str) -> None:
        # A refused order is data, but data are numbers: NaN would reach orders.jsonl.
        order = {"qty": Decimal(1), "order_type": OrderType.STOP_LIMIT, field: Decimal(number)}
        assert field in self.refused(SubmitOrder(1, "BTC", Side.BUY, **order))  # type: ignore[arg-type]
        change = ReplaceOrder(1, "trader-1", **{field: Decimal(number)})
        assert field in self.refused(change)

    def test_what_happened_before_the_mistake_is_not_lost(self) -> None:
        engine = make_engine(market(2))
        it = Play(engine, NAMES, {"trader 1.0": (buy(1), buy(1))})
        with pytest.raises(ProtocolError):
            it.run()
        (written,) = (c.record for c in engine.take_unfinished() if isinstance(c, Write))
        assert isinstance(written, OrderRecord)
        assert (written.client_order_id, written.state) == ("trader-1", "accepted")
        assert engine.take_unfinished() == []

    def test_a_flood_ends_the_run(self) -> None:
        orders = tuple(buy(n) for n in range(1, INSTRUCTIONS_MAX + 2))
        assert f"at most {INSTRUCTIONS_MAX}" in self.refused(*orders)

    def test_as_much_as_is_allowed_is_taken(self) -> None:
        said = tuple(PublishSignal("BTC", {"n": n}) for n in range(INSTRUCTIONS_MAX))
        it = play({"trader 1.0": said}, minutes=2)
        assert sum(line.startswith("< signal") for line in it.lines) == INSTRUCTIONS_MAX
        assert it.lines[-2] == f"< wake trader 2.0 at 120 tick hears BTC.n={INSTRUCTIONS_MAX - 1}"

    def test_a_signal_for_a_coin_that_is_not_in_the_run(self) -> None:
        assert "the run's coins are BTC" in self.refused(PublishSignal("DOGE", {"long": 1}))

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_a_signal_that_is_no_finite_number(self, value: float) -> None:
        assert "must be finite" in self.refused(PublishSignal("BTC", {"long": value}))

    def test_an_unknown_coin_in_an_order_is_refused_by_the_market(self) -> None:
        it = play({"trader 1.0": (buy(coin="DOGE"),)}, minutes=2)
        assert "< order trader-1 rejected unknown_symbol" in it.lines

    def test_time_does_not_move_while_a_stage_is_at_work(self) -> None:
        engine = make_engine(market())
        engine.advance()
        with pytest.raises(CausalityError, match="thinker are at work"):
            engine.advance()

    def test_words_out_of_turn_change_nothing(self) -> None:
        engine = make_engine(market())
        engine.advance()
        with pytest.raises(ProtocolError):
            engine.handle(1, Acknowledgement(1, 0, (buy(),)))
        assert engine.awaited == ("thinker",)
        assert len(engine.handle(0, Acknowledgement(1, 0))) == 1


class TestCheckpoints:
    def test_follow_everything_up_to_every_thousandth_sequence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine_module, "_CHECKPOINT_SEQUENCES", 3)
        said = {f"trader {n}.0": (PublishSignal("BTC", {"n": n}),) for n in range(1, 8)}
        it = play(said, minutes=7)
        rows = 0
        signals = 0
        checkpoints = []
        for command in it.commands:
            if isinstance(command, WriteEquity):
                rows = int(command.rows.sequences[-1])
            elif isinstance(command, Checkpoint):
                checkpoints.append(command.sequence)
                assert (rows, signals) == (command.sequence, command.sequence)
            elif isinstance(getattr(command, "record", None), SignalRecord):
                signals += 1
        assert checkpoints == [3, 6]

    def test_stand_at_every_thousandth_sequence(self) -> None:
        it = play({}, minutes=2_001)
        assert [c.sequence for c in it.commands if isinstance(c, Checkpoint)] == [1_000, 2_000]


class FlushingWithin(Play):
    """A play whose shell flushes while a stage is at work, as a slow component lets it."""

    def _answer(self, place: int) -> Acknowledgement:
        self._take(self.engine.flush_equity())
        return super()._answer(place)


class TestEnd:
    def test_is_reached_once(self) -> None:
        it = play({}, minutes=2)
        commands: list[object] = []
        it.engine.finish(commands, "again")  # type: ignore[arg-type]
        assert commands == []

    def test_an_interrupted_run_writes_its_rows_and_cancels_its_orders(self) -> None:
        limit = buy(order_type=OrderType.LIMIT, limit_price=Decimal(1))
        it = Play(make_engine(market(9)), NAMES, {"trader 1.0": (limit,)})
        for _ in range(3):
            it.step()
        it.lines.clear()
        commands: list = []  # type: ignore[type-arg]
        it.engine.finish(commands, "interrupted")
        it._take(commands)
        assert it.lines == lines("""
            < event trader-1 cancelled interrupted
            < equity 1..2
        """)
        assert it.engine.is_over

    def test_an_interrupted_stage_counts_as_reached(self) -> None:
        engine = make_engine(market(9))
        engine.advance()
        commands: list = []  # type: ignore[type-arg]
        engine.finish(commands, "interrupted")
        (rows,) = [c.rows for c in commands]
        assert rows.sequences.tolist() == [1]

    def test_before_the_first_tick_there_is_nothing_to_write(self) -> None:
        engine = make_engine(market())
        commands: list = []  # type: ignore[type-arg]
        engine.finish(commands, "interrupted")
        assert commands == []
        assert engine.is_over

    def test_a_flush_changes_no_row(self) -> None:
        whole = play({"trader 1.0": (buy(),)}, minutes=5)
        flushed = Play(make_engine(market(5)), NAMES, {"trader 1.0": (buy(),)})
        while not flushed.engine.is_over:
            flushed.step()
            flushed._take(flushed.engine.flush_equity())
        within = FlushingWithin(make_engine(market(5)), NAMES, {"trader 1.0": (buy(),)})
        within.run()

        def rows(it: Play) -> list[list[float]]:
            segments = [c.rows for c in it.commands if isinstance(c, WriteEquity)]
            return [
                [*map(float, row)]
                for s in segments
                for row in zip(s.sequences, s.cash, s.equity, strict=True)
            ]

        assert rows(flushed) == rows(within) == rows(whole)


@st.composite
def talks(draw: st.DrawFn) -> dict[str, tuple[Instruction, ...]]:
    """What three components say at the ticks of a run: orders, cancels, wake-ups and signals of all kinds."""
    script: dict[str, tuple[Instruction, ...]] = {}
    for name in ("a", "b", "c"):
        orders = requests = 0
        for sequence in range(1, 6):
            said: list[Instruction] = []
            for _ in range(draw(st.integers(0, 3))):
                match draw(st.sampled_from(["order", "cancel", "wake", "signal"])):
                    case "order":
                        orders += 1
                        limit = draw(st.sampled_from([None, 95, 101, 110]))
                        said.append(
                            SubmitOrder(
                                orders,
                                draw(st.sampled_from(["BTC", "ETH", "XRP"])),
                                draw(st.sampled_from(Side)),
                                Decimal(draw(st.sampled_from(["0.5", "1", "7", "100"]))),
                                OrderType.MARKET if limit is None else OrderType.LIMIT,
                                None if limit is None else Decimal(limit),
                            )
                        )
                    case "cancel":
                        requests += 1
                        said.append(CancelOrder(requests, f"{name}-{draw(st.integers(1, 3))}"))
                    case "wake":
                        said.append(SetWakeUp(at_minute(sequence) + draw(st.integers(1, 2 * MINUTE))))
                    case "signal":
                        said.append(PublishSignal("BTC", {name: draw(st.integers(0, 9))}))
            if said:
                script[f"{name} {sequence}.0"] = tuple(said)
    return script


@settings(max_examples=60, deadline=None)
@given(
    script=talks(),
    order=st.permutations([0, 1, 2]),
    stages=st.sampled_from([(1, 1, 1), (1, 1, 2), (1, 2, 3)]),
)
def test_who_is_faster_leaves_no_trace(
    script: dict[str, tuple[Instruction, ...]], order: list[int], stages: tuple[int, int, int]
) -> None:
    two = FakeMarket(
        {"BTC": [100.0, 96.0, 101.0, None, 120.0, 94.0], "ETH": [None, 10.0, 11.0, 10.0, 9.0, None]}
    )
    names = ("a", "b", "c")

    def run(order: list[int]) -> Play:
        engine = make_engine(two, list(zip(names, stages, strict=True)), cash=300)
        it = Play(engine, names, script, order=lambda woken: sorted(woken, key=order.index))
        it.run()
        return it

    first, second = run([0, 1, 2]), run(order)
    assert [line for line in first.lines if line[0] == "<"] == [
        line for line in second.lines if line[0] == "<"
    ]
    assert first.snapshots == second.snapshots
    check_every_order_ended(first)
    check_time_never_falls(first)


def check_every_order_ended(it: Play) -> None:
    orders = [line.split()[2] for line in it.lines if line.startswith("< order") and "accepted" in line]
    ends = [
        line.split()[2]
        for line in it.lines
        if line.startswith("< event") and line.split()[3] in ("filled", "cancelled", "expired")
    ]
    assert sorted(orders) == sorted(ends)


def check_time_never_falls(it: Play) -> None:
    moments = [(s.sim_time_ns, s.sequence, s.step) for s in it.snapshots.values()]
    assert moments == sorted(moments)
    per_component: dict[str, list[int]] = {}
    for turn, snapshot in it.snapshots.items():
        per_component.setdefault(turn.split()[0], []).append(snapshot.sim_time_ns)
    assert all(len(times) == len(set(times)) for times in per_component.values())
