"""The small parts of the engine: event keys, queue, clock, barrier, signals, mailbox."""

from __future__ import annotations

import copy
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.barrier import Barrier
from orchestrator.engine.clock import Clock
from orchestrator.engine.event_queue import EventQueue
from orchestrator.engine.events import EventKey, EventKind
from orchestrator.engine.mailbox import Mailbox, to_fill
from orchestrator.engine.signals import SignalBoard
from orchestrator.errors import CausalityError, ProtocolError
from orchestrator.exchange.events import (
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderRequested,
    RequestRefused,
)
from orchestrator.protocol import (
    Acknowledgement,
    FillState,
    Liquidity,
    OrderEnd,
    Reason,
    SetWakeUp,
    Side,
)

keys = st.builds(
    EventKey,
    sim_time_ns=st.integers(0, 3),
    kind=st.sampled_from(EventKind),
    source=st.integers(0, 2),
    source_counter=st.integers(1, 3),
)


class TestEventKey:
    @given(a=keys, b=keys, c=keys)
    def test_is_a_total_order(self, a: EventKey, b: EventKey, c: EventKey) -> None:
        assert (a < b) + (a == b) + (a > b) == 1
        assert (a < b) == (b > a)
        assert not a < b < c or a < c
        assert (a <= b) == (a < b or a == b)
        assert a != b or hash(a) == hash(b)

    @given(a=keys, b=keys)
    def test_time_comes_first_then_kind_then_source_then_counter(self, a: EventKey, b: EventKey) -> None:
        parts = [(x, y) for x, y in zip(a, b, strict=True) if x != y]
        assert (a < b) == (bool(parts) and parts[0][0] < parts[0][1])

    def test_kinds_stand_in_the_declared_order(self) -> None:
        # DESIGN 3, word by word; changing it changes results.
        declared = [
            "CANDLES_CLOSE",
            "RESTING_ORDERS",
            "FUNDING",
            "LIQUIDATION",
            "EXPIRY",
            "CANCEL",
            "REMAINDER",
            "ORDER",
            "EQUITY",
            "TRAINING",
            "STAGES",
        ]
        assert [kind.name for kind in sorted(EventKind)] == [
            k for k in declared if k in EventKind.__members__
        ]


def key(sim_time_ns: int, source: int = 0, counter: int = 1, kind: EventKind = EventKind.ORDER) -> EventKey:
    return EventKey(sim_time_ns, kind, source, counter)


class TestEventQueue:
    @given(st.lists(keys, unique=True), st.randoms(use_true_random=False))
    def test_gives_out_in_the_order_of_keys_whatever_the_order_of_arrival(
        self, wanted: list[EventKey], chance: object
    ) -> None:
        arriving = list(wanted)
        chance.shuffle(arriving)  # type: ignore[attr-defined]
        queue: EventQueue[EventKey] = EventQueue()
        for each in arriving:
            queue.push(each, each)
        taken = []
        while (now := queue.next_time_ns) is not None:
            while (due := queue.pop_due(now)) is not None:
                assert due[0] == due[1]
                taken.append(due[0])
        assert taken == sorted(wanted)
        assert len(queue) == 0

    def test_two_events_without_an_order_are_an_error(self) -> None:
        queue: EventQueue[str] = EventQueue()
        queue.push(key(5), "first")
        with pytest.raises(CausalityError, match="order is not defined"):
            queue.push(key(5), "second")
        assert len(queue) == 1
        assert queue.pop_due(5) == (key(5), "first")

    def test_a_key_may_not_come_again_after_it_was_taken(self) -> None:
        queue: EventQueue[str] = EventQueue()
        queue.push(key(5), "first")
        queue.pop_due(5)
        with pytest.raises(CausalityError):
            queue.push(key(5), "again")

    @pytest.mark.parametrize("late", [key(4), key(5, source=0), key(5, kind=EventKind.CANCEL, source=9)])
    def test_an_event_before_the_one_just_handled_is_an_error(self, late: EventKey) -> None:
        queue: EventQueue[str] = EventQueue()
        queue.push(key(5, source=1), "now")
        queue.pop_due(5)
        with pytest.raises(CausalityError, match="at or before the event just handled"):
            queue.push(late, "late")
        assert len(queue) == 0
        queue.push(key(5, source=2), "still to come at this time")
        assert queue.pop_due(5) == (key(5, source=2), "still to come at this time")

    def test_nothing_is_due_before_its_time(self) -> None:
        queue: EventQueue[str] = EventQueue()
        assert queue.next_time_ns is None
        assert queue.pop_due(10) is None
        queue.push(key(11), "later")
        assert queue.pop_due(10) is None
        assert queue.next_time_ns == 11

    def test_a_clock_that_ran_past_an_event_is_an_error_and_the_event_stays(self) -> None:
        queue: EventQueue[str] = EventQueue()
        queue.push(key(5), "missed")
        with pytest.raises(CausalityError, match="before the event"):
            queue.pop_due(6)
        assert queue.next_time_ns == 5
        assert queue.pop_due(5) == (key(5), "missed")


