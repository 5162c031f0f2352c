"""`replay runs`: which runs there are, what one did, and away with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from orchestrator.analysis.headline import Headline, headline_of
from orchestrator.errors import DataError
from orchestrator.home import home
from orchestrator.runs.listing import find_run, list_runs, remove_run
from orchestrator.runs.manifest import ComponentManifest
from orchestrator.runs.reader import Run, open_run

__all__ = ["runs"]

_WIDTH_PIPED = 200  # columns where no terminal says how wide it is
_DIGEST_SHOWN = 12


def _complete_run(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return [run.name for run in list_runs(home().results).runs if run.name.startswith(incomplete)]


@click.group()
def runs() -> None:
    """List, show and remove runs."""


@runs.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the runs as JSON.")
def list_command(as_json: bool) -> int:
    """List the runs of backtest_results, the latest last."""
    found = list_runs(home().results)
    for problem in found.unreadable:
        click.echo(f"warning: {problem}", err=True)
    if as_json:
        _print_json([_plain(run) for run in found.runs])
    elif found.runs:
        _console().print(_runs_table(found.runs))
    else:
        click.echo(f"no runs in {home().results}; start one with `replay start` or `replay demo`", err=True)
    return 0


@runs.command("show")
@click.argument("run", shell_complete=_complete_run)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show_command(run: str, as_json: bool) -> int:
    """Show what a run was and how it went.

    RUN is a name in backtest_results, the path of a run directory, or "latest".
    """
    opened = open_run(find_run(home().results, run))
    figures = headline_of(opened) if len(opened.equity.sequences) else None
    if as_json:
        _print_json({**_plain(opened), "headline": msgspec.to_builtins(figures)})
    else:
        click.echo("\n".join(_details(opened, figures)))
    for note in opened.recovered:
        click.echo(f"warning: {note}", err=True)
    return 0


@runs.command("remove")
@click.argument("run", shell_complete=_complete_run)
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove_command(run: str, yes: bool) -> int:
    """Delete a run directory and everything in it; a run that is running is refused.

    RUN is a name in backtest_results, the path of a run directory, or "latest".
    """
    directory = find_run(home().results, run)
    if not yes:
        click.confirm(f"remove {directory} ({_told(directory)})?", abort=True, err=True)
    remove_run(directory)
    click.echo(f"removed {directory}", err=True)
    return 0


def _told(directory: Path) -> str:
    try:
        opened = open_run(directory)
    except DataError:
        return "its run.json cannot be read"
    return f"{opened.status}, {opened.manifest.sequences} sequences"


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_PIPED)


def _print_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def _plain(run: Run) -> dict[str, Any]:
    return {"name": run.name, "directory": str(run.directory), **msgspec.to_builtins(run.manifest)}


def _runs_table(found: tuple[Run, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "status", "from", "to", "coins", "timeframe"):
        table.add_column(heading, overflow="fold")
    for heading in ("sequences", "orders", "fills"):
        table.add_column(heading, justify="right")
    table.add_column("digest")
    for run in found:
        manifest = run.manifest
        numbers = (manifest.sequences, manifest.counts.orders, manifest.counts.fills)
        table.add_row(
            run.name,
            run.status,
            manifest.sim_start,
            manifest.sim_end,
            ",".join(manifest.coins),
            manifest.timeframe,
            *(str(number) for number in numbers),
            manifest.digest[:_DIGEST_SHOWN],
        )
    return table


def _details(run: Run, figures: Headline | None) -> list[str]:
    manifest = run.manifest
    counts = manifest.counts
    lines = [
        f"run        {run.directory.resolve()}",
        f"status     {run.status}" + (f": {manifest.reason}" if manifest.reason else ""),
        f"simulated  {manifest.sim_start} to {manifest.sim_end}, {manifest.sequences} sequences",
        f"market     {', '.join(manifest.coins)}, {manifest.timeframe} candles",
        f"started    {manifest.started_at}, took {manifest.wall_seconds:.1f} s",
        f"orders     {counts.orders}, of which {counts.rejected} rejected",
        f"seed       {manifest.seed}",
        f"digest     {manifest.digest or 'none until it has ended'}",
        f"data       {manifest.data_digest}",
        f"code       {manifest.code_version}",
    ]
    for component in manifest.components:
        lines.append(f"component  {component.name}, stage {component.stage}: {' '.join(component.command)}")
        lines.append(f"           {_used(component)}")
    if manifest.refused_requests is not None:
        files = "unchanged" if manifest.bot_files_unchanged else "changed"
        lines.append(f"bots       {manifest.refused_requests} requests refused, files {files}")
    lines += [f"note       {note}" for note in manifest.notes]
    return lines if figures is None else [*lines, *figures.lines(_currency(run))]


def _used(component: ComponentManifest) -> str:
    if component.exit_code is None and component.peak_memory_mb is None:
        return "not ended"
    memory = "unknown" if component.peak_memory_mb is None else f"{component.peak_memory_mb:.1f} MB"
    cpu = "unknown" if component.cpu_seconds is None else f"{component.cpu_seconds:.1f} s"
    return f"exit code {component.exit_code}, peak memory {memory}, CPU {cpu}"


def _currency(run: Run) -> str:
    return str(run.configuration.get("account", {}).get("currency", ""))
