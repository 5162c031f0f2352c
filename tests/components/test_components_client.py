"""The SDK without a socket: turns, frames of several snapshots, accounts, and every mistake an author can make."""

from __future__ import annotations

import datetime as dt
import decimal
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import Replay
from orchestrator.errors import ConfigError, ProtocolError
from orchestrator.protocol import (
    AccountState,
    Acknowledgement,
    CancelOrder,
    ClosedCandles,
    Fill,
    FillState,
    Frame,
    HistoryQuery,
    InstrumentRules,
    Liquidity,
    OrderEnd,
    OrderType,
    PublishSignal,
    QueryRefused,
    Reason,
    Refused,
    ReplaceOrder,
    SetWakeUp,
    Side,
    Signal,
    SubmitOrder,
    TimeInForce,
)
from tests.components.fake_replay import ACCOUNT, MINUTE_NS, T0, FakeConnection, Turn, first, replay_of, wire

BTC_CANDLES = ClosedCandles(
    "BTC", "1m", struct.pack("<2q", T0, T0 + MINUTE_NS), struct.pack("<10d", *range(10))
)


def fail_in_a_turn(connection: FakeConnection) -> None:
    with replay_of(connection) as replay:
        for _ in replay.snapshots():
            raise RuntimeError("mine")


class TestTurns:
    def test_each_snapshot_is_acknowledged_when_the_next_is_asked_for(self) -> None:
        connection = FakeConnection(first(), wire(2), wire(2, 1, reason=Reason.WAKE_UP, after_ns=5))
        seen = []
        with replay_of(connection) as replay:
            for snapshot in replay.snapshots():
                seen.append((snapshot.sequence, snapshot.step))
                assert len(connection.sent) == len(seen) - 1
        assert seen == [(1, 0), (2, 0), (2, 1)]
        assert connection.sent == [Acknowledgement(*turn) for turn in seen]
        assert connection.is_closed

    def test_the_connection_is_closed_after_an_error_too(self) -> None:
        connection = FakeConnection(first())
        with pytest.raises(RuntimeError, match="mine"):
            fail_in_a_turn(connection)
        assert connection.is_closed
        assert connection.sent == []

    def test_what_is_said_in_a_turn_travels_with_it_in_its_order(self) -> None:
        turn = Turn(first(), wire(2))
        turn.replay.signal("BTC", long=3)
        order = turn.replay.buy("BTC", qty=Decimal("0.10"))
        turn.replay.cancel(order)
        turn.replay.wake_at(turn.snapshot.time + dt.timedelta(minutes=5))
        turn.replay.replace(order, qty=Decimal(2))
        assert turn.connection.sent == []
        assert turn.end() == Acknowledgement(
            1,
            0,
            (
                PublishSignal("BTC", {"long": 3}),
                SubmitOrder(1, "BTC", Side.BUY, Decimal("0.10")),
                CancelOrder(1, "trader-1"),
                SetWakeUp(T0 + 6 * MINUTE_NS),
                ReplaceOrder(2, "trader-1", qty=Decimal(2)),
            ),
        )
        assert turn.end() == Acknowledgement(2, 0)

    def test_counters_go_on_from_turn_to_turn(self) -> None:
        turn = Turn(first(), wire(2))
        ids = [turn.replay.buy("BTC", qty=1), turn.replay.sell("ETH", qty=1)]
        turn.end()
        ids.append(turn.replay.buy("BTC", qty=1))
        turn.replay.cancel(ids[0])
        assert ids == ["trader-1", "trader-2", "trader-3"]
        (order, cancel) = turn.end().instructions
        assert (order, cancel) == (
            SubmitOrder(3, "BTC", Side.BUY, Decimal(1)),
            CancelOrder(1, "trader-1"),
        )

    def test_what_belongs_to_no_loop_is_an_error(self) -> None:
        replay = replay_of(FakeConnection(Refused("no")))
        with pytest.raises(ProtocolError, match="expected market snapshots, received Refused"):
            next(replay.snapshots())

    def test_a_loop_that_was_left_in_the_middle_cannot_be_begun_again(self) -> None:
        # The orchestrator waits for an acknowledgement that would never come: better a word than a stall.
        turn = Turn(first(), wire(2))
        with pytest.raises(ConfigError, match="in the middle of a turn"):
            next(turn.replay.snapshots())
        turn.end()


