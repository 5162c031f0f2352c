"""The files of an unmodified trainer: where it runs in the working copy, what it must leave there."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestrator.training_settings import TrainingSettings, fill_templates

__all__ = ["copy_into", "folder_of", "matches", "remove_matches"]


def folder_of(copy: Path, training: TrainingSettings, coin: str) -> Path:
    """Return the folder in which the trainer of a coin runs."""
    text = training.folders.get(coin, training.folder or ".")
    return copy / fill_templates((text,), {"coin": coin})[0]


def matches(folder: Path, patterns: Sequence[str]) -> dict[str, tuple[Path, ...]]:
    """Return the plain files that each pattern names in a folder, sorted."""
    return {
        pattern: tuple(
            sorted(path for path in folder.glob(pattern) if path.is_file() and not path.is_symlink())
        )
        for pattern in patterns
    }


def remove_matches(folder: Path, patterns: Sequence[str]) -> None:
    """Remove the files that the patterns name in a folder."""
    for paths in matches(folder, patterns).values():
        for path in paths:
            path.unlink(missing_ok=True)


def copy_into(source: Path, target: Path, names: Iterable[str]) -> None:
    """Copy files between two folders by their names, which may hold slashes."""
    for name in names:
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, path)
