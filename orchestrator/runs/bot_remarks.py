"""What of a run's unmodified bots is to be known before its results are trusted, in words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from orchestrator.runs.bot_facts import BotFacts, FolderFacts

__all__ = ["BotRemark", "bot_remarks"]

_NAMED_MAX: Final = 3  # of each kind, the others are counted


class BotRemark(NamedTuple):
    """One line."""

    level: Literal["warning", "note"]
    text: str


def bot_remarks(facts: BotFacts) -> tuple[BotRemark, ...]:
    """Return the remarks on the bots of a run, the gravest first; none when all is as it should be."""
    grave = [BotRemark("warning", text) for text in _warnings(facts)]
    return (*grave, *(BotRemark("note", text) for text in _notes(facts)))


def _warnings(facts: BotFacts) -> Iterator[str]:
    if facts.refused_requests:
        first = sorted(facts.refused, key=lambda refused: refused.first_sim_time_ns)
        named = [f"{r.component} {r.what} to {r.target} ({r.count})" for r in first]
        yield (
            f"{facts.refused_requests} requests of bots were refused: {_listed(named)}; live they would have had an "
            "answer"
        )
    unknown = [request for request in facts.requests if not request.is_known]
    if unknown:
        count = sum(request.count for request in unknown)
        named = [f"{r.component} {r.endpoint} of {r.venue} ({r.count})" for r in unknown]
        yield f"{count} requests asked for what is not emulated: {_listed(named)}; they got the exchange's own error"
    for stuck in facts.stuck:
        yield f"{stuck.component} neither slept nor asked for anything: it was at {stuck.place}"
    for ended in facts.ended:
        yield f"bot {ended.component} {ended.how} at {_moment(ended.sim_time_ns)}, before the replay ended"
    for name in facts.never_started:
        yield f"bot {name} never started: its start condition did not come true"
    for folder in facts.folders:
        yield from _changes(folder)


def _changes(folder: FolderFacts) -> Iterator[str]:
    if not folder.is_original_unchanged:
        yield f"{folder.folder} changed while the run went on: the run did not, its bots ran in a copy"
    before, after = folder.scripts_before, folder.scripts_after
    changed = sorted(path for path in before if after.get(path) != before[path])
    if changed:
        yield f"bots changed their own scripts in the copy: {_listed(changed)}; the next run starts without that"


def _notes(facts: BotFacts) -> Iterator[str]:
    network = facts.protections.get("network_namespace", "")
    if network.startswith("not available"):
        yield f"the network was closed to Python code alone: no network namespace, {network.partition(': ')[2]}"


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED_MAX
    return ", ".join(names[:_NAMED_MAX]) + (f" and {more} more (bots.json)" if more > 0 else "")


def _moment(sim_time_ns: int) -> str:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=sim_time_ns // 1_000_000_000)
    return moment.strftime("%Y-%m-%d %H:%M:%S")
