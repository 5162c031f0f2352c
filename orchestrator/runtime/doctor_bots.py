"""What `doctor` looks at of each bot: its command, interpreter, packages, exchanges and start condition."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from orchestrator.config import ComponentSettings, Settings
from orchestrator.errors import ReplayError
from orchestrator.runtime.bot_host import is_start_condition_met
from orchestrator.runtime.bot_imports import ScriptFacts, read_scripts
from orchestrator.runtime.bot_interpreter import (
    VERSION_MIN,
    Interpreter,
    NoAnswer,
    ask_interpreter,
    interpreter_of,
    script_in,
)
from orchestrator.runtime.bot_launch import bot_command
from orchestrator.runtime.launch import component_environment, resolve_command
from orchestrator.runtime.work_copy import script_files

__all__ = ["BotExamination", "Finding"]

Finding = tuple[Literal["ok", "check", "failed"], str]

# What is installed under another name than it is imported by.
_PACKAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bs4": "beautifulsoup4",
        "Crypto": "pycryptodome",
        "cv2": "opencv-python",
        "dateutil": "python-dateutil",
        "dotenv": "python-dotenv",
        "jwt": "PyJWT",
        "kucoin": "'kucoin-python==1.0.26'",
        "nacl": "PyNaCl",
        "PIL": "Pillow",
        "pkg_resources": "'setuptools<81'",
        "sklearn": "scikit-learn",
        "talib": "TA-Lib",
        "telegram": "python-telegram-bot",
        "websocket": "websocket-client",
        "yaml": "PyYAML",
    }
)
_UNSEEN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "uvloop": "waits in C, where time is not simulated: asyncio's own loop takes its place",
        "pycurl": "opens connections in C: its requests are refused",
        "curl_cffi": "opens connections in C: its requests are refused",
        "grpc": "opens connections in C: its channels are refused",
        "websockets": "speaks websockets, which no emulated exchange answers: connections are refused",
        "websocket": "speaks websockets, which no emulated exchange answers: connections are refused",
    }
)
_SDK_VENUES: Final[Mapping[str, str]] = MappingProxyType({"kucoin": "kucoin", "binance": "binance"})
_TIMEFRAME: Final = re.compile(r"(\d{1,2})(m|min|h|hour|d|day|w|week)")
_EXCHANGE_WORDS: Final = ("api", "trading", "exchange", "stream", "ws", "trade")


class BotExamination:
    """Looks at the bots of a run, each script and interpreter once.

    Parameters
    ----------
    settings
        Of the run.
    environment
        The user's.
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._environment = {**component_environment(environment, {}), "PYTHONDONTWRITEBYTECODE": "1"}
        self._scripts: dict[str, ScriptFacts] = {}  # component -> what its script says

    def of(self, component: ComponentSettings) -> Iterator[Finding]:
        """Yield what there is to say of one bot."""
        folder = Path(component.workdir or ".").resolve()
        try:
            command = resolve_command(
                component.command, folder, self._environment["PATH"], where=f"component {component.name}"
            )
            bot_command(command, folder, folder)
        except ReplayError as error:
            yield "failed", str(error)
            return
        yield from self._program(component, command, folder)

    def _program(
        self, component: ComponentSettings, command: tuple[str, ...], folder: Path
    ) -> Iterator[Finding]:
        script = script_in(command, folder)
        facts = read_scripts(script, folder) if script is not None else None
        if facts is not None:
            self._scripts[component.name] = facts
        python = interpreter_of(command, self._environment["PATH"])
        if python is None:
            text = (
                f"{command[0]} is no Python; only the Python programs that it starts come under Replay, and they "
                "were not looked at"
            )
            yield "check", text
        else:
            wanted = [*facts.needed, *facts.optional, "pkg_resources"] if facts is not None else []
            yield from self._interpreter(
                python, ask_interpreter(python, wanted, folder, self._environment), facts
            )
        if facts is None:
            yield (
                "check",
                f"no script was found in {' '.join(component.command)!r}; its imports were not looked at",
            )
            return
        for line in facts.unreadable:
            yield "failed" if script is not None and line.startswith(f"{script.name} ") else "check", line
        for module in sorted({*facts.needed, *facts.optional} & set(_UNSEEN)):
            yield "check", f"{module} {_UNSEEN[module]}"

    # ------------------------------------------------------------------ interpreter and packages

    def _interpreter(
        self, python: str, found: Interpreter | NoAnswer, facts: ScriptFacts | None
    ) -> Iterator[Finding]:
        if isinstance(found, NoAnswer):
            yield "failed", f"{python} gives no answer: {found.reason}"
            return
        name = f"{found.implementation} {'.'.join(map(str, found.version))} ({python})"
        if found.version[:2] < VERSION_MIN or found.implementation != "cpython":
            lowest = ".".join(map(str, VERSION_MIN))
            yield "failed", f"{name} is not supported; name a CPython {lowest} or newer in command"
            return
        if found.time_machine_error:
            text = (
                f"{name} has no time-machine, which its clocks need ({found.time_machine_error}): "
                f"{python} -m pip install 'time-machine>=3.6'"
            )
            yield "failed", text
            return
        yield "ok", name
        if facts is not None:
            yield from _packages(python, set(found.missing), facts)

    # ------------------------------------------------------------------ exchanges

    def exchanges(self, hosts: Sequence[str]) -> Iterator[tuple[str, Finding]]:
        """Yield, with the component's name, what scripts name that is not among the emulated hosts."""
        for name, facts in self._scripts.items():
            for module, venue in _SDK_VENUES.items():
                if module in {*facts.needed, *facts.optional} and venue not in self._settings.venue:
                    text = f"it imports {module}, and [venue.{venue}] is not configured: its requests are refused"
                    yield name, ("check", text)
            strange = sorted(host for host in facts.hosts.difference(hosts) if _looks_like_an_exchange(host))
            if strange:
                text = (
                    f"it names {', '.join(strange)}; requests to hosts that are not emulated are refused and counted "
                    f"(emulated: {', '.join(hosts) or 'none'})"
                )
                yield name, ("check", text)

    def timeframes(self) -> dict[str, str]:
        """Return the candle lengths that scripts name -> as Replay names them: "1hour" -> "1h"."""
        words = {word for facts in self._scripts.values() for word in facts.words}
        found = {word: _TIMEFRAME.fullmatch(word) for word in words}
        return {word: match[1] + match[2][0] for word, match in found.items() if match and int(match[1])}

    # ------------------------------------------------------------------ start conditions

    def starts(self, bots: Sequence[ComponentSettings]) -> Iterator[Finding]:
        """Yield what there is to say of start conditions."""
        waiting = 0
        for component in bots:
            folder = Path(component.workdir or ".").resolve()
            condition = component.start_when
            if condition is None or not folder.is_dir():
                continue
            if is_start_condition_met(folder / condition.file, condition.contains):
                text = (
                    f"{component.name} starts at once: {condition.file} in the folder says so already; remove it there "
                    "if the run is to begin without it"
                )
                yield "check", text
                continue
            waiting += 1
            yield self._writers(component, condition.file, list(condition.contains), folder)
        if bots and waiting == len(bots) == len(self._settings.component):
            yield (
                "failed",
                "every component waits for a file, so nothing would ever start; let one start at once",
            )

    def _writers(self, component: ComponentSettings, file: str, keys: list[str], folder: Path) -> Finding:
        # As far as a search for its name tells; the waiting bot itself does not run before.
        own = self._scripts.get(component.name)
        mine = own.scripts[0] if own is not None and len(own.scripts) == 1 else None
        others = {
            path.name: path.read_text(encoding="utf-8", errors="replace")
            for path in script_files(folder)
            if path.resolve() != mine and not _is_configuration(path)
        }
        name = Path(file).name
        naming = [script for script, text in others.items() if name in text]
        if not naming:
            return (
                "check",
                f"{component.name} waits for {file}, which no other script of {folder} names: it may never start",
            )
        absent = [key for key in keys if not any(key in text for text in others.values())]
        if absent:
            what = ", ".join(absent)
            return "check", f"{component.name} waits for {what} in {file}, which no other script names"
        return "ok", f"{component.name} waits for {file}, which {', '.join(sorted(naming))} names"


