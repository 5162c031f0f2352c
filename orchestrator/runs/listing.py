"""The runs of a results folder: found, named and removed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from orchestrator.errors import ConfigError, DataError, ReplayError
from orchestrator.runs.layout import CONFIG_FILE, DIGESTS_FILE, MANIFEST_FILE, is_run
from orchestrator.runs.manifest import read_manifest, with_true_status
from orchestrator.runs.reader import Run, open_run

__all__ = ["LATEST", "RunList", "find_run", "list_runs", "remove_run"]

LATEST: Final = "latest"
"""The name that means the run that was started last."""

_SUGGESTED_MAX: Final = 5


class RunList(NamedTuple):
    """The runs of a results folder in the order of their start; of a tie, of their names."""

    runs: tuple[Run, ...]
    unreadable: tuple[str, ...]  # one line for each folder whose run.json cannot be read


def list_runs(results: Path) -> RunList:
    """Return the runs that stand directly in a results folder; none when it does not exist."""
    runs, unreadable = [], []
    for directory in sorted(results.iterdir()) if results.is_dir() else []:
        if is_run(directory):
            try:
                runs.append(open_run(directory))
            except DataError as error:  # one damaged run must not hide the others
                unreadable.append(str(error))
    runs.sort(key=lambda run: (run.manifest.started_at, run.name))
    return RunList(tuple(runs), tuple(unreadable))


def find_run(results: Path, text: str) -> Path:
    """Return the run directory that a user means.

    Parameters
    ----------
    results
        The results folder.
    text
        The path of a run directory, the name of one in the results folder, or "latest".

    Raises
    ------
    ConfigError
        If there is no such run.
    """
    if text == LATEST:
        runs = list_runs(results).runs
        if runs:
            return runs[-1].directory
        raise ConfigError(f"there is no run in {results}; start one with `replay start`")
    for directory in (results / text, Path(text)):  # an absolute path replaces the folder
        if is_run(directory):
            return directory
    if Path(text).is_dir():
        raise ConfigError(f"{text!r} is no run directory: it has no {MANIFEST_FILE}; see `replay runs list`")
    names = [run.name for run in list_runs(results).runs[-_SUGGESTED_MAX:]]
    known = f"the latest are {', '.join(reversed(names))}" if names else "there is none yet"
    raise ConfigError(f"no run {text!r} in {results}; {known}; see `replay runs list`")


def remove_run(directory: Path) -> None:
    """Delete a run directory and everything in it.

    Raises
    ------
    ConfigError
        If it is a link, no run, or a run that is running; nothing is deleted.
    ReplayError
        If something in it cannot be deleted; it still is a run, and can be removed again.
    """
    if directory.is_symlink():
        raise ConfigError(f"{directory} is a link; remove the run that it points to by its own path")
    try:
        manifest = with_true_status(read_manifest(directory))
    except DataError as error:
        if not _is_damaged_run(directory):
            raise ConfigError(f"{directory} is not removed: {error}") from None
    else:
        if manifest.status == "running":
            raise ConfigError(
                f"run {directory.name} is running (process {manifest.process_id}); "
                f"end it first with `replay control {directory.name} stop`"
            )
    try:
        # run.json goes last: until then it is known as a run and can be removed by a second try.
        for entry in sorted(directory.iterdir(), key=lambda entry: entry.name == MANIFEST_FILE):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        directory.rmdir()
    except OSError as error:
        what = f"{error.filename}: {error.strerror}"
        raise ReplayError(f"{directory} cannot be removed: {what}; check who owns it and try again") from None


def _is_damaged_run(directory: Path) -> bool:
    # Ours, with a run.json that is cut off or garbage; a whole one that says something else is somebody else's.
    # No replay is writing here: it replaces run.json by a whole one.
    if not all((directory / name).is_file() for name in (MANIFEST_FILE, CONFIG_FILE, DIGESTS_FILE)):
        return False
    try:
        msgspec.json.decode((directory / MANIFEST_FILE).read_bytes())
    except msgspec.DecodeError:
        return True
    except OSError:
        return False
    return False
