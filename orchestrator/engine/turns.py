"""Who has a turn at one moment, and in which order."""

from __future__ import annotations

import bisect
from collections.abc import Collection
from typing import NamedTuple

from orchestrator.engine.bots import BotProcess
from orchestrator.engine.requests import ComponentPlace

__all__ = ["Turn", "Turns", "sdk_turns"]


class Turn(NamedTuple):
    """One turn: of SDK components that work side by side, or of one process of a bot.

    Turns are ordered by whether the process has the turn already, then stage, declared place and process of the bot.
    """

    rank: int  # 0: a bot's process that goes on at the same time, before anyone else begins
    stage: int
    place: int  # the first component's
    path: tuple[int, ...]  # of a bot's process; empty for SDK components
    places: tuple[int, ...]  # the components

    @property
    def process(self) -> BotProcess | None:
        """The bot's process whose turn it is."""
        return BotProcess(self.place, self.path) if self.path else None


def sdk_turns(components: tuple[ComponentPlace, ...]) -> tuple[Turn, ...]:
    """Return the turns of the SDK components at a tick, in order; beside a bot nobody works at the same time."""
    turns: list[Turn] = []
    for stage in sorted({c.stage for c in components}):
        places = [place for place, c in enumerate(components) if c.stage == stage]
        group = tuple(place for place in places if not components[place].is_bot)
        if len(group) < len(places):
            turns.extend(Turn(1, stage, place, (), (place,)) for place in group)
        elif group:
            turns.append(Turn(1, stage, group[0], (), group))
    return tuple(turns)


class Turns:
    """The turns that are still to come at this moment."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[Turn] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, turn: Turn) -> None:
        """Put a turn in its place."""
        bisect.insort(self._waiting, turn)

    def add_all(self, turns: Collection[Turn]) -> None:
        """Put turns in their places; cheap when none is waiting and they are in order."""
        if self._waiting:
            for turn in turns:
                self.add(turn)
        else:
            self._waiting.extend(turns)

    def remove(self, process: BotProcess) -> None:
        """Forget the turns of a process that is gone."""
        self._waiting = [turn for turn in self._waiting if turn.process != process]

    def take(self) -> Turn:
        """Remove and return the next turn."""
        return self._waiting.pop(0)
