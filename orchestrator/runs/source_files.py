"""The digest of a folder of source files: its files by path and content, without what runs leave behind."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from orchestrator.runs.layout import CONFIG_FILE, MANIFEST_FILE

__all__ = ["FilesDigest", "digest_of_files", "digest_of_folder"]

FILES_MAX: Final = 2_000
BYTES_MAX: Final = 64 * 1024 * 1024
ENTRIES_MAX: Final = 20_000  # looked at before a folder counts as too large to be searched

_SKIPPED_FILE: Final = "replay.toml"  # the configuration, which identifies a run by what it says
_SKIPPED_FOLDERS: Final = {"__pycache__", "backtest_cache", "backtest_results", "replay_data"}


class FilesDigest(NamedTuple):
    """A digest, and in `notes` what it leaves out, one line each."""

    digest: str
    notes: tuple[str, ...] = ()


class _File(NamedTuple):
    path: str  # relative to the folder, with slashes
    size: int  # bytes


class _TooLarge(Exception):  # noqa: N818 - no failure: the search ends and a smaller one is made
    """More entries than are looked at."""


def digest_of_folder(folder: Path) -> FilesDigest:
    """Return the digest of the regular files in a folder and below, in the order of their paths.

    Left out are hidden files and folders, `__pycache__` and `*.pyc`, replay.toml, virtual environments, the
    three data folders and run directories. Linked folders are not followed. Of a folder with more than 2,000
    files or 64 MB only the `*.py` files count, of one that is too large to be searched only its own; a note
    says so.
    """
    try:
        files = sorted(_walk(folder))
    except _TooLarge:
        own = [_File(path.name, 0) for path in sorted(folder.glob("*.py")) if path.is_file()]
        note = f"{folder} has more than {ENTRIES_MAX} entries: only its own *.py files are in the digest"
        return _with_note(digest_of_files(folder, [file.path for file in own]), note)
    if len(files) <= FILES_MAX and sum(file.size for file in files) <= BYTES_MAX:
        return digest_of_files(folder, [file.path for file in files])
    note = (
        f"{folder} has more than {FILES_MAX} files or {BYTES_MAX >> 20} MB: only *.py files are in the digest"
    )
    return _with_note(
        digest_of_files(folder, [file.path for file in files if file.path.endswith(".py")]), note
    )


def digest_of_files(folder: Path, paths: Iterable[str]) -> FilesDigest:
    """Return the digest of some files of a folder by path and content, in the order given."""
    whole = hashlib.sha256()
    notes = []
    for path in paths:
        try:
            content = (folder / path).read_bytes()
        except OSError as error:
            notes.append(f"{folder / path} cannot be read and is not in the digest: {error.strerror}")
            continue
        # Path and size end the parts, so that no content can pass for another file.
        whole.update(f"{path}\0{len(content)}\0".encode(errors="surrogateescape"))
        whole.update(content)
    return FilesDigest(whole.hexdigest(), tuple(notes))


def _with_note(digest: FilesDigest, note: str) -> FilesDigest:
    return FilesDigest(digest.digest, (note, *digest.notes))


def _walk(folder: Path) -> Iterator[_File]:
    n_entries = 0
    pending = [(str(folder), "")]
    while pending:
        place, prefix = pending.pop()
        try:
            entries = os.scandir(place)
        except OSError:
            continue  # a folder that cannot be listed cannot be imported from either
        with entries:
            for entry in entries:
                n_entries += 1
                if n_entries > ENTRIES_MAX:
                    raise _TooLarge
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if not _is_skipped(entry):
                        pending.append((entry.path, f"{prefix}{entry.name}/"))
                elif entry.is_file() and not entry.name.endswith(".pyc") and entry.name != _SKIPPED_FILE:
                    yield _File(prefix + entry.name, entry.stat().st_size)


def _is_skipped(entry: os.DirEntry[str]) -> bool:
    if entry.name in _SKIPPED_FOLDERS:
        return True
    place = Path(entry.path)
    is_environment = (place / "pyvenv.cfg").exists()
    return is_environment or ((place / MANIFEST_FILE).exists() and (place / CONFIG_FILE).exists())
