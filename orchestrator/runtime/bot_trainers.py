"""Trainers that know nothing of Replay: each in its folder of the working copy, its requests answered as of T.

They are the same kind of process as unmodified bots, under a shim of the same kind, but the clock stands still
for everybody else. Their orders meet an account without money.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from orchestrator.config import Settings
from orchestrator.durations import NS_PER_DAY, NS_PER_SECOND
from orchestrator.engine.bot_desk import BotDesk
from orchestrator.engine.clock import Clock
from orchestrator.engine.requests import ComponentPlace, RequestDesk
from orchestrator.engine.trainer_floor import TrainerFloor
from orchestrator.exchange.events import Input, Outcome, SetTimer
from orchestrator.exchange.exchange import Exchange
from orchestrator.home import ENVIRONMENT_HOME
from orchestrator.market.timeframes import grid_anchor_ns
from orchestrator.runs.layout import LOGS_FOLDER
from orchestrator.runtime import wall_clock
from orchestrator.runtime.bot_exchange import BotAnswer, BotExchange, BotRequest
from orchestrator.runtime.bot_host import BotComponent, BotHost, BotRules
from orchestrator.runtime.bot_line import BotLine
from orchestrator.runtime.bot_report import BotReport
from orchestrator.runtime.bot_venues import make_venues
from orchestrator.runtime.plan import RunPlan
from orchestrator.runtime.supervisor import ComponentExited, ComponentStarted, Supervisor
from orchestrator.runtime.trainer_jobs import Job, end_of
from orchestrator.training.bot_folder import folder_of
from orchestrator.training_settings import TrainingSettings, fill_templates

__all__ = ["BotStarter", "BotTrainers", "trainers_at_once"]

_SLICE_MS: Final = 5
_AHEAD_NS: Final = 36_500 * NS_PER_DAY  # a trainer's own time ends so long after the training


class BotStarter(Protocol):
    """What is needed of the bots of the run."""

    def working_copy(self, folder: Path) -> Path:
        """Return the working copy of a folder of the user's."""

    def command_in_copy(self, command: tuple[str, ...], folder: Path) -> tuple[str, ...]:
        """Return a resolved command as it is started in the working copy."""

    def environment_of(self, name: str, socket: Path, token: str) -> dict[str, str]:
        """Return the environment of a bot's process that calls at another socket."""


