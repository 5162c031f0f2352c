"""Nearest patterns: be long where the shapes most like the present one were followed by a rise.

Looks up each coin's last candles in the model that `components.trainers.nearest_patterns` made, when a candle of
the model's timeframe closes. `long` is 3 when the expected change is above the model's edge and 0 when it is not;
said when it changes. A coin without a model is not spoken of.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from components import Replay, connect
from components.patterns import FloatArray, changes_of, expected_changes, patterns_of

__all__ = ["Patterns", "load", "main"]

_NS = {"s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9, "d": 86_400 * 10**9}


class Patterns(NamedTuple):
    """A model."""

    timeframe: str
    timeframe_ns: int
    length: int
    neighbours: int
    edge: float
    known: FloatArray
    followed: FloatArray


def load(folder: Path) -> Patterns:
    """Return the model of a folder."""
    plain = json.loads((folder / "patterns.json").read_text(encoding="utf-8"))
    timeframe = plain["timeframe"]
    return Patterns(
        timeframe=timeframe,
        timeframe_ns=int(timeframe[:-1]) * _NS[timeframe[-1]],
        length=plain["length"],
        neighbours=plain["neighbours"],
        edge=plain["edge"],
        known=np.asarray(plain["patterns"], dtype=np.float64),
        followed=np.asarray(plain["followed"], dtype=np.float64),
    )


def main() -> None:
    """Think until the replay ends."""
    with connect() as replay:
        models: dict[str, Patterns] = {}
        said: dict[str, int] = {}
        for snapshot in replay.snapshots():
            for model in snapshot.models:
                models[model.coin] = load(model.path)
            for coin, patterns in models.items():
                if snapshot.step or snapshot.sim_time_ns % patterns.timeframe_ns:
                    continue
                level = _level(replay, coin, patterns)
                if level is not None and level != said.get(coin):
                    said[coin] = level
                    replay.signal(coin, long=level)


def _level(replay: Replay, coin: str, patterns: Patterns) -> int | None:
    candles = replay.history(coin, patterns.timeframe, patterns.length + 1)
    if len(candles) <= patterns.length:
        return None
    present = patterns_of(changes_of(np.asarray(candles.close, dtype=np.float64)), patterns.length)
    expected = expected_changes(patterns.known, patterns.followed, present, patterns.neighbours)
    return 3 if expected[-1] > patterns.edge else 0


if __name__ == "__main__":
    main()
