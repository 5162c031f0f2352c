"""[training] of replay.toml: when a trainer runs as the replay goes, on which past, and what if it fails."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from orchestrator.durations import parse_date_ns, parse_duration_ns, parse_timeframe_ns
from orchestrator.errors import ConfigError
from orchestrator.settings_section import Section

__all__ = ["TEMPLATES", "TrainingSettings", "fill_templates", "validate_training"]

TEMPLATES: Final = ("coin", "train_until", "train_from", "output", "export", "seed")
"""What a word of the command may name in braces; each is filled in for every training."""

_WARMUP_DEFAULT: Final = "180d"
_TIMEOUT_SECONDS_MAX: Final = 1_000_000
_PARALLEL_MAX: Final = 256
_TEMPLATE: Final = re.compile(r"\{([a-z_]+)\}")
_OF_TRAINERS: Final = (
    "every",
    "warmup",
    "scheme",
    "window",
    "anchor",
    "purge",
    "embargo",
    "on_failure",
    "export",
    "kind",
)
_OF_SDK: Final = ("scheme", "window", "anchor", "export", "embargo")
_OF_BOTS: Final = ("stop", "delete", "leave", "folder", "max_age")


class TrainingSettings(Section, frozen=True, kw_only=True):
    """[training]: walk-forward training, or models that were trained before.

    A key that is absent is None until `resolved`, so that one which was set without effect can be refused.
    """

    command: tuple[str, ...] | None = None  # the trainer; None: `models`
    models: str | None = None  # a folder of models that are used as they are, instead of `command`
    every: str | None = None  # simulation time between trainings; None: once, before the first sequence
    warmup: str | None = None  # history before the start that the first training sees
    scheme: Literal["rolling", "expanding", "anchored"] | None = None
    window: str | None = None  # rolling: how much of the past a training sees; None: `warmup`
    anchor: str | None = None  # anchored: the date at which the past begins
    purge: str | None = None  # what a training does not see of the past before it; None: nothing
    embargo: str | None = None  # how long a new model waits before it is used; None: not at all
    coins: tuple[str, ...] | None = None  # None: all of the run
    export: tuple[str, ...] | None = None  # timeframes of the candle files that a trainer gets
    on_failure: Literal["fail", "keep"] | None = None
    parallel: int | None = None  # trainers at a time; None: one a core
    timeout: float = 600.0  # wall seconds of one training
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    workdir: str | None = None  # None: the folder of replay.toml, or the current one
    kind: Literal["sdk", "bot"] | None = None  # "bot": an unmodified trainer, which knows nothing of Replay
    stop: tuple[str, ...] | None = None  # bots that are stopped for the training and started again after it
    delete: tuple[str, ...] | None = None  # files that are removed before, as patterns
    leave: tuple[str, ...] | None = None  # files that the trainer must leave, as patterns: the model
    folder: str | None = None  # where the trainer runs within the working copy; "{coin}" may stand in it
    folders: dict[str, str] = msgspec.field(default_factory=dict)  # coin -> another folder
    max_age: str | None = None  # models that are older the bot refuses; the preflight says when that would be

    def resolved(self, coins: tuple[str, ...]) -> TrainingSettings:
        """Return the same settings with every default that has an effect filled in; `coins` are the run's."""
        filled: dict[str, Any] = {"coins": self.coins or coins}
        if self.command is not None:
            filled["on_failure"] = self.on_failure or "fail"
            if self.is_bot:  # its own requests say what it looks at
                return msgspec.structs.replace(self, **filled)
            scheme = self.scheme or "rolling"
            filled["scheme"] = scheme
            if scheme != "anchored":
                filled["warmup"] = self.warmup or _WARMUP_DEFAULT
            if scheme == "rolling":
                filled["window"] = self.window or filled["warmup"]
        return msgspec.structs.replace(self, **filled)

    @property
    def is_bot(self) -> bool:
        """Whether the trainer is an unmodified program."""
        return self.kind == "bot"

    @property
    def every_ns(self) -> int | None:
        """Simulation time from one training to the next; None: there is one."""
        return None if self.every is None else parse_duration_ns(self.every)

    @property
    def purge_ns(self) -> int:
        """Simulation time between what a training sees and when it happens."""
        return 0 if self.purge is None else parse_duration_ns(self.purge)

    @property
    def embargo_ns(self) -> int:
        """Simulation time between a training and the first use of its model."""
        return 0 if self.embargo is None else parse_duration_ns(self.embargo)


def fill_templates(words: tuple[str, ...], values: dict[str, str]) -> tuple[str, ...]:
    """Return the words with each `{name}` of `TEMPLATES` replaced; other braces stay as they are."""
    return tuple(_TEMPLATE.sub(lambda match: values.get(match[1], match[0]), word) for word in words)


