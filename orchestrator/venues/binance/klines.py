"""The candles of Binance spot: oldest first, the one that is still open last."""

from __future__ import annotations

from typing import Final

import msgspec

from orchestrator.candle import Candle
from orchestrator.config import parse_timeframe_ns
from orchestrator.errors import ConfigError
from orchestrator.exchange.money import from_float
from orchestrator.market.timeframes import grid_anchor_ns
from orchestrator.venues.binance.errors import INVALID_INTERVAL
from orchestrator.venues.binance.pairs import Pairs, ms, number
from orchestrator.venues.binance.params import Params, RefusedError
from orchestrator.venues.candle_rows import CandleRows
from orchestrator.venues.http import VenueResponse
from orchestrator.venues.months import month_candles
from orchestrator.venues.numbers import round_half
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["INTERVALS", "Klines"]

INTERVALS: Final = (
    "1s",
    "1m",
    "3m",
    "5m",
    "15m",
    "30m",
    "1h",
    "2h",
    "4h",
    "6h",
    "8h",
    "12h",
    "1d",
    "3d",
    "1w",
    "1M",
)

_MONTH: Final = "1M"
_LIMIT_DEFAULT: Final = 500
_LIMIT_MAX: Final = 1_000
_NS_PER_MS: Final = 1_000_000
_ALL: Final = 2**62


class Klines:
    """Answers for candles."""

    def __init__(self, context: VenueContext, pairs: Pairs) -> None:
        self._pairs = pairs
        self._market = context.market
        self._misses = context.misses
        self._is_filling = context.settings.holes == "fill"
        self._rows = CandleRows(context.market, lambda coin: _write_row, context.settings.holes)  # noqa: ARG005

    def answer(self, call: Call, params: Params) -> VenueResponse:
        """Return the first candles from `startTime` on; without it the latest, before `endTime` if given."""
        coin, _ = self._pairs.quoted(params, call.now_ns)
        interval = params.text("interval")
        if interval not in INTERVALS:
            raise RefusedError(INVALID_INTERVAL)
        first, last = params.whole("startTime"), params.whole("endTime")
        limit = params.limit(_LIMIT_DEFAULT, _LIMIT_MAX)
        last_ns = call.now_ns if last is None else min(last * _NS_PER_MS, call.now_ns)
        first_ns = None if first is None else first * _NS_PER_MS
        try:
            if interval == _MONTH:
                rows = self._months(coin, call.now_ns, first_ns, last_ns, limit)
            elif first_ns is None:
                rows = self._window(coin, interval, call.now_ns, 0, last_ns, limit)
            else:
                rows = self._from(coin, interval, call.now_ns, first_ns, last_ns, limit)
        except ConfigError:
            self._misses.add(call, f"{interval} candles cannot be made of the run's")
            raise RefusedError(INVALID_INTERVAL) from None
        return VenueResponse(200, b"[%b]" % b",".join(rows))

    def _months(self, coin: str, now_ns: int, first_ns: int | None, last_ns: int, limit: int) -> list[bytes]:
        months = month_candles(self._rows, coin, now_ns, first_open_ns=first_ns or 0, last_open_ns=last_ns)
        return [_write_row(month) for month in (months[-limit:] if first_ns is None else months[:limit])]

    def _from(
        self, coin: str, interval: str, now_ns: int, first_ns: int, last_ns: int, limit: int
    ) -> list[bytes]:
        length_ns = parse_timeframe_ns(interval)
        anchor_ns = grid_anchor_ns("binance", length_ns)
        closed = self._market.closed_between(
            coin, interval, first_ns, last_ns, now_ns, _ALL, anchor_ns=anchor_ns
        )
        times = closed.open_times_ns[:limit]
        if self._is_filling:
            # A filled hole takes the place of candles: so many intervals from the first one that has a row.
            before = self._market.closed_between(
                coin, interval, 0, first_ns - 1, now_ns, 1, anchor_ns=anchor_ns
            )
            if len(before.open_times_ns) or not len(times):
                begin_ns = first_ns + (anchor_ns - first_ns) % length_ns
            else:
                begin_ns = int(times[0])
            last_ns = min(last_ns, begin_ns + (limit - 1) * length_ns)
        elif len(times) == limit:
            last_ns = int(times[-1])
        return self._window(coin, interval, now_ns, first_ns, last_ns, limit)

    def _window(
        self, coin: str, interval: str, now_ns: int, first_ns: int, last_ns: int, limit: int
    ) -> list[bytes]:
        return self._rows.rows(
            coin,
            interval,
            now_ns,
            first_open_ns=first_ns,
            last_open_ns=last_ns,
            limit=limit,
            anchor_ns=grid_anchor_ns("binance", parse_timeframe_ns(interval)),
        )


def _write_row(candle: Candle) -> bytes:
    # Turnover, trades and the takers' part are not in the data: turnover is volume at the mean of high, low and
    # close, half of it is the buyers'.
    mean = (candle.high + candle.low + candle.close) / 3.0
    turnover = candle.volume * mean
    row = [
        ms(candle.open_time_ns),
        *(_text(value) for value in candle[2:]),
        ms(candle.close_time_ns) - 1,
        _text(turnover),
        int(candle.volume > 0),
        _text(candle.volume / 2.0),
        _text(turnover / 2.0),
        "0",
    ]
    return msgspec.json.encode(row)


def _text(value: float) -> str:
    exact = from_float(value)
    return number(exact if exact.as_tuple().exponent >= -8 else round_half(exact, 8))  # type: ignore[operator]
