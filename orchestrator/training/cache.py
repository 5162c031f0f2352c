"""Trainings of earlier runs: backtest_cache/models/<input digest>/, copied instead of trained again.

An entry is a model's folder with its training.json. It appears by one rename and is never changed; one whose
files are not what its manifest says is removed and trained anew.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Final

import msgspec

from orchestrator.errors import DataError
from orchestrator.training.manifest import TrainingManifest, read_training, write_training
from orchestrator.training.model_files import files_digest, model_files
from orchestrator.training.store import copy_model

__all__ = ["MODELS_CACHE", "TrainingCache"]

MODELS_CACHE: Final = "models"


class TrainingCache:
    """The cache of trainings.

    Parameters
    ----------
    cache
        The cache folder, `home().cache`.
    is_read
        Whether what is in it is used; what was trained is put into it in any case.
    """

    def __init__(self, cache: Path, *, is_read: bool = True) -> None:
        self._root = cache / MODELS_CACHE
        self._is_read = is_read

    def take(self, input_digest: str, folder: Path) -> TrainingManifest | None:
        """Copy the model of a training into an empty folder; None when there is none to be used."""
        entry = self._root / input_digest
        if not self._is_read or not entry.is_dir():
            return None
        try:
            manifest = read_training(entry)
            files = model_files(entry)
            is_sound = (
                manifest.input_digest == input_digest
                and files == manifest.files
                and files_digest(files) == manifest.digest
            )
        except DataError:
            is_sound = False
        if not is_sound:
            shutil.rmtree(entry, ignore_errors=True)
            return None
        try:
            copy_model(entry, folder, manifest.files)
        except OSError:  # removed by another process in between, or the disk is full: training will say so
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()  # nothing of half a copy may pass for a trainer's work
            return None
        return msgspec.structs.replace(manifest, is_from_cache=True)

    def put(self, folder: Path, manifest: TrainingManifest) -> None:
        """Keep a model; who cannot write here trains again next time, and that is all.

        Parameters
        ----------
        folder
            The model.
        manifest
            Of it; its `input_digest` names the entry.
        """
        entry = self._root / manifest.input_digest
        part = self._root / f".{manifest.input_digest}.{os.getpid()}.part"
        with contextlib.suppress(OSError):
            part.mkdir(parents=True, exist_ok=True)
            try:
                copy_model(folder, part, manifest.files)
                write_training(part, manifest)
                if not self._is_read:  # what is trained again takes the place of what was there
                    shutil.rmtree(entry, ignore_errors=True)
                part.rename(entry)
            finally:
                shutil.rmtree(part, ignore_errors=True)
