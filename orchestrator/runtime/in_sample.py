"""In-sample results, measured: each window of a run replayed with the models that were made of it.

The same components, costs and accounts; only the dates are those of the window, and the models are given. What
comes out is what the run's own processes would have earned on what they had learnt by heart.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from orchestrator.analysis.in_sample import Measured, measured_of, models_key, write_measured
from orchestrator.config import Settings, load_settings
from orchestrator.durations import NS_PER_DAY, NS_PER_SECOND
from orchestrator.errors import ConfigError, ReplayError
from orchestrator.home import Home
from orchestrator.market.candles import time_text
from orchestrator.runs.layout import CONFIG_FILE, write_failure
from orchestrator.runs.reader import Row, Run, open_run
from orchestrator.runtime.plan import make_plan
from orchestrator.runtime.session import run_replay
from orchestrator.training.store import LATEST, MODELS_FOLDER
from orchestrator.training_settings import TrainingSettings

__all__ = ["measure_in_sample"]

_FOLDER: Final = "in_sample"


def measure_in_sample(
    run: Run, home: Home, *, environment: Mapping[str, str], tell: Callable[[str], None]
) -> None:
    """Measure the windows of a run that are not measured yet, and note the results in its in_sample.jsonl.

    Parameters
    ----------
    run
        One with models.
    environment
        The user's, which components start with.
    tell
        Called with a line before each replay.

    Raises
    ------
    ConfigError
        If its models are those of an unmodified bot.
    ReplayError
        If a replay fails, or the result cannot be written.
    """
    if run.configuration["training"].get("kind") == "bot":
        raise ConfigError(
            f"{run.name} was trained by an unmodified bot's own trainer, whose models cannot be given to a run; "
            "its in-sample results cannot be measured"
        )
    groups: dict[str, list[Row]] = {}
    for row in run.models:
        groups.setdefault(str(row["ts"]), []).append(row)
    measured = measured_of(run)
    place = home.data / _FOLDER / run.name
    for number, lines in enumerate(groups.values(), 1):
        # Where a training failed the model in use was made of other candles than these.
        if any(line["state"] == "kept" for line in lines) or any(known.is_of(lines) for known in measured):
            continue
        begin, end = (
            time_text(int(lines[0][name]) * NS_PER_SECOND) for name in ("train_from", "train_until")
        )
        tell(f"in sample {number} of {len(groups)}: {begin} to {end}")
        shutil.rmtree(place, ignore_errors=True)
        measured.append(_measure(run, home, lines, place, environment))
        try:
            write_measured(run.directory, measured)
        except OSError as error:
            raise write_failure(error, f"the run {run.directory} is as it was") from error
    for leftover in (place, home.data / f"{run.name}-in-sample"):
        shutil.rmtree(leftover, ignore_errors=True)


def _measure(
    run: Run, home: Home, lines: Sequence[Row], place: Path, environment: Mapping[str, str]
) -> Measured:
    models = place / MODELS_FOLDER
    for line in lines:
        (models / line["coin"]).mkdir(parents=True)
        (models / line["coin"] / LATEST).symlink_to(
            run.directory.resolve() / MODELS_FOLDER / line["coin"] / str(line["train_until"])
        )
    settings = _settings(run, lines, models)
    plan = make_plan(settings, home, place / f"{run.name}-in-sample")
    result = run_replay(plan, environment=dict(environment), show=lambda _status: None)
    if result.status != "complete":
        raise ReplayError(
            f"the in-sample replay of {settings.start_date} to {settings.end_date} is {result.status}: "
            f"{result.reason}; it is kept in {plan.directory}"
        )
    rows = open_run(plan.directory).equity
    return Measured(
        train_from=int(lines[0]["train_from"]),
        train_until=int(lines[0]["train_until"]),
        models=models_key(lines),
        total_return=float(rows.equity[-1]) / float(settings.initial_cash) - 1.0,
        days=(settings.end_ns - settings.start_ns) / NS_PER_DAY,
        digest=result.digest,
    )


def _settings(run: Run, lines: Sequence[Row], models: Path) -> Settings:
    settings = load_settings(run.directory / CONFIG_FILE, {"speed": "max"})
    begin_ns, end_ns = (int(lines[0][name]) * NS_PER_SECOND for name in ("train_from", "train_until"))
    # A gap that the run does not have, or finer candles that only the run has, are no reason to fail here.
    data = msgspec.structs.replace(settings.data, gaps="stale", max_gap=None, finer=None)
    return msgspec.structs.replace(
        settings,
        start_date=f"{time_text(begin_ns).replace(' ', 'T')}",
        end_date=f"{time_text(end_ns).replace(' ', 'T')}",
        data=data,
        training=TrainingSettings(
            models=str(models), coins=tuple(line["coin"] for line in lines), workdir=str(models)
        ),
    )
