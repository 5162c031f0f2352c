"""What models gave on the very candles that they were made of: measured by a replay, or as their trainer claims.

A trainer may leave `in_sample.json` among the files of its model: `total_return` (a fraction) and `days`. It is
the trainer's word. `replay analyze --in-sample` replays each window with its own models and notes the result in
`in_sample.jsonl` of the run, which then counts instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from orchestrator.errors import DataError
from orchestrator.runs.layout import write_file
from orchestrator.runs.reader import Row, Run

__all__ = [
    "CLAIM_FILE",
    "MEASURED_FILE",
    "InSample",
    "Measured",
    "in_sample_of",
    "measured_of",
    "models_key",
    "write_measured",
]

CLAIM_FILE: Final = "in_sample.json"
MEASURED_FILE: Final = "in_sample.jsonl"
_MODELS: Final = "models"


class InSample(NamedTuple):
    """A result on what a model was made of."""

    total_return: float
    days: float
    source: Literal["trainer", "replay"]


class _Claim(msgspec.Struct, frozen=True):
    total_return: float
    days: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One line of in_sample.jsonl: a window replayed with the models that were made of it."""

    train_from: int  # Unix seconds
    train_until: int
    models: str  # digests of the models, joined: what was measured
    total_return: float
    days: float
    digest: str  # of the replay

    def is_of(self, lines: Sequence[Row]) -> bool:
        """Return whether it is the result of a training, whose lines are given: its models on their own window.

        Where all trainings of one time failed, it is that of the models that stayed in use.
        """
        window = (int(lines[0]["train_from"]), int(lines[0]["train_until"]))
        is_kept = all(line["state"] == "kept" for line in lines)
        return self.models == models_key(lines) and (is_kept or (self.train_from, self.train_until) == window)


def measured_of(run: Run) -> list[Measured]:
    """Return the lines of in_sample.jsonl; none where nothing was measured.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    decoder = msgspec.json.Decoder(Measured)
    try:
        return [decoder.decode(line) for line in run.lines(MEASURED_FILE)]
    except msgspec.DecodeError as error:
        raise DataError(
            f"{run.directory / MEASURED_FILE} cannot be read: {error}; remove it and measure again"
        ) from None


def write_measured(directory: Path, lines: Sequence[Measured]) -> None:
    """Write in_sample.jsonl, whole or not at all."""
    write_file(directory / MEASURED_FILE, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


def models_key(lines: Sequence[Row]) -> str:
    """Return what names the models of a training in in_sample.jsonl."""
    return " ".join(str(line["digest"]) for line in lines)


def in_sample_of(run: Run, lines: Sequence[Row]) -> InSample | None:
    """Return the in-sample result of one training; None where nobody knows it.

    Parameters
    ----------
    lines
        Of models.jsonl, one a coin. Of claims the mean over the coins counts, if all that were trained have one.
    """
    for measured in measured_of(run):
        if measured.is_of(lines):
            return InSample(measured.total_return, measured.days, "replay")
    claims = [_claim(run, line) for line in lines if line["state"] != "kept"]
    known = [claim for claim in claims if claim is not None]
    if not known or len(known) < len(claims):
        return None
    mean = sum(claim.total_return for claim in known) / len(known)
    return InSample(mean, max(claim.days for claim in known), "trainer")


def _claim(run: Run, line: Row) -> _Claim | None:
    path = run.directory / _MODELS / line["coin"] / str(line["train_until"]) / CLAIM_FILE
    try:
        claim = msgspec.json.decode(path.read_bytes(), type=_Claim)
    except (OSError, msgspec.DecodeError):
        return None
    is_sound = math.isfinite(claim.total_return) and math.isfinite(claim.days) and claim.days > 0.0
    return claim if is_sound else None
