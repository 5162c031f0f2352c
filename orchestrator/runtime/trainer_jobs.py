"""Trainers as processes: several at a time, each with a deadline, all of them dead when this returns."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from typing import Final

import msgspec

from orchestrator.durations import NS_PER_SECOND, parse_timeframe_ns
from orchestrator.home import ENVIRONMENT_HOME
from orchestrator.market.candles import Candles
from orchestrator.market.exporting import candles_csv
from orchestrator.market.market import Market
from orchestrator.protocol import (
    ENVIRONMENT_COMPONENT,
    ENVIRONMENT_CURVE,
    ENVIRONMENT_ENDPOINT,
    ENVIRONMENT_TOKEN,
    TrainingWelcome,
)
from orchestrator.runs.layout import LOGS_FOLDER
from orchestrator.runtime import wall_clock
from orchestrator.runtime.affinity import pin
from orchestrator.runtime.launch import component_environment
from orchestrator.runtime.supervisor import ComponentExited, Supervisor
from orchestrator.runtime.training_door import TrainingDoor
from orchestrator.runtime.training_plan import TrainingPlan
from orchestrator.runtime.transport import Endpoints
from orchestrator.training.schedule import Window
from orchestrator.training_settings import fill_templates

__all__ = ["Job", "end_of", "run_jobs"]

_SLICE_MS: Final = 10
_ALL: Final = 2**62


class Job(msgspec.Struct, kw_only=True):
    """One training of one coin, and what came of it."""

    coin: str
    name: str  # of the trainer and of its log
    window: Window
    output: Path
    input_digest: str
    is_named: bool = (
        True  # by that: false where some files are not in it, so that the cache has nothing for it
    )
    run_id: str
    currency: str
    seed: int
    failure: str | None = None  # how it failed, to follow its name
    seen: tuple[int, int] | None = None
    wall_seconds: float = 0.0
    started_ns: int = 0  # wall time
    exited: ComponentExited | None = None

    @property
    def train_until(self) -> int:
        """Unix seconds."""
        return self.window.train_until_ns // NS_PER_SECOND

    @property
    def export(self) -> Path:
        """The folder of candle files that are made for it."""
        return self.output.with_suffix(".export")


def end_of(job: Job, exited: ComponentExited) -> None:
    """Note in a job how its trainer ended."""
    job.exited = exited
    job.wall_seconds = (wall_clock.monotonic_ns() - job.started_ns) / 1e9
    if job.failure is None and exited.exit_code != 0:
        job.failure = exited.describe() + (f": {exited.last_lines[-1]}" if exited.last_lines else "")


class _Trainers:
    """Running trainers of one training time."""

    def __init__(
        self,
        training: TrainingPlan,
        supervisor: Supervisor,
        door: TrainingDoor,
        market: Market,
        endpoints: Endpoints,
        environment: Mapping[str, str],
    ) -> None:
        self._training = training
        self._supervisor = supervisor
        self._door = door
        self._market = market
        self._endpoints = endpoints
        # Where the cache stands is not for trainers: what lies in it may be later than their training.
        self._environment = {key: value for key, value in environment.items() if key != ENVIRONMENT_HOME}
        self.running: dict[str, Job] = {}

    def start(self, job: Job) -> None:
        settings = self._training.settings
        export = self._export(job, settings.export) if settings.export else None
        token = self._door.expect(self._welcome(job, export))
        additions = {
            ENVIRONMENT_ENDPOINT: self._door.endpoint,
            ENVIRONMENT_TOKEN: token,
            ENVIRONMENT_COMPONENT: job.name,
        }
        if self._endpoints.server_key is not None:
            additions[ENVIRONMENT_CURVE] = self._endpoints.server_key.decode()
        self._supervisor.start(
            job.name,
            _command(self._training.command, job, export),
            self._training.workdir,
            component_environment(self._environment, additions),
        )
        job.started_ns = wall_clock.monotonic_ns()
        self.running[job.name] = job

    def look_after(self) -> None:
        """Answer trainers, and note which have ended."""
        self._door.serve(_SLICE_MS)
        for event in self._supervisor.poll():
            if isinstance(event, ComponentExited):
                self._end(self.running.pop(event.name, None), event)
        timeout = self._training.settings.timeout
        for job in self.running.values():
            if job.failure is None and wall_clock.monotonic_ns() - job.started_ns > timeout * 1e9:
                job.failure = f"took longer than {timeout:g} s (training.timeout)"
                self._supervisor.signal(job.name, signal.SIGKILL)

    def _end(self, job: Job | None, exited: ComponentExited) -> None:
        if job is None:
            return
        end_of(job, exited)
        job.seen = self._door.seen.get(job.name)
        transgression = self._door.transgressions.get(job.name)
        if transgression is not None:  # also where the trainer has swallowed the error
            job.failure = transgression.removeprefix(f"{job.name} ")

    def _export(self, job: Job, timeframes: tuple[str, ...]) -> Path:
        folder, window, market = job.export, job.window, self._market
        rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for coin in market.coins:
            for timeframe in timeframes:
                times, columns = market.closed_between(
                    coin, timeframe, window.train_from_ns, window.train_until_ns, window.train_until_ns, _ALL
                )
                path = folder / f"{coin}-{market.quote}_{timeframe}.csv"
                path.write_bytes(candles_csv(Candles(times, *columns)))
                if len(times):
                    last_close_ns = int(times[-1]) + parse_timeframe_ns(timeframe)
                    self._door.note_seen(job.name, int(times[0]), last_close_ns)
        return folder

    def _welcome(self, job: Job, export: Path | None) -> TrainingWelcome:
        market, settings = self._market, self._training.settings
        return TrainingWelcome(
            run_id=job.run_id,
            component=job.name,
            coin=job.coin,
            coins=market.coins,
            currency=job.currency,
            timeframe=market.timeframe,
            timeframe_ns=market.timeframe_ns,
            train_from_ns=job.window.train_from_ns,
            train_until_ns=job.window.train_until_ns,
            output=str(job.output),
            export=None if export is None else str(export),
            seed=job.seed,
            params=settings.params,
        )


def run_jobs(
    jobs: Sequence[Job],
    training: TrainingPlan,
    *,
    run_directory: Path,
    market: Market,
    endpoints: Endpoints,
    environment: Mapping[str, str],
    may_go_on: Callable[[], bool],
) -> bool:
    """Run the trainer for each job; what came of it is noted in the job. Return False when it was stopped.

    Where a failure ends the run anyway, the first one ends all trainers.
    """
    waiting = list(reversed(jobs))
    cores = os.cpu_count() or 1
    parallel = training.settings.parallel or cores
    is_patient = training.settings.on_failure == "keep"
    try:
        with Supervisor(run_directory / LOGS_FOLDER) as supervisor, TrainingDoor(endpoints, market) as door:
            pin(
                [supervisor.guardian_pid], range(cores)
            )  # trainers are not bound to the core of the components
            trainers = _Trainers(training, supervisor, door, market, endpoints, environment)
            while waiting or trainers.running:
                while waiting and len(trainers.running) < parallel:
                    trainers.start(waiting.pop())
                trainers.look_after()
                if not may_go_on():
                    return False
                if not is_patient and any(job.failure is not None and job.exited for job in jobs):
                    break
            supervisor.stop(grace_seconds=0, term_seconds=0)
    finally:
        for job in jobs:
            rmtree(job.export, ignore_errors=True)
    for job in jobs:
        if job.exited is None and job.failure is None:
            job.failure = "was stopped, since another training failed"
    return True


def _command(words: tuple[str, ...], job: Job, export: Path | None) -> tuple[str, ...]:
    values = {
        "coin": job.coin,
        "train_until": str(job.train_until),
        "train_from": str(job.window.train_from_ns // NS_PER_SECOND),
        "output": str(job.output),
        "export": "" if export is None else str(export),
        "seed": str(job.seed),
    }
    # What a command says itself in its own words need not be said twice.
    text = "\0".join(words)
    more = [
        word
        for key in ("train_until", "output")
        if f"{{{key}}}" not in text
        for word in (f"--{key.replace('_', '-')}", values[key])
    ]
    return (*fill_templates(words, values), *more)
