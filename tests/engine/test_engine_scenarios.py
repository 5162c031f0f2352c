"""Small scenarios against a graph of causes written in the test: who acts because of what, all inputs accounted for.

A node is a turn (`trader 1.1`) or a tick; an edge says why its end came to be. Every component says at every turn
which turn it is, so that each word that is heard can be traced to where it was said.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TypeVar

import msgspec
import pytest

from orchestrator.protocol import (
    Acknowledgement,
    CancelOrder,
    Fill,
    Instruction,
    OrderEnd,
    OrderType,
    PublishSignal,
    Reason,
    SetWakeUp,
    Side,
    SubmitOrder,
)
from tests.engine.markets import FakeMarket
from tests.engine.plays import LATENCY_MS, Play, Script, at_minute, make_engine

LATENCY_MINUTES = LATENCY_MS / 60_000


Kind = TypeVar("Kind")


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A run: its components with their stages, what they ask for, and the graph of causes that follows.

    In the graph, `A -> B` is written once for each cause: a tick, a word that was said (`says`), an order
    (`order`) or a wake-up (`wakes`).
    """

    name: str
    components: tuple[tuple[str, int], ...]
    script: Script
    graph: str
    minutes: int = 3
    cash: int = 10_000


class Speaking(Play):
    """A play whose components say at every turn which turn it is."""

    def _answer(self, place: int) -> Acknowledgement:
        answer = super()._answer(place)
        clock = self.engine.clock
        word = PublishSignal("BTC", {self.names[place]: f"{self.names[place]} {clock.sequence}.{clock.step}"})
        return msgspec.structs.replace(answer, instructions=(*answer.instructions, word))


def buy(number: int, qty: str = "1", limit: int | None = None) -> SubmitOrder:
    if limit is None:
        return SubmitOrder(number, "BTC", Side.BUY, Decimal(qty))
    return SubmitOrder(number, "BTC", Side.BUY, Decimal(qty), OrderType.LIMIT, Decimal(limit))


SCENARIOS = (
    Scenario(
        name="a thinker is heard by the trader at the same tick and by itself at the next",
        components=(("thinker", 1), ("trader", 2)),
        script={},
        minutes=2,
        graph="""
            tick 1 -> thinker 1.0
            tick 1 -> trader 1.0
            thinker 1.0 says -> trader 1.0
            tick 2 -> thinker 2.0
            tick 2 -> trader 2.0
            thinker 1.0 says -> thinker 2.0
            thinker 2.0 says -> trader 2.0
            trader 1.0 says -> trader 2.0
        """,
    ),
    Scenario(
        name="a fill wakes its trader alone",
        components=(("thinker", 1), ("trader", 2)),
        script={"trader 1.0": (buy(1),)},
        minutes=2,
        graph="""
            tick 1 -> thinker 1.0
            tick 1 -> trader 1.0
            thinker 1.0 says -> trader 1.0
            trader 1.0 order -> trader 1.1
            trader 1.0 says -> trader 1.1
            tick 2 -> thinker 2.0
            tick 2 -> trader 2.0
            thinker 1.0 says -> thinker 2.0
            thinker 2.0 says -> trader 2.0
            trader 1.1 says -> trader 2.0
        """,
    ),
    Scenario(
        name="two thinkers of one stage hear one another a turn later, the trader both at once",
        components=(("left", 1), ("right", 1), ("trader", 2)),
        script={},
        minutes=2,
        graph="""
            tick 1 -> left 1.0
            tick 1 -> right 1.0
            tick 1 -> trader 1.0
            left 1.0 says -> trader 1.0
            right 1.0 says -> trader 1.0
            tick 2 -> left 2.0
            tick 2 -> right 2.0
            tick 2 -> trader 2.0
            left 1.0 says -> left 2.0
            right 1.0 says -> left 2.0
            left 1.0 says -> right 2.0
            right 1.0 says -> right 2.0
            left 2.0 says -> trader 2.0
            right 2.0 says -> trader 2.0
            trader 1.0 says -> trader 2.0
        """,
    ),
    Scenario(
        name="what is said between two ticks is heard at once by who wakes then in a later stage, else at the tick",
        components=(("thinker", 1), ("trader", 2), ("watcher", 3)),
        script={"thinker 1.0": (SetWakeUp(at_minute(1.5)),), "watcher 1.0": (SetWakeUp(at_minute(1.5)),)},
        minutes=2,
        graph="""
            tick 1 -> thinker 1.0
            tick 1 -> trader 1.0
            tick 1 -> watcher 1.0
            thinker 1.0 says -> trader 1.0
            thinker 1.0 says -> watcher 1.0
            trader 1.0 says -> watcher 1.0
            thinker 1.0 wakes -> thinker 1.1
            thinker 1.0 says -> thinker 1.1
            watcher 1.0 wakes -> watcher 1.1
            thinker 1.1 says -> watcher 1.1
            watcher 1.0 says -> watcher 1.1
            tick 2 -> thinker 2.0
            tick 2 -> trader 2.0
            tick 2 -> watcher 2.0
            thinker 1.1 says -> thinker 2.0
            thinker 2.0 says -> trader 2.0
            trader 1.0 says -> trader 2.0
            thinker 2.0 says -> watcher 2.0
            trader 2.0 says -> watcher 2.0
            watcher 1.1 says -> watcher 2.0
        """,
    ),
    Scenario(
        name="a rejection takes as long as a fill, and a cancel as long again",
        components=(("trader", 1),),
        script={
            "trader 1.0": (buy(1, "1000"), buy(2, limit=1)),
            "trader 1.1": (CancelOrder(1, "trader-2"),),
        },
        minutes=2,
        graph="""
            tick 1 -> trader 1.0
            trader 1.0 order -> trader 1.1
            trader 1.0 says -> trader 1.1
            trader 1.1 order -> trader 1.2
            trader 1.0 order -> trader 1.2
            trader 1.1 says -> trader 1.2
            tick 2 -> trader 2.0
            trader 1.2 says -> trader 2.0
        """,
    ),
    Scenario(
        name="a fill and a wake-up of two components at one time are one moment, in stages",
        components=(("watcher", 1), ("trader", 2)),
        script={"trader 1.0": (buy(1),), "watcher 1.0": (SetWakeUp(at_minute(1 + LATENCY_MINUTES)),)},
        minutes=2,
        graph="""
            tick 1 -> watcher 1.0
            tick 1 -> trader 1.0
            watcher 1.0 says -> trader 1.0
            watcher 1.0 wakes -> watcher 1.1
            watcher 1.0 says -> watcher 1.1
            trader 1.0 order -> trader 1.1
            watcher 1.1 says -> trader 1.1
            trader 1.0 says -> trader 1.1
            tick 2 -> watcher 2.0
            tick 2 -> trader 2.0
            watcher 1.1 says -> watcher 2.0
            watcher 2.0 says -> trader 2.0
            trader 1.1 says -> trader 2.0
        """,
    ),
    Scenario(
        name="the first in declared order takes the cash, the second hears of its rejection when the first of its fill",
        components=(("first", 1), ("second", 1)),
        script={"first 1.0": (buy(1),), "second 1.0": (buy(1),)},
        minutes=2,
        cash=150,
        graph="""
            tick 1 -> first 1.0
            tick 1 -> second 1.0
            first 1.0 order -> first 1.1
            second 1.0 order -> second 1.1
            first 1.0 says -> first 1.1
            second 1.0 says -> first 1.1
            first 1.0 says -> second 1.1
            second 1.0 says -> second 1.1
            tick 2 -> first 2.0
            tick 2 -> second 2.0
            first 1.1 says -> first 2.0
            second 1.1 says -> first 2.0
            first 1.1 says -> second 2.0
            second 1.1 says -> second 2.0
        """,
    ),
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[s.name for s in SCENARIOS])
@pytest.mark.parametrize("is_reversed", [False, True], ids=["declared order", "reverse order"])
def test_everything_happens_because_of_what_the_graph_says(scenario: Scenario, is_reversed: bool) -> None:
    market = FakeMarket({"BTC": [100.0] * scenario.minutes})
    names = tuple(name for name, _ in scenario.components)
    play = Speaking(
        make_engine(market, scenario.components, cash=scenario.cash),
        names,
        scenario.script,
        order=lambda woken: sorted(woken, reverse=is_reversed),
    )
    play.run()
    expected = [line.strip() for line in scenario.graph.strip().splitlines()]
    assert len(expected) == len(set(expected))
    assert sorted(causes(play, scenario.script)) == sorted(expected)
    check_no_effect_before_its_cause(play, scenario, expected)


