"""`replay control`: pause, resume, step, speed, stop - decided here, acted on between sequences."""

from __future__ import annotations

from orchestrator.config import SPEED_MAX, SPEED_MIN
from orchestrator.protocol import ControlRequest
from orchestrator.runtime.interrupts import Interrupts
from orchestrator.runtime.pacing import Pacer

__all__ = ["ACTIONS", "ControlDesk"]

ACTIONS = ("status", "pause", "resume", "step", "speed", "stop")

_STEPS_MAX = 1_000_000_000


class ControlDesk:
    """What the operator of a run has asked for.

    Invariant: `steps` > 0 only while `is_paused`.
    """

    def __init__(self, pacer: Pacer, interrupts: Interrupts) -> None:
        self.is_paused = False
        self.steps = 0  # ticks that may still pass although the run is paused
        self._pacer = pacer
        self._interrupts = interrupts

    @property
    def status(self) -> str:
        """Return "running" or "paused"."""
        return "paused" if self.is_paused and not self.steps else "running"

    def may_tick(self) -> bool:
        """Return whether the next tick may pass; uses up one step."""
        if not self.is_paused:
            return True
        if self.steps:
            self.steps -= 1
            return True
        return False

    def handle(self, request: ControlRequest) -> tuple[bool, str]:
        """Take a request; return whether it was accepted, and a sentence about it."""
        match request.action:
            case "status":
                return True, self.status
            case "pause":
                self.is_paused, self.steps = True, 0
                return True, "pauses before the next tick"
            case "resume":
                self.is_paused, self.steps = False, 0
                self._pacer.release()
                return True, "goes on"
            case "step":
                return self._step(request.value)
            case "speed":
                return self._speed(request.value)
            case "stop":
                self._interrupts.stop()
                return True, "stops after the current sequence"
        return False, f"action {request.action!r} is not known; use {', '.join(ACTIONS)}"

    def _step(self, value: float | None) -> tuple[bool, str]:
        count = 1.0 if value is None else value
        if not (count.is_integer() and 1 <= count <= _STEPS_MAX):
            return False, f"step {count:g} is not allowed; a whole number of ticks from 1"
        self.is_paused = True
        self.steps = int(count)
        self._pacer.release()
        return True, f"takes {int(count)} tick{'s' if count > 1 else ''} and pauses"

    def _speed(self, value: float | None) -> tuple[bool, str]:
        if value is not None and not SPEED_MIN <= value <= SPEED_MAX:
            return False, (
                f"speed {value:g} is not allowed; use max, or simulated seconds per wall second "
                f"from {SPEED_MIN:f} to {SPEED_MAX:.0f}"
            )
        self._pacer.set_speed(value)
        return True, f"speed is now {'max' if value is None else f'{value:g}'}"
