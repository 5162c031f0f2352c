"""KuCoin's prices, books, statistics and trades, all of them made of closed candles."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from orchestrator.exchange.money import ONE, from_float
from orchestrator.market.timeframes import timeframe_label
from orchestrator.venues.kucoin.envelope import Refusal
from orchestrator.venues.kucoin.pairs import Pairs
from orchestrator.venues.numbers import round_half, text, text_at
from orchestrator.venues.quotes import Level, Quote, Quotes
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["MarketPages", "milliseconds"]

_NS_PER_MS: Final = 1_000_000
_SEQUENCE_ORIGIN_MS: Final = 1_400_000_000_000  # sequences grow with time, and look like the service's
_TRADES_MAX: Final = 100
_DOLLARS: Final = frozenset({"USD", "USDT", "USDC"})
_FULL_BOOK: Final = 10_000


def milliseconds(time_ns: int) -> int:
    """Return whole milliseconds."""
    return time_ns // _NS_PER_MS


class MarketPages:
    """Pages under `/api/v1/market`, and what stands near them."""

    def __init__(self, context: VenueContext, pairs: Pairs, quotes: Quotes) -> None:
        self._market = context.market
        self._pairs = pairs
        self._quotes = quotes
        self._timeframe = timeframe_label(context.market.timeframe_ns)
        self._fees = {
            "takerFeeRate": text(context.taker_fee),
            "makerFeeRate": text(context.maker_fee),
            "takerCoefficient": "1",
            "makerCoefficient": "1",
        }

    @staticmethod
    def timestamp(call: Call) -> int:
        """Answer the time."""
        return milliseconds(call.now_ns)

    @staticmethod
    def status(call: Call) -> dict[str, str]:  # noqa: ARG004 - a page
        """Answer that the service is open."""
        return {"status": "open", "msg": ""}

    def level1(self, call: Call) -> dict[str, Any]:
        """Answer the best bid and ask."""
        coin, quote = self._quote(call)
        tick = self._pairs.instrument(coin).tick_size
        size = text(quote.size)
        return {
            "time": milliseconds(quote.time_ns),
            "sequence": _sequence(quote.time_ns),
            "price": text_at(quote.last, tick),
            "size": size,
            "bestBid": text_at(quote.bid, tick),
            "bestBidSize": size,
            "bestAsk": text_at(quote.ask, tick),
            "bestAskSize": size,
        }

    def level2_20(self, call: Call) -> dict[str, Any]:
        """Answer 20 levels of the book."""
        return self._book(call, 20)

    def level2_100(self, call: Call) -> dict[str, Any]:
        """Answer 100 levels of the book."""
        return self._book(call, 100)

    def level2(self, call: Call) -> dict[str, Any]:
        """Answer the whole book."""
        return self._book(call, _FULL_BOOK)

    def _book(self, call: Call, levels: int) -> dict[str, Any]:
        coin, quote = self._quote(call)
        bids, asks = self._quotes.book(coin, call.now_ns, levels)
        tick = self._pairs.instrument(coin).tick_size
        return {
            "time": milliseconds(quote.time_ns),
            "sequence": _sequence(quote.time_ns),
            "bids": [_level(level, tick) for level in bids],
            "asks": [_level(level, tick) for level in asks],
        }

    def all_tickers(self, call: Call) -> dict[str, Any]:
        """Answer the ticker of every pair."""
        tickers = [self._ticker(coin, call.now_ns) for coin in self._quotes.listed(call.now_ns)]
        return {"time": milliseconds(self._quotes.grid_ns(call.now_ns)), "ticker": tickers}

    def stats(self, call: Call) -> dict[str, Any]:
        """Answer what happened to a pair within 24 hours."""
        coin, quote = self._quote(call)
        ticker = self._ticker(coin, call.now_ns)
        del ticker["symbolName"], ticker["symbol"]
        return {"time": milliseconds(quote.time_ns), "symbol": self._pairs.symbol(coin), **ticker}

    def _ticker(self, coin: str, sim_time_ns: int) -> dict[str, Any]:
        quote, day = self._quotes.at(coin, sim_time_ns), self._quotes.day(coin, sim_time_ns)
        if quote is None or day is None:
            raise Refusal("900001", "symbol not exists")
        tick = self._pairs.instrument(coin).tick_size
        size = text(quote.size)
        return {
            "symbol": self._pairs.symbol(coin),
            "symbolName": self._pairs.symbol(coin),
            "buy": text_at(quote.bid, tick),
            "bestBidSize": size,
            "sell": text_at(quote.ask, tick),
            "bestAskSize": size,
            "changeRate": text(round_half(day.change_rate, 4)),
            "changePrice": text(day.change),
            "high": text_at(day.high, tick),
            "low": text_at(day.low, tick),
            "vol": text(day.volume),
            "volValue": text(day.turnover),
            "last": text_at(day.last, tick),
            "averagePrice": text(round_half(day.average, 8)),
            **self._fees,
        }

    def histories(self, call: Call) -> list[dict[str, Any]]:
        """Answer trades: one for each of the last candles with volume, at its close, oldest first."""
        coin, _ = self._quote(call)
        tick = self._pairs.instrument(coin).tick_size
        columns = self._market.closed_between(coin, self._timeframe, 0, call.now_ns, call.now_ns, _TRADES_MAX)
        rows = zip(columns.open_times_ns.tolist(), columns.values.T.tolist(), strict=True)
        return [
            {
                "sequence": _sequence(open_ns + self._market.timeframe_ns),
                "price": text_at(from_float(close), tick),
                "size": text(from_float(volume)),
                "side": "buy" if close >= opened else "sell",
                "time": open_ns + self._market.timeframe_ns,
            }
            for open_ns, (opened, _, _, close, volume) in rows
            if volume > 0
        ]

    def prices(self, call: Call) -> dict[str, str]:
        """Answer prices in a fiat currency; all dollars are one, others are not known."""
        base = call.query.get("base") or "USD"
        if base not in _DOLLARS and base != self._pairs.quote:
            return {}
        names = [name for name in (call.query.get("currencies") or "").split(",") if name]
        found = {}
        for coin in self._quotes.listed(call.now_ns):
            quote = self._quotes.at(coin, call.now_ns)
            if quote is not None and (not names or coin in names):
                found[coin] = text_at(quote.last, self._pairs.instrument(coin).tick_size)
        if not names or self._pairs.quote in names:
            found[self._pairs.quote] = text(ONE)
        return found

    def mark_price(self, call: Call) -> dict[str, Any]:
        """Answer the last price as mark price."""
        coin = self._pairs.require(call, call.args[0])
        quote = self._quotes.at(coin, call.now_ns)
        value = float(quote.last) if quote is not None else None
        time_ms = milliseconds(self._quotes.grid_ns(call.now_ns))
        return {"symbol": call.args[0], "granularity": 1000, "timePoint": time_ms, "value": value}

    def _quote(self, call: Call) -> tuple[str, Quote]:
        coin = self._pairs.require(call, call.query.get("symbol"))
        quote = self._quotes.at(coin, call.now_ns)
        if quote is None:
            raise Refusal("900001", "symbol not exists")
        return coin, quote


def _sequence(time_ns: int) -> str:
    return str(milliseconds(time_ns) - _SEQUENCE_ORIGIN_MS)


def _level(level: Level, tick: Decimal) -> list[str]:
    return [text_at(level.price, tick), text(level.qty)]
