"""What is to be fetched, from the flags of a command or from the settings of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from orchestrator.config import Settings, parse_timeframe_ns
from orchestrator.errors import ConfigError
from orchestrator.fetch.fetching import Fetcher
from orchestrator.fetch.pacing import REQUEST_SECONDS_MIN
from orchestrator.fetch.series import SeriesOutcome, Watcher
from orchestrator.fetch.source import CcxtSource
from orchestrator.market.series import series_key
from orchestrator.market.spans import Span
from orchestrator.market.timeframes import timeframe_label
from orchestrator.training.schedule import history_needed_ns

__all__ = ["RUN_TIMEFRAMES", "FetchJob", "jobs_of_run", "run_job"]

RUN_TIMEFRAMES: Final = ("1h", "2h", "4h", "8h", "12h", "1d", "1w")
"""What a bot that looks at several lengths of candles asks for, besides the run's own."""

_QUOTES: Final = ("USDT", "USD", "USDC", "EUR")  # by preference, when none is given


class FetchJob(msgspec.Struct, frozen=True, kw_only=True):
    """Series of one exchange over one span."""

    exchange: str
    coins: tuple[str, ...]
    timeframes: tuple[str, ...]
    span: Span
    quote: str | None = None  # None: the first usual one in which the exchange has all coins
    base_url: str | None = None
    request_seconds: float = REQUEST_SECONDS_MIN
    parallel: int = 4
    is_anew: bool = False  # ask again for what the exchange was found not to have
    skips_unoffered: bool = (
        False  # whether a timeframe that the exchange lacks is left out instead of refused
    )


class JobResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a job."""

    quote: str
    outcomes: tuple[SeriesOutcome, ...]
    unoffered: tuple[str, ...]  # timeframes that the exchange lacks


def run_job(cache: Path, job: FetchJob, watch: Watcher) -> JobResult:
    """Fetch what a job names; a series that fails says so in its outcome.

    Raises
    ------
    ConfigError
        If the exchange or a timeframe is unknown, or ccxt is not installed.
    DataError
        If the exchange does not have a coin, or cannot be reached at all.
    """
    source = CcxtSource(job.exchange.lower(), base_url=job.base_url)
    offered = [tf for tf in job.timeframes if source.has_timeframe(parse_timeframe_ns(tf))]
    unoffered = tuple(tf for tf in job.timeframes if tf not in offered)
    if not offered or (unoffered and not job.skips_unoffered):
        raise ConfigError(
            f"{source.name} has no {', '.join(unoffered)} candles; it has {', '.join(source.timeframe_names())}"
        )
    fetcher = Fetcher(cache, source, request_seconds=job.request_seconds, parallel=job.parallel)
    fetcher.load_markets()
    quote = source.find_quote(job.coins, job.quote.upper() if job.quote else None, _QUOTES)
    named = [series_key(source.name, coin, quote, timeframe) for timeframe in offered for coin in job.coins]
    keys = list(dict.fromkeys(named))  # 60m and 1h are one
    outcomes = fetcher.fetch(keys, job.span, watch=watch, is_anew=job.is_anew)
    return JobResult(quote=quote, outcomes=tuple(outcomes), unoffered=unoffered)


def jobs_of_run(
    settings: Settings, *, timeframes: tuple[str, ...] = RUN_TIMEFRAMES, warm_up_ns: int = 0
) -> list[FetchJob]:
    """Return what a run needs: its own candles and longer ones, and those of the exchange that fills.

    Parameters
    ----------
    settings
        Of the run; `data.exchange` names the exchange.
    timeframes
        Besides the run's own.
    warm_up_ns
        How long before the start the candles begin; longer where a training needs it.

    Raises
    ------
    ConfigError
        If no exchange is named.
    """
    data = settings.data
    if data.exchange is None:
        raise ConfigError(
            'the exchange to fetch from is not named; give --exchange or write exchange = "kucoin" under [data]'
        )
    if settings.training is not None:
        needed_ns = history_needed_ns(settings.training, settings.start_ns, settings.end_ns)
        warm_up_ns = max(warm_up_ns, needed_ns)
    own = (timeframe_label(parse_timeframe_ns(settings.timeframe)),) if settings.timeframe else ()
    job = FetchJob(
        exchange=data.exchange,
        coins=settings.coins,
        quote=data.quote,
        timeframes=tuple(dict.fromkeys((*own, *timeframes))),
        span=Span(settings.start_ns - warm_up_ns, settings.end_ns),
        base_url=data.base_url,
        skips_unoffered=True,
    )
    if data.execution is None:
        return [job]
    # Fills need the candles of the run alone; a mirror is one of the other exchange.
    other = msgspec.structs.replace(
        job,
        exchange=data.execution,
        quote=data.execution_quote,
        timeframes=own or job.timeframes,
        base_url=None,
        skips_unoffered=not own,
    )
    return [job, other]