class TestClock:
    @given(st.lists(st.tuples(st.booleans(), st.integers(1, 100))))
    def test_sequences_have_no_gaps_and_steps_begin_anew(self, moves: list[tuple[bool, int]]) -> None:
        clock = Clock(1_000)
        ticks = steps = 0
        for is_tick, by in moves:
            before = clock.sim_time_ns
            (clock.tick if is_tick else clock.advance)(before + by)
            ticks, steps = (ticks + 1, 0) if is_tick else (ticks, steps + 1)
            assert clock.sim_time_ns == before + by
            assert (clock.sequence, clock.step) == (ticks, steps)

    @pytest.mark.parametrize("by", [0, -1])
    @pytest.mark.parametrize("move", ["tick", "advance"])
    def test_time_never_stands_or_falls(self, by: int, move: str) -> None:
        clock = Clock(100)
        clock.tick(110)
        with pytest.raises(CausalityError):
            getattr(clock, move)(110 + by)
        assert (clock.sim_time_ns, clock.sequence, clock.step) == (110, 1, 0)


def ack(sequence: int = 4, step: int = 0, *wake_ups: int) -> Acknowledgement:
    return Acknowledgement(sequence, step, tuple(SetWakeUp(time_ns) for time_ns in wake_ups))


def state(barrier: Barrier) -> object:
    return copy.deepcopy([getattr(barrier, name) for name in Barrier.__slots__])


class TestBarrier:
    @given(st.permutations([0, 1, 2, 3]))
    def test_gives_out_what_was_said_in_declared_order(self, order: list[int]) -> None:
        barrier = Barrier()
        barrier.open((0, 1, 2, 3), 4, 0)
        for place in order:
            message = ack(4, 0) if place == 2 else ack(4, 0, place * 10, place * 10 + 1)
            assert barrier.acknowledge(place, "x", message) == (place == order[-1])
        said = barrier.take()
        assert said == [(p, (SetWakeUp(p * 10), SetWakeUp(p * 10 + 1))) for p in (0, 1, 3)]
        assert barrier.take() == []

    @pytest.mark.parametrize(
        ("component", "message"),
        [
            (2, ack()),  # was not woken
            (1, ack()),  # has acknowledged already
            (0, ack(5)),  # a sequence to come
            (0, ack(3)),  # one of the past
            (0, ack(4, 1)),  # another step
        ],
    )
    def test_words_out_of_turn_raise_and_change_nothing(
        self, component: int, message: Acknowledgement
    ) -> None:
        barrier = Barrier()
        barrier.open((0, 1), 4, 0)
        barrier.acknowledge(1, "b", ack(4, 0, 99))
        before = state(barrier)
        with pytest.raises(ProtocolError, match="a acknowledged"):
            barrier.acknowledge(component, "a", message)
        assert state(barrier) == before
        assert barrier.acknowledge(0, "a", ack(4, 0))
        assert barrier.take() == [(1, (SetWakeUp(99),))]

    def test_neither_opens_nor_is_read_while_a_stage_is_at_work(self) -> None:
        barrier = Barrier()
        barrier.open((0,), 4, 0)
        before = state(barrier)
        with pytest.raises(ProtocolError, match="still at work"):
            barrier.open((1,), 5, 0)
        with pytest.raises(ProtocolError, match="before all components"):
            barrier.take()
        assert state(barrier) == before