SPEAK: dict[str, Callable[[Replay], object]] = {
    "signals": lambda replay: replay.signal("BTC", long=1),
    "orders": lambda replay: replay.buy("BTC", qty=1),
    "cancels": lambda replay: replay.cancel("trader-1"),
    "replaces": lambda replay: replay.replace("trader-1", qty=1),
    "sets a wake-up": lambda replay: replay.wake_at(dt.datetime(2030, 1, 1, tzinfo=dt.UTC)),
    "asks for its account": lambda replay: replay.account.cash,
    "asks for history": lambda replay: replay.history("BTC", "1m", 2),
}


class TestFrames:
    def frame(self, n: int = 4) -> Frame:
        return Frame((first(), *(wire(sequence) for sequence in range(2, n + 1))))

    def test_who_says_nothing_sees_all_of_it_and_acknowledges_the_last(self) -> None:
        connection = FakeConnection(self.frame(), wire(5))
        seen = [snapshot.sequence for snapshot in replay_of(connection).snapshots()]
        assert seen == [1, 2, 3, 4, 5]
        assert connection.sent == [Acknowledgement(4, 0), Acknowledgement(5, 0)]

    @pytest.mark.parametrize("what", SPEAK)
    @pytest.mark.parametrize("at", [1, 2, 4])
    def test_who_speaks_or_asks_stops_there_and_drops_the_rest(self, what: str, at: int) -> None:
        answer = [BTC_CANDLES] if what == "asks for history" else []
        connection = FakeConnection(self.frame(), *answer, wire(at + 1))
        replay = replay_of(connection)
        seen = []
        for snapshot in replay.snapshots():
            seen.append(snapshot.sequence)
            if snapshot.sequence == at:
                SPEAK[what](replay)
        assert seen == [*range(1, at + 1), at + 1]
        assert [(ack.sequence, ack.step) for ack in connection.acknowledgements] == [(at, 0), (at + 1, 0)]
        (said, _) = connection.acknowledgements
        assert bool(said.instructions) == (not what.startswith("asks"))

    def test_a_question_is_asked_as_of_its_own_snapshot(self) -> None:
        connection = FakeConnection(self.frame(), BTC_CANDLES)
        replay = replay_of(connection)
        for snapshot in replay.snapshots():
            if snapshot.sequence == 3:
                replay.history("BTC", "5m", 2)
        assert connection.sent == [HistoryQuery(3, 0, "BTC", "5m", 2), Acknowledgement(3, 0)]

    def test_to_look_at_candles_and_signals_is_no_question(self) -> None:
        connection = FakeConnection(self.frame(2))
        for snapshot in replay_of(connection).snapshots():
            assert snapshot["BTC"] is not None
            assert snapshot.signals["BTC"].get("long") is None
            assert snapshot.fills == ()
        assert connection.sent == [Acknowledgement(2, 0)]


