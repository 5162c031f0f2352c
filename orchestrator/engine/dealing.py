"""Between the engine and the exchange: events in, and whatever follows from them to everyone concerned."""

from __future__ import annotations

from typing import Any, Final

from orchestrator.engine.bots import BotVenues
from orchestrator.engine.clock import Clock
from orchestrator.engine.commands import Command, PublishFill, Write
from orchestrator.engine.event_queue import EventQueue
from orchestrator.engine.events import EventKey, EventKind
from orchestrator.engine.journal import Journal
from orchestrator.engine.mailbox import Mailbox, to_fill
from orchestrator.engine.requests import ComponentPlace
from orchestrator.engine.wake_ups import WakeUps
from orchestrator.errors import CausalityError
from orchestrator.exchange.events import (
    CashFlowBooked,
    Input,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    Outcome,
    RequestRefused,
    SetTimer,
    TimerDue,
    TimerKind,
)
from orchestrator.exchange.exchange import Exchange
from orchestrator.exchange.margin import EXCHANGE_SOURCE

__all__ = ["Dealing"]

_TIMER_KINDS: Final = {
    TimerKind.FUNDING: EventKind.FUNDING,
    TimerKind.LIQUIDATION: EventKind.LIQUIDATION,
    TimerKind.EXPIRY: EventKind.EXPIRY,
    TimerKind.CANCEL: EventKind.CANCEL,
    TimerKind.OPENING: EventKind.REMAINDER,
    TimerKind.ARRIVAL: EventKind.ORDER,
}
_AT_ONCE: Final = (OrderFilled, OrderCancelled, OrderExpired)
_LATER: Final = (OrderRejected, RequestRefused)


class Dealing:
    """Gives events to the exchange; writes down what follows, queues its timers, and tells who is concerned.

    Parameters
    ----------
    exchange
        The simulated exchange; nobody else gives it events.
    components, mailboxes
        In declared order; an unmodified bot has a mailbox too, and nothing is put in it.
    clock, queue, wake_ups
        Of the engine.
    currency
        Account currency.
    venues
        The emulated exchanges, which hear of everything.

    Attributes
    ----------
    fills
        How many there were.
    has_balances_changed
        Since somebody set it to False.
    """

    def __init__(
        self,
        exchange: Exchange,
        components: tuple[ComponentPlace, ...],
        mailboxes: tuple[Mailbox, ...],
        clock: Clock,
        queue: EventQueue[Any],
        wake_ups: WakeUps,
        currency: str,
        venues: BotVenues | None,
    ) -> None:
        self.fills = 0
        self.has_balances_changed = False
        self._exchange = exchange
        self._components = components
        self._mailboxes = mailboxes
        self._clock = clock
        self._queue = queue
        self._wake_ups = wake_ups
        self._journal = Journal(currency)
        self._venues = venues

    def handle(self, commands: list[Command], event: Input, *, is_notifying: bool = True) -> list[Outcome]:
        """Give the exchange an event; return what happened to orders and accounts at once.

        Parameters
        ----------
        commands
            Where what is to be done is put.
        is_notifying
            Whether components hear of it; nobody does at the end of the run.
        """
        outcomes: list[Outcome] = []
        for outcome in self._exchange.handle(event):
            if isinstance(outcome, SetTimer):
                kind = _TIMER_KINDS[outcome.kind]
                key = EventKey(outcome.sim_time_ns, kind, outcome.source, outcome.counter)
                self._queue.push(key, TimerDue(sim_time_ns=outcome.sim_time_ns, timer=outcome))
                continue
            if outcome.sim_time_ns != self._clock.sim_time_ns:
                raise CausalityError(f"{outcome} was reported at {self._clock.sim_time_ns}")
            commands.extend(map(Write, self._journal.records(outcome, self._clock.sequence)))
            if self._venues is not None:
                self._venues.note(outcome)
            if is_notifying:
                self._notify(commands, outcome)
            outcomes.append(outcome)
        return outcomes

    def _notify(self, commands: list[Command], outcome: Outcome) -> None:
        now_ns = self._clock.sim_time_ns
        if isinstance(outcome, _AT_ONCE):
            for place in self._concerned(outcome):
                self._mailboxes[place].deliver(outcome, now_ns)
            if isinstance(outcome, OrderFilled):
                self.fills += 1
                self.has_balances_changed = True
                commands.append(PublishFill(outcome.component, to_fill(outcome)))
        elif isinstance(outcome, CashFlowBooked):
            self.has_balances_changed = True
        elif isinstance(outcome, _LATER) and not self._components[outcome.source].is_bot:
            if outcome.notify_time_ns > now_ns:
                self._wake_ups.bring(outcome.source, outcome, outcome.notify_time_ns)
            else:
                self._mailboxes[outcome.source].deliver(outcome, now_ns)

    def _concerned(self, outcome: OrderFilled | OrderCancelled | OrderExpired) -> tuple[int, ...]:
        # Who hears of an order: its component; of a liquidation every component of the account, by its fills.
        # A bot hears nothing: it asks its exchange, which hears everything.
        if outcome.source != EXCHANGE_SOURCE:
            return () if self._components[outcome.source].is_bot else (outcome.source,)
        if not isinstance(outcome, OrderFilled):
            return ()
        return tuple(
            place for place, c in enumerate(self._components) if c.account == outcome.account and not c.is_bot
        )
