"""`replay data import-funding`: funding rates of perpetual contracts into the cache."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.home import home
from orchestrator.market.funding import import_funding

__all__ = ["import_funding_rates"]


@click.command("import-funding")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--exchange", required=True, help="Whose rates they are, such as binance.")
@click.option("--coin", required=True, help="Coin of the contract, such as BTC.")
@click.option("--replace", is_flag=True, help="Let rates that differ from cached ones replace them.")
def import_funding_rates(file: Path, exchange: str, coin: str, replace: bool) -> None:
    """Import funding rates of a coin's perpetual contract: CSV, Parquet, Feather, or JSON rows.

    A row has a time (fundingTime, calc_time, timestamp …) and a rate (fundingRate, last_funding_rate, rate)
    as a fraction of the position: 0.0001 is 0.01 %.
    """
    stored = import_funding(home().cache, file, exchange=exchange, coin=coin, replace=replace)
    click.echo(
        f"{stored.exchange} {stored.coin}: {stored.added} funding rates added, {stored.unchanged} were there"
    )
