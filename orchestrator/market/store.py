"""From the cache to the market of one run: choose the series, check dates and gaps, map the candles."""

from __future__ import annotations

from pathlib import Path

from orchestrator.config import parse_timeframe_ns
from orchestrator.errors import DataError
from orchestrator.market.cache import entries_of, series_in
from orchestrator.market.candles import Candles, time_text
from orchestrator.market.choice import Choice, choose_series, covers
from orchestrator.market.finer import FinerSeries, find_finer, finer_notes, load_finer
from orchestrator.market.gaps import accept_gaps, gaps_in_run
from orchestrator.market.mapped import map_series
from orchestrator.market.market import Market
from orchestrator.market.resample import resample
from orchestrator.market.series import SeriesKey

__all__ = ["load_market"]


def load_market(
    cache: Path,
    *,
    coins: tuple[str, ...],
    timeframe: str | None,
    exchange: str | None,
    quote: str | None,
    start_ns: int,
    end_ns: int,
    gaps: str,
    max_gap_ns: int | None,
    finer_timeframes: tuple[str, ...] | None = None,
    summed_to: str | None = None,
) -> Market:
    """Return the market of a run, its candles mapped from the cache.

    Parameters
    ----------
    cache
        The cache folder, `home().cache`.
    coins
        In the order of the run.
    timeframe, exchange, quote
        None: found by itself (`choice.choose_series`).
    start_ns, end_ns
        The run, nanoseconds since the epoch; start < end.
    gaps, max_gap_ns
        "fail", or "stale" with the longest gap that is accepted (None: any).
    finer_timeframes
        Of the cached candles that are finer, those that may decide what happens inside one; None: all.
    summed_to
        The timeframe of the market, where the candles of `timeframe` are shorter; None: the same.

    Raises
    ------
    DataError
        If candles are missing, the dates lie outside the data, or a gap is not accepted.
    ConfigError
        If several exchanges or quotes fit.
    """
    choice = choose_series(
        cache, coins, timeframe=timeframe, exchange=exchange, quote=quote, start_ns=start_ns, end_ns=end_ns
    )
    _require_dates(cache, choice, coins, start_ns, end_ns)
    candles = {coin: map_series(cache, choice.key(coin)) for coin in coins}
    timeframe_ns = choice.key(coins[0]).timeframe_ns
    _require_candles(candles, timeframe_ns, start_ns, end_ns)
    found = {coin: gaps_in_run(c, timeframe_ns, start_ns, end_ns) for coin, c in candles.items()}
    if summed_to is None:
        finer = {
            coin: load_finer(cache, choice.key(coin), c, start_ns, end_ns, finer_timeframes)
            for coin, c in candles.items()
        }
    else:
        choice = choice._replace(timeframe=summed_to)
        candles, finer = _summed(candles, timeframe_ns, choice.key(coins[0]), start_ns, end_ns)
        timeframe_ns = choice.key(coins[0]).timeframe_ns
    notes = [
        *_quote_note(choice.quote),
        *_span_notes(candles, timeframe_ns, start_ns, end_ns),
        *accept_gaps(found, gaps, max_gap_ns),
        *finer_notes(finer),
    ]
    return Market(
        candles,
        exchange=choice.exchange,
        quote=choice.quote,
        timeframe_ns=timeframe_ns,
        start_ns=start_ns,
        end_ns=end_ns,
        finer=finer,
        notes=tuple(notes),
    )


def _summed(
    candles: dict[str, Candles], finer_ns: int, key: SeriesKey, start_ns: int, end_ns: int
) -> tuple[dict[str, Candles], dict[str, tuple[FinerSeries, ...]]]:
    # The shorter candles also tell what happened within the longer ones that are made of them.
    longer = {coin: resample(c, key.timeframe_ns, key.anchor_ns) for coin, c in candles.items()}
    finer: dict[str, tuple[FinerSeries, ...]] = {}
    for coin, base in longer.items():
        rows = base.open_times_ns.searchsorted([start_ns, end_ns - key.timeframe_ns + 1])
        inside = base.take(slice(int(rows[0]), int(rows[1])))
        found = find_finer(inside, key.timeframe_ns, candles[coin], finer_ns)
        finer[coin] = () if found is None else (found,)
    return longer, finer


def _require_dates(cache: Path, choice: Choice, coins: tuple[str, ...], start_ns: int, end_ns: int) -> None:
    spans = {}
    for coin in coins:
        entries = entries_of(cache, choice.key(coin))
        spans[coin] = (entries[0].start_ns, entries[-1].end_ns)
    key = choice.key(coins[0])
    # Dates between two points of the grid mean the candles between them.
    first_ns = start_ns + (key.anchor_ns - start_ns) % key.timeframe_ns
    last_ns = end_ns - (end_ns - key.anchor_ns) % key.timeframe_ns
    begin, end = min(span[0] for span in spans.values()), max(span[1] for span in spans.values())
    if last_ns - first_ns < key.timeframe_ns:
        raise DataError(
            f"no {choice.timeframe} candle lies between {time_text(start_ns)} and {time_text(end_ns)}; "
            "choose a later --end-date"
        )
    if begin <= first_ns and last_ns <= end:
        return
    what = f"{choice.exchange} {choice.quote} {choice.timeframe}"
    ranges = ", ".join(f"{coin} {time_text(a)} to {time_text(b)}" for coin, (a, b) in spans.items())
    other = _other_timeframes(cache, choice, coins, start_ns, end_ns)
    raise DataError(
        f"the run, {time_text(start_ns)} to {time_text(end_ns)}, lies outside the data; {what} has {ranges}; "
        f"choose --start-date and --end-date within that{other}"
    )


def _require_candles(candles: dict[str, Candles], timeframe_ns: int, start_ns: int, end_ns: int) -> None:
    # A coin may begin or end inside the run, but it must be there at some time.
    for coin, columns in candles.items():
        closes = columns.open_times_ns + timeframe_ns
        first, last = closes.searchsorted([start_ns + 1, end_ns + 1])
        if first == last:
            raise DataError(
                f"{coin} has no candles between {time_text(start_ns)} and {time_text(end_ns)}; it has "
                f"{time_text(int(columns.open_times_ns[0]))} to {time_text(int(closes[-1]))}; "
                "leave it out of --coins or choose other dates"
            )


def _other_timeframes(cache: Path, choice: Choice, coins: tuple[str, ...], start_ns: int, end_ns: int) -> str:
    cached = set(series_in(cache))
    others = sorted({key.timeframe for key in cached} - {choice.timeframe}, key=parse_timeframe_ns)
    fitting = [
        timeframe
        for timeframe in others
        if all((other := choice._replace(timeframe=timeframe)).key(coin) in cached for coin in coins)
        and covers(cache, other, coins, start_ns, end_ns)
    ]
    return f", or give --timeframe {fitting[0]}, which reaches further" if fitting else ""


def _quote_note(quote: str) -> list[str]:
    return [] if quote == "USD" else [f"candles are quoted in {quote}, taken 1:1 as the account's currency"]


def _span_notes(candles: dict[str, Candles], timeframe_ns: int, start_ns: int, end_ns: int) -> list[str]:
    notes = []
    for coin, columns in candles.items():
        first, last = int(columns.open_times_ns[0]), int(columns.open_times_ns[-1]) + timeframe_ns
        if first >= start_ns + timeframe_ns:
            notes.append(f"{coin} begins inside the run, at {time_text(first)}")
        if last <= end_ns - timeframe_ns:
            notes.append(f"{coin} ends inside the run, at {time_text(last)}")
    return notes
