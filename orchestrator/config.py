"""replay.toml and its flags, as typed and validated settings; unknown keys are refused by name.

Precedence: flags over file over defaults. `Settings` is what a run uses; `to_toml` writes it back so that
`replay start --config RUN/config.toml` repeats a run, and `identity` gives the part that can change results.
"""

from __future__ import annotations

import datetime as dt
import re
import shlex
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import tomli_w

from orchestrator.account_settings import (
    EXCHANGE_NAME,
    MAIN_ACCOUNT,
    AccountSettings,
    NamedAccountSettings,
    validate_account,
    validate_accounts,
)
from orchestrator.bot_settings import (
    BotsSettings,
    StartConditionSettings,
    validate_bots,
    validate_pace,
    validate_start_condition,
)
from orchestrator.durations import (
    NS_PER_DAY,
    NS_PER_MS,
    NS_PER_SECOND,
    parse_date_ns,
    parse_duration_ns,
    parse_timeframe_ns,
)
from orchestrator.errors import ConfigError
from orchestrator.execution_settings import ExecutionModelSettings, validate_execution_model
from orchestrator.settings_section import Section, explain, refuse_unknown_keys
from orchestrator.training_settings import TrainingSettings, validate_training
from orchestrator.venue_settings import VenueSettings, validate_venue

__all__ = [
    "EXCHANGE_NAME",
    "MAIN_ACCOUNT",
    "NS_PER_DAY",
    "NS_PER_MS",
    "NS_PER_SECOND",
    "SPEED_MAX",
    "SPEED_MIN",
    "AccountSettings",
    "ComponentSettings",
    "DataSettings",
    "ExecutionModelSettings",
    "InstrumentSettings",
    "NamedAccountSettings",
    "Settings",
    "TrainingSettings",
    "component_from_command",
    "load_settings",
    "parse_date_ns",
    "parse_duration_ns",
    "parse_timeframe_ns",
]

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_COIN: Final = re.compile(r"[A-Z0-9]{1,20}")
_TOML_TYPES: Final = (Decimal, dt.datetime, dt.date, dt.time)

_TIMEOUT_SECONDS_MAX: Final = 1_000_000
_AMOUNT_MAX: Final = Decimal(10**15)
SPEED_MIN: Final = 1e-6
SPEED_MAX: Final = 1e9


class DataSettings(Section, frozen=True, kw_only=True):
    """[data]: whose candles are replayed, and what to do about their gaps."""

    exchange: str | None = None  # None: found by itself when only one has all coins
    quote: str | None = None  # None: found by itself when only one fits
    gaps: Literal["fail", "stale"] = "fail"
    max_gap: str | None = None  # with gaps = "stale" only: the longest gap that is accepted, such as "30m"
    finer: tuple[str, ...] | None = (
        None  # timeframes that may decide inside a candle; None: all that are cached
    )
    execution: str | None = None  # another exchange where orders fill and equity is marked; None: the same
    execution_quote: str | None = None  # None: found by itself when only one fits
    base_url: str | None = None  # where fetching asks instead of the exchange's own hosts: a mirror


class InstrumentSettings(Section, frozen=True, kw_only=True):
    """[instrument.COIN]: rules of one coin; what is absent comes from the built-in table."""

    tick_size: Decimal | None = None
    lot_size: Decimal | None = None
    min_notional: Decimal | None = None


class ComponentSettings(Section, frozen=True, kw_only=True):
    """[[component]]: one process of the bot."""

    name: str
    command: tuple[str, ...]
    stage: int = 1  # stages are woken in ascending order at every tick
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    workdir: str | None = None  # None: the folder of replay.toml, or the current one
    account: str | None = None  # an account of [accounts]; None: the shared one of [account]
    kind: Literal["sdk", "bot"] = "sdk"  # "bot": an unmodified program, which knows nothing of Replay
    pace: Literal["natural", "burst"] | None = None  # of a bot: how often it may look; natural
    burst: int | None = None  # its turns after each tick, with pace = "burst"
    phase: str | None = None  # how long after the tick it begins them; "0s"
    start_when: StartConditionSettings | None = None  # None: at the start of the run
    on_exit: Literal["fail", "continue"] | None = None  # what the end of a bot does to the run; fail
    replace_keys: tuple[str, ...] = ()  # files with real keys, which throw-away ones take the place of

    @property
    def is_bot(self) -> bool:
        """Whether it is an unmodified bot."""
        return self.kind == "bot"


