"""The working copy in which unmodified bots run: the user's own folder is read, and never written.

Keys that look real never travel: a file that holds one is refused, unless its name is listed as replaced.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from orchestrator.errors import ConfigError

__all__ = [
    "BYTES_MAX",
    "FILES_MAX",
    "FolderManifest",
    "FolderSize",
    "WorkCopy",
    "check_keys",
    "copy_folder",
    "data_files",
    "key_files",
    "manifest_of",
    "measure_folder",
    "script_files",
    "scripts_of",
]

BYTES_MAX: Final = 2 * 1024 * 1024 * 1024
FILES_MAX: Final = 50_000

_LEFT_OUT_FOLDERS: Final = {
    ".git", ".hg", ".svn", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", "node_modules",
    "backtest_results", "backtest_cache", "replay_data",
}  # fmt: skip
_SCRIPT_SUFFIXES: Final = {
    ".py",
    ".pyw",
    ".sh",
    ".pyx",
    ".so",
    ".js",
    ".toml",
    ".ini",
    ".cfg",
    ".yaml",
    ".yml",
}
_KEY_NAMES: Final = (
    "secret",
    "apikey",
    "api_key",
    "api-key",
    "private_key",
    "privatekey",
    "credential",
    "passphrase",
)
_KEY_SUFFIXES: Final = {".pem", ".key", ".p12", ".pfx"}
_KEY_EXACT: Final = {
    ".env",
    ".netrc",
    "id_rsa",
    "id_ed25519",
    "r_key.txt",
    "r_secret.txt",
    "keys.json",
    "secrets.json",
}
_HARMLESS: Final = ("throwaway", "throw_away", "throw-away", "example", "sample")
_NO_KEYS: Final = {".py", ".pyw", ".md", ".rst", ".sh", ".html", ".css", ".js"}
_PLACEHOLDER_BYTES: Final = 32
_CHUNK: Final = 1 << 20


class FolderManifest(NamedTuple):
    """SHA-256 of every file of a folder that travels, by its path within it."""

    files: dict[str, str]


class WorkCopy(NamedTuple):
    """A folder that was copied."""

    original: Path
    copy: Path
    manifest: FolderManifest  # of the original, when it was copied
    left_out: tuple[str, ...]  # one line each


def copy_folder(original: Path, copy: Path, replaced_keys: tuple[str, ...]) -> WorkCopy:
    """Copy a folder: files and links inside it; environments are linked, caches and key files left out.

    Parameters
    ----------
    original, copy
        The user's folder; a directory that does not exist yet.
    replaced_keys
        Files (relative paths) that hold keys: throw-away ones stand in their place.

    Raises
    ------
    ConfigError
        If it is too large, or holds keys that were not named.
    """
    check_keys(original, replaced_keys)
    left_out: list[str] = []
    files: dict[str, str] = {}
    copy.mkdir(parents=True)
    total = 0
    for relative, entry in _walk(original, left_out):
        target = copy / relative
        if entry.is_symlink() and _copy_link(original, relative, entry, target, left_out):
            continue
        if entry.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        total += entry.stat().st_size
        if total > BYTES_MAX or len(files) >= FILES_MAX:
            raise ConfigError(
                f"{original} has more than {BYTES_MAX >> 30} GiB or {FILES_MAX} files; a bot's folder is copied for "
                "every run: move data and environments out of it"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        files[relative] = _sha256(Path(entry.path))
        if relative in replaced_keys:
            target.write_text(_throw_away_key(relative))
            left_out.append(f"{relative}: a throw-away key stands in its place")
        else:
            shutil.copy2(entry.path, target)
    return WorkCopy(original, copy, FolderManifest(files), tuple(left_out))


def _copy_link(
    original: Path, relative: str, entry: os.DirEntry[str], target: Path, left_out: list[str]
) -> bool:
    # Returns whether that was all; a file outside is copied like any other. Nothing leads out of the copy.
    place = Path(entry.path)
    meant = place.resolve()
    if meant.is_relative_to(original.resolve()):
        target.symlink_to(os.path.relpath(meant, place.parent.resolve()))
        return True
    if meant.is_file():
        return False
    left_out.append(f"{relative}: a link out of the folder, to {meant}")
    return True


class FolderSize(NamedTuple):
    """What would be copied of a folder."""

    files: int
    n_bytes: int
    left_out: tuple[str, ...]  # one line each


def measure_folder(folder: Path) -> FolderSize:
    """Return how much a working copy of a folder would hold; nothing is read but names and sizes."""
    left_out: list[str] = []
    sizes = [
        entry.stat().st_size
        for _, entry in _walk(folder, left_out)
        if not entry.is_symlink() and entry.is_file()
    ]
    return FolderSize(len(sizes), sum(sizes), tuple(left_out))


def check_keys(folder: Path, replaced_keys: tuple[str, ...]) -> None:
    """Raise `ConfigError` when a folder holds keys that nobody named, or a named file is not there."""
    absent = [name for name in replaced_keys if not (folder / name).is_file()]
    if absent:
        raise ConfigError(
            f"replace_keys names {', '.join(absent)}, which {folder} does not hold; check the names"
        )
    unnamed = [name for name in key_files(folder) if name not in replaced_keys]
    if unnamed:
        raise ConfigError(
            f"{folder} holds what looks like real keys: {', '.join(unnamed)}; real keys never go into a run: "
            f"list them as replace_keys = {unnamed} in the [[component]] (throw-away ones take their place), "
            "or move them away"
        )


def manifest_of(folder: Path) -> FolderManifest:
    """Return what a folder holds now."""
    return FolderManifest(
        {
            relative: _sha256(Path(entry.path))
            for relative, entry in _walk(folder, [])
            if entry.is_file()
            and not _leads_inside(folder, entry)  # what a link inside leads to is there itself
        }
    )


def scripts_of(manifest: FolderManifest) -> dict[str, str]:
    """Return the part of a manifest that is program, not data."""
    return {path: digest for path, digest in manifest.files.items() if Path(path).suffix in _SCRIPT_SUFFIXES}


def script_files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that are program, not data, and travel with it."""
    for relative, entry in _walk(folder, []):
        if Path(relative).suffix in _SCRIPT_SUFFIXES and entry.is_file():
            yield Path(entry.path)