def _packages(python: str, missing: set[str], facts: ScriptFacts) -> Iterator[Finding]:
    imports = {*facts.needed, *facts.optional}
    absent = [name for name in facts.needed if name in missing]
    if "kucoin" in imports and "kucoin" not in missing and "pkg_resources" in missing:
        text = (
            "kucoin-python imports pkg_resources, which newer setuptools do not have: "
            f"{python} -m pip install 'setuptools<81'"
        )
        yield "failed", text
    if absent:
        named = [_PACKAGES.get(name, name) for name in absent]
        if "kucoin" in absent and "pkg_resources" in missing and "pkg_resources" not in absent:
            named.append(_PACKAGES["pkg_resources"])
        where = ", ".join(f"{name} ({facts.needed[name]})" for name in absent)
        yield (
            "failed",
            f"it imports what is not installed: {where}: {python} -m pip install {' '.join(named)}",
        )
    optional = [name for name in facts.optional if name in missing]
    if optional:
        yield "check", f"not installed, and imported where it may be absent: {', '.join(optional)}"
    if not absent:
        count = len(imports) - len(optional)
        yield (
            "ok",
            f"its {count} imports are found ({len(facts.scripts)} script{'s' * (len(facts.scripts) > 1)})",
        )


def _is_configuration(path: Path) -> bool:
    # Such as the file that says `start_when`: what is written there writes nothing.
    return path.suffix in (".toml", ".ini", ".cfg", ".yaml", ".yml")


def _looks_like_an_exchange(host: str) -> bool:
    # A link in a comment or a message is no request; interfaces are named as such.
    return any(part.startswith(_EXCHANGE_WORDS) for part in host.lower().split("."))