class Settings(Section, frozen=True, kw_only=True):
    """Everything a run is configured by; times as the user wrote them, money as `Decimal`."""

    start_date: str
    end_date: str
    coins: tuple[str, ...]
    timeframe: str | None = None  # None: the finest that is cached for all coins
    seed: int = 7
    speed: str = "max"
    component_timeout: float = 30.0  # wall seconds
    cpu_affinity: Literal["auto", "one", "all"] = "auto"
    data: DataSettings = DataSettings()
    account: AccountSettings = AccountSettings()
    accounts: dict[str, NamedAccountSettings] = msgspec.field(default_factory=dict)
    execution_model: ExecutionModelSettings = ExecutionModelSettings()
    instrument: dict[str, InstrumentSettings] = msgspec.field(default_factory=dict)
    bots: BotsSettings = BotsSettings()
    venue: dict[str, VenueSettings] = msgspec.field(default_factory=dict)
    component: tuple[ComponentSettings, ...] = ()
    training: TrainingSettings | None = None  # None: nothing is trained

    @property
    def has_bots(self) -> bool:
        """Whether any component is an unmodified bot."""
        return any(component.is_bot for component in self.component)

    @property
    def start_ns(self) -> int:
        """First instant of the run, nanoseconds since the epoch."""
        return parse_date_ns(self.start_date)

    @property
    def end_ns(self) -> int:
        """Close of the last candle; candles that open on it are not part of the run."""
        return parse_date_ns(self.end_date)

    @property
    def speed_factor(self) -> float | None:
        """Simulated seconds per wall second; None never waits."""
        return None if self.speed == "max" else float(self.speed)

    @property
    def is_account_shared(self) -> bool:
        """Whether any component uses the account of `[account]`."""
        return not self.component or any(component.account is None for component in self.component)

    @property
    def cash_by_account(self) -> dict[str, Decimal]:
        """Initial cash of the accounts that the components use."""
        shared = {MAIN_ACCOUNT: self.account.initial_cash} if self.is_account_shared else {}
        return shared | {name: account.initial_cash for name, account in self.accounts.items()}

    @property
    def initial_cash(self) -> Decimal:
        """Initial cash of all accounts together."""
        return sum(self.cash_by_account.values(), Decimal(0))

    def to_toml(self) -> str:
        """Return the settings as a TOML document that `load_settings` reads back to an equal value."""
        plain = _without_none(msgspec.to_builtins(self, builtin_types=_TOML_TYPES))
        if not self.is_account_shared:  # it has no effect, so it may not be said
            del plain["account"]["initial_cash"]
        if not self.has_bots:
            del plain["bots"]
        return tomli_w.dumps(plain)

    def identity(self) -> dict[str, Any]:
        """Return the part that can change a result: no paths, speed, timeouts or affinity."""
        plain: dict[str, Any] = _canonical(msgspec.to_builtins(self, builtin_types=(Decimal,)))
        plain["start_date"], plain["end_date"] = self.start_ns, self.end_ns  # however they were written
        for key in ("speed", "component_timeout", "cpu_affinity"):
            plain.pop(key, None)
        plain.get("data", {}).pop("base_url", None)
        plain.get("bots", {}).pop("network_namespace", None)
        if not self.has_bots:
            plain.pop("bots", None)
        for key in ("workdir", "models", "parallel", "timeout"):  # models have a digest of their own
            plain.get("training", {}).pop(key, None)
        for component in (*plain.get("component", ()), *([plain["training"]] if "training" in plain else ())):
            component.pop("workdir", None)
            # Where a program lies cannot change a result; what is in it has a digest of its own.
            component["command"] = [
                Path(w).name if Path(w).is_absolute() else w for w in component.get("command", ())
            ]
        return plain


def component_from_command(name: str, stage: int, command: str) -> ComponentSettings:
    """Return the component that a `--thinker` or `--trader` flag describes."""
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise ConfigError(
            f"--{name} {command!r} cannot be split into words: {error}; check its quotes"
        ) from None
    if not words:
        raise ConfigError(f"--{name} is empty; give a command such as --{name} 'python my_{name}.py'")
    return ComponentSettings(name=name, stage=stage, command=words)


