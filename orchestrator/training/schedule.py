"""When trainings happen, and which past each of them sees.

Trainings are at the start of the run and then every so often, always before its end. A training at T sees

- rolling: [T - purge - window, T - purge)
- expanding: [start - warmup, T - purge)
- anchored: [anchor, T - purge)
- an unmodified trainer: all that its exchange knows until T - purge

and its model is in use from T + embargo until the next one is. So the two gaps together lie between the last
candle that a model was made of and the first one that it is judged on.
"""

from __future__ import annotations

from typing import NamedTuple

from orchestrator.durations import parse_date_ns, parse_duration_ns
from orchestrator.training_settings import TrainingSettings

__all__ = ["Window", "history_needed_ns", "training_times", "window_at", "windows_of"]


class Window(NamedTuple):
    """One training: what it sees, when it happens, when its model is in use. Nanoseconds since the epoch."""

    train_from_ns: int  # candles that open at or after it are seen
    train_until_ns: int  # candles that close at or before it are seen
    trained_ns: int
    use_from_ns: int
    use_until_ns: int  # the next model's beginning, or the end of the run


def training_times(training: TrainingSettings, start_ns: int, end_ns: int) -> tuple[int, ...]:
    """Return the simulation times of the trainings of a run, the first at its start, all before its end."""
    every_ns = training.every_ns
    return (start_ns,) if every_ns is None else tuple(range(start_ns, end_ns, every_ns))


def window_at(training: TrainingSettings, start_ns: int, end_ns: int, trained_ns: int) -> Window:
    """Return the window of the training at a time; `training` is resolved and has a command."""
    until_ns = trained_ns - training.purge_ns
    every_ns = training.every_ns
    next_ns = end_ns if every_ns is None else trained_ns + every_ns + training.embargo_ns
    return Window(
        train_from_ns=_train_from_ns(training, start_ns, until_ns),
        train_until_ns=until_ns,
        trained_ns=trained_ns,
        use_from_ns=trained_ns + training.embargo_ns,
        # Whoever is trained at or after the end of the run never is, so the last model stays to the end.
        use_until_ns=min(end_ns, next_ns) if every_ns and trained_ns + every_ns < end_ns else end_ns,
    )


def history_needed_ns(training: TrainingSettings, start_ns: int, end_ns: int) -> int:
    """Return how long before the start of a run the candles must begin; `training` is resolved."""
    if training.command is None or (training.is_bot and training.warmup is None):
        return 0
    return start_ns - window_at(training, start_ns, end_ns, start_ns).train_from_ns


def windows_of(training: TrainingSettings, start_ns: int, end_ns: int) -> tuple[Window, ...]:
    """Return all windows of a run in the order of time."""
    times = training_times(training, start_ns, end_ns)
    return tuple(window_at(training, start_ns, end_ns, time_ns) for time_ns in times)


def _train_from_ns(training: TrainingSettings, start_ns: int, until_ns: int) -> int:
    if training.is_bot:  # what an exchange tells is all that was before
        return 0 if training.warmup is None else start_ns - parse_duration_ns(training.warmup)
    if training.scheme == "anchored":
        return parse_date_ns(training.anchor or "")
    if training.scheme == "expanding":
        return start_ns - parse_duration_ns(training.warmup or "")
    return until_ns - parse_duration_ns(training.window or "")
