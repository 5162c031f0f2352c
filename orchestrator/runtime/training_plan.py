"""What is known about a run's trainings before anything starts: the trainer, its files, the candles it needs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from orchestrator.config import Settings
from orchestrator.durations import NS_PER_SECOND, parse_duration_ns
from orchestrator.errors import ConfigError, DataError
from orchestrator.market.candles import time_text
from orchestrator.market.market import Market
from orchestrator.runtime.launch import component_environment, resolve_command
from orchestrator.runtime.trainer_digest import trainer_digest
from orchestrator.training.bot_folder import folder_of, matches
from orchestrator.training.manifest import TrainingManifest, read_training
from orchestrator.training.model_files import files_digest, model_files
from orchestrator.training.schedule import window_at
from orchestrator.training.store import LATEST
from orchestrator.training_settings import TrainingSettings

__all__ = ["GivenModel", "TrainingPlan", "plan_training"]


class GivenModel(msgspec.Struct, frozen=True):
    """A model that was trained before the run."""

    folder: Path
    manifest: TrainingManifest


class TrainingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The trainings of a run, ready to begin."""

    settings: TrainingSettings  # resolved
    command: tuple[str, ...] = ()  # of the trainer, its templates not yet filled in
    workdir: Path = Path()
    digest: str  # of the trainer's files and packages, or of the models that are given
    given: dict[str, GivenModel] = {}  # by coin; empty where a trainer runs
    is_cache_read: bool = True
    notes: tuple[str, ...] = ()


def plan_training(
    training: TrainingSettings, settings: Settings, market: Market, *, is_retraining: bool
) -> TrainingPlan:
    """Return the plan of a run's trainings.

    Parameters
    ----------
    training
        As the user wrote it.
    settings, market
        Of the run.
    is_retraining
        Whether what earlier runs trained is not used.

    Raises
    ------
    ConfigError
        If the trainer's command does not exist, or a timeframe to export cannot be made.
    DataError
        If the cache does not reach back as far as the first training sees, or a given model is unsound.
    """
    resolved = training.resolved(market.coins)
    if resolved.models is not None:
        return _plan_given(resolved, settings)
    workdir = Path(resolved.workdir or ".").resolve()
    environment = component_environment(os.environ, {})
    place = _start_folder(resolved, settings, workdir)
    words = resolved.command or ()
    command = resolve_command(words[:1], place, environment["PATH"], where="training.command") + words[1:]
    if place.is_dir() and not any("{" in word for word in words):
        resolve_command(words, place, environment["PATH"], where="training.command")
    if not resolved.is_bot or resolved.warmup is not None:
        _require_candles(resolved, settings, market)
    for timeframe in resolved.export or ():
        market.history(market.coins[0], timeframe, 1, settings.start_ns)  # refuses one that cannot be made
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    files = trainer_digest(command, place, tuple(place / path for path in paths if path))
    return TrainingPlan(
        settings=resolved,
        command=command,
        workdir=workdir,
        digest=files.digest,
        # Of a trainer that is not wholly known, nobody knows whether it is the one that made a model.
        is_cache_read=not is_retraining and not files.notes,
        notes=(
            *(f"trainer: {note}; so no model is taken from the cache" for note in files.notes),
            *_age_notes(resolved, settings),
            *_leftover_notes(resolved, workdir),
        ),
    )


def _start_folder(training: TrainingSettings, settings: Settings, workdir: Path) -> Path:
    # Where its words mean something before anything is copied; a folder that is made for the trainer has no files.
    if not training.is_bot:
        return workdir
    _require_bots(training, settings, workdir)
    coins = training.coins or ()
    folders = [folder_of(workdir, training, coin) for coin in coins]
    return next((folder for folder in folders if folder.is_dir()), workdir)


def _require_bots(training: TrainingSettings, settings: Settings, workdir: Path) -> None:
    folders = {c.name: Path(c.workdir or ".").resolve() for c in settings.component if c.is_bot}
    if workdir not in folders.values():
        raise ConfigError(
            f'training.workdir {workdir} is the folder of no [[component]] with kind = "bot"; an unmodified trainer '
            "runs in the working copy that it shares with its bot: give that bot's workdir"
        )
    unknown = [name for name in training.stop or () if name not in folders]
    if unknown:
        raise ConfigError(
            f'training.stop names {unknown[0]}, which is no component with kind = "bot"; those are {", ".join(folders)}'
        )


