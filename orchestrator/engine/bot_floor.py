"""The floor on which unmodified bots work: who is let go on when, for how long, and with which answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from orchestrator.engine.bot_desk import BotDesk
from orchestrator.engine.bots import BotCall, BotProcess, BotProcesses, BotVenues
from orchestrator.engine.clock import Clock
from orchestrator.engine.commands import Command, GrantTurn
from orchestrator.engine.dealing import Dealing
from orchestrator.engine.event_queue import EventQueue
from orchestrator.engine.events import EventKey, EventKind
from orchestrator.engine.price_feed import PriceFeed
from orchestrator.engine.requests import ComponentPlace, RequestDesk
from orchestrator.engine.turns import Turn, Turns
from orchestrator.exchange.exchange import Exchange

__all__ = ["BotDue", "BotFloor"]


class BotDue(msgspec.Struct, frozen=True):
    """A blocked process of a bot goes on."""

    process: BotProcess


class BotFloor:
    """Turns of bots' processes among all other events.

    What the shell says (`begins`, `blocks`, `may_go_on`, `ends`) returns commands, as the engine's entrances do.

    Parameters
    ----------
    components
        In declared order.
    clock, queue, turns, feed, dealing, requests, exchange
        Of the engine.
    venues
        The emulated exchanges.
    request_latency_ns
        What a request costs of a process's own time.
    sim_end_ns
        Nobody goes on later.
    has_sdk
        Whether there are components beside the bots, which act at every tick.
    go_on
        Gives the next turn when nobody is at work, and returns the commands of the moment so far.

    Attributes
    ----------
    is_start_pending
        A bot waits for its start condition: nobody may run ahead of a look at it.
    """

    def __init__(
        self,
        components: tuple[ComponentPlace, ...],
        *,
        clock: Clock,
        queue: EventQueue[Any],
        turns: Turns,
        feed: PriceFeed,
        dealing: Dealing,
        requests: RequestDesk,
        exchange: Exchange,
        venues: BotVenues,
        request_latency_ns: int,
        sim_end_ns: int,
        has_sdk: bool,
        go_on: Callable[[], list[Command]],
    ) -> None:
        self.is_start_pending = False
        self._components = components
        self._clock = clock
        self._queue = queue
        self._turns = turns
        self._feed = feed
        self._dealing = dealing
        self._requests = requests
        self._exchange = exchange
        self._venues = venues
        self._request_latency_ns = request_latency_ns
        self._sim_end_ns = sim_end_ns
        self._has_sdk = has_sdk
        self._go_on = go_on
        self._processes = BotProcesses()
        self._granted: set[BotProcess] = set()  # who had a turn at this moment; membership only

    @property
    def is_any_at_work(self) -> bool:
        """Return whether time must stand still."""
        return self._processes.is_any_at_work

    @property
    def at_work(self) -> tuple[BotProcess, ...]:
        """Processes that are at work or starting, in declared order."""
        return self._processes.at_work

    # ------------------------------------------------------------------ what the shell says

    def begins(self, process: BotProcess) -> None:
        """Note that a process was started: time stands still until it blocks or is gone."""
        self._processes.begin(process)

    def blocks(self, process: BotProcess, call: BotCall) -> list[Command]:
        """Take what a process asks for before it blocks; it goes on when simulation time has come to that."""
        self._processes.block(process, call)
        until_ns = call.until_ns
        if until_ns is not None and until_ns <= self._clock.sim_time_ns:
            self._turns.add(self._turn(process))
        elif until_ns is not None and until_ns <= self._sim_end_ns:
            self._schedule(process, until_ns)
        return self._go_on()

    def may_go_on(self, process: BotProcess, earliest_ns: int) -> list[Command]:
        """Let a blocked process go on, because what it waited for has happened at a time; its own may be later."""
        call = self._processes.call_of(process)
        if call is None:
            return []
        from_ns = max(call.sim_time_ns, earliest_ns)
        if call.until_ns is not None:
            from_ns = min(from_ns, max(call.sim_time_ns, call.until_ns))
        # An event that is queued for it, or a turn that it is to have, does not count any more.
        self._processes.schedule(process)
        self._turns.remove(process)
        if from_ns <= self._clock.sim_time_ns:
            self._turns.add(self._turn(process))
        elif from_ns <= self._sim_end_ns:
            self._schedule(process, from_ns)
        return self._go_on()

    def breaks_off(self, process: BotProcess) -> bool:
        """Let a process that has broken off its wait work at once, beside whoever works; false if it works already.

        What ended its wait is not simulated: a signal, whose handler has something to ask.
        """
        if self._processes.call_of(process) is None:
            return False
        self._processes.go_on(process)
        self._turns.remove(process)
        return True

    def ends(self, process: BotProcess) -> list[Command]:
        """Forget a process that is gone."""
        self._processes.end(process)
        self._turns.remove(process)
        self._granted.discard(process)
        return self._go_on()

    # ------------------------------------------------------------------ what the engine says

    def begin_moment(self) -> None:
        """Note that time has moved on."""
        self._granted.clear()

    def come_due(self, event: BotDue, number: int) -> None:
        """Give the process of an event a turn, if the event still counts."""
        if self._processes.is_due(event.process, number):
            self._turns.add(self._turn(event.process))

    def grant(self, commands: list[Command], process: BotProcess) -> None:
        """Do what a process has asked for, and let it work at its own time until it blocks again."""
        call = self._processes.go_on(process)
        now_ns = self._clock.sim_time_ns
        own_time_ns, answer = max(now_ns, call.sim_time_ns), None
        component = self._components[process.place]
        if call.request is not None:
            desk = BotDesk(
                process.place,
                component,
                now_ns,
                self._exchange,
                self._requests,
                lambda event: self._dealing.handle(commands, event),
            )
            answer = self._venues.answer(call.request, desk)
            own_time_ns += self._request_latency_ns if answer.takes_ns is None else answer.takes_ns
        self._granted.add(process)
        # Who never trades waits for no order: the turns of a thinker, which a burst keeps in step with the ticks,
        # may not depend on what a trader on the same account has open.
        is_trading = self._requests.has_traded(process.place)
        has_open_orders = is_trading and self._exchange.has_open_orders(component.account)
        commands.append(GrantTurn(process, own_time_ns, self._horizon_ns(process), has_open_orders, answer))

    def _turn(self, process: BotProcess) -> Turn:
        rank = 0 if process in self._granted else 1
        return Turn(
            rank, self._components[process.place].stage, process.place, process.path, (process.place,)
        )

    def _schedule(self, process: BotProcess, sim_time_ns: int) -> None:
        number = self._processes.schedule(process)
        self._queue.push(EventKey(sim_time_ns, EventKind.STAGES, process.place, number), BotDue(process))

    def _horizon_ns(self, process: BotProcess) -> int:
        # Until then nothing happens that anyone else acts on: the process may sleep so long without asking.
        now_ns = self._clock.sim_time_ns
        if self._turns or self.is_start_pending or self._processes.is_other_at_work(process):
            return now_ns
        # Of what is queued, trainings stop bots and put models into their folders.
        times = [self._sim_end_ns, self._processes.next_wake_ns(process), self._queue.next_time_ns]
        if self._has_sdk:
            times.append(self._feed.next_time_ns)
        return max(now_ns, min(time for time in times if time is not None) - 1)