class TestSignalBoard:
    def heard(self, board: SignalBoard, listener: int) -> dict[str, object]:
        return {f"{s.coin}.{s.key}": s.value for s in board.take(listener)}

    def test_own_stage_and_later_ones_hear_earlier_ones_never(self) -> None:
        board = SignalBoard((1, 2, 2, 3))
        board.publish(1, "BTC", {"long": 3}, 50)
        assert [board.has_news(n) for n in range(4)] == [False, True, True, True]
        assert [self.heard(board, n) for n in range(4)] == [{}, *[{"BTC.long": 3}] * 3]
        assert [board.has_news(n) for n in range(4)] == [False] * 4

    def test_the_latest_value_of_a_key_counts_and_carries_its_time(self) -> None:
        board = SignalBoard((1, 2))
        board.publish(0, "BTC", {"long": 1, "short": 0}, 50)
        board.publish(0, "ETH", {"long": 7}, 55)
        board.publish(0, "BTC", {"long": 2}, 60)
        signals = {(s.coin, s.key): (s.value, s.sim_time_ns) for s in board.take(1)}
        assert signals == {("BTC", "long"): (2, 60), ("BTC", "short"): (0, 50), ("ETH", "long"): (7, 55)}

    def test_each_listener_hears_a_change_once(self) -> None:
        board = SignalBoard((1, 2, 2))
        board.publish(0, "BTC", {"long": 1}, 50)
        assert self.heard(board, 1) == {"BTC.long": 1}
        board.publish(0, "BTC", {"long": 2}, 60)
        assert self.heard(board, 1) == {"BTC.long": 2}
        assert self.heard(board, 2) == {"BTC.long": 2}
        assert self.heard(board, 1) == {}

    @given(
        st.lists(st.integers(1, 3), min_size=1, max_size=4),
        st.lists(
            st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.integers(0, 9), st.booleans()), max_size=30
        ),
    )
    def test_as_a_list_of_everything_said_would_tell(
        self, stages: list[int], talk: list[tuple[int, str, int, bool]]
    ) -> None:
        board = SignalBoard(tuple(stages))
        said: list[tuple[int, str, int]] = []
        told = [0] * len(stages)
        for time_ns, (who, name, value, is_listening) in enumerate(talk):
            place = who % len(stages)
            if is_listening:
                expected = {n: v for stage, n, v in said[told[place] :] if stage <= stages[place]}
                assert {s.key: s.value for s in board.take(place)} == expected
                told[place] = len(said)
            else:
                board.publish(place, "BTC", {name: value}, time_ns)
                said.append((stages[place], name, value))


REQUEST = OrderRequested(
    sim_time_ns=10,
    component="trader",
    source=1,
    number=1,
    client_order_id="trader-1",
    account="main",
    coin="BTC",
    side=Side.BUY,
    qty=Decimal(2),
)
WHO = {"sim_time_ns": 20, "client_order_id": "trader-1", "component": "trader", "source": 1, "coin": "BTC"}
FILLED = OrderFilled(
    **WHO,  # type: ignore[arg-type]
    fill_number=1,
    account="main",
    side=Side.BUY,
    qty=Decimal(2),
    price=Decimal(100),
    fee=Decimal("0.4"),
    state=FillState.FILLED,
    liquidity=Liquidity.TAKER,
    reference_price=Decimal(100),
    reference_open_time_ns=0,
    slippage_bps=Decimal(0),
    slippage_parts=(),
    participation=Decimal(0),
    latency_ns=10,
    rule="taker_open",
)
END = OrderEnd(client_order_id="trader-1", coin="BTC", reason="why", sim_time_ns=30)


class TestMailbox:
    @pytest.mark.parametrize(
        ("notice", "slot"),
        [
            (OrderCancelled(**WHO, reason="why"), "ends"),  # type: ignore[arg-type]
            (OrderExpired(**WHO, reason="why"), "ends"),  # type: ignore[arg-type]
            (OrderRejected(**WHO, reason="why", request=REQUEST, notify_time_ns=30), "rejections"),  # type: ignore[arg-type]
            (RequestRefused(**WHO, reason="why", notify_time_ns=30), "rejections"),  # type: ignore[arg-type]
        ],
    )
    def test_ends_and_refusals_carry_the_time_at_which_they_are_heard(
        self, notice: OrderCancelled | OrderExpired | OrderRejected | RequestRefused, slot: str
    ) -> None:
        mailbox = Mailbox()
        mailbox.deliver(notice, 30)
        assert getattr(mailbox, slot) == [END]
        assert sum(len(getattr(mailbox, name)) for name in ("fills", "rejections", "ends")) == 1
        assert mailbox.reason == Reason.ORDER

    def test_fills_tell_their_component_what_it_may_know_and_no_more(self) -> None:
        mailbox = Mailbox()
        mailbox.deliver(FILLED, 20)
        (fill,) = mailbox.fills
        assert fill == to_fill(FILLED)
        assert (fill.qty, fill.price, fill.fee, fill.sim_time_ns) == (
            Decimal(2),
            Decimal(100),
            Decimal("0.4"),
            20,
        )
        assert not hasattr(fill, "reference_price")

    def test_keeps_the_order_of_what_happened_and_forgets_when_told(self) -> None:
        mailbox = Mailbox()
        mailbox.reason |= Reason.WAKE_UP
        for name in ("trader-1", "trader-2"):
            mailbox.deliver(OrderCancelled(**{**WHO, "client_order_id": name}, reason="why"), 20)  # type: ignore[arg-type]
        assert [end.client_order_id for end in mailbox.ends] == ["trader-1", "trader-2"]
        assert mailbox.reason == Reason.ORDER | Reason.WAKE_UP
        mailbox.clear()
        assert (mailbox.reason, mailbox.fills, mailbox.rejections, mailbox.ends) == (0, [], [], [])
