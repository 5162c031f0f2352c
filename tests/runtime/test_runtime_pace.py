"""`replay pace`: cycles found in turns, bursts that follow from them, and orders that agree or do not."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import DataError
from orchestrator.runtime.pace_agreement import first_difference
from orchestrator.runtime.pace_cycle import Cycle, Turn, find_cycle, propose, read_turns

SECOND = 10**9
TICK = 300 * SECOND
START = 1_705_276_800


def turns(*requests: int, seconds: float = 0.65) -> tuple[Turn, ...]:
    return tuple(Turn(int(number * seconds * SECOND), what) for number, what in enumerate(requests))


@pytest.mark.parametrize(
    ("requests", "length"),
    [
        ([1] * 30, 1),
        ([1, 2, 3, 4, 5, 6, 7] * 6, 7),
        ([1, 1, 2] * 20, 3),
        ([1, *[0] * 19] * 6, 20),
        ([5, 6, *[1, 2] * 200], 2),  # it began otherwise
        ([*[1, 2, 3] * 30, 9, *[1, 2, 3] * 30], None),  # out of step once: no burst holds
        ([*[1, 2, 3] * 30, 1, 2, 9, *[1, 2, 3] * 60], 3),  # an order was placed
        (list(range(40)), None),
        ([1, 1, 1], None),
    ],
)
def test_the_cycle_is_the_shortest_that_fits(requests: list[int], length: int | None) -> None:
    found = find_cycle(turns(*requests))
    if length is None and found is not None:
        assert found.turns == 3  # half the turns still fit; it is the best there is
    else:
        assert (found.turns if found else None) == length


def test_a_cycle_lasts_as_long_as_nearly_all_of_them() -> None:
    found = find_cycle(turns(*[1, 2, 3, 4, 5, 6, 7] * 10))
    assert found is not None
    assert found.duration_ns == pytest.approx(7 * 0.65 * SECOND)


def test_one_after_another_within_a_candle() -> None:
    thinker, trader = Cycle(7, int(4.55 * SECOND)), Cycle(1, int(3.15 * SECOND))
    proposals = propose([("thinker", thinker), ("trader", trader), ("last", trader)], [99, 99, 99], TICK)
    assert [(p.component, p.burst, p.phase) for p in proposals] == [
        ("thinker", 7, "0s"),
        ("trader", 1, "5s"),
        ("last", 1, "9s"),
    ]
    assert "every 7 turns, which take 4.5 s" in proposals[0].why or "4.6 s" in proposals[0].why
    assert "every turn, which takes" in proposals[1].why


def test_no_burst_where_a_cycle_is_not_seen_or_fills_the_candle() -> None:
    proposals = propose(
        [("a", None), ("b", None), ("c", Cycle(3, TICK)), ("d", Cycle(1, SECOND))], [0, 50, 9, 9], TICK
    )
    assert [p.burst for p in proposals] == [None, None, None, 1]
    assert [p.phase for p in proposals] == [None, None, None, "0s"]
    assert "it has no turns" in proposals[0].why
    assert "a longer --window" in proposals[1].why
    assert "too long for a candle" in proposals[2].why


def test_turns_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "bot.turns"
    assert read_turns(path) == ()
    path.write_text("1 -5\n20 7\n", encoding="ascii")
    assert read_turns(path) == (Turn(1, -5), Turn(20, 7))
    path.write_text("1 -5\n20\n", encoding="ascii")
    with pytest.raises(DataError, match="no turn"):
        read_turns(path)


def order(seconds: float, qty: str = "0.02", component: str = "trader", **fields: Any) -> dict[str, Any]:
    line: dict[str, Any] = {
        "ts": Decimal(START) + Decimal(str(seconds)),
        "component": component,
        "side": "buy",
        "symbol": "BTC-USD",
        "qty": Decimal(qty),
        "order_type": "market",
        "limit_price": None,
        "stop_price": None,
        "time_in_force": "GTC",
    }
    return line | fields


NAMES = ("thinker", "trader")


def test_the_same_orders_within_a_candle_agree() -> None:
    natural = [order(4.25), order(304), order(305, component="thinker")]
    burst = [order(5), order(306, component="thinker"), order(300)]
    assert first_difference(natural, burst, 300, NAMES) is None
    assert first_difference([], [], 300, NAMES) is None


@pytest.mark.parametrize(
    ("natural", "burst", "said"),
    [
        (
            [order(4)],
            [order(4, "0.03")],
            "natural: buy 0.02 BTC-USD market, 2024-01-15 00:00:04; burst: buy 0.03",
        ),
        ([order(4)], [order(305)], "burst: buy 0.02 BTC-USD market, 2024-01-15 00:05:05"),
        (
            [order(4)],
            [order(4, limit_price=Decimal(9), order_type="limit")],
            "burst: buy 0.02 BTC-USD limit at 9",
        ),
        ([order(4)], [], "natural: buy 0.02 BTC-USD market, 2024-01-15 00:00:04; there is none in burst"),
        (
            [],
            [order(4)],
            "burst: buy 0.02 BTC-USD market, 2024-01-15 00:00:04; there is none at natural pace",
        ),
        ([order(4), order(9)], [order(4)], "order 2 of trader"),
    ],
)
def test_the_first_difference_is_named(natural: list[Any], burst: list[Any], said: str) -> None:
    difference = first_difference(natural, burst, 300, NAMES)
    assert difference is not None
    assert said in difference


def test_the_earliest_difference_of_all_components_is_told() -> None:
    natural = [order(900, component="thinker"), order(4)]
    difference = first_difference(natural, [], 300, NAMES)
    assert difference is not None
    assert difference.startswith("order 1 of trader")
