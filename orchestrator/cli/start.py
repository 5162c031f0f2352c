"""`replay start`: a replay from flags and replay.toml."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec

from orchestrator.cli.run_view import present_run
from orchestrator.config import ComponentSettings, component_from_command, load_settings
from orchestrator.home import home
from orchestrator.runtime.plan import RunPlan, make_plan
from orchestrator.runtime.training_plan import TrainingPlan
from orchestrator.training.schedule import training_times

__all__ = ["start"]


class _DecimalType(click.ParamType[Decimal]):
    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            return Decimal(value)
        except ArithmeticError:
            self.fail(f"{value!r} is not a number", param, ctx)


@click.command()
@click.option("--start-date", metavar="DATE", help="First instant of the run, such as 2024-01-01 (UTC).")
@click.option(
    "--end-date", metavar="DATE", help="End of the run; candles that open on it are not part of it."
)
@click.option("--coins", metavar="BTC,ETH", help="Coins of the run, separated by commas.")
@click.option("--timeframe", metavar="1m", help="Base candles [default: the finest that all coins have].")
@click.option("--speed", metavar="max|N", help="Simulated seconds per wall second [default: max].")
@click.option("--seed", type=int, help="Seed of everything left to chance [default: 7].")
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), metavar="FILE", help="A replay.toml."
)
@click.option(
    "--output-dir", type=click.Path(path_type=Path), metavar="DIR", help="The run directory; must not exist."
)
@click.option("--thinker", metavar="CMD", help="Command of a thinker, such as 'python my_thinker.py'.")
@click.option("--trader", metavar="CMD", help="Command of a trader.")
@click.option("--exchange", metavar="NAME", help="Whose candles [default: found when only one fits].")
@click.option("--quote", metavar="USDT", help="Quote of the candles [default: found when only one fits].")
@click.option("--execution", metavar="NAME", help="Fill orders on this exchange instead [default: the same].")
@click.option(
    "--gaps", type=click.Choice(["fail", "stale"]), help="What to do about missing candles [default: fail]."
)
@click.option("--max-gap", metavar="30m", help="With --gaps stale: the longest gap that is accepted.")
@click.option(
    "--missing-funding",
    type=click.Choice(["fail", "zero"]),
    help="Perpetual contracts: what a missing funding rate is [default: fail].",
)
@click.option("--initial-cash", type=_DecimalType(), metavar="N", help="Cash at the start [default: 10000].")
@click.option(
    "--component-timeout", type=float, metavar="S", help="Wall seconds a component may take [default: 30]."
)
@click.option(
    "--fetch", is_flag=True, help="First fetch the candles that are missing, as `replay data warm` does."
)
@click.option("--retrain", is_flag=True, help="Train all models anew, also those that are cached.")
@click.option("--dry-run", is_flag=True, help="Check everything, start nothing.")
@click.option("--show-config", is_flag=True, help="Print the resolved configuration and exit.")
@click.option("--quiet", is_flag=True, help="No progress and no remarks.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON to stdout.")
def start(config_path: Path | None, output_dir: Path | None, **options: Any) -> int:
    """Replay a stretch of history through a thinker and a trader.

    \b
    replay start --start-date 2024-01-01 --end-date 2024-02-01 --coins BTC,ETH,DOGE
    """  # noqa: D301 - click reads \b as "keep these lines"
    settings = load_settings(config_path, _flags(options))
    settings = msgspec.structs.replace(settings, component=_components(settings.component, options))
    if options["fetch"]:
        from orchestrator.cli.fetch import fetch_for_run  # noqa: PLC0415 - most runs fetch nothing

        fetch_for_run(settings, is_quiet=options["quiet"])
    plan = make_plan(settings, home(), output_dir, is_retraining=options["retrain"])
    if options["show_config"]:
        click.echo(plan.settings.to_toml(), nl=False)
        return 0
    if options["dry_run"]:
        _describe(plan)
        return 0
    return present_run(plan, is_quiet=options["quiet"], as_json=options["as_json"])


def _flags(options: dict[str, Any]) -> dict[str, Any]:
    plain = ("start_date", "end_date", "timeframe", "speed", "seed", "component_timeout")
    flags: dict[str, Any] = {key: options[key] for key in plain if options[key] is not None}
    if options["coins"] is not None:
        flags["coins"] = [coin.strip().upper() for coin in options["coins"].split(",") if coin.strip()]
    data_keys = ("exchange", "quote", "execution", "gaps", "max_gap")
    data = {key: options[key] for key in data_keys if options[key] is not None}
    if data:
        flags["data"] = data
    account = {key: options[key] for key in ("initial_cash", "missing_funding") if options[key] is not None}
    if account:
        flags["account"] = account
    return flags


def _components(
    configured: tuple[ComponentSettings, ...], options: dict[str, Any]
) -> tuple[ComponentSettings, ...]:
    # A flag replaces the component of that name, or adds one.
    components = list(configured)
    for stage, name in enumerate(("thinker", "trader"), 1):
        if options[name] is None:
            continue
        given = msgspec.structs.replace(
            component_from_command(name, stage, options[name]), workdir=str(Path.cwd())
        )
        places = [place for place, c in enumerate(components) if c.name == name]
        if places:
            old = components[places[0]]
            components[places[0]] = msgspec.structs.replace(
                given, stage=old.stage, params=old.params, account=old.account
            )
        else:
            components.append(given)
    return tuple(components)


def _describe(plan: RunPlan) -> None:
    settings, market = plan.settings, plan.market
    for note in plan.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(
        f"would replay {settings.start_date} to {settings.end_date}: {market.tick_count} sequences "
        f"of {market.timeframe} "
        f"candles of {', '.join(market.coins)} from {market.exchange}, seed {settings.seed}"
    )
    for component in plan.components:
        click.echo(
            f"  stage {component.settings.stage}  {component.settings.name}: {' '.join(component.settings.command)}"
        )
    if plan.training is not None:
        click.echo(f"  {_describe_training(plan, plan.training)}")
    click.echo(f"into {plan.directory}", err=False)
    sys.stdout.flush()


def _describe_training(plan: RunPlan, training: TrainingPlan) -> str:
    if training.given:
        return f"models of {', '.join(training.given)} are given: {training.settings.models}"
    times = training_times(training.settings, plan.settings.start_ns, plan.settings.end_ns)
    coins = ", ".join(training.settings.coins or ())
    return f"{len(times)} trainings of {coins}: {' '.join(training.settings.command or ())}"
