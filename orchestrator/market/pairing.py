"""Two exchanges' candles of one coin, brought to one timeframe so that they can be compared."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import NamedTuple

from orchestrator.config import parse_timeframe_ns
from orchestrator.errors import ConfigError, DataError
from orchestrator.market.cache import entries_of, series_in
from orchestrator.market.candles import Candles
from orchestrator.market.mapped import map_series
from orchestrator.market.resample import resample
from orchestrator.market.series import SeriesKey
from orchestrator.market.spans import Span, joined
from orchestrator.market.timeframes import grid_anchor_ns, timeframe_label

__all__ = ["Pairing", "Side", "pair_series"]


class Side(NamedTuple):
    """What is said of one of the two: an exchange, and of the rest what was given."""

    exchange: str
    coin: str | None = None
    quote: str | None = None
    timeframe: str | None = None

    @classmethod
    def parsed(cls, text: str) -> Side:
        """Return the side of a text such as `kucoin`, `kucoin/BTC-USDT` or `kucoin/BTC-USDT/1h`.

        Raises
        ------
        ConfigError
            If it is none of these.
        """
        exchange, *rest = text.strip().split("/")
        coin, _, quote = rest[0].partition("-") if rest else ("", "", "")
        if not exchange or len(rest) > 2 or (rest and not (coin and quote)):
            raise ConfigError(f"{text!r} is no series; write kucoin, kucoin/BTC-USDT or kucoin/BTC-USDT/1h")
        timeframe = timeframe_label(parse_timeframe_ns(rest[1])) if len(rest) == 2 else None
        return cls(exchange.lower(), coin.upper() or None, quote.upper() or None, timeframe)

    def fits(self, key: SeriesKey) -> bool:
        """Return whether a series is of this side."""
        return all(wanted is None or wanted == found for wanted, found in zip(self, key, strict=True))

    def __str__(self) -> str:
        """Return the side as messages show it."""
        pair = "-".join(asset or "…" for asset in (self.coin, self.quote)) if self.coin or self.quote else ""
        return " ".join(word for word in (self.exchange, pair, self.timeframe or "") if word)


class Pairing(NamedTuple):
    """The same coin twice, in one timeframe."""

    a: SeriesKey
    b: SeriesKey
    timeframe_ns: int
    candles_a: Candles
    candles_b: Candles


def pair_series(
    cache: Path,
    a: Side,
    b: Side,
    *,
    timeframe: str | None = None,
    preferred: str | None = None,
    span: Span | None = None,
) -> Pairing:
    """Return the candles of both sides; the finer ones are summed to the coarser.

    Series count where their dates meet inside the span; only if none do are the others taken.

    Parameters
    ----------
    cache
        The cache folder, `home().cache`.
    a, b
        What is to be compared; a coin that only one names is meant for both.
    timeframe
        In which to compare; None: the shortest that both have or can be summed to.
    preferred
        Taken before shorter ones where both have it or can be summed to it.
    span
        The open times to compare; None: all.

    Raises
    ------
    DataError
        If a side is not cached, or they have no timeframe or candle in common.
    ConfigError
        If several coins or quotes fit; what chooses is named.
    """
    keys = series_in(cache)
    coin = _coin(keys, a, b)
    pair = tuple(_side_keys(keys, side._replace(coin=coin)) for side in (a, b))
    timeframe_ns, *sources = _choice(cache, pair, _wanted_ns(pair, timeframe, preferred), span)
    sides = [_candles(cache, source, timeframe_ns, span) for source in sources]
    return Pairing(sources[0], sources[1], timeframe_ns, *sides)


def _coin(keys: list[SeriesKey], a: Side, b: Side) -> str:
    named = {side.coin for side in (a, b) if side.coin}
    if len(named) > 1:
        raise ConfigError(f"{a} and {b} are different coins; compare one coin on two exchanges")
    coins = [{key.coin for key in keys if side._replace(coin=None).fits(key)} for side in (a, b)]
    for side, found in zip((a, b), coins, strict=True):
        if not found:
            cached = ", ".join(sorted({key.exchange for key in keys})) or "nothing"
            raise DataError(f"no candles of {side} are cached; cached exchanges: {cached}")
    common = sorted((coins[0] & coins[1]) & (named or coins[0]))
    if not common:
        what = " and ".join(sorted(named)) or "coin"
        raise DataError(
            f"{a.exchange} and {b.exchange} have no {what} in common; {a.exchange} has {', '.join(sorted(coins[0]))}, "
            f"{b.exchange} {', '.join(sorted(coins[1]))}"
        )
    if len(common) > 1:
        raise ConfigError(f"both have {', '.join(common)}; choose with --coin {common[0]}")
    return common[0]


def _side_keys(keys: list[SeriesKey], side: Side) -> list[SeriesKey]:
    found = [key for key in keys if side.fits(key)]
    quotes = sorted({key.quote for key in found})
    if len(quotes) > 1:
        choices = " or ".join(f"{side.exchange}/{side.coin}-{quote}" for quote in quotes)
        raise ConfigError(f"{side.exchange} has {side.coin} in {', '.join(quotes)}; write {choices}")
    return found


def _wanted_ns(pair: tuple[list[SeriesKey], ...], timeframe: str | None, preferred: str | None) -> list[int]:
    if timeframe is not None:
        return [parse_timeframe_ns(timeframe)]
    lengths = sorted({key.timeframe_ns for keys in pair for key in keys})
    return [*([parse_timeframe_ns(preferred)] if preferred else []), *lengths]


def _choice(
    cache: Path, pair: tuple[list[SeriesKey], ...], wanted_ns: list[int], span: Span | None
) -> tuple[int, SeriesKey, SeriesKey]:
    spans = {key: _cached_spans(cache, key, span) for keys in pair for key in keys}
    apart = None
    for timeframe_ns in wanted_ns:
        ways = [
            (_common_ns(spans[a], spans[b]) // timeframe_ns, a.timeframe_ns, b.timeframe_ns, a, b)
            for a, b in product(*pair)
            if _reaches(a, timeframe_ns) and _reaches(b, timeframe_ns)
        ]
        if not ways:
            continue
        # Where several ways have the same candles in common, the exchange's own, else the longest that sum to them.
        common, _, _, a, b = max(ways)
        if common:
            return timeframe_ns, a, b
        apart = apart or (timeframe_ns, a, b)
    if apart is not None:
        return apart  # which both have, at other times
    having = "; ".join(f"{keys[0].exchange} has {', '.join(key.timeframe for key in keys)}" for keys in pair)
    raise DataError(f"the two cannot be brought to one timeframe: {having}; fetch or import another one")


def _cached_spans(cache: Path, key: SeriesKey, span: Span | None) -> list[Span]:
    entries = joined(Span(entry.start_ns, entry.end_ns) for entry in entries_of(cache, key))
    return entries if span is None else _common_spans(entries, [span])


def _common_ns(one: list[Span], other: list[Span]) -> int:
    return sum(span.length_ns for span in _common_spans(one, other))


def _common_spans(one: list[Span], other: list[Span]) -> list[Span]:
    return joined(Span(max(a.start_ns, b.start_ns), min(a.end_ns, b.end_ns)) for a, b in product(one, other))


def _reaches(key: SeriesKey, timeframe_ns: int) -> bool:
    goal = key._replace(timeframe=timeframe_label(timeframe_ns))
    return key == goal or goal.can_be_made_of(key)


def _candles(cache: Path, key: SeriesKey, timeframe_ns: int, span: Span | None) -> Candles:
    candles = map_series(cache, key)
    if timeframe_ns != key.timeframe_ns:
        # An interval that the cached candles only begin or end in is not known whole.
        anchor_ns = grid_anchor_ns(key.exchange, timeframe_ns)
        first = int(candles.open_times_ns[0])
        last = int(candles.open_times_ns[-1]) + key.timeframe_ns
        candles = resample(candles, timeframe_ns, anchor_ns)
        times = candles.open_times_ns
        candles = candles.take((times >= first) & (times + timeframe_ns <= last))
    if span is not None:
        rows = candles.open_times_ns.searchsorted([span.start_ns, span.end_ns])
        candles = candles.take(slice(int(rows[0]), int(rows[1])))
    return candles