class TestNews:
    def test_signals_stay_until_they_change(self) -> None:
        connection = FakeConnection(
            first(signals=(Signal("BTC", "long", 1, T0), Signal("BTC", "mood", "calm", T0))),
            wire(2),
            wire(3, signals=(Signal("BTC", "long", 2, T0 + 1_000),)),
        )
        seen = [dict(snapshot.signals["BTC"]) for snapshot in replay_of(connection).snapshots()]
        assert seen == [{"long": 1, "mood": "calm"}] * 2 + [{"long": 2, "mood": "calm"}]

    def test_a_snapshot_that_was_kept_does_not_learn_of_later_signals(self) -> None:
        connection = FakeConnection(
            first(signals=(Signal("BTC", "long", 1, T0),)), wire(2, signals=(Signal("BTC", "long", 2, T0),))
        )
        kept = list(replay_of(connection).snapshots())
        assert [snapshot.signals["BTC"]["long"] for snapshot in kept] == [1, 2]

    def test_what_became_of_orders_is_told_once(self) -> None:
        one = Decimal(1)
        fill = Fill("trader-1", "BTC", Side.BUY, one, one, one, T0, FillState.FILLED, Liquidity.TAKER)
        end = OrderEnd("trader-2", "BTC", "requested", T0)
        refusal = OrderEnd("trader-3", "BTC", "below_lot", T0)
        connection = FakeConnection(
            first(), wire(2, fills=(fill,), ends=(end,), rejections=(refusal,)), wire(3)
        )
        seen = [(s.fills, s.ends, s.rejections) for s in replay_of(connection).snapshots()]
        assert seen == [((), (), ()), ((fill,), (end,), (refusal,)), ((), (), ())]

    def test_the_account_stays_until_it_changes(self) -> None:
        later = AccountState(Decimal(7), Decimal(0), {"ETH": Decimal(3)}, {})
        connection = FakeConnection(first(), wire(2), wire(3, account=later))
        replay = replay_of(connection)
        accounts = [replay.account for _ in replay.snapshots()]
        assert [account.cash for account in accounts] == [1_000, 1_000, 7]
        assert [account.holdings["BTC"] for account in accounts] == [2, 2, 0]
        assert [account.holdings["ETH"] for account in accounts] == [0, 0, 3]


class TestAccount:
    def test_says_what_is_there_and_what_is_free(self) -> None:
        account = Turn().replay.account
        assert (account.cash, account.cash_available) == (ACCOUNT.cash, Decimal(900))
        assert dict(account.holdings) == {"BTC": Decimal(2), "ETH": Decimal(0), "DOGE": Decimal(0)}
        assert dict(account.holdings_available) == {
            "BTC": Decimal("1.5"),
            "ETH": Decimal(0),
            "DOGE": Decimal(0),
        }

    def test_a_coin_that_is_not_in_the_run(self) -> None:
        account = Turn().replay.account
        with pytest.raises(
            ConfigError, match="'btc' is not in this run; its coins are BTC, ETH, DOGE; did you mean 'BTC'"
        ):
            account.holdings["btc"]

    def test_must_come_with_the_first_snapshot(self) -> None:
        with pytest.raises(ProtocolError, match="no account"):
            _ = Turn(wire(1)).replay.account


class TestAbout:
    def test_what_a_component_may_know_of_the_run(self) -> None:
        replay = Turn(params={"fraction": 0.5}).replay
        assert (replay.name, replay.coins, replay.currency) == ("trader", ("BTC", "ETH", "DOGE"), "USD")
        assert replay.timeframe == "1m"
        assert (replay.start, replay.end) == (
            dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
            dt.datetime(2024, 1, 1, 1, tzinfo=dt.UTC),
        )
        assert replay.params["fraction"] == 0.5
        assert replay.instruments["BTC"].lot_size == Decimal("0.001")
        with pytest.raises(TypeError):
            replay.params["fraction"] = 1  # type: ignore[index]


