"""bots.json: what there is to know of the unmodified bots of a run, to judge whether it can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from orchestrator.errors import DataError
from orchestrator.runs.layout import write_file

__all__ = [
    "BOTS_FILE",
    "BotFacts",
    "EndedBot",
    "FolderFacts",
    "RefusedRequest",
    "RequestFacts",
    "StuckBot",
    "read_bot_facts",
    "write_bot_facts",
]

BOTS_FILE: Final = "bots.json"


class RefusedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of thing that a bot wanted of the world and did not get."""

    component: str
    what: str  # request, or the system call
    target: str
    client: str  # the library
    count: int
    first_sim_time_ns: int


class RequestFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How often a component asked an emulated exchange for something."""

    component: str
    venue: str
    endpoint: str
    count: int
    is_known: bool  # else it got the exchange's own "not found"


class EndedBot(msgspec.Struct, frozen=True, kw_only=True):
    """A bot that ended before the run did."""

    component: str
    how: str
    sim_time_ns: int


class StuckBot(msgspec.Struct, frozen=True, kw_only=True):
    """A bot that neither slept nor asked for longer than `component_timeout`."""

    component: str
    place: str  # file, line and function, as far as they are known
    sim_time_ns: int


class FolderFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One working folder: the user's, and the copy in which the bots ran."""

    folder: str
    copy: str  # relative to the run directory
    scripts_before: dict[str, str]  # path in the copy -> SHA-256
    scripts_after: dict[str, str]
    is_original_unchanged: bool  # the user's own folder, as of the end of the run
    left_out: tuple[str, ...] = ()  # what was not copied, and why


class BotFacts(msgspec.Struct, frozen=True, kw_only=True):
    """bots.json."""

    refused_requests: int = 0
    refused: tuple[RefusedRequest, ...] = ()
    requests: tuple[RequestFacts, ...] = ()
    ended: tuple[EndedBot, ...] = ()
    stuck: tuple[StuckBot, ...] = ()
    never_started: tuple[str, ...] = ()  # whose start condition did not come true
    folders: tuple[FolderFacts, ...] = ()
    protections: dict[str, str] = {}  # which hold, and which do not and why

    @property
    def are_files_unchanged(self) -> bool:
        """Whether neither the user's folders nor the scripts of the copies changed."""
        return all(f.is_original_unchanged and f.scripts_before == f.scripts_after for f in self.folders)


def write_bot_facts(directory: Path, facts: BotFacts) -> None:
    """Write bots.json under a temporary name and rename it into place.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(facts), indent=2)
    write_file(directory / BOTS_FILE, text + b"\n")


def read_bot_facts(directory: Path) -> BotFacts | None:
    """Read bots.json; None when the run had no unmodified bots.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    path = directory / BOTS_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=BotFacts)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}; the run's other files are untouched") from None
