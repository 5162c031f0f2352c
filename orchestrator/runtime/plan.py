"""Everything that is known about a run before anything of it starts; `replay start --dry-run` stops here."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from orchestrator.config import ComponentSettings, InstrumentSettings, Settings
from orchestrator.exchange.instruments import Instrument, resolve_instruments
from orchestrator.home import Home
from orchestrator.market.funding import FundingRates, load_funding
from orchestrator.market.market import Market
from orchestrator.market.markets import Markets, load_markets
from orchestrator.runs.identity import code_version, component_digest, run_identity
from orchestrator.runs.layout import default_name
from orchestrator.runs.source_files import FilesDigest
from orchestrator.runs.writer import require_new
from orchestrator.runtime import wall_clock
from orchestrator.runtime.launch import component_environment, resolve_command
from orchestrator.runtime.training_plan import TrainingPlan, plan_training

__all__ = ["DEFAULT_COMPONENTS", "PlannedComponent", "RunPlan", "make_plan"]

DEFAULT_COMPONENTS = (
    ComponentSettings(name="thinker", stage=1, command=("python", "-m", "components.thinkers.quad_ma")),
    ComponentSettings(name="trader", stage=2, command=("python", "-m", "components.traders.follow_signals")),
)
"""What runs when nothing is configured: the reference components."""


class PlannedComponent(msgspec.Struct, frozen=True, kw_only=True):
    """A component with its command resolved and its files hashed."""

    settings: ComponentSettings
    command: tuple[str, ...]
    workdir: Path
    files: FilesDigest


class RunPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A run that could start now."""

    settings: Settings  # resolved: nothing in it is left to be found
    home: Home
    directory: Path
    market: Market  # what components see
    execution: Market  # where orders fill and equity is marked; the same object where one exchange does both
    data_digest: str  # of both
    instruments: dict[str, Instrument]
    funding: FundingRates | None  # of perpetual contracts alone
    components: tuple[PlannedComponent, ...]
    training: TrainingPlan | None  # None: nothing is trained
    code_version: str
    identity: str
    notes: tuple[str, ...]


def make_plan(
    settings: Settings, home: Home, output_directory: Path | None, *, is_retraining: bool = False
) -> RunPlan:
    """Resolve what was left open, check what can be checked, and map the market.

    Parameters
    ----------
    settings, home, output_directory
        What to run and where; None: the directory is named by the time.
    is_retraining
        Whether models that an earlier run has trained are trained anew.

    Raises
    ------
    ConfigError
        If a command does not exist or a setting cannot be used.
    DataError
        If candles are missing or unsound.
    """
    notes: list[str] = []
    if not settings.component:
        placed = tuple(msgspec.structs.replace(c, workdir=str(Path.cwd())) for c in DEFAULT_COMPONENTS)
        settings = msgspec.structs.replace(settings, component=placed)
        notes.append("no components were given; the reference components quad_ma and follow_signals run")
    elif len(settings.component) == 1:
        only = settings.component[0].name
        notes.append(
            f"{only} is the only component; give --thinker and --trader, or [[component]]s, for more"
        )
    components = tuple(_plan_component(component) for component in settings.component)
    markets = load_markets(home.cache, settings)
    instruments = resolve_instruments(settings.coins, settings.instrument, markets.execution.exchange)
    settings = _resolve(settings, markets, instruments)
    funding = _load_funding(settings, home, markets.execution)
    training = (
        plan_training(settings.training, settings, markets.signals, is_retraining=is_retraining)
        if settings.training is not None
        else None
    )
    if settings.has_bots:
        _check_bots(settings, markets, instruments)
        if settings.bots.charge_cpu:
            notes.append(
                "bots.charge_cpu adds measured CPU time to simulated time: no two such runs are equal"
            )
    version = code_version()
    return RunPlan(
        settings=settings,
        home=home,
        directory=_directory(home, output_directory),
        market=markets.signals,
        execution=markets.execution,
        data_digest=markets.data_digest,
        instruments=instruments,
        funding=funding,
        components=components,
        training=training,
        code_version=version,
        identity=run_identity(
            seed=settings.seed,
            code_version=version,
            data_digest=markets.data_digest,
            component_digests=[
                *(c.files.digest for c in components),
                *([training.digest] if training is not None else ()),
            ],
            configuration={**settings.identity(), **({"funding": funding.digest} if funding else {})},
        ),
        notes=(*notes, *markets.notes, *(training.notes if training is not None else ())),
    )


