"""Where the models of a run live: models/<coin>/<train_until>/, whole or not there at all.

A trainer writes into a hidden folder beside it; only when all is there and checked does the folder take its
name, by one rename. Whoever dies before leaves no half model under a name that anybody reads.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from orchestrator.errors import DataError
from orchestrator.training.manifest import TrainingManifest, write_training
from orchestrator.training.model_files import MANIFEST_NAME

__all__ = ["LATEST", "MODELS_FOLDER", "ModelStore", "copy_model"]

MODELS_FOLDER: Final = "models"
LATEST: Final = "latest"
"""The link to the model that is in use."""


class ModelStore:
    """The models of one run.

    Parameters
    ----------
    directory
        The run directory.
    """

    def __init__(self, directory: Path) -> None:
        self._root = directory.absolute() / MODELS_FOLDER

    def folder(self, coin: str, train_until: int) -> Path:
        """Return where the model of a training is, or will be; `train_until` in Unix seconds."""
        return self._root / coin / str(train_until)

    def stage(self, coin: str, train_until: int) -> Path:
        """Return a fresh, empty folder in which a model can be made."""
        place = self._hidden(coin, train_until)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    def discard(self, coin: str, train_until: int) -> None:
        """Remove what a training that failed has made."""
        shutil.rmtree(self._hidden(coin, train_until), ignore_errors=True)

    def publish(self, manifest: TrainingManifest) -> Path:
        """Give the staged model its name, its manifest with it; return the folder.

        Raises
        ------
        DataError
            If the trainer wrote a file of the manifest's name.
        OSError
            If it cannot be written.
        """
        place = self._hidden(manifest.coin, manifest.train_until)
        if (place / MANIFEST_NAME).exists():
            raise DataError(
                f"the trainer wrote {MANIFEST_NAME}, a name that is taken; name its file otherwise"
            )
        write_training(place, manifest)
        folder = self.folder(manifest.coin, manifest.train_until)
        place.rename(folder)
        return folder

    def put_in_use(self, coin: str, train_until: int) -> None:
        """Let the link `latest` of a coin lead to a model, at one stroke.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        link, fresh = self._root / coin / LATEST, self._root / coin / f".{LATEST}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(str(train_until))
        fresh.replace(link)

    def _hidden(self, coin: str, train_until: int) -> Path:
        return self._root / coin / f".{train_until}.part"


def copy_model(source: Path, target: Path, files: dict[str, str]) -> None:
    """Copy the files of a model into an existing folder.

    Raises
    ------
    OSError
        If one cannot be read or written.
    """
    for name in files:
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, path)
