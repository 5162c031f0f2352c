"""KuCoin's candles: rows of seven strings, newest first, the one that is still open in front."""

from __future__ import annotations

from typing import Final

from orchestrator.candle import Candle
from orchestrator.config import NS_PER_SECOND
from orchestrator.errors import ConfigError
from orchestrator.venues.candle_rows import CandleRows, WriteRow
from orchestrator.venues.kucoin.envelope import Refusal
from orchestrator.venues.kucoin.pairs import Pairs
from orchestrator.venues.months import month_candles
from orchestrator.venues.numbers import float_formatter
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["Klines"]

_TIMEFRAMES: Final = {
    "1min": "1m",
    "3min": "3m",
    "5min": "5m",
    "15min": "15m",
    "30min": "30m",
    "1hour": "1h",
    "2hour": "2h",
    "4hour": "4h",
    "6hour": "6h",
    "8hour": "8h",
    "12hour": "12h",
    "1day": "1d",
    "1week": "1w",  # on a grid from the epoch, a Thursday
}
_MONTH: Final = "1month"
_ROWS_MAX: Final = 1_500
_ROWS_UNBOUNDED: Final = 100  # how many the service gives to those who name no beginning
_SECONDS_MAX: Final = 10**10


class Klines:
    """The page `market/candles`."""

    def __init__(self, context: VenueContext, pairs: Pairs) -> None:
        self._pairs = pairs
        self._misses = context.misses
        self._rows = CandleRows(context.market, self._writer, context.settings.holes)

    def page(self, call: Call) -> bytes:
        """Answer candles of a pair and type."""
        query = call.query
        coin = self._pairs.coin(query.get("symbol"))
        kind = query.get("type", "")
        if coin is None:
            raise Refusal("400100", "This pair is not provided at present")
        if kind not in _TIMEFRAMES and kind != _MONTH:
            raise Refusal("400100", "Incorrect candlestick type.")
        begins_s, ends_s = _seconds(query.get("startAt")), _seconds(query.get("endAt"))
        limit = _ROWS_MAX if begins_s else _ROWS_UNBOUNDED
        first_ns = begins_s * NS_PER_SECOND
        last_ns = ends_s * NS_PER_SECOND - 1 if ends_s else None  # the end itself does not belong to it
        try:
            if kind == _MONTH:
                rows = self._months(coin, call.now_ns, first_ns, last_ns, limit)
            else:
                timeframe = _TIMEFRAMES[kind]
                rows = self._rows.rows(
                    coin, timeframe, call.now_ns, first_open_ns=first_ns, last_open_ns=last_ns, limit=limit
                )
        except ConfigError as error:
            self._misses.add(call, f"{kind} candles cannot be made of the run's")
            raise Refusal("400100", f"No {kind} candles in this replay: {error}") from None
        rows.reverse()
        return b"[" + b",".join(rows) + b"]"

    def _writer(self, coin: str) -> WriteRow:
        price = float_formatter(self._pairs.instrument(coin).tick_size)
        amount = float_formatter()

        def write(candle: Candle) -> bytes:
            _, _, opened, high, low, close, volume = candle
            turnover = round(volume * ((high + low + close) / 3.0), 8)
            return (
                f'["{candle.open_time_ns // NS_PER_SECOND}","{price(opened)}","{price(close)}","{price(high)}",'
                f'"{price(low)}","{amount(round(volume, 8))}","{amount(turnover)}"]'
            ).encode()

        return write

    def _months(
        self, coin: str, sim_time_ns: int, first_ns: int, last_ns: int | None, limit: int
    ) -> list[bytes]:
        write = self._writer(coin)
        months = month_candles(
            self._rows, coin, sim_time_ns, first_open_ns=first_ns, last_open_ns=last_ns, limit=limit
        )
        return [write(month) for month in months]


def _seconds(value: str | None) -> int:
    # 0 and nothing are one; fractions of a second are cut.
    if not value:
        return 0
    try:
        seconds = int(float(value))
    except (ValueError, OverflowError):
        raise Refusal("400100", "Invalid time.") from None
    if not 0 <= seconds < _SECONDS_MAX:
        raise Refusal("400100", "Invalid time.")
    return seconds
