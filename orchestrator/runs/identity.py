"""What a run is identified by (DESIGN 6): seed, code version, data digest, component digests, configuration.

A component's digest covers the files of its command's own folder and the versions of the packages of the
interpreter it starts. Nothing is imported or run to find them.
"""

from __future__ import annotations

import hashlib
import re
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

import orchestrator
from orchestrator.runs.source_files import FilesDigest, digest_of_files, digest_of_folder

__all__ = ["code_version", "component_digest", "component_source", "package_versions", "run_identity"]

_PYTHON: Final = re.compile(r"(?:python|pypy)(\d+(?:\.\d+)?)?(?:\.exe)?")
_OWN_ROOT: Final = Path(orchestrator.__file__).resolve().parent.parent
_OWN_PACKAGES: Final = ("orchestrator", "components")


def code_version() -> str:
    """Return the version of the program and the beginning of the digest of its own source files."""
    whole = hashlib.sha256()
    for name in _OWN_PACKAGES:
        whole.update(digest_of_folder(_OWN_ROOT / name).digest.encode())
    return f"{orchestrator.__version__}+{whole.hexdigest()[:12]}"


def run_identity(
    *,
    seed: int,
    code_version: str,
    data_digest: str,
    component_digests: Sequence[str],
    configuration: Mapping[str, Any],
) -> str:
    """Return the digest that two runs share when they must give the same bytes.

    Parameters
    ----------
    seed, code_version, data_digest
        As in run.json.
    component_digests
        One for each component, in declared order.
    configuration
        The part of the configuration that can change a result, as plain values (`Settings.identity`).
    """
    parts = [seed, code_version, data_digest, list(component_digests), configuration]
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def component_digest(
    command: Sequence[str], workdir: Path, *, python_path: Sequence[Path] = ()
) -> FilesDigest:
    """Return the digest of a component, and notes on what it leaves out.

    Parameters
    ----------
    command
        Its words, the first one resolved to an executable.
    workdir
        The directory it runs in.
    python_path
        The folders of its PYTHONPATH, where `-m` looks after the working directory.
    """
    source = component_source(command, workdir, python_path=python_path)
    if source is None:
        shown = " ".join(command)
        files = FilesDigest("", (f"no file of {shown!r} was found: its files are not in the digest",))
    elif source.is_dir():
        files = digest_of_folder(source)
    else:
        files = digest_of_files(source.parent, [source.name])
    whole = hashlib.sha256(files.digest.encode())
    whole.update("\n".join(("", *package_versions(command[0]))).encode())
    return FilesDigest(whole.hexdigest(), files.notes)


def component_source(
    command: Sequence[str], workdir: Path, *, python_path: Sequence[Path] = ()
) -> Path | None:
    """Return the folder of the script or module that a command names, or one file, or None.

    It is one file where the folder around it is not the component's own: among installed packages, or an
    executable elsewhere than in the working directory.
    """
    words = list(command[1:])
    packages = _package_folders(command[0])
    for place, word in enumerate(words):
        if re.fullmatch(r"-[A-Za-z]*m", word) and place + 1 < len(words):
            found = _module_file(words[place + 1], (workdir, *python_path, _OWN_ROOT, *packages))
        elif (workdir / word).is_file():
            found = (workdir / word).resolve()
        else:
            continue
        if found is not None:
            return found if found.parent in packages else found.parent
    executable = (workdir / command[0]).resolve()
    if not executable.is_file() or _PYTHON.fullmatch(Path(command[0]).name):
        return None
    return executable.parent if executable.is_relative_to(workdir.resolve()) else executable


def package_versions(executable: str) -> tuple[str, ...]:
    """Return `name-version` of each package installed for an interpreter, sorted; none for other programs."""
    return tuple(
        sorted(
            {
                info.name.removesuffix(".dist-info")
                for f in _package_folders(executable)
                for info in f.glob("*.dist-info")
            }
        )
    )


def _module_file(name: str, folders: Sequence[Path]) -> Path | None:
    # What `python -m name` runs: a package's __main__ or a module, in the first folder that has it.
    parts = name.split(".")
    for folder in folders:
        place = folder.joinpath(*parts)
        for candidate in (place / "__main__.py", place.with_name(f"{parts[-1]}.py")):
            if candidate.is_file():
                return candidate.resolve()
    return None


def _package_folders(executable: str) -> tuple[Path, ...]:
    path = Path(executable)
    if path == Path(sys.executable):
        return tuple(dict.fromkeys(Path(sysconfig.get_path(key)).resolve() for key in ("purelib", "platlib")))
    name = _PYTHON.fullmatch(path.name)
    prefix = path.parent.parent
    if not (prefix / "pyvenv.cfg").exists():  # of an environment the link counts, else what it points to
        if name is None:
            return ()
        path = path.resolve()
        prefix = path.parent.parent
    version = _PYTHON.fullmatch(path.name)
    stem = f"python{version[1]}" if version is not None and version[1] and "." in version[1] else "python*"
    patterns = (
        f"lib/{stem}/site-packages",
        f"lib/{stem}/dist-packages",
        "lib/python3/dist-packages",  # where Debian keeps those of every Python 3
        "Lib/site-packages",
    )
    found = {folder.resolve() for pattern in patterns for folder in prefix.glob(pattern)}
    return tuple(sorted(found))
