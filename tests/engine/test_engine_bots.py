"""Unmodified bots in the engine: when each is let go on, how far it may run, and what its requests meet."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from orchestrator.config import ExecutionModelSettings
from orchestrator.engine.bots import BotCall, BotProcess
from orchestrator.engine.commands import Command, GrantTurn, WakeComponent, Write
from orchestrator.engine.engine import ComponentPlace, Engine
from orchestrator.engine.trainings import TrainingTimes
from orchestrator.errors import CausalityError, ProtocolError
from orchestrator.exchange.events import OrderAccepted, OrderFilled, Outcome
from orchestrator.exchange.exchange import Exchange
from orchestrator.exchange.instruments import Instrument
from orchestrator.protocol import Acknowledgement, Side
from orchestrator.runs.records import OrderRecord
from orchestrator.venues.desk import NewOrder
from tests.engine.markets import MINUTE, SECOND, T0, FakeMarket

REQUEST_NS = SECOND // 20
LATENCY_MS = 200


class Answer(NamedTuple):
    takes_ns: int | None = None
    said: Any = None


class Buy(NamedTuple):
    """A request that buys so much of BTC."""

    qty: str


class FakeVenues:
    """Answers with the time of the request; buys when it is asked to."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.asked: list[tuple[str, int]] = []

    def answer(self, request: Any, desk: Any) -> Answer:
        self.asked.append((desk.component, desk.now_ns))
        if isinstance(request, Buy):
            return Answer(said=desk.submit(NewOrder(coin="BTC", side=Side.BUY, qty=Decimal(request.qty))))
        if request == "slow":
            return Answer(takes_ns=7 * SECOND)
        return Answer(said=desk.account_state())

    def note(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


class Floor:
    """An engine with bots, driven call by call."""

    def __init__(
        self, *components: tuple[str, int, bool], minutes: int = 5, trainings: tuple[float, ...] = ()
    ) -> None:
        market = FakeMarket({"BTC": [100.0 + minute for minute in range(minutes)]})
        rules = {"tick_size": Decimal("0.01"), "lot_size": Decimal("0.001"), "min_notional": Decimal(1)}
        exchange = Exchange(
            market=market,
            coins=market.coins,
            instruments={"BTC": Instrument(coin="BTC", **rules)},
            model=ExecutionModelSettings(
                latency_model="fixed",
                latency_fixed_ms=Decimal(LATENCY_MS),
                slippage_bps=Decimal(0),
                fee_bps=Decimal(0),
                liquidity_model="unlimited",
            ).resolved(),
            accounts={"main": Decimal(10_000)},
            seed=7,
            end_ns=market.end_ns,
        )
        self.venues = FakeVenues()
        self.engine = Engine(
            market=market,
            history=market.history,
            exchange=exchange,
            components=tuple(
                ComponentPlace(name=name, stage=stage, account="main", is_bot=is_bot)
                for name, stage, is_bot in components
            ),
            currency="USD",
            sim_start_ns=market.start_ns,
            sim_end_ns=market.end_ns,
            coin_ends=market.coin_ends,
            venues=self.venues,
            request_latency_ns=REQUEST_NS,
            trainings=TrainingTimes(tuple(map(at, trainings))),
        )
        assert self.engine.bots is not None
        self.bots = self.engine.bots
        self.commands: list[Command] = []

    def start(self, *places: int) -> None:
        """All begin, then all say hello, the last one first."""
        for place in places:
            self.bots.begins(first(place))
        for place in reversed(places):
            self.commands += self.bots.blocks(first(place), BotCall(T0, T0))

    def until_granted(self) -> GrantTurn:
        """Let time pass until somebody is granted a turn."""
        for _ in range(1_000):
            grants: list[GrantTurn] = self.take(GrantTurn)
            if grants:
                assert len(grants) == 1
                return grants[0]
            self.commands += self.engine.advance()
        raise AssertionError("nobody was granted anything")

    def take(self, kind: type[Any]) -> list[Any]:
        found = [command for command in self.commands if isinstance(command, kind)]
        self.commands = [command for command in self.commands if not isinstance(command, kind)]
        return found

    def sleep(self, process: BotProcess, now: float, until: float | None) -> None:
        call = BotCall(at(now), None if until is None else at(until))
        self.commands += self.bots.blocks(process, call)

    def ask(self, process: BotProcess, now: float, request: Any = "account") -> None:
        self.commands += self.bots.blocks(process, BotCall(at(now), at(now), request))


def first(place: int) -> BotProcess:
    return BotProcess(place, (0,))


def at(seconds: float) -> int:
    return T0 + round(seconds * SECOND)


def shown(grant: GrantTurn) -> tuple[int, float, float]:
    """Who goes on, at which own time, and how far without asking; seconds since the start."""
    return grant.process.place, (grant.sim_time_ns - T0) / SECOND, (grant.horizon_ns - T0) / SECOND


def test_first_turns_come_before_the_first_tick_in_declared_order() -> None:
    floor = Floor(("thinker", 1, True), ("trader", 2, True))
    floor.start(0, 1)
    assert shown(floor.until_granted()) == (0, 0, 0)  # the other waits at the same time: not a step further
    floor.sleep(first(0), 0, 30)
    assert shown(floor.until_granted())[:2] == (1, 0)


def test_a_stage_comes_before_the_declared_order() -> None:
    floor = Floor(("trader", 2, True), ("thinker", 1, True))
    floor.start(0, 1)
    assert shown(floor.until_granted())[0] == 1


def test_nobody_goes_on_while_one_is_starting() -> None:
    floor = Floor(("thinker", 1, True), ("trader", 2, True))
    floor.bots.begins(first(0))
    floor.bots.begins(first(1))
    floor.commands += floor.bots.blocks(first(0), BotCall(T0, T0))
    assert not floor.take(GrantTurn)
    assert floor.engine.is_waiting
    with pytest.raises(CausalityError, match="while trader are at work"):
        floor.engine.advance()


def test_the_horizon_is_just_before_the_next_one_wakes() -> None:
    floor = Floor(("thinker", 1, True), ("trader", 2, True))
    floor.start(0, 1)
    floor.until_granted()
    floor.sleep(first(0), 0, 30)
    grant = floor.until_granted()
    assert grant.horizon_ns == at(30) - 1


def test_alone_the_horizon_is_the_end_of_the_run() -> None:
    floor = Floor(("thinker", 1, True), minutes=5)
    floor.start(0)
    assert floor.until_granted().horizon_ns == at(300) - 1


def test_a_start_that_is_pending_keeps_everyone_from_running_ahead() -> None:
    floor = Floor(("thinker", 1, True), ("trader", 2, True))
    floor.bots.is_start_pending = True
    floor.start(0)
    assert floor.until_granted().horizon_ns == T0


def test_an_sdk_component_bounds_the_horizon_by_the_next_tick() -> None:
    floor = Floor(("thinker", 1, True), ("trader", 2, False))
    floor.start(0)
    assert floor.until_granted().horizon_ns == T0 + MINUTE - 1


def test_requests_are_answered_in_the_order_of_time_not_of_asking() -> None:
    floor = Floor(("a", 1, True), ("b", 1, True))
    floor.start(0, 1)
    floor.until_granted()
    floor.ask(first(0), 50)  # it had run far ahead
    floor.until_granted()
    floor.ask(first(1), 20)
    assert shown(floor.until_granted())[:2] == (1, 20.05)
    floor.sleep(first(1), 20.05, 100)
    assert shown(floor.until_granted())[:2] == (0, 50.05)
    assert floor.venues.asked == [("b", at(20)), ("a", at(50))]


def test_a_request_meets_the_ticks_before_it() -> None:
    floor = Floor(("thinker", 1, True))
    floor.start(0)
    floor.until_granted()
    floor.ask(first(0), 130)
    floor.until_granted()
    assert floor.engine.clock.sequence == 2
    assert floor.engine.clock.sim_time_ns == at(130)


def test_an_answer_may_take_its_own_time() -> None:
    floor = Floor(("thinker", 1, True))
    floor.start(0)
    floor.until_granted()
    floor.ask(first(0), 1, "slow")
    assert shown(floor.until_granted())[1] == 8


def test_who_goes_on_at_the_same_time_keeps_the_turn() -> None:
    floor = Floor(("a", 1, True), ("b", 1, True))
    floor.start(0, 1)
    floor.until_granted()
    floor.ask(first(0), 0)  # at the time of its turn: answered before b begins
    assert shown(floor.until_granted())[:2] == (0, 0.05)
    floor.sleep(first(0), 0.05, 10)
    assert shown(floor.until_granted())[:2] == (1, 0)


def test_who_never_trades_is_not_concerned_by_the_orders_of_others() -> None:
    floor = Floor(("thinker", 1, True), ("trader", 1, True))
    floor.start(0, 1)
    floor.until_granted()
    floor.sleep(first(0), 0, 65.1)  # while the order of the other is on its way
    floor.until_granted()
    floor.ask(first(1), 65, Buy("1"))
    grant = floor.until_granted()
    assert (grant.process, grant.has_open_orders) == (first(1), True)
    floor.sleep(first(1), 65.05, 65.15)
    grants = [floor.until_granted()]
    floor.sleep(first(0), 65.1, 70)
    grants.append(floor.until_granted())
    assert [(grant.process, grant.has_open_orders) for grant in grants] == [
        (first(0), False),
        (first(1), True),
    ]


def test_an_order_is_placed_at_the_time_of_the_request_and_fills_after_its_latency() -> None:
    floor = Floor(("trader", 1, True))
    floor.start(0)
    floor.until_granted()
    floor.sleep(first(0), 0, 65)
    assert not floor.until_granted().has_open_orders
    floor.ask(first(0), 65, Buy("1"))
    grant = floor.until_granted()
    assert isinstance(grant.answer.said, OrderAccepted)
    assert grant.has_open_orders
    [order] = [c.record for c in floor.take(Write) if isinstance(c.record, OrderRecord)]
    assert (order.client_order_id, order.sim_time_ns, order.sequence) == ("trader-1", at(65), 1)
    floor.ask(first(0), 66)
    grant = floor.until_granted()
    assert not grant.has_open_orders
    [fill] = [o for o in floor.venues.outcomes if isinstance(o, OrderFilled)]
    assert fill.sim_time_ns == at(65.2)
    assert grant.answer.said.holdings == {"BTC": Decimal(1)}


def test_bots_and_sdk_components_take_turns_at_a_tick() -> None:
    floor = Floor(("sdk", 1, False), ("bot", 1, True), ("last", 2, False))
    floor.start(1)
    floor.until_granted()
    floor.sleep(first(1), 0, 60)
    floor.commands += floor.engine.advance()
    [woken] = floor.take(WakeComponent)
    assert woken.component == 0  # beside a bot nobody works at the same time
    floor.commands += floor.engine.handle(0, Acknowledgement(1, 0))
    [grant] = floor.take(GrantTurn)
    assert grant.horizon_ns == T0 + MINUTE  # another one waits at this time
    floor.sleep(first(1), 60, 300)
    [woken] = floor.take(WakeComponent)
    assert woken.component == 2


def test_nobody_runs_ahead_of_a_training() -> None:
    floor = Floor(("bot", 1, True), trainings=(90,))
    floor.start(0)
    assert shown(floor.until_granted()) == (0, 0, 89.999999999)


def test_time_stands_still_while_a_child_works() -> None:
    floor = Floor(("bot", 1, True))
    floor.start(0)
    floor.until_granted()
    child = BotProcess(0, (0, 1))
    floor.bots.begins(child)
    floor.sleep(first(0), 0, 10)
    assert floor.engine.is_waiting
    floor.commands += floor.bots.blocks(child, BotCall(T0, T0))
    assert floor.until_granted().process == child
    floor.sleep(child, 0, 40)
    assert shown(floor.until_granted()) == (0, 10, 39.999999999)


def test_a_parent_that_waits_goes_on_when_its_child_is_gone() -> None:
    floor = Floor(("bot", 1, True))
    floor.start(0)
    floor.until_granted()
    child = BotProcess(0, (0, 1))
    floor.bots.begins(child)
    floor.commands += floor.bots.blocks(first(0), BotCall(at(3), at(200)))  # its own time is ahead
    floor.commands += floor.bots.blocks(child, BotCall(T0, T0))
    floor.until_granted()
    floor.commands += floor.bots.may_go_on(first(0), T0)
    floor.commands += floor.bots.ends(child)
    assert shown(floor.until_granted())[:2] == (0, 3)
    floor.sleep(first(0), 3, 250)
    assert shown(floor.until_granted())[:2] == (0, 250)  # what it was to wake up for before is forgotten


@pytest.mark.parametrize(("until", "goes_on"), [(None, 4), (200, 4), (2, 2)])
def test_a_parent_goes_on_at_the_time_that_its_child_had_reached(until: float | None, goes_on: float) -> None:
    floor = Floor(("bot", 1, True))
    floor.start(0)
    floor.until_granted()
    child = BotProcess(0, (0, 1))
    floor.bots.begins(child)
    floor.sleep(first(0), 1, until)
    floor.commands += floor.bots.may_go_on(first(0), at(4))
    floor.commands += floor.bots.ends(child)
    assert shown(floor.until_granted())[:2] == (0, goes_on)


def test_a_turn_that_was_to_come_is_given_once() -> None:
    floor = Floor(("bot", 1, True))
    floor.start(0)
    floor.until_granted()
    child = BotProcess(0, (0, 1))
    floor.bots.begins(child)
    floor.sleep(first(0), 0, 0)
    floor.commands += floor.bots.may_go_on(first(0), T0)
    floor.commands += floor.bots.ends(child)
    assert shown(floor.until_granted())[:2] == (0, 0)
    floor.sleep(first(0), 0, 10)
    assert shown(floor.until_granted())[:2] == (0, 10)


def test_one_that_is_gone_is_never_granted_anything() -> None:
    floor = Floor(("a", 1, True), ("b", 1, True))
    floor.start(0, 1)
    floor.until_granted()
    floor.sleep(first(0), 0, 10)
    floor.until_granted()
    floor.sleep(first(1), 0, 20)
    floor.commands += floor.bots.ends(first(0))
    assert shown(floor.until_granted())[:2] == (1, 20)


def test_a_call_of_one_that_is_blocked_is_an_error() -> None:
    floor = Floor(("a", 1, True))
    floor.start(0)
    floor.until_granted()
    floor.sleep(first(0), 0, 10)
    with pytest.raises(ProtocolError, match="called while it was blocked"):
        floor.sleep(first(0), 0, 11)


def test_the_run_ends_with_everyone_asleep() -> None:
    floor = Floor(("a", 1, True))
    floor.start(0)
    floor.until_granted()
    floor.sleep(first(0), 0, None)
    for _ in range(10):
        if floor.engine.is_over:
            break
        floor.commands += floor.engine.advance()
    assert floor.engine.is_over
    assert floor.engine.clock.sequence == 5
