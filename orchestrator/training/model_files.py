"""The files of one model: what of a folder counts, and their digest."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from orchestrator.errors import DataError

__all__ = ["FILES_MAX", "MANIFEST_NAME", "files_digest", "model_files"]

MANIFEST_NAME: Final = "training.json"
"""Says how a model was made; not one of its files, since wall seconds are in it."""

FILES_MAX: Final = 10_000
_CHUNK: Final = 1 << 20


def model_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each regular file of a folder and below, by its path with slashes, sorted.

    Raises
    ------
    DataError
        If there is something else than files and folders, too many files, or one cannot be read.
    """
    names = []
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in (*files, *(f for f in folders if (Path(place) / f).is_symlink())):
            path = Path(place) / name
            if path.is_symlink() or not path.is_file():
                raise DataError(f"{path} is no plain file; a model is made of plain files in plain folders")
            names.append(path.relative_to(folder).as_posix())
    if len(names) > FILES_MAX:
        raise DataError(f"{folder} has {len(names)} files; a model may have {FILES_MAX}: put many into one")
    return {name: _sha256(folder / name) for name in sorted(names) if name != MANIFEST_NAME}


def files_digest(files: dict[str, str]) -> str:
    """Return the digest of a model from those of its files."""
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{name}\0{files[name]}\n".encode(errors="surrogateescape"))
    return whole.hexdigest()


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            digest = hashlib.sha256()
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; check what the trainer wrote") from None
    return digest.hexdigest()
