"""`replay data`: bring market data into the cache, look at it, check it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from orchestrator.cli.data_compare import compare
from orchestrator.cli.data_export import export
from orchestrator.cli.data_funding import import_funding_rates
from orchestrator.cli.data_verify import verify
from orchestrator.cli.fetch import fetch, warm
from orchestrator.cli.terminal_plot import calendar_lines
from orchestrator.config import parse_date_ns
from orchestrator.errors import DataError
from orchestrator.home import home
from orchestrator.market.cache import Stored, entries_of, series_in
from orchestrator.market.candles import time_text
from orchestrator.market.coverage import monthly_coverage
from orchestrator.market.importing import import_file
from orchestrator.market.series import SYNTHETIC_EXCHANGE, SeriesKey
from orchestrator.market.synthetic import synthesize

__all__ = ["data"]


@click.group()
def data() -> None:
    """Bring candles into the cache, list them, check them, take them out again.

    The cache stands in backtest_cache/ of the current folder, or of REPLAY_HOME.
    """


for command in (fetch, warm, verify, compare, export, import_funding_rates):
    data.add_command(command)


@data.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option("--exchange", help="Whose candles they are; else the folder's name, such as binance/.")
@click.option("--coin", help="Base asset, such as BTC; else told by the file's name.")
@click.option("--quote", help="Quote asset, such as USDT; else told by the file's name.")
@click.option("--timeframe", help="Candle length, such as 5m; else told by the file's name.")
@click.option("--replace", is_flag=True, help="Let candles that differ from cached ones replace them.")
def import_(files: tuple[Path, ...], replace: bool, **named: str | None) -> None:
    """Import candle files: CSV, Parquet, Feather, or JSON rows.

    Names such as BTC-USDT_5m.parquet, BTC_USDT-5m.feather or BTCUSDT_1h.csv say what a file holds; flags say
    it otherwise. Times may be seconds, ms, us, ns or ISO text, without a zone in UTC. Every file is imported
    whole or not at all, and the first one that cannot be ends the command. Rows count from 1, without header.
    """
    for file in files:
        stored = import_file(home().cache, file, replace=replace, **named)
        click.echo(_stored_text(stored))
    click.echo("next: replay data list, or replay start", err=True)


@data.command()
@click.option("--coins", default="BTC,ETH,DOGE", show_default=True, help="Base assets, separated by commas.")
@click.option("--timeframe", default="5m", show_default=True, help="Candle length.")
@click.option("--start-date", default="2024-01-01", show_default=True, help="First open time, UTC.")
@click.option("--end-date", default="2024-03-01", show_default=True, help="Last close time, UTC.")
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same candles everywhere.")
@click.option(
    "--exchange", default=SYNTHETIC_EXCHANGE, show_default=True, help="Name under which they are cached."
)
@click.option("--quote", default="USDT", show_default=True, help="Quote asset.")
@click.option(
    "--gaps", default=0, show_default=True, type=click.IntRange(0), help="Gaps in each coin's candles."
)
@click.option("--replace", is_flag=True, help="Replace a cached market of these dates.")
def synth(coins: str, start_date: str, end_date: str, **options: Any) -> None:
    """Make a synthetic market: drift, clustered volatility, jumps, several correlated coins."""
    names = tuple(coin.strip() for coin in coins.split(",") if coin.strip())
    start_ns, end_ns = parse_date_ns(start_date), parse_date_ns(end_date)
    for stored in synthesize(home().cache, coins=names, start_ns=start_ns, end_ns=end_ns, **options):
        click.echo(_stored_text(stored))
    click.echo(
        f"next: replay start --start-date {start_date} --end-date {end_date} --coins {','.join(names)} "
        f"--exchange {options['exchange']} --quote {options['quote']} --timeframe {options['timeframe']}"
        + (" --gaps stale" if options["gaps"] else ""),
        err=True,
    )


@data.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON to stdout.")
def list_(as_json: bool) -> int:
    """List what is cached: each series, its span (end exclusive), its candles, how many are missing, and when.

    The calendar has a row a year and a column a month; the higher, the more of the month is cached.
    """
    cache = home().cache
    rows, status = [], 0
    for key in series_in(cache):
        try:
            rows.append(_listed(cache, key))
        except DataError as error:  # one damaged series must not hide the others
            click.echo(f"replay: {error}", err=True)
            status = error.exit_status
    if as_json:
        click.echo(_json(rows))
    elif not rows and not status:
        click.echo(f"no market data in {cache}; try replay data import FILE or replay data synth", err=True)
    elif rows:
        _print_table(rows)
        click.echo("\n".join(calendar_lines({_name(row): row["months"] for row in rows})))
    return status


def _stored_text(stored: Stored) -> str:
    return f"{stored.key}: {stored.added} added, {stored.replaced} replaced, {stored.unchanged} already there"


def _listed(cache: Path, key: SeriesKey) -> dict[str, Any]:
    entries = entries_of(cache, key)
    count = sum(entry.candle_count for entry in entries)
    expected = (entries[-1].end_ns - entries[0].start_ns) // key.timeframe_ns
    return {
        **key._asdict(),
        "start": _iso(entries[0].start_ns),
        "end": _iso(entries[-1].end_ns),
        "candles": count,
        "missing": expected - count,
        "parts": len(entries),
        "months": monthly_coverage(key, entries),
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    names = [name for name in rows[0] if name != "months"]
    for name in names:
        table.add_column(
            name, justify="right" if name in {"candles", "missing", "parts"} else "left", no_wrap=True
        )
    for row in rows:
        table.add_row(*(str(row[name]) for name in names))
    console = Console()
    console = console if console.is_terminal else Console(width=160)  # a pipe must not cut columns off
    console.print(table)


def _name(row: dict[str, Any]) -> str:
    return f"{row['exchange']} {row['coin']}-{row['quote']} {row['timeframe']}"


def _iso(time_ns: int | None) -> str | None:
    return None if time_ns is None else time_text(time_ns).replace(" ", "T") + "Z"


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode()