def _leftover_notes(training: TrainingSettings, workdir: Path) -> tuple[str, ...]:
    # A trainer that goes on from the models of the user's folder may go on from what it learnt of the run's own time.
    if not training.is_bot:
        return ()
    left: list[str] = []
    for coin in training.coins or ():
        folder = folder_of(workdir, training, coin)
        deleted = {path for paths in matches(folder, training.delete or ()).values() for path in paths}
        found = (path for paths in matches(folder, training.leave or ()).values() for path in paths)
        left += [str(path.relative_to(workdir)) for path in found if path not in deleted]
    if not left:
        return ()
    more = f" and {len(left) - 1} more" if len(left) > 1 else ""
    note = (
        f"{left[0]}{more} stand in the bot's folder before the first training and are not in training.delete: a "
        "trainer that goes on from them may know the future"
    )
    return (note,)


def _age_notes(training: TrainingSettings, settings: Settings) -> tuple[str, ...]:
    # A bot that refuses old models stops trading, and says so in a log that nobody reads.
    if training.max_age is None:
        return ()
    oldest_ns = training.purge_ns + (training.every_ns or settings.end_ns - settings.start_ns)
    limit_ns = parse_duration_ns(training.max_age)
    if min(oldest_ns, settings.end_ns - settings.start_ns + training.purge_ns) <= limit_ns:
        return ()
    first_ns = settings.start_ns - training.purge_ns + limit_ns
    note = (
        f"the bot refuses models older than training.max_age = {training.max_age}, and those of the first training "
        f"are so from {time_text(first_ns)} on; set training.every to at most {training.max_age}"
    )
    return (note,)


def _require_candles(training: TrainingSettings, settings: Settings, market: Market) -> None:
    first = window_at(training, settings.start_ns, settings.end_ns, settings.start_ns)
    for coin in training.coins or ():
        begin_ns = market.coin_begin_ns(coin)
        if begin_ns < first.train_from_ns + market.timeframe_ns:
            continue
        key = {"anchored": "anchor", "rolling": "window"}.get(training.scheme or "", "warmup")
        raise DataError(
            f"the first training of {coin} sees candles from {time_text(first.train_from_ns)}, but those in the cache "
            f"begin {time_text(begin_ns)}; fetch or import earlier ones (`replay data warm --warm-up`), choose a "
            f"later --start-date or a shorter training.{key}, or leave {coin} out of training.coins"
        )


def _plan_given(training: TrainingSettings, settings: Settings) -> TrainingPlan:
    base = Path(training.workdir or ".").resolve()
    given = {coin: _given_model(training.models or "", base, coin) for coin in training.coins or ()}
    whole = hashlib.sha256()
    for coin, model in given.items():
        whole.update(f"{coin} {model.manifest.train_until} {model.manifest.digest}\n".encode())
    return TrainingPlan(
        settings=training,
        digest=whole.hexdigest(),
        given=given,
        notes=tuple(
            f"LOOK-AHEAD: the model of {coin} was made of candles until "
            f"{time_text(model.manifest.train_until * NS_PER_SECOND)}, later than the run begins: it knows the future"
            for coin, model in given.items()
            if model.manifest.train_until * NS_PER_SECOND > settings.start_ns
        ),
    )


def _given_model(models: str, base: Path, coin: str) -> GivenModel:
    # A folder with a model of each coin, of which a run's own `latest` may be one; or a path with {coin} in it.
    path = base / Path(models.replace("{coin}", coin)).expanduser()
    if "{coin}" not in models:
        path = path / coin
    if (path / LATEST).exists():
        path = (path / LATEST).resolve()
    if not path.is_dir():
        raise ConfigError(
            f"training.models: there is no model of {coin} at {path}; give a folder with one folder a coin, "
            "such as the models/ of a run, or a path with {coin} in it"
        )
    manifest = read_training(path)
    if files_digest(model_files(path)) != manifest.digest:
        raise DataError(f"the files of the model {path} are not what its training.json says; train it again")
    if manifest.coin != coin:
        raise ConfigError(f"training.models: {path} is a model of {manifest.coin}, not of {coin}")
    return GivenModel(path, manifest)
