"""`replay analyze RUN…`: figures, trades and a page for each run; several are set side by side."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from orchestrator.errors import ConfigError
from orchestrator.home import home
from orchestrator.runs.listing import find_run, list_runs
from orchestrator.runs.reader import open_run

if TYPE_CHECKING:
    from orchestrator.analysis.metrics import Metrics
    from orchestrator.analysis.study import Study

__all__ = ["analyze"]

_WIDTH_PIPED = 200  # columns where no terminal says how wide it is


def _complete_run(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return [run.name for run in list_runs(home().results).runs if run.name.startswith(incomplete)]


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, shell_complete=_complete_run)
@click.option("--open", "opens", is_flag=True, help="Open the page in a browser.")
@click.option("--json", "as_json", is_flag=True, help="Print metrics.json to stdout, of several runs a list.")
@click.option(
    "--risk-free",
    type=click.FloatRange(-0.5, 10.0),
    default=0.0,
    show_default=True,
    help="Risk-free rate a year as a fraction: 0.04 is 4 %.",
)
@click.option(
    "--in-sample",
    is_flag=True,
    help="Runs with training: first replay each window with the models that were made of it.",
)
def analyze(runs: tuple[str, ...], opens: bool, as_json: bool, risk_free: float, in_sample: bool) -> int:
    """Measure runs: metrics.json, trades.csv and report.html in each run directory, a table here.

    RUN is a name in backtest_results, the path of a run directory, or "latest". Several runs are also set
    side by side, in comparison.html in the directory of the first.
    """
    # Imported when it is called: nothing else of the command line needs plotly or jinja2.
    from orchestrator.analysis.files import write_analysis, write_comparison  # noqa: PLC0415
    from orchestrator.analysis.measure import measure  # noqa: PLC0415
    from orchestrator.analysis.study import study_run  # noqa: PLC0415

    here = home()
    directories = _distinct(find_run(here.results, run) for run in runs)
    if len(directories) == 1 and (page := _without_a_tick(directories[0], as_json=as_json)):
        _open(page, opens=opens)
        return 0
    studied: list[tuple[Study, Metrics]] = []
    pages: list[Path] = []
    for directory in directories:
        if in_sample:
            _measure_in_sample(directory)
        study = study_run(open_run(directory), here.cache)
        metrics = measure(study, risk_free)
        pages.append(write_analysis(study, metrics))
        studied.append((study, metrics))
    if len(studied) > 1:
        pages.insert(0, write_comparison(studied))
    _present([metrics for _, metrics in studied], pages, as_json=as_json)
    _open(pages[0], opens=opens)
    return 0


def _open(page: Path, *, opens: bool) -> None:
    if opens and not webbrowser.open(page.resolve().as_uri()):
        click.echo(f"warning: no browser was found; open {page} yourself", err=True)


def _measure_in_sample(directory: Path) -> None:
    from orchestrator.runtime.in_sample import measure_in_sample  # noqa: PLC0415 - starts processes

    run = open_run(directory)
    if not run.models:
        raise ConfigError(f"{directory.name} has no models; --in-sample is for runs with [training]")
    measure_in_sample(
        run, home(), environment=os.environ, tell=lambda line: click.echo(f"{run.name}: {line}", err=True)
    )


def _without_a_tick(directory: Path, *, as_json: bool) -> Path | None:
    # Its page says why; None of a run that can be measured.
    from orchestrator.analysis.tickless import (  # noqa: PLC0415
        encode_figures,
        has_ticks,
        tickless_figures,
        write_tickless,
    )

    run = open_run(directory)
    if has_ticks(run):
        return None
    figures = tickless_figures(run)
    page = write_tickless(run, figures)
    for remark in figures["warnings"]:
        click.echo(f"{remark['level']}: {remark['text']}", err=True)
    click.echo(encode_figures(figures) if as_json else f"page  {page}", nl=not as_json)
    return page


def _distinct(directories: Iterable[Path]) -> list[Path]:
    found = list(directories)
    for directory in found:
        if sum(directory.samefile(other) for other in found) > 1:
            raise ConfigError(f"run {directory.name} is named more than once; name each run once")
    return found


def _present(measured: list[Metrics], pages: list[Path], *, as_json: bool) -> None:
    from orchestrator.analysis.metrics import encode_metrics, encode_several  # noqa: PLC0415

    for metrics in measured:
        which = f"{metrics.run}: " if len(measured) > 1 else ""
        for remark in metrics.warnings:
            click.echo(f"{remark.level}: {which}{remark.text}", err=True)
    if as_json:
        encoded = encode_metrics(measured[0]) if len(measured) == 1 else encode_several(measured)
        click.echo(encoded.decode(), nl=False)
        return
    console = Console(highlight=False)
    wide = console if console.is_terminal else Console(highlight=False, width=_WIDTH_PIPED)
    wide.print(_table(measured))
    for page in pages:
        click.echo(f"page  {page}")


def _table(measured: list[Metrics]) -> Table:
    from orchestrator.analysis.shown import HEADLINE, plain_metrics, shown  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    table.add_column("run", overflow="fold")
    for metrics in measured:
        table.add_column(metrics.run, justify="right", overflow="fold")
    identity = (
        ("status", [metrics.status for metrics in measured]),
        ("days", [f"{metrics.span_days:,.1f}" for metrics in measured]),
        ("digest", [metrics.digest[:12] or "none" for metrics in measured]),
    )
    for name, texts in identity:
        table.add_row(name, *texts)
    columns = [shown(HEADLINE, plain_metrics(metrics)) for metrics in measured]
    for row in zip(*columns, strict=True):
        table.add_row(row[0].label, *(figure.text for figure in row))
    return table
