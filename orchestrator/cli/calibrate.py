"""`replay calibrate FILLS.csv`: settings under which the simulated fills are most like live ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
import msgspec
import tomli_w

from orchestrator.analysis.calibration import Calibration, calibrate
from orchestrator.analysis.live_fills import LiveFill, read_live_fills
from orchestrator.analysis.stamps import stamp
from orchestrator.errors import DataError
from orchestrator.exchange.instruments import resolve_instruments
from orchestrator.home import home
from orchestrator.market.choice import choose_series
from orchestrator.market.mapped import map_series
from orchestrator.market.market import Market

__all__ = ["calibrate_command"]

_WORST_SHOWN: Final = 10
_WARM_UP_CANDLES: Final = 101  # what volatility looks back on


@click.command("calibrate")
@click.argument("fills", type=click.Path(path_type=Path), metavar="FILLS.csv")
@click.option("--coin", required=True, help="Base asset that was traded, such as BTC.")
@click.option("--exchange", help="Whose cached candles; found by itself when only one fits.")
@click.option("--quote", help="Quote asset of the candles; likewise.")
@click.option("--timeframe", help="Candle length of the runs to come; default the finest that is cached.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, each fill's error too.")
def calibrate_command(
    fills: Path,
    coin: str,
    exchange: str | None,
    quote: str | None,
    timeframe: str | None,
    as_json: bool,
) -> int:
    """Fit slippage and latency to your own live fills and print them as a section of replay.toml.

    FILLS.csv has a header and the columns time, side, qty and price: taker fills of one coin. Rows of one time and
    side are one order. What each order paid beyond the open of its candle tells slippage and impact; how long
    after a candle's close it filled tells the latency. How well it fits is said on stderr: the error of the fills,
    and the difference in total profit and loss.
    """
    live = read_live_fills(fills)
    market = _market(live, fills, coin.upper(), exchange, quote, timeframe)
    instrument = resolve_instruments(market.coins, {}, market.exchange)[market.coins[0]]
    found = calibrate(live, market, instrument)
    source = f"{market.exchange} {market.coins[0]}-{market.quote} {market.timeframe}"
    toml = tomli_w.dumps({"execution_model": found.settings})
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(_plain(found, source, toml)), indent=2))
    else:
        click.echo(f"# fitted to {len(live)} fills of {fills.name} on {source} candles")
        click.echo(toml, nl=False)
        click.echo("\n".join(_summary(found)), err=True)
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    return 0


def _market(
    live: list[LiveFill],
    path: Path,
    coin: str,
    exchange: str | None,
    quote: str | None,
    timeframe: str | None,
) -> Market:
    cache = home().cache
    first_ns, last_ns = live[0].time_ns, live[-1].time_ns
    choice = choose_series(
        cache,
        (coin,),
        timeframe=timeframe,
        exchange=exchange,
        quote=quote,
        start_ns=first_ns,
        end_ns=last_ns + 1,
    )
    key = choice.key(coin)
    candles = map_series(cache, key)
    begin_ns = int(candles.open_times_ns[0])
    end_ns = int(candles.open_times_ns[-1]) + key.timeframe_ns
    for fill in (live[0], live[-1]):
        if not begin_ns <= fill.time_ns < end_ns:
            raise DataError(
                f"{path} row {fill.row}: {stamp(fill.time_ns)} lies outside the candles of {key}, "
                f"{stamp(begin_ns)} to {stamp(end_ns)}; fetch those round it or remove the row"
            )
    rows = candles.open_times_ns.searchsorted([first_ns, last_ns], "right")
    near = candles.take(slice(max(0, int(rows[0]) - 1 - _WARM_UP_CANDLES), int(rows[1])))
    return Market(
        {coin: near},
        exchange=choice.exchange,
        quote=choice.quote,
        timeframe_ns=key.timeframe_ns,
        start_ns=int(near.open_times_ns[0]),
        end_ns=int(near.open_times_ns[-1]) + key.timeframe_ns,
    )


def _summary(found: Calibration) -> list[str]:
    fit = (
        f"bias {found.bias_bps:+.2f} bp, median {found.median_bps:.2f} bp, 95 % below {found.high_bps:.2f} bp"
    )
    money = f"live {found.live_pnl:.2f}, model {found.model_pnl:.2f}"
    if found.pnl_difference_pct is not None:
        money += f", {found.pnl_difference_pct:+.2f} %"
    lines = [
        f"price error  {fit} (+ is worse than live)",
        f"at defaults  bias {found.default_bias_bps:+.2f} bp, median {found.default_median_bps:.2f} bp",
        f"total P&L    {money}, {found.pnl_difference_bps:+.2f} bp of what was traded",
        "             before fees, what is held at the end valued at the last close",
    ]
    worst = sorted(found.fills, key=lambda fill: -abs(fill.error_bps))[:_WORST_SHOWN]
    lines += [
        f"row {','.join(map(str, fill.rows))}: {stamp(fill.time_ns)} {fill.side} {fill.qty} at {fill.live_price:.8g}, "
        f"model {fill.model_price:.8g}, {fill.error_bps:+.2f} bp"
        for fill in worst
    ]
    hidden = len(found.fills) - len(worst)
    return [*lines, f"and {hidden} smaller errors; --json lists all"] if hidden else lines


def _plain(found: Calibration, source: str, toml: str) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(found, builtin_types=())
    for fill in plain["fills"]:
        for name in ("qty", "live_price", "model_price"):
            fill[name] = float(fill[name])
        fill["time"] = stamp(fill["time_ns"])
    for name in ("live_pnl", "model_pnl"):
        plain[name] = float(plain[name])
    return {**plain, "candles": source, "toml": toml}
