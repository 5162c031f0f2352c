"""Trouble on demand: at most one kind a request, drawn by (seed, venue, component, request counter)."""

from __future__ import annotations

from typing import Final, Literal

from orchestrator.venue_settings import FaultSettings
from orchestrator.venues.ids import Draws

__all__ = ["Fault", "FaultPlan"]

Fault = Literal["timeout", "http_429", "http_500", "lost_answer", "stale_quote", "reset"]
_FAULTS: Final[tuple[Fault, ...]] = (
    "timeout",
    "http_429",
    "http_500",
    "lost_answer",
    "stale_quote",
    "reset",
)


class FaultPlan:
    """Which trouble meets which request of a venue.

    A lost answer is for requests that change something, a stale quote for market data; drawn for another
    request they do nothing.
    """

    def __init__(self, settings: FaultSettings, seed: int, venue: str) -> None:
        self.is_any = settings.is_any
        self._draws = Draws(seed, venue)
        self._bounds: list[tuple[int, Fault]] = []
        bound = 0
        for fault in _FAULTS:
            bound += int(getattr(settings, fault) * Draws.STEPS)
            self._bounds.append((bound, fault))

    def draw(self, component: str) -> Fault | None:
        """Return what happens to a component's next request; None, mostly."""
        if not self.is_any:
            return None
        draw = self._draws.draw(component, "fault")
        return next((fault for bound, fault in self._bounds if draw < bound), None)