def data_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield path in the folder and place of the files that are neither program nor text about it, and travel."""
    for relative, entry in _walk(folder, []):
        suffix = Path(relative).suffix
        if suffix not in _SCRIPT_SUFFIXES | _NO_KEYS and entry.is_file():
            yield relative, Path(entry.path)


def key_files(folder: Path) -> list[str]:
    """Return the files of a folder whose names say that they hold keys, sorted; programs and texts are none.

    A link says so by its own name or that of its file; of one inside the folder it is the file that is returned.
    """
    found = set()
    for relative, entry in _walk(folder, []):
        if not entry.is_file() or not entry.stat().st_size:
            continue
        meant = Path(entry.path).resolve()
        if _is_key_name(entry.name) or (entry.is_symlink() and _is_key_name(meant.name)):
            inside = _leads_inside(folder, entry)
            found.add(str(meant.relative_to(folder.resolve())) if inside else relative)
    return sorted(found)


def _is_key_name(name: str) -> bool:
    name = name.lower()
    suffix = Path(name).suffix
    if suffix in _NO_KEYS or any(word in name for word in _HARMLESS):
        return False
    return name in _KEY_EXACT or suffix in _KEY_SUFFIXES or any(word in name for word in _KEY_NAMES)


def _leads_inside(folder: Path, entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and Path(entry.path).resolve().is_relative_to(folder.resolve())


def _walk(folder: Path, left_out: list[str]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    # Folders come before what is in them; in the order of names, so that a listing is the same everywhere.
    pending = [("", folder)]
    while pending:
        prefix, place = pending.pop(0)
        for entry in sorted(os.scandir(place), key=lambda e: e.name):
            relative = prefix + entry.name
            if entry.is_symlink():
                yield relative, entry
            elif entry.is_dir():
                if entry.name in _LEFT_OUT_FOLDERS or _is_run(Path(entry.path)):
                    left_out.append(f"{relative}: not part of the program")
                elif (Path(entry.path) / "pyvenv.cfg").exists():
                    left_out.append(
                        f"{relative}: an environment is not copied; name its interpreter in command"
                    )
                else:
                    yield relative, entry
                    pending.append((relative + "/", Path(entry.path)))
            elif entry.is_file():
                if not entry.name.endswith(".pyc"):
                    yield relative, entry
            else:
                left_out.append(f"{relative}: neither a file nor a folder")


def _is_run(folder: Path) -> bool:
    return (folder / "run.json").exists() and (folder / "config.toml").exists()


def _throw_away_key(relative: str) -> str:
    # The same for the same file, and no key of anyone: a base64 text of 32 bytes, which is what most keys are.

    seed = hashlib.sha256(f"throw-away key of {relative}".encode()).digest()[:_PLACEHOLDER_BYTES]
    return base64.b64encode(seed).decode()


def _sha256(path: Path) -> str:
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            whole.update(chunk)
    return whole.hexdigest()
