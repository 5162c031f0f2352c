"""`replay pace CONFIG`: a short window at natural pace and in burst, and whether their orders agree."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from orchestrator.bot_protocol import ENVIRONMENT_BOT_TURNS
from orchestrator.cli.run_view import show_progress
from orchestrator.cli.written_keys import written_keys
from orchestrator.config import (
    NS_PER_SECOND,
    ComponentSettings,
    Settings,
    load_settings,
    parse_date_ns,
    parse_duration_ns,
)
from orchestrator.errors import ConfigError
from orchestrator.home import Home, home
from orchestrator.runs.reader import open_run
from orchestrator.runtime.pace_agreement import first_difference
from orchestrator.runtime.pace_cycle import Proposal, find_cycle, propose, read_turns
from orchestrator.runtime.plan import make_plan
from orchestrator.runtime.session import RunResult, run_replay

__all__ = ["pace"]

_DIFFER_STATUS = 1
_NO_END = "2261-01-01"


class _Paced(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two runs."""

    settings: Settings
    result: RunResult
    orders: tuple[dict[str, Any], ...]
    tick_ns: int

    @property
    def times_real_time(self) -> float:
        """Simulated seconds a wall second."""
        simulated = (self.settings.end_ns - self.settings.start_ns) / NS_PER_SECOND
        return simulated / max(self.result.wall_seconds, 1e-3)


