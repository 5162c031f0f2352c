"""What a run tells of its unmodified bots beside their orders: refusals, requests, ends, stacks of the stuck."""

from __future__ import annotations

import msgspec

from orchestrator.runs.bot_facts import EndedBot, RefusedRequest, StuckBot

__all__ = ["BotReport"]

_REFUSALS_MAX = 1_000  # kinds of them that are told apart
_STRANGERS_MAX = 100


class BotReport:
    """Collects while a run goes on.

    Attributes
    ----------
    refused_count
        Every refusal.
    ends, stuck
        In the order in which they were noticed.
    """

    def __init__(self) -> None:
        self.refused_count = 0
        self.ends: list[EndedBot] = []
        self.stuck: list[StuckBot] = []
        self._refusals: dict[tuple[str, str, str, str], RefusedRequest] = {}
        self._strangers: list[str] = []

    def refused(self, component: str, what: str, target: str, client: str, sim_time_ns: int) -> None:
        """Count something that a bot wanted of the world and did not get."""
        self.refused_count += 1
        key = (component, what, target, client)
        if key not in self._refusals and len(self._refusals) >= _REFUSALS_MAX:
            key = (component, what, "others", "")
        known = self._refusals.get(key)
        if known is None:
            known = RefusedRequest(
                component=key[0],
                what=key[1],
                target=key[2],
                client=key[3],
                count=0,
                first_sim_time_ns=sim_time_ns,
            )
        self._refusals[key] = msgspec.structs.replace(known, count=known.count + 1)

    def ended(self, component: str, how: str, sim_time_ns: int) -> None:
        """Note that a bot's first process ended before the run did."""
        self.ends.append(EndedBot(component=component, how=how, sim_time_ns=sim_time_ns))

    def stuck_in(self, component: str, place: str, sim_time_ns: int) -> None:
        """Note where a bot was found that neither slept nor asked for too long."""
        self.stuck.append(StuckBot(component=component, place=place, sim_time_ns=sim_time_ns))

    def stranger(self, why: str) -> None:
        """Note a connection that was refused."""
        if len(self._strangers) < _STRANGERS_MAX:
            self._strangers.append(why)

    def take_strangers(self) -> list[str]:
        """Return why connections were refused since the last call, for the log."""
        strangers, self._strangers = self._strangers, []
        return strangers

    @property
    def refusals(self) -> tuple[RefusedRequest, ...]:
        """What was refused, each kind once, in the order of their keys."""
        return tuple(self._refusals[key] for key in sorted(self._refusals))
