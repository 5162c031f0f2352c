"""`replay demo`: everything in one command, on a synthetic market that is the same everywhere."""

from __future__ import annotations

import click

from orchestrator.cli.run_view import present_run
from orchestrator.config import load_settings
from orchestrator.home import home
from orchestrator.market.series import DEMO_EXCHANGE
from orchestrator.market.synthetic import synthesize
from orchestrator.runtime.plan import make_plan

__all__ = ["demo"]

_COINS = ("BTC", "ETH", "DOGE")
_WARM_UP = "2023-12-25"
_START, _END = "2024-01-01", "2024-02-01"


@click.command()
@click.option("--quiet", is_flag=True, help="No progress and no remarks.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON to stdout.")
def demo(quiet: bool, as_json: bool) -> int:
    """Make a synthetic market, replay a month of it through the reference bot, and say what came of it."""
    here = home()
    flags = {
        "start_date": _START,
        "end_date": _END,
        "coins": list(_COINS),
        "timeframe": "5m",
        "data": {"exchange": DEMO_EXCHANGE},
    }
    settings = load_settings(None, flags)
    warm_up = load_settings(None, {**flags, "start_date": _WARM_UP})
    synthesize(
        here.cache,
        coins=_COINS,
        timeframe="5m",
        start_ns=warm_up.start_ns,
        end_ns=settings.end_ns,
        seed=settings.seed,
        exchange=DEMO_EXCHANGE,
    )
    plan = make_plan(settings, here, None)
    status = present_run(plan, is_quiet=quiet, as_json=as_json)
    if status == 0 and not quiet and not as_json:
        click.echo(
            "\nnext:\n"
            f"  less {plan.directory / 'fills.jsonl'}     every fill, and why it has its price\n"
            f"  replay analyze {plan.directory.name} --open     figures, charts, every trade: a page\n"
            f"  replay verify {plan.directory.name}     run it again and compare, line by line\n"
            "  replay new mybot     a thinker and a trader of your own\n"
            "  replay data import binance/BTC-USDT_5m.parquet …     real candles"
        )
    return status