@click.command()
@click.argument("config_path", type=click.Path(path_type=Path), metavar="CONFIG")
@click.option("--window", default="1d", show_default=True, metavar="1d", help="How much is run, twice.")
@click.option("--start-date", metavar="DATE", help="Where the window begins [default: the file's].")
@click.option("--exchange", metavar="NAME", help="Whose candles [default: found when only one fits].")
@click.option("--keep", is_flag=True, help="Keep both runs.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON to stdout.")
def pace(
    config_path: Path,
    window: str,
    start_date: str | None,
    exchange: str | None,
    *,
    keep: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run a short window of CONFIG at natural pace and in burst, compare their orders, propose burst and phase.

    CONFIG is a replay.toml with unmodified bots. Bots whose pace is not "burst" get the burst that is proposed.
    Exit status 0 if the orders agree, 1 if they differ.
    """
    flags: dict[str, Any] = {"start_date": start_date} if start_date is not None else {}
    if exchange is not None:
        flags["data"] = {"exchange": exchange}
    settings = _windowed(config_path, flags, window)
    if not settings.has_bots:
        raise ConfigError(f'{config_path} has no component of kind = "bot": only unmodified bots have a pace')
    here = home()
    here.data.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="pace-", dir=here.data))
    try:
        return _compare(settings, here, folder, is_quiet=quiet, as_json=as_json)
    finally:
        if keep:
            click.echo(f"kept {folder}", err=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _compare(settings: Settings, here: Home, folder: Path, *, is_quiet: bool, as_json: bool) -> int:
    turns = folder / "turns"
    turns.mkdir()
    natural = _run(_at_natural_pace(settings), here, folder / "natural", turns, is_quiet=is_quiet)
    if natural.result.exit_status:
        return natural.result.exit_status
    proposals = _proposals(settings, turns, natural.tick_ns)
    if not any(c.pace == "burst" for c in settings.component) and not any(p.burst for p in proposals):
        _print_natural_alone(proposals, as_json=as_json)
        return 0
    burst = _run(_in_bursts(settings, proposals), here, folder / "burst", None, is_quiet=is_quiet)
    if burst.result.exit_status:
        return burst.result.exit_status
    names = [component.name for component in settings.component]
    difference = first_difference(natural.orders, burst.orders, natural.tick_ns / NS_PER_SECOND, names)
    if as_json:
        _print_json(natural, burst, difference, proposals)
    else:
        _print(natural, burst, difference, proposals)
    return 0 if difference is None else _DIFFER_STATUS


def _run(settings: Settings, here: Home, directory: Path, turns: Path | None, *, is_quiet: bool) -> _Paced:
    environment = dict(os.environ)
    if turns is not None:
        environment[ENVIRONMENT_BOT_TURNS] = str(turns)
    plan = make_plan(settings, here, directory)
    if not is_quiet:
        click.echo(f"running {settings.start_date} to {settings.end_date}: {directory.name}", err=True)
    with show_progress(plan, is_quiet=is_quiet) as show:
        result = run_replay(plan, environment=environment, show=show)
    if result.exit_status:
        click.echo(f"replay: {directory.name} {result.status}: {result.reason}", err=True)
        for name, lines in result.last_lines.items():
            for line in lines:
                click.echo(f"  {name}: {line}", err=True)
    return _Paced(
        settings=plan.settings,
        result=result,
        orders=tuple(open_run(directory).orders),
        tick_ns=plan.market.timeframe_ns,
    )


# ------------------------------------------------------------------ settings


def _windowed(path: Path, flags: dict[str, Any], window: str) -> Settings:
    # The end that the file may have does not matter, but that it is not passed.
    length_ns = parse_duration_ns(window)
    settings = load_settings(
        path, flags if "end_date" in written_keys(path) else {**flags, "end_date": _NO_END}
    )
    start_ns = parse_date_ns(settings.start_date)
    end = dt.datetime.fromtimestamp(min(start_ns + length_ns, settings.end_ns) // NS_PER_SECOND, dt.UTC)
    return msgspec.structs.replace(settings, end_date=end.isoformat(), speed="max")


def _with_pace(
    component: ComponentSettings, pace: str, burst: int | None, phase: str | None
) -> ComponentSettings:
    return msgspec.structs.replace(component, pace=pace, burst=burst, phase=phase)


def _at_natural_pace(settings: Settings) -> Settings:
    components = [_with_pace(c, "natural", None, None) if c.is_bot else c for c in settings.component]
    return msgspec.structs.replace(settings, component=tuple(components))


def _in_bursts(settings: Settings, proposals: Sequence[Proposal]) -> Settings:
    proposed = {p.component: p for p in proposals if p.burst is not None}
    components = [
        _with_pace(c, "burst", proposed[c.name].burst, proposed[c.name].phase)
        if c.pace != "burst" and c.name in proposed
        else c
        for c in settings.component
    ]
    return msgspec.structs.replace(settings, component=tuple(components))


def _proposals(settings: Settings, folder: Path, tick_ns: int) -> tuple[Proposal, ...]:
    names = [component.name for component in settings.component if component.is_bot]
    turns = [read_turns(folder / f"{name}.turns") for name in names]
    cycles = [(name, find_cycle(found)) for name, found in zip(names, turns, strict=True)]
    return propose(cycles, [len(found) for found in turns], tick_ns)


# ------------------------------------------------------------------ what is said


def _print(natural: _Paced, burst: _Paced, difference: str | None, proposals: Sequence[Proposal]) -> None:
    for name, paced in (("natural", natural), ("burst", burst)):
        click.echo(
            f"{name:<9} {len(paced.orders)} orders in {paced.result.wall_seconds:.1f} s, "
            f"{paced.times_real_time:,.0f} times real time"
        )
    click.echo(f"speed     burst is {burst.times_real_time / natural.times_real_time:.1f} times as fast")
    for component in burst.settings.component:
        if component.pace == "burst":
            click.echo(f"compared  {component.name}: {_toml(component.burst, component.phase)}")
    click.echo(f"orders    {'agree' if difference is None else f'differ: {difference}'}")
    _print_proposals(proposals)


def _print_natural_alone(proposals: Sequence[Proposal], *, as_json: bool) -> None:
    if as_json:
        found: dict[str, Any] = {
            "agree": True,
            "first_difference": None,
            "compared": {},
            "proposals": proposals,
        }
        click.echo(msgspec.json.encode(found).decode())
        return
    _print_proposals(proposals)
    click.echo("no bot has a burst to compare with: natural pace it is")


def _print_proposals(proposals: Sequence[Proposal]) -> None:
    for proposal in proposals:
        click.echo(
            f"proposal  {proposal.component}: {_toml(proposal.burst, proposal.phase)}  # {proposal.why}"
        )


def _toml(burst: int | None, phase: str | None) -> str:
    return (
        'pace = "natural"' if burst is None else f'pace = "burst", burst = {burst}, phase = "{phase or "0s"}"'
    )


def _print_json(
    natural: _Paced, burst: _Paced, difference: str | None, proposals: Sequence[Proposal]
) -> None:
    found: dict[str, Any] = {
        "agree": difference is None,
        "first_difference": difference,
        **{
            name: {
                "orders": len(paced.orders),
                "wall_seconds": paced.result.wall_seconds,
                "times_real_time": round(paced.times_real_time, 1),
                "digest": paced.result.digest,
            }
            for name, paced in (("natural", natural), ("burst", burst))
        },
        "speed_ratio": round(burst.times_real_time / natural.times_real_time, 2),
        "compared": {
            c.name: {"burst": c.burst, "phase": c.phase or "0s"} for c in burst.settings.component if c.burst
        },
        "proposals": proposals,
    }
    click.echo(msgspec.json.encode(found).decode())
