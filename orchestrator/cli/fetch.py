"""`replay data fetch` and `warm`: candles from an exchange into the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
import msgspec

from orchestrator.cli.fetch_view import outcome_lines, outcome_row, progress
from orchestrator.config import Settings, load_settings, parse_date_ns, parse_duration_ns, parse_timeframe_ns
from orchestrator.errors import ConfigError, DataError
from orchestrator.fetch.job import RUN_TIMEFRAMES, FetchJob, JobResult, jobs_of_run, run_job
from orchestrator.fetch.pacing import REQUEST_SECONDS_MIN
from orchestrator.fetch.series import SeriesOutcome
from orchestrator.home import home
from orchestrator.market.spans import Span

__all__ = ["fetch", "fetch_for_run", "warm"]

_FOR_EVER: Final = "2200-01-01"  # cut to the last closed candle

_request_seconds = click.option(
    "--request-interval",
    "request_seconds",
    type=float,
    default=REQUEST_SECONDS_MIN,
    show_default=True,
    metavar="S",
    help="Seconds between two requests; only more than the default is allowed.",
)
_parallel = click.option(
    "--parallel", type=click.IntRange(1, 16), default=4, show_default=True, help="Series fetched at once."
)
_base_url = click.option(
    "--base-url", metavar="URL", help="Ask a mirror instead of the exchange's own hosts."
)
_again = click.option(
    "--again", "is_anew", is_flag=True, help="Ask again for what the exchange was found not to have."
)
_quiet = click.option("--quiet", is_flag=True, help="No progress.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON to stdout.")


@click.command()
@click.option(
    "--exchange", required=True, help="As ccxt names it, such as kucoin, binance, kraken, coinbase."
)
@click.option("--coins", required=True, metavar="BTC,ETH", help="Base assets, separated by commas.")
@click.option("--quote", help="Quote asset [default: the first of USDT, USD, USDC, EUR that has all coins].")
@click.option(
    "--timeframe", required=True, metavar="1m", help="Candle length; several are separated by commas."
)
@click.option(
    "--start-date", required=True, metavar="DATE", help="First open time, such as 2024-01-01 (UTC)."
)
@click.option("--end-date", metavar="DATE", help="Last close time [default: the last closed candle].")
@_base_url
@_request_seconds
@_parallel
@_again
@_quiet
@_json
def fetch(
    exchange: str,
    coins: str,
    timeframe: str,
    start_date: str,
    end_date: str | None,
    quote: str | None,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Fetch candles from an exchange: only what is missing, and go on where an earlier fetch stopped.

    \b
    replay data fetch --exchange kucoin --coins BTC,ETH,DOGE --timeframe 1m \\
        --start-date 2024-01-01 --end-date 2024-07-01
    """  # noqa: D301 - click reads \b as "keep these lines"
    span = Span(parse_date_ns(start_date), parse_date_ns(end_date or _FOR_EVER))
    if span.length_ns <= 0:
        raise ConfigError(f"--end-date {end_date} is not after --start-date {start_date}")
    job = FetchJob(
        exchange=exchange,
        coins=_words(coins.upper(), "--coins"),
        quote=quote.upper() if quote else None,
        timeframes=_words(timeframe, "--timeframe"),
        span=span,
        **options,
    )
    _carry_out([job], is_quiet=quiet, as_json=as_json)


@click.command()
@click.option(
    "--config",
    "config_path",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The replay.toml of the run.",
)
@click.option("--exchange", help="Whose candles, if the file does not say.")
@click.option(
    "--timeframes",
    default=",".join(RUN_TIMEFRAMES),
    show_default=True,
    help="Fetched besides the run's own; those the exchange lacks are left out.",
)
@click.option("--warm-up", metavar="90d", help="How long before the run's start to begin.")
@_base_url
@_request_seconds
@_parallel
@_again
@_quiet
@_json
def warm(
    config_path: Path,
    exchange: str | None,
    timeframes: str,
    warm_up: str | None,
    base_url: str | None,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Fetch what a run needs: its own candles, and the longer ones that bots look at."""
    given = {"exchange": exchange, "base_url": base_url}
    flags = {name: value for name, value in given.items() if value is not None}
    settings = load_settings(config_path, {"data": flags} if flags else {})
    jobs = jobs_of_run(
        settings,
        timeframes=_words(timeframes, "--timeframes"),
        warm_up_ns=parse_duration_ns(warm_up) if warm_up else 0,
    )
    jobs = [msgspec.structs.replace(job, **options) for job in jobs]
    _carry_out(jobs, is_quiet=quiet, as_json=as_json)


def fetch_for_run(settings: Settings, *, is_quiet: bool) -> None:
    """Fetch what a run needs, with progress on stderr; for `replay start --fetch`."""
    for job in jobs_of_run(settings):
        result = _run(job, is_quiet=is_quiet)
        for outcome in result.outcomes if not is_quiet else ():
            click.echo("\n".join(outcome_lines(outcome)), err=True)
        needed = _needed(settings, result.outcomes)
        _raise_failures(needed)
        for outcome in result.outcomes:
            if outcome.error is not None and outcome not in needed:
                click.echo(
                    f"note: {outcome.key} could not be fetched whole: {outcome.error}; the run does without it",
                    err=True,
                )


def _needed(settings: Settings, outcomes: tuple[SeriesOutcome, ...]) -> list[SeriesOutcome]:
    # Without a timeframe a run takes the finest there is.
    lengths_ns = [outcome.key.timeframe_ns for outcome in outcomes]
    own_ns = parse_timeframe_ns(settings.timeframe) if settings.timeframe else min(lengths_ns, default=0)
    return [outcome for outcome in outcomes if outcome.key.timeframe_ns == own_ns]


def _carry_out(jobs: list[FetchJob], *, is_quiet: bool, as_json: bool) -> None:
    results = []
    for job in jobs:
        result = _run(job, is_quiet=is_quiet)
        results.append(result)
        if not as_json:
            for outcome in result.outcomes:
                click.echo("\n".join(outcome_lines(outcome)))
    if as_json:
        rows = [outcome_row(outcome) for result in results for outcome in result.outcomes]
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=1).decode())
    _raise_failures([outcome for result in results for outcome in result.outcomes])


def _run(job: FetchJob, *, is_quiet: bool) -> JobResult:
    try:
        with progress(is_quiet=is_quiet) as watch:
            result = run_job(home().cache, job, watch)
    except KeyboardInterrupt:
        click.echo("what was fetched is stored; the same command goes on where it stopped", err=True)
        raise
    if result.unoffered and not is_quiet:
        names = ", ".join(result.unoffered)
        click.echo(f"note: {job.exchange} has no {names} candles; a run makes them of shorter ones", err=True)
    return result


def _raise_failures(outcomes: list[SeriesOutcome]) -> None:
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if failed:
        raise DataError(
            f"{len(failed)} of {len(outcomes)} series could not be fetched whole, first {failed[0].key}: "
            f"{failed[0].error}"
        )


def _words(text: str, flag: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not words:
        raise ConfigError(f"{flag} names nothing; separate several by commas")
    return words
