"""`replay data compare`: how far two exchanges' candles of one coin lie apart."""

from __future__ import annotations

from typing import Any, Final

import click
import msgspec
import numpy as np

from orchestrator.cli.terminal_plot import bars
from orchestrator.config import parse_date_ns
from orchestrator.errors import ConfigError, DataError
from orchestrator.home import home
from orchestrator.market.candles import time_text
from orchestrator.market.divergence import Divergence, divergence_between
from orchestrator.market.pairing import Pairing, Side, pair_series
from orchestrator.market.spans import Span
from orchestrator.market.timeframes import timeframe_label

__all__ = ["compare"]

_MEASURES: Final = {"max": "max_pct", "99": "high_pct", "mean": "mean_pct", "median": "median_pct"}
_PLOT_WIDTH: Final = 72
_PLOT_HEIGHT: Final = 5
_ALL: Final = ("1970-01-01", "2200-01-01")


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--coin", help="Which coin, if both have several.")
@click.option(
    "--timeframe", help="Candle length [default: the shortest that both can be brought to at common dates]."
)
@click.option("--start-date", default=_ALL[0], metavar="DATE", help="First open time [default: all].")
@click.option("--end-date", default=_ALL[1], metavar="DATE", help="Last close time [default: all].")
@click.option("--tolerance", default=0.5, show_default=True, metavar="PCT", help="Exit status 3 above it.")
@click.option(
    "--measure",
    type=click.Choice(list(_MEASURES)),
    default="max",
    show_default=True,
    help="Which divergence the tolerance is for: the largest, that of 99 % of the moments, the mean or median.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON to stdout.")
def compare(
    a: str, b: str, coin: str | None, timeframe: str | None, start_date: str, end_date: str, **options: Any
) -> None:
    """Compare the closes of one coin on two exchanges, such as

    \b
    replay data compare binance kucoin --coin BTC
    replay data compare bitfinex/BTC-USD kraken/BTC-USD/1h

    Percentages are of B's close. Where one has only shorter candles, they are summed.
    """  # noqa: D301, D400 - click reads \b as "keep these lines"
    if not options["tolerance"] > 0:
        raise ConfigError(f"--tolerance {options['tolerance']} must be above 0 (percent)")
    sides = [Side.parsed(text) for text in (a, b)]
    sides = [side._replace(coin=side.coin or (coin.upper() if coin else None)) for side in sides]
    span = Span(parse_date_ns(start_date), parse_date_ns(end_date))
    pairing = pair_series(home().cache, *sides, timeframe=timeframe, span=span)
    divergence = divergence_between(pairing.candles_a, pairing.candles_b)
    if divergence is None:
        raise DataError(f"{pairing.a} and {pairing.b} have no candle in common between these dates")
    if options["as_json"]:
        click.echo(msgspec.json.format(msgspec.json.encode(_row(pairing, divergence)), indent=1).decode())
    else:
        click.echo("\n".join([*_lines(pairing, divergence), *_plot(pairing)]))
    measured: float = getattr(divergence, _MEASURES[options["measure"]])
    if measured > options["tolerance"]:
        raise DataError(
            f"{pairing.a} and {pairing.b} diverge by {measured:.3f} % ({options['measure']}), above the tolerance of "
            f"{options['tolerance']:g} %; look at the worst moments before you trust either, "
            "or give --tolerance or --measure"
        )


def _lines(pairing: Pairing, divergence: Divergence) -> list[str]:
    times = np.intersect1d(pairing.candles_a.open_times_ns, pairing.candles_b.open_times_ns)
    last_ns = int(times[-1]) + pairing.timeframe_ns
    correlation = "none" if divergence.correlation is None else f"{divergence.correlation:.5f}"
    what = f"{divergence.candles} common {timeframe_label(pairing.timeframe_ns)} candles"
    figures = {
        "mean": divergence.mean_pct,
        "median": divergence.median_pct,
        "99 %": divergence.high_pct,
        "maximum": divergence.max_pct,
    }
    return [
        f"{pairing.a} against {pairing.b}: {what}, {time_text(int(times[0]))} to {time_text(last_ns)}",
        "divergence   " + "   ".join(f"{name} {value:.4f} %" for name, value in figures.items()),
        f"correlation of returns {correlation}   adjustment factor {divergence.adjustment_factor:.6f}",
        "worst moments (open time, close of A, close of B)",
        *(
            f"  {time_text(m.open_time_ns)}  {m.close_a:<12.10g} {m.close_b:<12.10g} {m.divergence_pct:.3f} %"
            for m in divergence.worst
        ),
    ]


def _plot(pairing: Pairing) -> list[str]:
    # The largest divergence of each stretch of time; a stretch without common candles stays empty.
    times, rows_a, rows_b = np.intersect1d(
        pairing.candles_a.open_times_ns,
        pairing.candles_b.open_times_ns,
        assume_unique=True,
        return_indices=True,
    )
    apart = np.abs(pairing.candles_a.close[rows_a] / pairing.candles_b.close[rows_b] - 1.0) * 100.0
    length = int(times[-1] - times[0]) + pairing.timeframe_ns
    columns = ((times - times[0]) * _PLOT_WIDTH // length).astype(np.int64)
    largest = np.zeros(_PLOT_WIDTH)
    np.maximum.at(largest, columns, apart)
    drawn = bars(largest.tolist(), _PLOT_HEIGHT)
    labels = [f"{largest.max():8.3f} %", *[" " * 10] * (_PLOT_HEIGHT - 2), f"{0:8.3f} %"]
    first, last = (time_text(int(t))[:10] for t in (times[0], times[-1]))
    axis = f"{' ' * 11}└{'─' * _PLOT_WIDTH}"
    return [
        "largest divergence over time",
        *(f"{label} │{line}" for label, line in zip(labels, drawn, strict=True)),
        axis,
        f"{' ' * 12}{first}{last:>{_PLOT_WIDTH - len(first)}}",
    ]


def _row(pairing: Pairing, divergence: Divergence) -> dict[str, Any]:
    worst = [
        {"time": _iso(m.open_time_ns), "close_a": m.close_a, "close_b": m.close_b, "pct": m.divergence_pct}
        for m in divergence.worst
    ]
    return {
        "a": pairing.a._asdict(),
        "b": pairing.b._asdict(),
        "timeframe": timeframe_label(pairing.timeframe_ns),
        **divergence._asdict(),
        "worst": worst,
    }


def _iso(time_ns: int) -> str:
    return time_text(time_ns).replace(" ", "T") + "Z"
