"""`replay watch`: follow a running replay from another terminal."""

from __future__ import annotations

import datetime as dt
import sys

import click

from orchestrator.home import home
from orchestrator.protocol import FillPublished, Status
from orchestrator.runtime.live import find_live_run
from orchestrator.runtime.spectator import watch_run

__all__ = ["watch"]


@click.command()
@click.argument("run", required=False)
@click.option("--fills/--no-fills", default=True, help="Show each fill.", show_default=True)
def watch(run: str | None, fills: bool) -> int:
    """Follow the running replay RUN (or the only one) until it ends; watching never slows it."""
    live = find_live_run(home().data, run)
    click.echo(f"watching {live.run_id} ({live.directory})", err=True)
    is_line_open = False
    for message in watch_run(live):
        if isinstance(message, FillPublished) and fills:
            is_line_open = _close_line(is_line_open)
            fill = message.fill
            click.echo(
                f"{_moment(fill.sim_time_ns)}  {message.component} {fill.side} {fill.qty} {fill.coin} at {fill.price}"
            )
        elif isinstance(message, Status):
            text = (
                f"{_moment(message.sim_time_ns)}  {message.sequence}/{message.sequences}  "
                f"equity {message.equity:,.2f}  fills {message.fills}  {message.status}"
            )
            is_ended = message.status not in ("running", "paused")
            if is_ended or not sys.stdout.isatty():
                is_line_open = _close_line(is_line_open)
                click.echo(text)
            else:
                click.echo(f"\r\x1b[K{text}", nl=False)
                is_line_open = True
            if is_ended:
                break
    _close_line(is_line_open)
    return 0


def _close_line(is_open: bool) -> bool:
    if is_open:
        click.echo()
    return False


def _moment(sim_time_ns: int) -> str:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=sim_time_ns // 1000)
    return moment.strftime("%Y-%m-%d %H:%M:%S")