class TestOrders:
    @pytest.mark.parametrize(
        ("prices", "kind"),
        [
            ({}, OrderType.MARKET),
            ({"limit_price": Decimal(5)}, OrderType.LIMIT),
            ({"stop_price": Decimal(6)}, OrderType.STOP),
            ({"limit_price": Decimal(5), "stop_price": Decimal(6)}, OrderType.STOP_LIMIT),
        ],
    )
    @pytest.mark.parametrize("side", Side)
    def test_the_prices_make_the_type(self, side: Side, prices: dict[str, Decimal], kind: OrderType) -> None:
        turn = Turn()
        getattr(turn.replay, side)("BTC", qty=Decimal(2), **prices)
        limit, stop = prices.get("limit_price"), prices.get("stop_price")
        assert turn.end().instructions == (SubmitOrder(1, "BTC", side, Decimal(2), kind, limit, stop),)

    @pytest.mark.parametrize("force", [*TimeInForce, "IOC", "GTC", "FOK"])
    def test_times_in_force_by_name_or_member(self, force: TimeInForce | str) -> None:
        turn = Turn()
        expires = dt.datetime(2024, 1, 1, 0, 30, tzinfo=dt.timezone(dt.timedelta(hours=-1)))
        until = expires if force == "GTD" else None
        turn.replay.buy("BTC", qty=1, time_in_force=force, expires_at=until)
        (order,) = turn.end().instructions
        assert isinstance(order, SubmitOrder)
        assert order.time_in_force == force
        assert order.expire_time_ns == (T0 + 90 * MINUTE_NS if until else None)

    @given(st.decimals("0.00000001", "1e15", places=20) | st.integers(1, 10**15))
    def test_decimals_and_whole_numbers_are_taken_as_they_are(self, qty: Decimal | int) -> None:
        turn = Turn()
        turn.replay.sell("ETH", qty=qty, limit_price=qty, stop_price=qty)
        (order,) = turn.end().instructions
        assert isinstance(order, SubmitOrder)
        for number in (order.qty, order.limit_price, order.stop_price):
            assert type(number) is Decimal
            assert str(number) == str(Decimal(qty))

    @given(
        st.decimals(0, "1e25", places=20),
        st.sampled_from(["1", "0.001", "0.00000001", "1000", "0.5"]),
    )
    def test_a_quantity_is_rounded_down_to_whole_lots(self, qty: Decimal, lot: str) -> None:
        rules = InstrumentRules(tick_size=Decimal(1), lot_size=Decimal(lot), min_notional=Decimal(1))
        rounded = Turn(instruments={"BTC": rules}).replay.round_qty("BTC", qty)
        with decimal.localcontext(prec=100):
            assert 0 <= qty - rounded < Decimal(lot)
            assert rounded % Decimal(lot) == 0


class TestSignals:
    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            (3, int),
            (-(2**63), int),
            (2**64 - 1, int),
            (0.25, float),
            ("up", str),
            (True, bool),
            (np.float64(0.25), float),
            (Side.BUY, str),
            (Reason.TICK, int),
        ],
    )
    def test_what_can_be_said_is_said_in_plain_values(self, value: Any, kind: type) -> None:
        turn = Turn()
        turn.replay.signal("BTC", it=value)
        (said,) = turn.end().instructions
        assert isinstance(said, PublishSignal)
        assert type(said.values["it"]) is kind
        assert said.values["it"] == value


class TestHistory:
    def test_comes_as_columns(self) -> None:
        turn = Turn(first(), BTC_CANDLES)
        candles = turn.replay.history("BTC", "1m", 2)
        assert (candles.coin, candles.timeframe, len(candles)) == ("BTC", "1m", 2)
        assert list(candles.open_time_ns) == [T0, T0 + MINUTE_NS]
        assert candles.times[0] == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
        columns = [candles.open, candles.high, candles.low, candles.close, candles.volume]
        assert [list(column) for column in columns] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
        assert np.asarray(candles.close).dtype == np.float64

    def test_may_be_empty(self) -> None:
        candles = Turn(first(), ClosedCandles("BTC", "1m", b"", b"")).replay.history("BTC", "1m", 2)
        assert (len(candles), list(candles.close), candles.times) == (0, [], [])

    def test_what_the_orchestrator_cannot_answer_is_said_in_its_words(self) -> None:
        turn = Turn(first(), QueryRefused("timeframe 7m cannot be made of this run's 1m candles"))
        with pytest.raises(ConfigError, match="7m cannot be made"):
            turn.replay.history("BTC", "7m", 2)

    def test_another_answer_is_an_error(self) -> None:
        turn = Turn(first(), wire(2))
        with pytest.raises(ProtocolError, match="expected candles, received Frame"):
            turn.replay.history("BTC", "1m", 2)


NAIVE = dt.datetime(2024, 1, 2)  # noqa: DTZ001 - the mistake
BIG = Decimal("1e70")

