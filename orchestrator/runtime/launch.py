"""What a component is started with: the executable its command means, and its environment."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from orchestrator.errors import ConfigError
from orchestrator.protocol import (
    ENVIRONMENT_COMPONENT,
    ENVIRONMENT_CURVE,
    ENVIRONMENT_ENDPOINT,
    ENVIRONMENT_TOKEN,
)

__all__ = ["FIXED_ENVIRONMENT", "component_environment", "resolve_command"]

FIXED_ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",  # the last lines of a component that is killed are then in its log
        "PYTHONIOENCODING": "utf-8",
        # One thread each: the order of a parallel sum is not fixed, and the cores belong to the processes.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "NUMEXPR_NUM_THREADS": "1",
        "VECLIB_MAXIMUM_THREADS": "1",
        "BLIS_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": "1",
    }
)
"""What every component starts with, whatever the user's shell says; part of what makes runs equal."""

_OF_ANOTHER_RUN: Final = (
    ENVIRONMENT_ENDPOINT,
    ENVIRONMENT_TOKEN,
    ENVIRONMENT_COMPONENT,
    ENVIRONMENT_CURVE,
)
_PYTHON: Final = re.compile(r"python(3(\.\d+)?)?")
_NO_SCRIPT: Final = re.compile(r"-([^-XW]*[cm].*)?")  # -c, -m, also behind other letters, and - (stdin)
_OPTIONS_WITH_VALUE: Final = ("-X", "-W")  # of the Python interpreter, with the value as a word of its own


def component_environment(base: Mapping[str, str], additions: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a component.

    Parameters
    ----------
    base
        The user's environment; kept, except for what another run put there.
    additions
        What the bus says to this component (endpoint, token, name); wins over everything.
    """
    environment = {key: value for key, value in base.items() if key not in _OF_ANOTHER_RUN}
    folders = environment.get("PATH", os.defpath).split(os.pathsep)
    own = str(Path(sys.executable).parent)  # "python" in a script of the user's means this interpreter too
    environment["PATH"] = os.pathsep.join([own, *(folder for folder in folders if folder != own)])
    return {**environment, **FIXED_ENVIRONMENT, **additions}


def resolve_command(command: tuple[str, ...], workdir: Path, path: str, *, where: str) -> tuple[str, ...]:
    """Return the command with its first word replaced by the executable it means.

    "python" and "python3" mean the interpreter that runs Replay. A word with a slash is relative to the
    working directory, any other is looked up in the path.

    Parameters
    ----------
    command
        The words of the command, at least one.
    workdir
        The directory the command will run in.
    path
        The PATH the command will run with.
    where
        What the user wrote, for messages: "--trader", "component trader".

    Raises
    ------
    ConfigError
        If the directory, the command or a Python script does not exist, or the command is not executable.
    """
    if not workdir.is_dir():
        raise ConfigError(
            f"{where}: the working directory {workdir} does not exist; create it or name another"
        )
    executable = _find_executable(command[0], workdir, path, where)
    script = _script_of(command)
    if script is not None and not (workdir / script).is_file():
        raise ConfigError(
            f"{where}: no such script {script!r} in {workdir}; check its name or give its whole path"
        )
    return (executable, *command[1:])


def _find_executable(word: str, workdir: Path, path: str, where: str) -> str:
    if word in ("python", "python3"):
        return sys.executable
    if "/" not in word:
        found = shutil.which(word, path=path)
        if found is not None:
            return str(Path(found).absolute())
        hint = (
            f"did you mean 'python {word}'?"
            if word.endswith(".py")
            else "it is not in PATH; check its name or give its path"
        )
        raise ConfigError(f"{where}: no such command {word!r}; {hint}")
    place = workdir / word
    if not place.is_file():
        raise ConfigError(
            f"{where}: no such command {word!r} in {workdir}; check its name or give its whole path"
        )
    if not os.access(place, os.X_OK):
        hint = f"run it with 'python {word}'" if word.endswith(".py") else f"chmod +x {place}"
        raise ConfigError(f"{where}: {word!r} is not executable; {hint}")
    return str(place)


def _script_of(command: tuple[str, ...]) -> str | None:
    # The .py file that a Python interpreter is asked to run, None when it is asked something else.
    if not _PYTHON.fullmatch(Path(command[0]).name):
        return None
    words = iter(command[1:])
    for word in words:
        if word in _OPTIONS_WITH_VALUE:
            next(words, None)
        elif _NO_SCRIPT.fullmatch(word):
            return None
        elif not word.startswith("-"):
            return word if word.endswith(".py") else None
    return None
