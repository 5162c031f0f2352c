"""The digest of a trainer: what names its models in the cache, so it leaves out nothing that can be known.

Of a component the files of its command's own folder count, and its packages. A model that is taken from the cache
replaces a training, so here the files that the command names elsewhere count too, and of `-m package.part.module`
the whole package, which the module may import from.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.errors import DataError
from orchestrator.runs.identity import component_digest
from orchestrator.runs.source_files import FilesDigest, digest_of_folder

__all__ = ["trainer_digest"]


def trainer_digest(command: Sequence[str], place: Path, python_path: Sequence[Path]) -> FilesDigest:
    """Return the digest of a trainer, and notes on what it leaves out.

    Parameters
    ----------
    command
        Its words, the first one resolved to an executable, templates not filled in.
    place
        The directory it runs in.
    python_path
        The folders of its PYTHONPATH.

    Raises
    ------
    DataError
        If a file that the command names cannot be read.
    """
    files = component_digest(command, place, python_path=python_path)
    notes = list(files.notes)
    whole = hashlib.sha256(files.digest.encode())
    for package in _packages(command, (place, *python_path)):
        found = digest_of_folder(package)
        whole.update(f"\npackage {found.digest}".encode())
        notes += found.notes
    for word in command[1:]:
        named = word.rpartition("=")[2]
        path = place / named
        if named and path.is_file():
            whole.update(f"\nfile {_sha256(path)}".encode())
        elif named.startswith(
            "/"
        ):  # a folder, or what is not there yet: only its name can be told from others
            whole.update(f"\n{named}".encode())
    return FilesDigest(whole.hexdigest(), tuple(dict.fromkeys(notes)))


def _packages(command: Sequence[str], folders: Sequence[Path]) -> Iterator[Path]:
    # The topmost package of a module that lies deeper than that.
    for word, module in itertools.pairwise(command):
        parts = module.split(".")
        if re.fullmatch(r"-[A-Za-z]*m", word) and len(parts) > 2:
            top = next((folder / parts[0] for folder in folders if (folder / parts[0]).is_dir()), None)
            if top is not None:
                yield top
            return


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"{path}, which training.command names, cannot be read: {error.strerror}; check it"
        ) from None
