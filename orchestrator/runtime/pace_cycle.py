"""How long a cycle of a polling bot is, found in its turns at natural pace, and the burst that follows from it.

A bot that reads three coins on seven timeframes, one timeframe a turn, does the same every seventh turn. A burst
of fewer turns would show half a picture for a whole candle; one of seven shows what natural pace shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from orchestrator.durations import NS_PER_SECOND
from orchestrator.errors import DataError

__all__ = ["Cycle", "Proposal", "Turn", "find_cycle", "propose", "read_turns"]

_TURNS_MIN: Final = 6
_CYCLES_MIN: Final = 3  # that must have been seen to call it one
_CYCLE_MAX: Final = 500  # turns
_SHARE_MIN: Final = 0.8  # of the turns that must be as those one cycle before
_SHARE_TOLERANCE: Final = 0.02  # turns that place orders are like no other
_LONG_SHARE: Final = 0.95  # of the cycles last no longer than what is said


class Turn(NamedTuple):
    """A turn of a bot's own loop."""

    sim_time_ns: int  # at which it ended, its sleep included
    requests: int  # the same for turns that sent the same requests


class Cycle(msgspec.Struct, frozen=True):
    """After how many turns a bot does the same again."""

    turns: int
    duration_ns: int  # of nearly all of them, sleeps included


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What to write into the `[[component]]` of a bot."""

    component: str
    burst: int | None  # None: natural pace
    phase: str | None
    why: str


def read_turns(path: Path) -> tuple[Turn, ...]:
    """Return the turns that a bot's process wrote down; none when there is no such file.

    Raises
    ------
    DataError
        If a line is not understood.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return ()
    try:
        return tuple(Turn(int(time), int(requests)) for time, requests in map(str.split, lines))
    except ValueError:
        raise DataError(f"{path} holds a line that is no turn; run `replay pace` again") from None


def find_cycle(turns: Sequence[Turn]) -> Cycle | None:
    """Return the shortest cycle that fits nearly as well as the best one; None when none fits."""
    count = len(turns)
    lengths = range(1, min(_CYCLE_MAX, count // _CYCLES_MIN) + 1)
    if count < _TURNS_MIN:
        return None
    shares = {length: _share(turns, length) for length in lengths}
    best = max(shares.values())
    if best < _SHARE_MIN:
        return None
    length = next(length for length in lengths if shares[length] >= best - _SHARE_TOLERANCE)
    durations = sorted(
        turns[start + length].sim_time_ns - turns[start].sim_time_ns for start in range(count - length)
    )
    return Cycle(length, durations[int(_LONG_SHARE * (len(durations) - 1))])


def _share(turns: Sequence[Turn], length: int) -> float:
    same = sum(one.requests == other.requests for one, other in zip(turns, turns[length:], strict=False))
    return same / (len(turns) - length)


def propose(
    cycles: Sequence[tuple[str, Cycle | None]], turn_counts: Sequence[int], tick_ns: int
) -> tuple[Proposal, ...]:
    """Return a pace for each bot, in declared order: each begins when those before it have had their cycle.

    Parameters
    ----------
    cycles
        Name and cycle of each bot, in declared order.
    turn_counts
        How many turns were seen of each.
    tick_ns
        Length of the base candles.
    """
    proposals, begins_ns = [], 0
    for (name, cycle), count in zip(cycles, turn_counts, strict=True):
        if cycle is None:
            why = (
                f"no cycle is seen in its {count} turns: a longer --window may show one"
                if count
                else "it has no turns: it looks less often than once a candle"
            )
            proposals.append(Proposal(component=name, burst=None, phase=None, why=why))
            continue
        phase_seconds = -(-begins_ns // NS_PER_SECOND)
        every = "turn, which takes" if cycle.turns == 1 else f"{cycle.turns} turns, which take"
        why = f"it does the same every {every} {cycle.duration_ns / NS_PER_SECOND:.1f} s"
        if phase_seconds * NS_PER_SECOND + cycle.duration_ns >= tick_ns:
            why += ": too long for a candle"
            proposals.append(Proposal(component=name, burst=None, phase=None, why=why))
            continue
        proposals.append(Proposal(component=name, burst=cycle.turns, phase=f"{phase_seconds}s", why=why))
        begins_ns = phase_seconds * NS_PER_SECOND + cycle.duration_ns
    return tuple(proposals)