def causes(play: Play, script: Script) -> list[str]:
    """The graph of what was observed: one edge for each reason, notice and word that reached a turn."""
    asked = {
        f"{turn.split()[0]}-{i.number}": turn
        for turn, said in script.items()
        for i in of_kind(said, SubmitOrder)
    }
    cancelled = {
        i.client_order_id: turn for turn, said in script.items() for i in said if isinstance(i, CancelOrder)
    }
    edges = []
    for turn, snapshot in play.snapshots.items():
        name = turn.split()[0]
        news = snapshot.news
        if snapshot.reason & Reason.TICK:
            edges.append(f"tick {snapshot.sequence} -> {turn}")
        if snapshot.reason & Reason.WAKE_UP:
            (setter,) = [
                t
                for t, said in script.items()
                for i in of_kind(said, SetWakeUp)
                if t.startswith(f"{name} ") and i.sim_time_ns == snapshot.sim_time_ns
            ]
            edges.append(f"{setter} wakes -> {turn}")
        notices: list[Fill | OrderEnd] = [] if news is None else [*news.fills, *news.rejections, *news.ends]
        assert bool(notices) == bool(snapshot.reason & Reason.ORDER)
        subjects = [notice.client_order_id for notice in notices]
        edges += [f"{asked[subject]} order -> {turn}" for subject in subjects]
        edges += [f"{cancelled[subject]} order -> {turn}" for subject in subjects if subject in cancelled]
        edges += [f"{signal.value} says -> {turn}" for signal in (news.signals if news is not None else ())]
    return edges


def of_kind(said: Sequence[Instruction], kind: type[Kind]) -> list[Kind]:
    return [instruction for instruction in said if isinstance(instruction, kind)]


def check_no_effect_before_its_cause(play: Play, scenario: Scenario, edges: list[str]) -> None:
    stages = dict(scenario.components)
    for edge in edges:
        cause, effect = edge.split(" -> ")
        words = cause.split()
        if words[0] == "tick":
            continue
        cause_name, effect_name = words[0], effect.split()[0]
        before = play.snapshots[f"{words[0]} {words[1]}"].sim_time_ns
        after = play.snapshots[effect].sim_time_ns
        if words[2] == "says":
            assert stages[cause_name] <= stages[effect_name]
            assert before < after or (before == after and stages[cause_name] < stages[effect_name])
        else:
            assert cause_name == effect_name
            assert before < after
