"""The shell of trainings: takes models from the cache or has them trained, while the clock stands still.

Trainers are processes of their own, under a guardian of their own that ends with the training: whatever they
leave behind is dead before a model takes its name. They see the market through `TrainingDoor` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.durations import NS_PER_SECOND
from orchestrator.engine.trainings import TrainingOutcome
from orchestrator.errors import ComponentError, DataError
from orchestrator.market.candles import Columns, time_text
from orchestrator.market.market import Market
from orchestrator.protocol import TrainedModel
from orchestrator.runs.layout import write_failure
from orchestrator.runs.source_files import FilesDigest
from orchestrator.runtime.bot_models import BotModels
from orchestrator.runtime.bot_run import BotRun
from orchestrator.runtime.logs import RunLog
from orchestrator.runtime.plan import RunPlan
from orchestrator.runtime.supervisor import ComponentExited
from orchestrator.runtime.trainer_jobs import Job, run_jobs
from orchestrator.runtime.training_plan import GivenModel, TrainingPlan
from orchestrator.runtime.transport import Endpoints
from orchestrator.training.cache import TrainingCache
from orchestrator.training.key import TrainingInputs, data_digest, input_digest
from orchestrator.training.manifest import TrainingManifest
from orchestrator.training.model_files import MANIFEST_NAME, files_digest, model_files
from orchestrator.training.schedule import Window, window_at
from orchestrator.training.store import ModelStore, copy_model

__all__ = ["Trainings"]

_ALL = 2**62


class Trainings:
    """The trainings of one run.

    Parameters
    ----------
    plan
        The run; its `training` is not None.
    training
        That.
    endpoints
        Where the trainers' door is bound.
    environment
        The user's environment, which trainers start with.
    log, bots
        Of the run.

    Attributes
    ----------
    exits
        How trainers that failed ended, by name.
    notes
        Remarks for run.json: trainings that failed and went on with the old model.
    """

    def __init__(
        self,
        plan: RunPlan,
        training: TrainingPlan,
        *,
        endpoints: Endpoints,
        environment: Mapping[str, str],
        log: RunLog,
        bots: BotRun | None = None,
    ) -> None:
        self.exits: dict[str, ComponentExited] = {}
        self.notes: list[str] = []
        self._plan = plan
        self._training = training
        self._market: Market = plan.market
        self._endpoints = endpoints
        self._environment = environment
        self._log = log
        self._store = ModelStore(plan.directory)
        self._cache = TrainingCache(plan.home.cache, is_read=training.is_cache_read)
        self._in_use: dict[str, TrainedModel] = {}
        self._bot_models = BotModels(plan, training, bots, endpoints) if training.settings.is_bot else None
        self._inputs = TrainingInputs(
            trainer_digest=training.digest,
            code_version=plan.code_version,
            seed=plan.settings.seed,
            currency=plan.settings.account.currency,
            market=f"{plan.market.exchange} {plan.market.quote} {plan.market.timeframe}",
            venues="" if self._bot_models is None else self._bot_models.venues_text,
            folder="",
            interpreter=Path(training.command[0]).resolve().name if training.command else "",
        )

    def train(self, sim_time_ns: int, may_go_on: Callable[[], bool]) -> tuple[TrainingOutcome, ...] | None:
        """Train the models of all coins as of a time; return what became of each, in the order of the coins.

        Parameters
        ----------
        sim_time_ns
            Simulation time of the training.
        may_go_on
            Called many times a second; when it returns False all trainers are killed and None is returned.

        Raises
        ------
        ComponentError
            If a training fails and the run is not to go on with an old model.
        ReplayError
            If a model cannot be written.
        """
        coins = self._training.settings.coins or ()
        try:
            if self._training.given:
                return tuple(self._give(self._training.given[coin]) for coin in coins)
            return self._train(sim_time_ns, coins, may_go_on)
        except OSError as error:
            raise write_failure(error, f"what was written is in {self._plan.directory}") from error

    @property
    def _is_patient(self) -> bool:
        return self._training.settings.on_failure == "keep"

    @property
    def stopped_bots(self) -> tuple[str, ...]:
        """Bots that are to be stopped before a training."""
        return self._training.settings.stop or ()

    def put_in_use(self, models: tuple[TrainedModel, ...]) -> None:
        """Let the links `latest` lead to the models.

        Raises
        ------
        ReplayError
            If a link cannot be written.
        """
        for model in models:
            try:
                self._store.put_in_use(model.coin, model.train_until_ns // NS_PER_SECOND)
            except OSError as error:
                raise write_failure(error, f"what was written is in {self._plan.directory}") from error

    # ------------------------------------------------------------------ models that are given

    def _give(self, given: GivenModel) -> TrainingOutcome:
        manifest = given.manifest
        place = self._store.stage(manifest.coin, manifest.train_until)
        copy_model(given.folder, place, manifest.files)
        return self._publish(manifest, "given")

    # ------------------------------------------------------------------ models that are trained

    def _train(
        self, sim_time_ns: int, coins: tuple[str, ...], may_go_on: Callable[[], bool]
    ) -> tuple[TrainingOutcome, ...] | None:
        settings = self._plan.settings
        window = window_at(self._training.settings, settings.start_ns, settings.end_ns, sim_time_ns)
        if self._bot_models is not None:
            begin_ns = min(self._market.coin_begin_ns(coin) for coin in self._market.coins)
            window = window._replace(train_from_ns=max(begin_ns, window.train_from_ns))
            for coin in coins:
                self._bot_models.clean(coin)
        candles = data_digest(self._candles, self._market.coins, window)
        jobs = [self._job(coin, window, candles) for coin in coins]
        found = {
            job.coin: self._cache.take(job.input_digest, job.output) if job.is_named else None for job in jobs
        }
        open_jobs = [job for job in jobs if found[job.coin] is None]
        try:
            if open_jobs and not self._run(open_jobs, may_go_on):
                return None
            if self._bot_models is not None:
                for job in jobs:
                    self._bot_models.exchange_files(job, found[job.coin])
            for job in open_jobs:  # whose failure ended the others is the one that is told
                if job.failure is not None and job.exited is not None and not self._is_patient:
                    self._failed(job, window, job.failure)
            return tuple(self._outcome(job, window, found[job.coin], candles) for job in jobs)
        finally:
            for job in jobs:
                self._store.discard(job.coin, job.train_until)

    def _run(self, jobs: list[Job], may_go_on: Callable[[], bool]) -> bool:
        if self._bot_models is not None:
            return self._bot_models.run(jobs, may_go_on)
        return run_jobs(
            jobs,
            self._training,
            run_directory=self._plan.directory,
            market=self._market,
            endpoints=self._endpoints,
            environment=self._environment,
            may_go_on=may_go_on,
        )

    def _candles(self, coin: str, from_ns: int, until_ns: int) -> Columns:
        market = self._market
        return market.closed_between(coin, market.timeframe, from_ns, until_ns, until_ns, _ALL)

    def _job(self, coin: str, window: Window, candles: str) -> Job:
        train_until = window.train_until_ns // NS_PER_SECOND
        folder = FilesDigest("") if self._bot_models is None else self._bot_models.folder_digest(coin)
        return Job(
            coin=coin,
            name=f"trainer-{coin}-{train_until}",
            window=window,
            output=self._store.stage(coin, train_until),
            input_digest=input_digest(
                self._training.settings,
                self._inputs._replace(folder=folder.digest),
                coin,
                window,
                candles,
            ),
            is_named=not folder.notes,
            run_id=self._plan.directory.name,
            currency=self._plan.settings.account.currency,
            seed=self._plan.settings.seed,
        )

    def _outcome(
        self, job: Job, window: Window, cached: TrainingManifest | None, candles: str
    ) -> TrainingOutcome:
        manifest = cached
        failure = None if cached is not None else job.failure or self._unsound(job)
        if failure is not None:
            return self._failed(job, window, failure)
        if manifest is None:
            files = model_files(job.output)
            manifest = TrainingManifest(
                coin=job.coin,
                train_from=window.train_from_ns // NS_PER_SECOND,
                train_until=job.train_until,
                seen_from=None if job.seen is None else job.seen[0] // NS_PER_SECOND,
                seen_until=None if job.seen is None else job.seen[1] // NS_PER_SECOND,
                input_digest=job.input_digest,
                data_digest=candles,
                trainer_digest=self._training.digest,
                digest=files_digest(files),
                files=files,
                command=self._training.settings.command or (),
                params=self._training.settings.params,
                wall_seconds=round(job.wall_seconds, 3),
                cpu_seconds=round(job.exited.cpu_seconds, 3) if job.exited else 0.0,
                peak_memory_mb=round(job.exited.peak_memory_bytes / 1e6, 1) if job.exited else 0.0,
            )
            if job.is_named:
                self._cache.put(job.output, manifest)
        self._log.info(
            "training",
            coin=job.coin,
            train_until=job.train_until,
            digest=manifest.digest,
            is_from_cache=manifest.is_from_cache,
            wall_seconds=0.0 if manifest.is_from_cache else manifest.wall_seconds,
        )
        return self._publish(manifest, "trained")

    def _unsound(self, job: Job) -> str | None:
        # What is wrong with the files of a trainer that has ended well.
        if (job.output / MANIFEST_NAME).exists():
            return f"wrote {MANIFEST_NAME}, a name that is taken; name the file otherwise"
        try:
            is_empty = not model_files(job.output)
        except DataError as error:
            return str(error)
        return "ended with status 0 but wrote no file into --output" if is_empty else None

    def _failed(self, job: Job, window: Window, failure: str) -> TrainingOutcome:
        what = f"training of {job.coin} as of {time_text(window.trained_ns)} failed: {job.name} {failure}"
        if job.exited is not None:
            self.exits[job.name] = job.exited
        old = self._in_use.get(job.coin)
        if not self._is_patient or old is None:
            no_model = " (there is no older model to keep)" if self._is_patient else ""
            raise ComponentError(
                f"{what}{no_model}; see logs/{job.name}.log",
                component=job.name,
            )
        if self._bot_models is not None:
            self._bot_models.restore(job.coin, Path(old.path))
        self._log.warning("training_failed", coin=job.coin, train_until=job.train_until, reason=failure)
        self.notes.append(f"{what}; the model of {time_text(old.train_until_ns)} stays in use")
        return TrainingOutcome(
            coin=job.coin,
            train_from_ns=window.train_from_ns,
            train_until_ns=window.train_until_ns,
            state="kept",
            model=old,
        )

    def _publish(self, manifest: TrainingManifest, state: str) -> TrainingOutcome:
        try:
            folder = self._store.publish(manifest)
        except DataError as error:
            raise ComponentError(f"the model of {manifest.coin} cannot be used: {error}") from None
        model = TrainedModel(
            coin=manifest.coin,
            train_until_ns=manifest.train_until * NS_PER_SECOND,
            path=str(folder),
            digest=manifest.digest,
        )
        self._in_use[manifest.coin] = model
        return TrainingOutcome(
            coin=manifest.coin,
            train_from_ns=manifest.train_from * NS_PER_SECOND,
            train_until_ns=model.train_until_ns,
            state="given" if state == "given" else "trained",
            model=model,
        )
