"""training.json: how a model was made, beside its files."""

from __future__ import annotations

from pathlib import Path

import msgspec

from orchestrator.errors import DataError
from orchestrator.runs.layout import write_file
from orchestrator.training.model_files import MANIFEST_NAME

__all__ = ["TrainingManifest", "read_training", "write_training"]


class TrainingManifest(msgspec.Struct, frozen=True, kw_only=True):
    """One training and what came of it; times in Unix seconds, simulation time."""

    coin: str
    train_from: int  # the candles that it could see
    train_until: int
    seen_from: int | None = None  # the candles that it was given: first open, last close; None: none were
    seen_until: int | None = None
    input_digest: str = ""  # of everything that may decide the model; the name of the training in the cache
    data_digest: str = ""  # of all candles that it could see, as values
    trainer_digest: str = ""  # of its files and packages
    digest: str = ""  # of the model's files
    files: dict[str, str] = {}  # path -> SHA-256
    command: tuple[str, ...] = ()  # with its templates
    params: dict[str, object] = {}
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    is_from_cache: bool = False  # trained by an earlier run; the seconds are those it took then


def write_training(folder: Path, manifest: TrainingManifest) -> None:
    """Write training.json into a model's folder, whole or not at all.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    write_file(folder / MANIFEST_NAME, text + b"\n")


def read_training(folder: Path) -> TrainingManifest:
    """Read the training.json of a model's folder.

    Raises
    ------
    DataError
        If it is absent or is none.
    """
    path = folder / MANIFEST_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=TrainingManifest)
    except FileNotFoundError:
        raise DataError(f"{folder} is no model: it has no {MANIFEST_NAME}") from None
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}; train the model again") from None
