"""Answers the requests of bots: those to an emulated exchange by it, all others by a refusal that is counted."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec

from orchestrator.engine.bot_desk import BotDesk
from orchestrator.exchange.events import Outcome
from orchestrator.runtime.bot_report import BotReport
from orchestrator.venues.http import VenueRequest
from orchestrator.venues.venues import Venues

__all__ = ["BotAnswer", "BotExchange", "BotRequest"]

_TIMEOUT_SECONDS: Final = 30.0  # of a client that waits for ever
_NS_PER_SECOND: Final = 1_000_000_000
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


class BotRequest(msgspec.Struct, frozen=True):
    """A request, and who sent it how."""

    request: VenueRequest
    client: str  # the library
    timeout: float | None  # seconds after which it gives up


class BotAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a client gets; with a `failure` it gets nothing but its own kind of exception."""

    status: int = 0
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    valid_until_ns: int | None = None
    failure: str | None = None
    message: str = ""
    takes_ns: int | None = None


class BotExchange:
    """What the engine calls when a bot's request has its turn.

    Parameters
    ----------
    venues
        The emulated exchanges.
    report
        Hears of refusals.
    """

    def __init__(self, venues: Venues, report: BotReport) -> None:
        self._venues = venues
        self._report = report
        self.hosts = venues.hosts

    def note(self, outcome: Outcome) -> None:
        """Hear what happened to an order."""
        self._venues.note(outcome)

    def count_hits(self, component: str, key: str, count: int, sim_time_ns: int) -> None:
        """Count answers that a process took from its own cache."""
        self._venues.count_hits(component, key, count, sim_time_ns)

    def answer(self, request: BotRequest, desk: BotDesk) -> BotAnswer:
        """Answer a request as of the desk's time."""
        asked = request.request
        if not self._venues.is_emulated(asked.host):
            self._report.refused(desk.component, "request", asked.host, request.client, desk.now_ns)
            emulated = ", ".join(self.hosts) or "none"
            return BotAnswer(
                failure="refused",
                message=f"Replay: {asked.host} is not emulated and no request leaves the machine; "
                f"emulated hosts: {emulated}",
            )
        answer = self._venues.answer(asked, desk)
        if answer.failure is not None:
            waited = request.timeout if request.timeout is not None else _TIMEOUT_SECONDS
            takes_ns = int(waited * _NS_PER_SECOND) if answer.failure == "timeout" else None
            return BotAnswer(failure=answer.failure, message="a fault of [venue.*.faults]", takes_ns=takes_ns)
        return BotAnswer(
            status=answer.status,
            reason=_REASONS.get(answer.status, ""),
            headers=answer.headers,
            body=answer.body,
            valid_until_ns=answer.valid_until_ns,
            takes_ns=answer.takes_ns,
        )