class BotTrainers:
    """Runs the trainers of one training time.

    Parameters
    ----------
    plan
        The run.
    training
        Resolved, of kind "bot".
    command, workdir
        Of the trainer; the user's folder.
    bots
        Of the run.
    sockets
        A directory for sockets.
    """

    def __init__(
        self,
        plan: RunPlan,
        training: TrainingSettings,
        *,
        command: tuple[str, ...],
        workdir: Path,
        bots: BotStarter,
        sockets: Path,
    ) -> None:
        self._plan = plan
        self._training = training
        self._command = command
        self._workdir = workdir
        self._bots = bots
        self._sockets = sockets
        self._count = 0

    @property
    def copy(self) -> Path:
        """The working copy that trainers and bots share."""
        return self._bots.working_copy(self._workdir)

    def run(self, jobs: Sequence[Job], may_go_on: Callable[[], bool]) -> bool:
        """Run the trainer for each job; what came of it is noted in the job. Return False when it was stopped."""
        is_patient = self._training.on_failure == "keep"
        waiting, running = list(reversed(jobs)), list[_Trainer]()
        parallel = trainers_at_once(self._training, [job.coin for job in jobs])
        with Supervisor(self._plan.directory / LOGS_FOLDER) as supervisor:
            try:
                while waiting or running:
                    while waiting and len(running) < parallel:
                        running.append(self._start(waiting.pop(), supervisor))
                    events = supervisor.poll()
                    for trainer in running:
                        trainer.look_after(events, supervisor, self._training.timeout)
                    for trainer in [trainer for trainer in running if trainer.job.exited is not None]:
                        trainer.close()
                        running.remove(trainer)
                    if not may_go_on():
                        return False
                    if not is_patient and any(job.failure is not None and job.exited for job in jobs):
                        break
            finally:
                for trainer in running:
                    trainer.close()
            supervisor.stop(grace_seconds=0, term_seconds=0)
        for job in jobs:
            if job.exited is None and job.failure is None:
                job.failure = "was stopped, since another training failed"
        return True

    def _start(self, job: Job, supervisor: Supervisor) -> _Trainer:
        self._count += 1
        folder = folder_of(self.copy, self._training, job.coin)
        folder.mkdir(parents=True, exist_ok=True)
        values = {
            "coin": job.coin,
            "train_until": str(job.train_until),
            "train_from": str(job.window.train_from_ns // NS_PER_SECOND),
            "seed": str(job.seed),
        }
        command = fill_templates(self._bots.command_in_copy(self._command, self._workdir), values)
        line = BotLine(self._sockets / f"trainer-{self._count}")
        trainer = _Trainer(job, self._plan, line, folder, job.window.train_until_ns)
        environment = self._bots.environment_of(job.name, line.path, trainer.host.token)
        environment.pop(ENVIRONMENT_HOME, None)
        supervisor.start(job.name, command, folder, environment)
        job.started_ns = wall_clock.monotonic_ns()
        return trainer


def trainers_at_once(training: TrainingSettings, coins: Sequence[str]) -> int:
    """Return how many trainers may run side by side: one, whatever was asked for, where they could meet in a folder."""
    folders = {folder_of(Path(), training, coin) for coin in coins}
    return (training.parallel or os.cpu_count() or 1) if len(folders) == len(coins) else 1


class _Trainer:
    """One running trainer: its processes, its socket, its exchange."""

    def __init__(self, job: Job, plan: RunPlan, line: BotLine, folder: Path, now_ns: int) -> None:
        self.job = job
        self._line = line
        self._now_ns = now_ns
        self._place = ComponentPlace(name=job.name, stage=1, account=job.name, is_bot=True)
        self._exchange = _penniless_exchange(plan, job.name)
        self._requests = RequestDesk((self._place,))
        report = BotReport()
        # Venues of its own: what it asks must not change what bots are answered, faults and limits included.
        venues = make_venues(_without_clock(plan.settings), plan.market, plan.instruments)
        self._venues = BotExchange(venues, report)
        floor = TrainerFloor(self._answer, plan.settings.bots.request_latency_ns)
        component = BotComponent(
            place=0, name=job.name, folder=folder, burst=None, phase_ns=0, fails_run_on_exit=False
        )
        rules = BotRules(
            seed=plan.settings.seed,
            tick_ns=plan.market.timeframe_ns,
            tick_anchor_ns=grid_anchor_ns(plan.market.exchange, plan.market.timeframe_ns),
            latency_ns=plan.settings.bots.request_latency_ns,
            sim_end_ns=now_ns + _AHEAD_NS,
            charge_cpu=False,
        )
        self.host = BotHost(floor, Clock(now_ns), line, self._venues, (component,), rules, report)
        self.host.begin(component)

    def close(self) -> None:
        """Close the socket; who calls from now on is told that nobody is there."""
        self._line.close()

    def look_after(self, events: Sequence[object], supervisor: Supervisor, timeout: float) -> None:
        """Answer its processes, and note its end."""
        for event in events:
            if isinstance(event, ComponentStarted) and event.name == self.job.name:
                self.host.note_pid(event.name, event.pid)
            elif isinstance(event, ComponentExited) and event.name == self.job.name:
                end_of(self.job, event)
                return
        commands, has_heard = self.host.receive(_SLICE_MS)
        if not has_heard:
            commands += self.host.look_for_ended()
        while commands:
            commands += self.host.grant(commands.pop(0))  # type: ignore[arg-type]  # its floor says nothing else
        if self.job.failure is None and wall_clock.monotonic_ns() - self.job.started_ns > timeout * 1e9:
            self.job.failure = f"took longer than {timeout:g} s (training.timeout)"
            supervisor.signal(self.job.name, signal.SIGKILL)

    def _answer(self, request: BotRequest) -> BotAnswer:
        desk = BotDesk(0, self._place, self._now_ns, self._exchange, self._requests, self._handle)
        return self._venues.answer(request, desk)

    def _handle(self, event: Input) -> list[Outcome]:
        return [o for o in self._exchange.handle(event) if not isinstance(o, SetTimer)]


def _without_clock(settings: Settings) -> Settings:
    # The venues' time stands still at the training: a quota that is used up would never come back, and the stamp
    # of every signature would soon be ahead of it.
    venues = {
        name: msgspec.structs.replace(
            venue,
            rate_limits=False,
            signatures="present" if venue.signatures == "verify" else venue.signatures,
            api_key=None,
            api_secret=None,
            api_passphrase=None,
        )
        for name, venue in settings.venue.items()
    }
    return msgspec.structs.replace(settings, venue=venues)


def _penniless_exchange(plan: RunPlan, account: str) -> Exchange:
    settings: Any = plan.settings
    return Exchange(
        market=plan.execution,
        coins=plan.market.coins,
        instruments=plan.instruments,
        model=settings.execution_model,
        accounts={account: Decimal(0)},
        seed=settings.seed,
        end_ns=settings.end_ns,
    )