# A mistake of an author -> what must be said about it.
MISTAKES: list[tuple[str, Callable[[Any], object], str]] = [
    (
        "float quantity",
        lambda r: r.buy("BTC", qty=0.1),
        "qty is the float 0.1; money is exact here: write Decimal('0.1')",
    ),
    ("numpy float", lambda r: r.buy("BTC", qty=np.float64(0.1)), "qty is the float 0.1; money is exact"),
    ("numpy int", lambda r: r.buy("BTC", qty=np.int64(1)), "qty has the type int64; write a Decimal"),
    ("text quantity", lambda r: r.buy("BTC", qty="1"), "qty has the type str; write a Decimal"),
    ("truth quantity", lambda r: r.buy("BTC", qty=True), "qty has the type bool"),
    ("no quantity", lambda r: r.buy("BTC", qty=None), "qty has the type NoneType"),
    ("zero", lambda r: r.sell("BTC", qty=Decimal(0)), "qty is 0; it must be above 0"),
    ("negative", lambda r: r.sell("BTC", qty=-1), "qty is -1; it must be above 0"),
    ("not a number", lambda r: r.sell("BTC", qty=Decimal("NaN")), "qty is NaN; it must be a finite number"),
    (
        "infinite",
        lambda r: r.sell("BTC", qty=Decimal("Infinity")),
        "qty is Infinity; it must be a finite number",
    ),
    ("huge", lambda r: r.buy("BTC", qty=BIG), "at most 64 digits on either side of the point"),
    ("tiny", lambda r: r.buy("BTC", qty=1 / BIG), "at most 64 digits"),
    ("float limit", lambda r: r.buy("BTC", qty=1, limit_price=99.5), "limit_price is the float 99.5"),
    ("float stop", lambda r: r.buy("BTC", qty=1, stop_price=99.5), "stop_price is the float 99.5"),
    ("zero limit", lambda r: r.buy("BTC", qty=1, limit_price=0), "limit_price is 0; it must be above 0"),
    (
        "unknown coin",
        lambda r: r.buy("XRP", qty=1),
        "coin 'XRP' is not in this run; its coins are BTC, ETH, DOGE",
    ),
    ("symbol for a coin", lambda r: r.buy("BTC-USD", qty=1), "did you mean 'BTC'?"),
    ("small letters", lambda r: r.signal("doge", x=1), "coin 'doge' is not in this run"),
    ("no coin", lambda r: r.signal(None, x=1), "coin None is not in this run"),
    (
        "unknown force",
        lambda r: r.buy("BTC", qty=1, time_in_force="gtc"),
        "time_in_force 'gtc' is not known; use GTC, IOC, FOK, GTD",
    ),
    (
        "no end",
        lambda r: r.buy("BTC", qty=1, time_in_force="GTD"),
        'expires_at belongs to time_in_force="GTD"',
    ),
    (
        "end of nothing",
        lambda r: r.buy("BTC", qty=1, expires_at=NAIVE),
        'expires_at belongs to time_in_force="GTD"',
    ),
    (
        "naive end",
        lambda r: r.buy("BTC", qty=1, time_in_force="GTD", expires_at=NAIVE),
        "has no timezone; use snapshot.time",
    ),
    ("naive wake-up", lambda r: r.wake_at(NAIVE), "has no timezone; use snapshot.time + timedelta"),
    (
        "span for a time",
        lambda r: r.wake_at(dt.timedelta(minutes=1)),
        "is no datetime; use snapshot.time + timedelta",
    ),
    ("seconds for a time", lambda r: r.wake_at(1_704_067_300), "time 1704067300 is no datetime"),
    (
        "wake-up now",
        lambda r: r.wake_at(dt.datetime(2024, 1, 1, 0, 1, tzinfo=dt.UTC)),
        "is not later than now, 2024-01-01T00:01:00",
    ),
    (
        "wake-up in the past",
        lambda r: r.wake_at(dt.datetime(2023, 1, 1, tzinfo=dt.UTC)),
        "is not later than now",
    ),
    ("silent signal", lambda r: r.signal("BTC"), 'says nothing; name a value, such as signal("BTC", long=3)'),
    (
        "decimal signal",
        lambda r: r.signal("BTC", x=Decimal(1)),
        "signal x has the type Decimal; int, float, str or bool",
    ),
    ("list signal", lambda r: r.signal("BTC", x=[1]), "signal x has the type list"),
    ("no signal", lambda r: r.signal("BTC", x=None), "signal x has the type NoneType"),
    (
        "nan signal",
        lambda r: r.signal("BTC", x=float("nan")),
        "signal x is nan; leave it out until it is a finite number",
    ),
    ("infinite signal", lambda r: r.signal("BTC", x=np.float64("inf")), "signal x is inf"),
    ("long signal", lambda r: r.signal("BTC", x=2**70), "signal x has more than 64 bits"),
    (
        "order for an id",
        lambda r: r.cancel(SubmitOrder(1, "BTC", Side.BUY, Decimal(1))),
        "use what buy or sell returned",
    ),
    ("no id", lambda r: r.cancel(None), "client_order_id None is not one"),
    ("number for an id", lambda r: r.replace(1, qty=1), "client_order_id 1 is not one"),
    (
        "replace nothing",
        lambda r: r.replace("trader-1"),
        "replace changes nothing; give qty, limit_price or stop_price",
    ),
    ("float replace", lambda r: r.replace("trader-1", qty=0.5), "qty is the float 0.5"),
    (
        "history of nothing",
        lambda r: r.history("BTC", "1m", 0),
        "count 0 is not allowed; a whole number from 1 to 100000",
    ),
    ("history of too much", lambda r: r.history("BTC", "1m", 100_001), "count 100001 is not allowed"),
    ("history of a share", lambda r: r.history("BTC", "1m", 1.5), "count 1.5 is not allowed"),
    ("history of a truth", lambda r: r.history("BTC", "1m", True), "count True is not allowed"),
    (
        "minutes for a timeframe",
        lambda r: r.history("BTC", 60, 5),
        'timeframe 60 is not understood; write such as "5m"',
    ),
    ("history of another coin", lambda r: r.history("XRP", "1m", 5), "coin 'XRP' is not in this run"),
    ("float to round", lambda r: r.round_qty("BTC", 0.5), "qty is the float 0.5; money is exact here"),
    ("nan to round", lambda r: r.round_qty("BTC", Decimal("NaN")), "qty is NaN"),
    ("other coin to round", lambda r: r.round_qty("XRP", Decimal(1)), "coin 'XRP' is not in this run"),
]


