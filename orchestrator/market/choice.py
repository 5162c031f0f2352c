"""Which cached series a run uses: found by itself where one alone fits, else an error says how to choose."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import NamedTuple

from orchestrator.config import parse_timeframe_ns
from orchestrator.errors import ConfigError, DataError
from orchestrator.market.cache import entries_of, series_in
from orchestrator.market.series import MADE_UP_EXCHANGES, SeriesKey
from orchestrator.market.timeframes import timeframe_label

__all__ = ["Choice", "choose_series", "covers"]


class Choice(NamedTuple):
    """One exchange, quote and timeframe that has all coins of the run."""

    exchange: str
    quote: str
    timeframe: str

    def key(self, coin: str) -> SeriesKey:
        """Return the series of a coin."""
        return SeriesKey(self.exchange, coin, self.quote, self.timeframe)


def choose_series(
    cache: Path,
    coins: tuple[str, ...],
    *,
    timeframe: str | None,
    exchange: str | None,
    quote: str | None,
    start_ns: int,
    end_ns: int,
) -> Choice:
    """Return the series of a run.

    Series that cover the dates of the run are preferred to others, then the finest timeframe that all coins
    have; a real exchange is preferred to a made-up one. What is still ambiguous is for the user to choose.

    Raises
    ------
    DataError
        If the cache is empty, or has no such coin, exchange, quote or timeframe.
    ConfigError
        If several exchanges or quotes fit; the flag that chooses is named.
    """
    keys = series_in(cache)
    if not keys:
        raise DataError(
            f"no market data in {cache}; import some with `replay data import FILE` "
            "or make some with `replay data synth`"
        )
    keys = _narrow(keys, "exchange", exchange.lower() if exchange else None)
    keys = _narrow(keys, "quote", quote.upper() if quote else None)
    _require_coins(keys, coins)
    choices = _complete(keys, coins)
    if not choices:
        raise DataError(_scattered(keys, coins))
    if timeframe is not None:
        choices = _of_timeframe(choices, timeframe)
    # Dates first: candles of another year, however fine, must not decide what is replayed.
    choices = [choice for choice in choices if covers(cache, choice, coins, start_ns, end_ns)] or choices
    choices = [choice for choice in choices if choice.exchange not in MADE_UP_EXCHANGES] or choices
    choices = _finest(choices)
    if len(choices) > 1:
        raise ConfigError(_ambiguous(choices))
    return choices[0]


def _narrow(keys: list[SeriesKey], field: str, wanted: str | None) -> list[SeriesKey]:
    if wanted is None:
        return keys
    kept = [key for key in keys if getattr(key, field) == wanted]
    if not kept:
        known = sorted({str(getattr(key, field)) for key in keys})
        near = _hint(wanted, known)
        raise DataError(f"no cached candles with {field} {wanted}; cached: {', '.join(known)}{near}")
    return kept


def _require_coins(keys: list[SeriesKey], coins: tuple[str, ...]) -> None:
    known = sorted({key.coin for key in keys})
    for coin in coins:
        if coin not in known:
            raise DataError(
                f"no cached candles of {coin}; cached coins: {', '.join(known)}{_hint(coin, known)}; "
                "import more with `replay data import FILE`"
            )


def _hint(wanted: str, known: list[str]) -> str:
    near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _complete(keys: list[SeriesKey], coins: tuple[str, ...]) -> list[Choice]:
    having: dict[Choice, set[str]] = {}
    for key in keys:
        having.setdefault(Choice(key.exchange, key.quote, key.timeframe), set()).add(key.coin)
    return sorted(choice for choice, found in having.items() if found.issuperset(coins))


def _scattered(keys: list[SeriesKey], coins: tuple[str, ...]) -> str:
    where = "; ".join(
        f"{coin}: " + ", ".join(f"{k.exchange} {k.quote} {k.timeframe}" for k in keys if k.coin == coin)
        for coin in coins
    )
    return (
        f"no exchange has {', '.join(coins)} in one quote and timeframe ({where}); "
        "import what is missing or leave a coin out"
    )


def _of_timeframe(choices: list[Choice], timeframe: str) -> list[Choice]:
    wanted = timeframe_label(parse_timeframe_ns(timeframe))
    kept = [choice for choice in choices if choice.timeframe == wanted]
    if not kept:
        cached = sorted({choice.timeframe for choice in choices}, key=parse_timeframe_ns)
        raise DataError(
            f"timeframe {wanted} is not cached for these coins; cached: {', '.join(cached)}; "
            f"give --timeframe {' or '.join(cached)}, or import {wanted} candles"
        )
    return kept


def _finest(choices: list[Choice]) -> list[Choice]:
    finest: dict[tuple[str, str], Choice] = {}
    for choice in sorted(choices, key=lambda choice: parse_timeframe_ns(choice.timeframe)):
        finest.setdefault((choice.exchange, choice.quote), choice)
    return sorted(finest.values())


def covers(cache: Path, choice: Choice, coins: tuple[str, ...], start_ns: int, end_ns: int) -> bool:
    """Return whether some coin of the choice has candles from the start on, and some until the end."""
    spans = [entries_of(cache, choice.key(coin)) for coin in coins]
    return min(s[0].start_ns for s in spans) <= start_ns and end_ns <= max(s[-1].end_ns for s in spans)


def _ambiguous(choices: list[Choice]) -> str:
    exchanges = sorted({choice.exchange for choice in choices})
    if len(exchanges) > 1:
        flags = " or ".join(f"--exchange {name}" for name in exchanges)
        return f"{len(exchanges)} exchanges have these coins: {', '.join(exchanges)}; choose with {flags}"
    quotes = sorted({choice.quote for choice in choices})
    flags = " or ".join(f"--quote {name}" for name in quotes)
    return f"{exchanges[0]} has these coins in {', '.join(quotes)}; choose with {flags}"
