"""Nearest patterns: remember what followed every shape of the last candles.

A pattern is the change of the close from candle to candle, `length` times; what followed it is the next change.
The model is every pattern of the window with what followed, in `patterns.json`. `components.thinkers.
nearest_patterns` looks up the patterns that are most like the present one.

`in_sample.json` says what the rule of that thinker would have earned on the very candles that the model was made
of: a claim to be measured against what comes after, and nothing to be proud of.

Parameters: `timeframe` (of the candles, default "1h"), `length` (changes in a pattern, default 6), `neighbours`
(default 3), `edge` (expected change above which to be long, default 0.003), `cost` (of a change of position, as
a fraction, default 0.0025).
"""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt

from components import Training, connect_training
from components.patterns import FloatArray, changes_of, expected_changes, patterns_of

__all__ = ["main"]

_SECONDS_PER_DAY = 86_400


def main() -> None:
    """Make one model."""
    with connect_training() as training:
        timeframe = str(training.params.get("timeframe", "1h"))
        length = int(training.params.get("length", 6))
        candles = training.history(training.coin, timeframe)
        changes = changes_of(np.asarray(candles.close, dtype=np.float64))
        if len(changes) <= length:
            raise SystemExit(
                f"{len(candles)} {timeframe} candles of {training.coin} are too few for patterns of {length} changes; "
                "give a longer training.window"
            )
        # The last pattern has no follower yet.
        patterns, followed = patterns_of(changes, length)[:-1], changes[length:]
        neighbours = int(training.params.get("neighbours", 3))
        edge = float(training.params.get("edge", 0.003))
        model = {"timeframe": timeframe, "length": length, "neighbours": neighbours, "edge": edge}
        _write(
            training, "patterns.json", {**model, "patterns": patterns.tolist(), "followed": followed.tolist()}
        )
        expected = expected_changes(patterns, followed, patterns, neighbours)
        cost = float(training.params.get("cost", 0.0025))
        claim = {"total_return": _total_return(expected > edge, followed, cost)}
        days = (candles.open_time_ns[-1] - candles.open_time_ns[0]) / 1e9 / _SECONDS_PER_DAY
        _write(training, "in_sample.json", {**claim, "days": days})


def _total_return(is_long: npt.NDArray[np.bool_], followed: FloatArray, cost: float) -> float:
    value, was_long = 1.0, False
    for long, change in zip(is_long.tolist(), followed.tolist(), strict=True):
        if long != was_long:
            value *= 1.0 - cost
        if long:
            value *= 1.0 + change
        was_long = long
    return value - 1.0


def _write(training: Training, name: str, content: dict[str, object]) -> None:
    (training.output / name).write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