@pytest.mark.parametrize(
    ("mistake", "said"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES]
)
def test_a_mistake_is_said_in_the_author_s_terms_and_leaves_no_trace(
    mistake: Callable[[Replay], object], said: str
) -> None:
    turn = Turn()
    with pytest.raises(ConfigError) as error:
        mistake(turn.replay)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    # Who catches it goes on: numbers have no gap, nothing half-said is sent.
    assert turn.replay.buy("BTC", qty=1) == "trader-1"
    turn.replay.cancel("trader-1")
    assert turn.end().instructions == (
        SubmitOrder(1, "BTC", Side.BUY, Decimal(1)),
        CancelOrder(1, "trader-1"),
    )


CALLS: dict[str, Callable[[Replay], object]] = {**SPEAK, "sells": lambda replay: replay.sell("BTC", qty=1)}


@pytest.mark.parametrize("what", CALLS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_call_outside_the_loop_says_where_it_belongs(what: str, when: str) -> None:
    connection = FakeConnection(first())
    replay = replay_of(connection)
    if when == "after":
        assert len(list(replay.snapshots())) == 1
    with pytest.raises(ConfigError, match=r"was called outside the loop; call it inside `for snapshot in"):
        CALLS[what](replay)


def test_to_round_a_quantity_needs_no_loop() -> None:
    assert replay_of(FakeConnection()).round_qty("BTC", Decimal("0.12345")) == Decimal("0.123")