def load_settings(path: Path | None, flags: dict[str, Any]) -> Settings:
    """Read replay.toml (if any), lay the flags over it and validate the whole.

    Parameters
    ----------
    path
        The TOML file, or None for flags and defaults alone.
    flags
        Keys of `Settings` (nested sections as dicts) that the command line gave; they win.

    Raises
    ------
    ConfigError
        If the file cannot be read, a key is unknown, a value is of the wrong kind or out of range, or a key
        that was set can have no effect.
    """
    raw = _read_toml(path) if path is not None else {}
    merged = _merge(raw, flags)
    where = str(path) if path is not None else "the command line"
    for key, flag in (("start_date", "--start-date"), ("end_date", "--end-date"), ("coins", "--coins")):
        if not merged.get(key):
            raise ConfigError(
                f"{key} is missing; give {flag} or write {key} in replay.toml and pass --config"
            )
    refuse_unknown_keys(merged, Settings, where)
    try:
        settings = msgspec.convert(_stringify_dates(merged), Settings, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {explain(error, Settings)}") from None
    base = path.resolve().parent if path is not None else Path.cwd()
    settings = _place_components(settings, base)
    _validate(settings)
    if not settings.is_account_shared and "initial_cash" in merged.get("account", {}):
        raise ConfigError(
            "account.initial_cash has no effect, since every component names an account of its own; "
            "remove it, or the account of a component"
        )
    return msgspec.structs.replace(
        settings,
        account=settings.account.resolved(),
        execution_model=settings.execution_model.resolved(),
        training=None if settings.training is None else settings.training.resolved(settings.coins),
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; `replay new DIR` writes one to start from") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder; name a file, such as {path / 'replay.toml'}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return merged


def _stringify_dates(raw: dict[str, Any]) -> dict[str, Any]:
    # TOML has dates of its own; both spellings mean the same.
    plain = dict(raw)
    for key in ("start_date", "end_date"):
        if isinstance(plain.get(key), dt.date):  # datetime is a date too
            plain[key] = plain[key].isoformat()
    if isinstance(plain.get("speed"), int | float | Decimal) and not isinstance(plain["speed"], bool):
        plain["speed"] = str(plain["speed"])
    # Decimals are for money; a component's own parameters are its own affair and stay floats.
    if isinstance(plain.get("component"), list):
        plain["component"] = [
            {**item, "params": _floats(item["params"])}
            if isinstance(item, dict) and "params" in item
            else item
            for item in plain["component"]
        ]
    training = plain.get("training")
    if isinstance(training, dict):
        dates = {k: v.isoformat() for k, v in training.items() if isinstance(v, dt.date)}
        params = {"params": _floats(training["params"])} if "params" in training else {}
        plain["training"] = {**training, **dates, **params}
    return plain


def _floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_floats(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def _place_components(settings: Settings, base: Path) -> Settings:
    placed = tuple(
        msgspec.structs.replace(c, workdir=str((base / Path(c.workdir or ".").expanduser()).resolve()))
        for c in settings.component
    )
    training = settings.training
    if training is not None:
        place = (base / Path(training.workdir or ".").expanduser()).resolve()
        training = msgspec.structs.replace(training, workdir=str(place))
    return msgspec.structs.replace(settings, component=placed, training=training)


def _validate(settings: Settings) -> None:
    if settings.end_ns <= settings.start_ns:
        raise ConfigError(
            f"end_date {settings.end_date} is not after start_date {settings.start_date}; the end must be later"
        )
    _validate_coins(settings.coins)
    if settings.timeframe is not None:
        parse_timeframe_ns(settings.timeframe)
    _validate_speed(settings.speed)
    if not 0 <= settings.seed < 2**63:
        raise ConfigError(f"seed {settings.seed} is out of range; use a whole number from 0 to 2^63 - 1")
    if not 0 < settings.component_timeout <= _TIMEOUT_SECONDS_MAX:
        raise ConfigError(
            f"component_timeout {settings.component_timeout:g} is out of range; wall seconds above 0, "
            f"at most {_TIMEOUT_SECONDS_MAX}"
        )
    _validate_data(settings.data)
    _validate_account(settings.account)
    validate_execution_model(settings.execution_model)
    for coin, rules in settings.instrument.items():
        _validate_instrument(coin, rules, settings.coins)
    _validate_components(settings.component)
    _validate_bots(settings)
    users = {component.name: component.account for component in settings.component}
    validate_accounts(settings.account, settings.accounts, users)
    if settings.training is not None:
        validate_training(settings.training, settings.start_ns, settings.coins)


def _validate_account(account: AccountSettings) -> None:
    if not _COIN.fullmatch(account.currency):
        raise ConfigError(
            f"account.currency {account.currency!r} is not understood; write such as USD or EUR"
        )
    validate_account(account)


def _validate_instrument(coin: str, rules: InstrumentSettings, coins: tuple[str, ...]) -> None:
    if coin not in coins:
        raise ConfigError(f"instrument.{coin} has no effect: {coin} is not among coins {', '.join(coins)}")
    for key in ("tick_size", "lot_size", "min_notional"):
        value: Decimal | None = getattr(rules, key)
        if value is None or (key == "min_notional" and value.is_zero()):
            continue
        if not (value.is_finite() and 0 < value < _AMOUNT_MAX):
            raise ConfigError(
                f"instrument.{coin}.{key} {value} is out of range; above 0, below {_AMOUNT_MAX}"
            )


def _validate_coins(coins: tuple[str, ...]) -> None:
    for coin in coins:
        if not _COIN.fullmatch(coin):
            raise ConfigError(f"coin {coin!r} is not understood; write base assets such as BTC,ETH,DOGE")
    repeated = sorted({coin for coin in coins if coins.count(coin) > 1})
    if repeated:
        raise ConfigError(f"coins names {', '.join(repeated)} more than once; name each coin once")


def _validate_speed(speed: str) -> None:
    if speed == "max":
        return
    try:
        factor = float(speed)
    except ValueError:
        factor = 0.0
    if not SPEED_MIN <= factor <= SPEED_MAX:
        raise ConfigError(
            f"speed {speed!r} is not allowed; use max, or simulated seconds per wall second "
            f"from {SPEED_MIN:f} to {SPEED_MAX:.0f}, such as 60"
        )


def _validate_data(data: DataSettings) -> None:
    if data.execution is None and data.execution_quote is not None:
        raise ConfigError("data.execution_quote has no effect without data.execution; name the exchange too")
    if data.execution is not None and data.execution == data.exchange:
        raise ConfigError(
            f"data.execution has no effect: {data.execution} is data.exchange already; name another or remove it"
        )
    if data.max_gap is not None:
        parse_duration_ns(data.max_gap)
        if data.gaps != "stale":
            raise ConfigError('data.max_gap has no effect with gaps = "fail"; add --gaps stale or remove it')


def _validate_components(components: tuple[ComponentSettings, ...]) -> None:
    seen: set[str] = set()
    for component in components:
        if not _NAME.fullmatch(component.name):
            raise ConfigError(
                f"component name {component.name!r} is not allowed; a letter, then up to 31 letters, digits, _ or -"
            )
        if component.name in seen:
            raise ConfigError(
                f"component name {component.name!r} is used twice; give each component its own name"
            )
        seen.add(component.name)
        if not component.command or not component.command[0]:
            raise ConfigError(
                f"component {component.name} has an empty command; give the words that start it"
            )
        if not 1 <= component.stage <= 99:
            raise ConfigError(f"component {component.name}: stage {component.stage} is out of range; 1 to 99")


def _validate_bots(settings: Settings) -> None:
    for component in settings.component:
        where = f"component {component.name}"
        if not component.is_bot:
            for key in ("pace", "burst", "phase", "start_when", "on_exit", "replace_keys"):
                if getattr(component, key) not in (None, ()):
                    raise ConfigError(
                        f'{where}: {key} has no effect without kind = "bot"; add it or remove {key}'
                    )
            continue
        if component.params:
            raise ConfigError(
                f"{where}: params has no effect on an unmodified bot; give it words in command instead"
            )
        validate_pace(where, component.pace, component.burst, component.phase)
        if component.start_when is not None:
            validate_start_condition(where, component.start_when)
    if not settings.has_bots:
        if settings.venue or settings.bots != BotsSettings():
            section = "venue" if settings.venue else "bots"
            raise ConfigError(
                f'[{section}] has no effect: no component has kind = "bot"; remove it or add one'
            )
        return
    validate_bots(settings.bots)
    for name, venue in settings.venue.items():
        _validate_spot(name, settings.account.kind)
        validate_venue(name, venue)


def _validate_spot(venue: str, kind: str) -> None:
    if kind != "spot":
        raise ConfigError(
            f'[venue.{venue}] emulates a spot exchange, and account.kind is "{kind}"; set it to "spot"'
        )


def _canonical(value: Any) -> Any:
    # 10000, 10000.0 and 1E+4 are one amount of money, however it was written.
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value]
    return value
