"""`replay data export`: candles for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.config import parse_date_ns
from orchestrator.errors import DataError
from orchestrator.home import home
from orchestrator.market.cache import series_in
from orchestrator.market.exporting import FORMATS, ExportFormat, export_series
from orchestrator.market.spans import Span

__all__ = ["export"]


@click.command()
@click.option("--exchange", help="Only this exchange.")
@click.option("--coin", help="Only this coin.")
@click.option("--quote", help="Only this quote asset.")
@click.option("--timeframe", help="Only this candle length.")
@click.option("--format", "kind", type=click.Choice(FORMATS), default="parquet", show_default=True)
@click.option(
    "--output-dir", type=click.Path(path_type=Path), default=Path("export"), show_default=True, metavar="DIR"
)
@click.option("--start-date", default="1970-01-01", metavar="DATE", help="First open time [default: all].")
@click.option("--end-date", default="2200-01-01", metavar="DATE", help="Last close time [default: all].")
@click.option("--replace", is_flag=True, help="Replace files that are already there.")
def export(
    kind: ExportFormat, output_dir: Path, start_date: str, end_date: str, replace: bool, **wanted: str | None
) -> None:
    """Write cached candles as CSV, Parquet or freqtrade's Feather files, one a series.

    Each lands in a folder named by its exchange. For freqtrade, give --format feather and
    --output-dir user_data/data.
    """
    cache, span = home().cache, Span(parse_date_ns(start_date), parse_date_ns(end_date))
    keys = [
        key
        for key in series_in(cache)
        if all(value is None or getattr(key, name).lower() == value.lower() for name, value in wanted.items())
    ]
    if not keys:
        asked = " ".join(value for value in wanted.values() if value) or "anything"
        raise DataError(f"nothing to export: {asked} is not cached in {cache}; see replay data list")
    for key in keys:
        click.echo(export_series(cache, key, output_dir, kind, span=span, replace=replace))
