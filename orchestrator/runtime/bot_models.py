"""The models of unmodified bots: files in the bot's folder, which trainings and the cache put there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from orchestrator.errors import ConfigError
from orchestrator.runs.source_files import FilesDigest, digest_of_folder
from orchestrator.runtime.bot_run import BotRun
from orchestrator.runtime.bot_trainers import BotTrainers
from orchestrator.runtime.bot_venues import told_fees
from orchestrator.runtime.plan import RunPlan
from orchestrator.runtime.trainer_jobs import Job
from orchestrator.runtime.training_plan import TrainingPlan
from orchestrator.runtime.transport import Endpoints
from orchestrator.training.bot_folder import copy_into, folder_of, matches, remove_matches
from orchestrator.training.manifest import TrainingManifest
from orchestrator.training.model_files import model_files

__all__ = ["BotModels"]


class BotModels:
    """The trainers of a bot, and the files that they must leave.

    Parameters
    ----------
    plan, bots
        The run and its bots.
    training
        Of kind "bot".
    endpoints
        Where the trainers' sockets stand.

    Raises
    ------
    ConfigError
        If the system has no Unix sockets.
    """

    def __init__(
        self, plan: RunPlan, training: TrainingPlan, bots: BotRun | None, endpoints: Endpoints
    ) -> None:
        if bots is None or endpoints.directory is None:
            raise ConfigError("unmodified trainers need Unix sockets, which this system does not have")
        self._settings = training.settings
        self._trainers = BotTrainers(
            plan,
            training.settings,
            command=training.command,
            workdir=training.workdir,
            bots=bots,
            sockets=endpoints.directory,
        )
        identity = plan.settings.identity()
        parts = {key: identity.get(key) for key in ("venue", "bots", "instrument")}
        parts["fees"] = [str(bps) for bps in told_fees(plan.settings.execution_model.resolved())]
        self.venues_text = msgspec.json.encode(parts, order="sorted").decode()

    def run(self, jobs: list[Job], may_go_on: Callable[[], bool]) -> bool:
        """Run the trainer for each job; see `BotTrainers.run`."""
        return self._trainers.run(jobs, may_go_on)

    def folder_digest(self, coin: str) -> FilesDigest:
        """Return the digest of what a trainer would find in its folder now."""
        folder = self._folder(coin)
        return digest_of_folder(folder) if folder.is_dir() else FilesDigest("none")

    def clean(self, coin: str) -> None:
        """Remove the files that are to be gone before a trainer starts."""
        remove_matches(self._folder(coin), self._settings.delete or ())

    def exchange_files(self, job: Job, cached: TrainingManifest | None) -> None:
        """Put a model of the cache into the bot's folder, or make a model of what a trainer has left there.

        What is missing is noted as the job's failure.
        """
        folder, leave = self._folder(job.coin), self._settings.leave or ()
        if cached is not None:
            if [self._folder(coin) for coin in self._settings.coins or ()].count(folder) == 1:
                remove_matches(
                    folder, leave
                )  # the model is all that they name; its trainer has removed the rest
            copy_into(job.output, folder, cached.files)
            return
        found = matches(folder, leave)
        missing = [pattern for pattern, paths in found.items() if not paths]
        if missing and job.failure is None:
            job.failure = f"ended with status 0 but did not leave {', '.join(missing)} in {folder}"
        if job.failure is None:
            names = {path.relative_to(folder).as_posix() for paths in found.values() for path in paths}
            copy_into(folder, job.output, sorted(names))

    def restore(self, coin: str, model: Path) -> None:
        """Put an older model back into the bot's folder, in place of what a failed training has left."""
        folder = self._folder(coin)
        remove_matches(folder, self._settings.leave or ())
        copy_into(model, folder, model_files(model))

    def _folder(self, coin: str) -> Path:
        return folder_of(self._trainers.copy, self._settings, coin)
