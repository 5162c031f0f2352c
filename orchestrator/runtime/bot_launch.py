"""What an unmodified bot is started with: its command in the working copy, its environment, its closed network."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.util
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import components
from orchestrator.bot_protocol import (
    ENVIRONMENT_BOT_KEPT_OUT,
    ENVIRONMENT_BOT_PROCESS,
    ENVIRONMENT_BOT_SOCKET,
    ENVIRONMENT_BOT_STACK,
    ENVIRONMENT_BOT_TIME_MACHINE,
)
from orchestrator.errors import ConfigError
from orchestrator.protocol import ENVIRONMENT_COMPONENT, ENVIRONMENT_TOKEN
from orchestrator.runtime.launch import component_environment

__all__ = [
    "INJECT_FOLDER",
    "NETLESS",
    "bot_command",
    "bot_environment",
    "closed_command",
    "is_namespace_available",
    "replaced_variables",
    "time_machine_extension",
]

INJECT_FOLDER: Final = Path(components.__file__).resolve().parent / "bot" / "inject"
"""What is put on a bot's PYTHONPATH, alone."""

NETLESS: Final = Path(__file__).with_name("netless.py")

_FIXED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "TERM": "dumb",
        "PYTHONDONTWRITEBYTECODE": "1",  # an environment inside the user's folder is not to be written either
        "PYTHONSAFEPATH": "",
    }
)
_KEY_VARIABLE: Final = re.compile(
    r"(?i)(^|_)(key|token|pass)(_|$)"
    r"|(api|secret|private|access|signing|priv)_?keys?(_|$)|secret|passwd|password|passphrase|credential|mnemonic|apitoken"
)
_NOT_A_KEY: Final = re.compile(r"(?i)^(replay_|python|lc_|ls_|ssh_|gpg_|xdg_|dbus_)")
_NAMESPACE_SECONDS_MAX: Final = 10.0


def bot_command(command: tuple[str, ...], original: Path, copy: Path) -> tuple[str, ...]:
    """Return a resolved command whose executable, where it travelled with the folder, is the copy's.

    Raises
    ------
    ConfigError
        If it names a file of the user's folder by its whole path, which would leave the copy; or if it starts a
        Python that the shim does not come up in, which would run live.
    """
    reason = _judge()(command[0], list(command))
    if reason is not None:
        raise ConfigError(f"{' '.join(command)}: {reason.replace('a child process', 'the command')}")
    executable = Path(command[0])
    if executable.is_relative_to(original):
        inside = copy / executable.relative_to(original)
        if inside.exists():
            executable = inside
    for word in command[1:]:
        if Path(word).is_absolute() and Path(word).is_relative_to(original):
            raise ConfigError(
                f"{word!r} in a command leads into the user's own folder; a bot runs in a copy: write it relative "
                f"to {original}"
            )
    return (str(executable), *command[1:])


@functools.cache
def _judge() -> Callable[[str, list[str]], str | None]:
    # The same judgement that the shim makes of child processes; its module cannot be imported under a name of ours.
    names = runpy.run_path(str(INJECT_FOLDER / "_replay_shim" / "commands.py"))
    judge: Callable[[str, list[str]], str | None] = names["why_unshimmed"]
    return judge


def bot_environment(
    base: Mapping[str, str],
    *,
    socket: Path,
    token: str,
    component: str,
    stack: Path,
    kept_out: Iterable[Path] = (),
) -> dict[str, str]:
    """Return the environment of a bot's first process.

    Parameters
    ----------
    base
        The user's environment; what looks like a key in it is replaced by a throw-away one.
    socket, token, component
        Where it is to call, and as whom.
    stack
        The file into which the watchdog lets it dump its stack.
    kept_out
        The users' folders, in which it may not write.
    """
    clean = {k: _throw_away(k) if _is_key(k, v) else v for k, v in base.items()}
    path = clean.get("PYTHONPATH", "")
    additions = {
        ENVIRONMENT_BOT_SOCKET: str(socket),
        ENVIRONMENT_TOKEN: token,
        ENVIRONMENT_COMPONENT: component,
        ENVIRONMENT_BOT_PROCESS: "0",
        ENVIRONMENT_BOT_STACK: str(stack),
        ENVIRONMENT_BOT_TIME_MACHINE: time_machine_extension(),
        ENVIRONMENT_BOT_KEPT_OUT: ":".join(map(str, kept_out)),
        "PYTHONPATH": f"{INJECT_FOLDER}:{path}" if path else str(INJECT_FOLDER),
        **_FIXED,
    }
    environment = component_environment(clean, additions)
    del environment["PYTHONSAFEPATH"]  # a user's own setting would take the script's folder off the path
    return environment


def time_machine_extension() -> str:
    """Return where Replay's own time-machine extension lies, for bots' interpreters of the same kind; "" if nowhere."""
    spec = importlib.util.find_spec("_time_machine")
    return spec.origin or "" if spec is not None else ""


def replaced_variables(base: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the variables that hold keys, sorted."""
    return tuple(sorted(name for name, value in base.items() if _is_key(name, value)))


def closed_command(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command as it is started in a network namespace of its own."""
    return (sys.executable, "-I", "-S", str(NETLESS), *command)


def is_namespace_available() -> str | None:
    """Return why no network namespace can be had here, None when one can."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(NETLESS)],
            capture_output=True,
            text=True,
            timeout=_NAMESPACE_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    return done.stderr.strip().removeprefix("replay: ") or f"it ended with status {done.returncode}"


def _is_key(name: str, value: str) -> bool:
    return bool(value and _KEY_VARIABLE.search(name) and not _NOT_A_KEY.search(name))


def _throw_away(name: str) -> str:
    return base64.b64encode(hashlib.sha256(f"throw-away key of {name}".encode()).digest()).decode()