def validate_training(training: TrainingSettings, start_ns: int, coins: tuple[str, ...]) -> None:
    """Raise `ConfigError` for a value that is out of range, or a key that can have no effect.

    Parameters
    ----------
    training
        As the user wrote it, not yet resolved.
    start_ns, coins
        Of the run.
    """
    if (training.command is None) == (training.models is None):
        raise ConfigError(
            "training needs either command, a trainer, or models, a folder of models that were trained before; "
            "write one of the two"
        )
    if training.models is not None:
        set_keys = [key for key in _OF_TRAINERS if getattr(training, key) is not None]
        if set_keys:
            raise ConfigError(
                f"training.{set_keys[0]} has no effect with training.models: nothing is trained"
            )
    elif not training.command or not training.command[0]:
        raise ConfigError("training.command is empty; give the words that start a trainer")
    _validate_kind(training)
    _validate_past(training, start_ns)
    _validate_gaps(training)
    unknown = [coin for coin in training.coins or () if coin not in coins]
    if unknown or training.coins == ():
        what = f"names {unknown[0]}, which the run does not have" if unknown else "is empty"
        raise ConfigError(f"training.coins {what}; the run's coins are {', '.join(coins)}")
    twice = sorted({coin for coin in training.coins or () if (training.coins or ()).count(coin) > 1})
    if twice:
        raise ConfigError(f"training.coins names {twice[0]} twice; a coin has one model at a time")
    for timeframe in training.export or ():
        parse_timeframe_ns(timeframe)
    if training.parallel is not None and not 1 <= training.parallel <= _PARALLEL_MAX:
        raise ConfigError(f"training.parallel {training.parallel} is out of range; 1 to {_PARALLEL_MAX}")
    if not 0 < training.timeout <= _TIMEOUT_SECONDS_MAX:
        raise ConfigError(
            f"training.timeout {training.timeout:g} is out of range; wall seconds above 0, "
            f"at most {_TIMEOUT_SECONDS_MAX}"
        )


def _validate_kind(training: TrainingSettings) -> None:
    unused = _OF_SDK if training.is_bot else _OF_BOTS
    set_keys = [key for key in unused if getattr(training, key) is not None]
    set_keys += ["folders"] if training.folders and not training.is_bot else []
    set_keys += ["params"] if training.params and training.is_bot else []
    if set_keys:
        which = 'with kind = "bot"' if training.is_bot else 'without kind = "bot"'
        raise ConfigError(f"training.{set_keys[0]} has no effect {which}; remove it")
    if training.is_bot and not training.leave:
        raise ConfigError(
            'training.leave is missing: with kind = "bot" it names the files that a trainer must leave'
        )
    places = (
        *(training.delete or ()),
        *(training.leave or ()),
        training.folder or ".",
        *training.folders.values(),
    )
    for place in places:
        if not place or place.startswith("/") or ".." in place.split("/"):
            raise ConfigError(f"training: {place!r} leads out of the bot's folder; write it relative to that")
    if training.max_age is not None:
        parse_duration_ns(training.max_age)


def _validate_past(training: TrainingSettings, start_ns: int) -> None:
    scheme = training.scheme or "rolling"
    if training.window is not None and scheme != "rolling":
        raise ConfigError(
            f'training.window has no effect with scheme = "{scheme}"; remove it, or use "rolling"'
        )
    if training.anchor is not None and scheme != "anchored":
        raise ConfigError(f'training.anchor has no effect with scheme = "{scheme}"; use scheme = "anchored"')
    for key in ("every", "warmup", "window", "purge", "embargo"):
        value = getattr(training, key)
        if value is not None:
            parse_duration_ns(value)
    if scheme != "anchored":
        return
    if training.anchor is None:
        raise ConfigError('scheme = "anchored" needs training.anchor, the date at which the past begins')
    if training.warmup is not None:
        raise ConfigError(
            'training.warmup has no effect with scheme = "anchored": the past begins at the anchor'
        )
    if parse_date_ns(training.anchor) >= start_ns - training.purge_ns:
        raise ConfigError(
            f"training.anchor {training.anchor} is not before the run (and its purge); give an earlier date"
        )


def _validate_gaps(training: TrainingSettings) -> None:
    every_ns = training.every_ns
    if every_ns is not None and training.embargo_ns >= every_ns:
        raise ConfigError(
            f"training.embargo {training.embargo} is not shorter than every = {training.every}: no model would "
            "be used before the next one is trained; shorten it"
        )
    resolved = training.resolved(())
    if (
        resolved.scheme == "expanding"
        and not resolved.is_bot
        and parse_duration_ns(resolved.warmup or "") <= training.purge_ns
    ):
        raise ConfigError(
            f"training.purge {training.purge} leaves nothing of warmup = {resolved.warmup}; shorten it"
        )
