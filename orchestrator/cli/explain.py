"""`replay explain RUN ORDER`: one order's life in plain words and numbers."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import click

from orchestrator.analysis.explain import LastClose, explain_order
from orchestrator.errors import ReplayError
from orchestrator.exchange.money import from_float
from orchestrator.home import home
from orchestrator.market.mapped import map_series
from orchestrator.market.series import series_key
from orchestrator.runs.listing import find_run, list_runs
from orchestrator.runs.reader import Run, open_run

__all__ = ["explain"]


def _complete_run(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return [run.name for run in list_runs(home().results).runs if run.name.startswith(incomplete)]


@click.command()
@click.argument("run", shell_complete=_complete_run)
@click.argument("order")
def explain(run: str, order: str) -> int:
    """Tell what became of an order, and why: holds, arrival, each fill and each part of its price.

    RUN is a name in backtest_results, the path of a run directory, or "latest". ORDER is a client_order_id of
    orders.jsonl, such as trader-12.
    """
    here = home()
    opened = open_run(find_run(here.results, run))
    click.echo("\n".join(explain_order(opened, order, _last_close(opened, here.cache))))
    for note in opened.recovered:
        click.echo(f"warning: {note}", err=True)
    return 0


def _last_close(run: Run, cache: Path) -> LastClose:
    configuration = run.configuration
    data = configuration.get("data", {})

    def last_close(coin: str, sim_time_ns: int) -> Decimal | str:
        try:
            if "execution" in data:  # where orders fill
                exchange, quote = data["execution"], data["execution_quote"]
            else:
                exchange, quote = data["exchange"], data["quote"]
            key = series_key(exchange, coin, quote, configuration["timeframe"])
            candles = map_series(cache, key)
        except KeyError as error:
            return f"the last close is not known, since config.toml does not say {error}"
        except ReplayError as error:
            return f"the last close is not known: {error}"
        row = int(candles.open_times_ns.searchsorted(sim_time_ns - key.timeframe_ns, "right")) - 1
        if row < 0:
            return f"the last close is not known: {key} begins later"
        return from_float(float(candles.close[row]))

    return last_close
