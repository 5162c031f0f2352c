"""The floor on which unmodified trainers work: the clock stands still, and each process has a time of its own.

A trainer's sleeps and requests cost its own time, and nobody else's. What it asks is answered as of the training,
however late it is for itself. One process works at a time, the one whose own time is the earliest, so that a
trainer of several processes does the same in every run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from orchestrator.durations import NS_PER_DAY
from orchestrator.engine.bots import BotCall, BotProcess, BotProcesses, VenueAnswer
from orchestrator.engine.commands import Command, GrantTurn

__all__ = ["TrainerFloor"]

_AHEAD_NS: Final = 3_650 * NS_PER_DAY  # how far a trainer that is alone may sleep without asking


class TrainerFloor:
    """Turns of the processes of one trainer.

    Parameters
    ----------
    answer
        Answers a request as of the training.
    request_latency_ns
        What a request costs of a process's own time.
    """

    def __init__(self, answer: Callable[[Any], VenueAnswer], request_latency_ns: int) -> None:
        self.is_start_pending = False
        self._answer = answer
        self._request_latency_ns = request_latency_ns
        self._processes = BotProcesses()
        self._waiting: dict[BotProcess, int] = {}  # until when, in its own time

    @property
    def is_any_at_work(self) -> bool:
        """Return whether a process is at work or starting."""
        return self._processes.is_any_at_work

    @property
    def at_work(self) -> tuple[BotProcess, ...]:
        """Processes that are at work or starting, in order."""
        return self._processes.at_work

    def begins(self, process: BotProcess) -> None:
        """Note that a process was started."""
        self._processes.begin(process)

    def blocks(self, process: BotProcess, call: BotCall) -> list[Command]:
        """Take what a process asks for before it blocks."""
        self._processes.block(process, call)
        if call.until_ns is not None:
            self._waiting[process] = max(call.until_ns, call.sim_time_ns)
        return self._go_on()

    def may_go_on(self, process: BotProcess, earliest_ns: int) -> list[Command]:
        """Let a blocked process go on, because what it waited for has happened at a time; its own may be later."""
        call = self._processes.call_of(process)
        if call is None:
            return []
        from_ns = max(call.sim_time_ns, earliest_ns)
        if call.until_ns is not None:
            from_ns = min(from_ns, max(call.sim_time_ns, call.until_ns))
        self._waiting[process] = from_ns
        return self._go_on()

    def breaks_off(self, process: BotProcess) -> bool:
        """Let a process that has broken off its wait work at once; false if it works already."""
        if self._processes.call_of(process) is None:
            return False
        self._processes.go_on(process)
        self._waiting.pop(process, None)
        return True

    def ends(self, process: BotProcess) -> list[Command]:
        """Forget a process that is gone."""
        self._processes.end(process)
        self._waiting.pop(process, None)
        return self._go_on()

    def _go_on(self) -> list[Command]:
        if self._processes.is_any_at_work or not self._waiting:
            return []
        until_ns, process = min((until, process) for process, until in self._waiting.items())
        del self._waiting[process]
        call = self._processes.go_on(process)
        own_time_ns, answer = until_ns, None
        if call.request is not None:
            answer = self._answer(call.request)
            own_time_ns += self._request_latency_ns if answer.takes_ns is None else answer.takes_ns
        horizon_ns = min(self._waiting.values(), default=own_time_ns + _AHEAD_NS) - 1
        return [GrantTurn(process, own_time_ns, max(own_time_ns, horizon_ns), False, answer)]
