"""What the engine and its shell say to each other about trainings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from orchestrator.durations import NS_PER_SECOND
from orchestrator.protocol import TrainedModel
from orchestrator.runs.records import ModelRecord

__all__ = ["TrainingOutcome", "TrainingTimes", "model_record", "new_models"]


class TrainingTimes(msgspec.Struct, frozen=True):
    """When the clock stops for trainings; the first time may be the start of the run."""

    times_ns: tuple[int, ...] = ()  # ascending
    embargo_ns: int = 0  # from a training to the use of its models


class TrainingOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the training of one coin."""

    coin: str
    train_from_ns: int
    train_until_ns: int
    state: Literal["trained", "kept", "given"]
    model: TrainedModel  # in use from now on: the old one where it was kept


def model_record(outcome: TrainingOutcome, sim_time_ns: int, sequence: int, embargo_ns: int) -> ModelRecord:
    """Return the line of models.jsonl for a training."""
    return ModelRecord(
        sim_time_ns=sim_time_ns,
        sequence=sequence,
        coin=outcome.coin,
        train_from=outcome.train_from_ns // NS_PER_SECOND,
        train_until=outcome.train_until_ns // NS_PER_SECOND,
        use_from=(sim_time_ns + embargo_ns) // NS_PER_SECOND,
        state=outcome.state,
        digest=outcome.model.digest,
    )


def new_models(outcomes: Iterable[TrainingOutcome]) -> tuple[TrainedModel, ...]:
    """Return the models that were not in use before."""
    return tuple(outcome.model for outcome in outcomes if outcome.state != "kept")
