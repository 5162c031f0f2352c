"""Prices of Binance spot: tickers, a book and trades made up round the price."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from orchestrator.candle import Candle
from orchestrator.exchange.money import ROUNDED, from_float
from orchestrator.market.timeframes import grid_anchor_ns, timeframe_label
from orchestrator.venues.binance.klines import Klines
from orchestrator.venues.binance.pairs import Pairs, json_answer, ms, number
from orchestrator.venues.binance.params import Handler, Params, with_params
from orchestrator.venues.http import VenueResponse
from orchestrator.venues.numbers import round_half
from orchestrator.venues.quotes import Level, Quote, Quotes
from orchestrator.venues.router import Endpoint
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["MarketEndpoints"]

_DEPTH_DEFAULT: Final = 100
_DEPTH_MAX: Final = 5_000
_TRADES_DEFAULT: Final = 500
_TRADES_MAX: Final = 1_000
_AVERAGE_MINUTES: Final = 5


class MarketEndpoints:
    """What anyone may ask."""

    def __init__(self, context: VenueContext, quotes: Quotes, pairs: Pairs) -> None:
        self._market = context.market
        self._quotes = quotes
        self._pairs = pairs
        self._klines = Klines(context, pairs)

    def endpoints(self) -> list[Endpoint]:
        """Return what this part answers."""

        def market(path: str, handle: Handler, weight: int) -> Endpoint:
            return Endpoint("GET", path, with_params(handle), weight=weight, is_market_data=True)

        return [
            Endpoint("GET", "/api/v3/ping", lambda call: json_answer({})),  # noqa: ARG005 - the contract
            Endpoint("GET", "/api/v3/time", lambda call: json_answer({"serverTime": ms(call.desk.now_ns)})),
            market("/api/v3/exchangeInfo", self._exchange_info, 20),
            market("/api/v3/klines", self._klines.answer, 2),
            market("/api/v3/uiKlines", self._klines.answer, 2),
            market("/api/v3/ticker/24hr", self._tickers(self._day_row), 2),
            market("/api/v3/ticker/price", self._tickers(self._price_row), 2),
            market("/api/v3/ticker/bookTicker", self._tickers(self._best_row), 2),
            market("/api/v3/depth", self._depth, 5),
            market("/api/v3/trades", self._trades(_trade_row), 25),
            market("/api/v3/aggTrades", self._trades(_aggregate_row), 4),
            # ccxt asks for the pairs of all markets before it trades on one; these have none.
            market("/fapi/v1/exchangeInfo", self._nothing, 1),
            market("/dapi/v1/exchangeInfo", self._nothing, 1),
        ]

    # ------------------------------------------------------------ pairs

    def _exchange_info(self, call: Call, params: Params) -> VenueResponse:
        pairs = [self._pairs.rules(coin) for coin, _ in self._pairs.asked(params, call.now_ns)]
        return self._information(call, pairs)

    def _nothing(self, call: Call, params: Params) -> VenueResponse:  # noqa: ARG002 - the contract
        return self._information(call, [])

    def _information(self, call: Call, pairs: list[dict[str, Any]]) -> VenueResponse:
        limits = (("REQUEST_WEIGHT", "MINUTE", 1, 6_000), ("ORDERS", "SECOND", 10, 100))
        return json_answer(
            {
                "timezone": "UTC",
                "serverTime": ms(self._quotes.grid_ns(call.now_ns)),
                "rateLimits": [
                    {"rateLimitType": kind, "interval": unit, "intervalNum": count, "limit": limit}
                    for kind, unit, count, limit in limits
                ],
                "exchangeFilters": [],
                "symbols": pairs,
            }
        )

    # ------------------------------------------------------------ prices

    def _tickers(self, row: Callable[[str, Quote, int], dict[str, Any]]) -> Handler:
        # One object for `symbol`, a list for anything else.
        def answer(call: Call, params: Params) -> VenueResponse:
            asked = self._pairs.asked(params, call.now_ns)
            rows = [row(coin, quote, call.now_ns) for coin, quote in asked]
            return json_answer(rows[0] if params.has("symbol") else rows)

        return answer

    def _price_row(self, coin: str, quote: Quote, now_ns: int) -> dict[str, Any]:  # noqa: ARG002 - as the others
        return {"symbol": self._pairs.symbol(coin), "price": number(quote.last)}

    def _best_row(self, coin: str, quote: Quote, now_ns: int) -> dict[str, Any]:  # noqa: ARG002 - as the others
        size = number(quote.size)
        return {
            "symbol": self._pairs.symbol(coin),
            "bidPrice": number(quote.bid),
            "bidQty": size,
            "askPrice": number(quote.ask),
            "askQty": size,
        }

    def _day_row(self, coin: str, quote: Quote, now_ns: int) -> dict[str, Any]:
        day = self._quotes.day(coin, now_ns)
        if day is None:
            return self._price_row(coin, quote, now_ns)
        best = self._best_row(coin, quote, now_ns)
        last_id = ms(day.last_close_ns) // 1_000
        return {
            "symbol": best.pop("symbol"),
            "priceChange": number(day.change),
            "priceChangePercent": f"{ROUNDED.multiply(day.change_rate, 100):.3f}",
            "weightedAvgPrice": number(round_half(day.average, 8)),
            "prevClosePrice": number(day.opened),
            "lastPrice": number(day.last),
            "lastQty": number(quote.size),
            **best,
            "openPrice": number(day.opened),
            "highPrice": number(day.high),
            "lowPrice": number(day.low),
            "volume": number(day.volume),
            "quoteVolume": number(day.turnover),
            "openTime": ms(day.first_open_ns),
            "closeTime": ms(day.last_close_ns),
            "firstId": last_id - day.trades,
            "lastId": last_id,
            "count": day.trades,
        }

    def _depth(self, call: Call, params: Params) -> VenueResponse:
        coin, quote = self._pairs.quoted(params, call.now_ns)
        bids, asks = self._quotes.book(coin, call.now_ns, params.limit(_DEPTH_DEFAULT, _DEPTH_MAX))

        def side(levels: list[Level]) -> list[list[str]]:
            return [[number(level.price), number(level.qty)] for level in levels]

        return json_answer({"lastUpdateId": ms(quote.time_ns), "bids": side(bids), "asks": side(asks)})

    # ------------------------------------------------------------ trades

    def _trades(self, row: Callable[[Candle], dict[str, Any]]) -> Handler:
        # One for each base candle with volume: all of it, at its close.
        def answer(call: Call, params: Params) -> VenueResponse:
            coin, _ = self._pairs.quoted(params, call.now_ns)
            first, last = params.whole("startTime"), params.whole("endTime")
            limit = params.limit(_TRADES_DEFAULT, _TRADES_MAX)
            length_ns = self._market.timeframe_ns
            columns = self._market.closed_between(
                coin,
                timeframe_label(length_ns),
                0 if first is None else first * 1_000_000 - length_ns + 1,
                call.now_ns if last is None else last * 1_000_000 - length_ns,
                call.now_ns,
                limit,
                anchor_ns=grid_anchor_ns(self._market.exchange, length_ns),
            )
            values = zip(columns.open_times_ns.tolist(), columns.values.T.tolist(), strict=True)
            candles = [Candle(time, time + length_ns, *five) for time, five in values]
            return json_answer([row(candle) for candle in candles if candle.volume > 0])

        return answer


def _trade_row(candle: Candle) -> dict[str, Any]:
    price, qty = from_float(candle.close), round_half(from_float(candle.volume), 8)
    return {
        "id": ms(candle.close_time_ns) // 1_000,
        "price": number(price),
        "qty": number(qty),
        "quoteQty": number(round_half(ROUNDED.multiply(price, qty), 8)),
        "time": ms(candle.close_time_ns),
        "isBuyerMaker": candle.close < candle.open,
        "isBestMatch": True,
    }


def _aggregate_row(candle: Candle) -> dict[str, Any]:
    trade = _trade_row(candle)
    return {
        "a": trade["id"],
        "p": trade["price"],
        "q": trade["qty"],
        "f": trade["id"],
        "l": trade["id"],
        "T": trade["time"],
        "m": trade["isBuyerMaker"],
        "M": True,
    }