def _plan_component(settings: ComponentSettings) -> PlannedComponent:
    workdir = Path(settings.workdir or ".").resolve()
    environment = component_environment(os.environ, {})
    is_flag = settings.name in ("thinker", "trader")
    where = f"--{settings.name}" if is_flag else f"component {settings.name}"
    command = resolve_command(settings.command, workdir, environment["PATH"], where=where)
    if settings.is_bot:
        from orchestrator.runtime.bot_launch import bot_command  # noqa: PLC0415 - most runs have no bots

        bot_command(command, workdir, workdir)  # to be refused now, not when the run has begun
    return PlannedComponent(
        settings=settings,
        command=command,
        workdir=workdir,
        files=component_digest(command, workdir, python_path=_python_path(environment, workdir)),
    )


def _check_bots(settings: Settings, markets: Markets, instruments: dict[str, Instrument]) -> None:
    # What is wrong is to be refused now, not when the run has begun.
    from orchestrator.runtime.bot_venues import make_venues  # noqa: PLC0415 - most runs have no bots
    from orchestrator.runtime.work_copy import check_keys  # noqa: PLC0415

    make_venues(settings, markets.signals, instruments)
    named: dict[Path, tuple[str, ...]] = {}
    for component in settings.component:
        if component.is_bot:
            folder = Path(component.workdir or ".").resolve()
            named[folder] = (*named.get(folder, ()), *component.replace_keys)
    for folder, keys in named.items():
        check_keys(folder, keys)


def _load_funding(settings: Settings, home: Home, market: Market) -> FundingRates | None:
    if settings.account.kind != "perpetual":
        return None
    return load_funding(
        home.cache,
        coins=market.coins,
        exchange=market.exchange,
        start_ns=settings.start_ns,
        end_ns=settings.end_ns,
        is_missing_accepted=settings.account.missing_funding == "zero",
    )


def _python_path(environment: dict[str, str], workdir: Path) -> tuple[Path, ...]:
    words = environment.get("PYTHONPATH", "").split(os.pathsep)
    return tuple(workdir / word for word in words if word)


def _resolve(settings: Settings, markets: Markets, instruments: dict[str, Instrument]) -> Settings:
    rules = {
        coin: InstrumentSettings(tick_size=i.tick_size, lot_size=i.lot_size, min_notional=i.min_notional)
        for coin, i in instruments.items()
    }
    market = markets.signals
    # Named, so that candles which are cached later cannot change what a repetition of the run does.
    finer = markets.execution.finer_timeframes
    data = msgspec.structs.replace(settings.data, exchange=market.exchange, quote=market.quote, finer=finer)
    if markets.are_two:
        other = markets.execution
        data = msgspec.structs.replace(data, execution=other.exchange, execution_quote=other.quote)
    return msgspec.structs.replace(settings, timeframe=market.timeframe, data=data, instrument=rules)


def _directory(home: Home, chosen: Path | None) -> Path:
    if chosen is not None:
        directory = chosen.expanduser().absolute()
        require_new(directory)
        return directory
    name = default_name(int(wall_clock.utc_now().timestamp()) * 1_000_000_000)
    # Runs started in the same second: only an unnamed run may look for another name.
    directory, n = home.results / name, 1
    while directory.exists():
        n += 1
        directory = home.results / f"{name}-{n}"
    return directory
