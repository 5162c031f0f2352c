"""Prices and pairs of Robinhood Crypto; it shows no candles and no trades of others."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from orchestrator.exchange.money import BPS, EXACT
from orchestrator.venues.http import VenueResponse
from orchestrator.venues.numbers import parse_number, text, text_at
from orchestrator.venues.quotes import Quote, Quotes
from orchestrator.venues.robinhood.errors import invalid, invalid_symbol
from orchestrator.venues.robinhood.pages import read_page
from orchestrator.venues.robinhood.stamps import stamp
from orchestrator.venues.router import Endpoint
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["MarketEndpoints", "order_qty_max"]

_LOTS_MAX: Final = Decimal(10**9)  # of one order
_QUANTITIES_MAX: Final = 10  # of one estimate
_SIDES: Final = {"bid": ("bid",), "ask": ("ask",), "both": ("bid", "ask")}


def order_qty_max(lot_size: Decimal) -> Decimal:
    """Return the largest quantity that one order may have; only a mistake is larger."""
    return EXACT.multiply(lot_size, _LOTS_MAX)


class MarketEndpoints:
    """What needs no account."""

    def __init__(self, context: VenueContext, quotes: Quotes, quote: str) -> None:
        self._coins = context.market.coins
        self._instruments = context.instruments
        self._quotes = quotes
        self._quote = quote
        self._spread = text(EXACT.multiply(quotes.half_spread_bps, BPS))  # on each side, a fraction

    def endpoints(self) -> list[Endpoint]:
        """Return what this part answers."""
        root = "/api/v1/crypto"
        return [
            Endpoint("GET", f"{root}/trading/trading_pairs/", self._trading_pairs, is_market_data=True),
            Endpoint("GET", f"{root}/marketdata/best_bid_ask/", self._best_bid_ask, is_market_data=True),
            Endpoint(
                "GET", f"{root}/marketdata/estimated_price/", self._estimated_price, is_market_data=True
            ),
        ]

    # ------------------------------------------------------------ answers

    def _trading_pairs(self, call: Call) -> VenueResponse:
        coins = self._asked_coins(call)
        if isinstance(coins, VenueResponse):
            return coins
        page = read_page(call, coins, lambda coin: -self._coins.index(coin))
        if isinstance(page, VenueResponse):
            return page
        return VenueResponse(200, msgspec.json.encode(page.body(self._pair)))

    def _best_bid_ask(self, call: Call) -> VenueResponse:
        coins = self._asked_coins(call)
        if isinstance(coins, VenueResponse):
            return coins
        rows = []
        for coin in coins:
            found = self._quotes.at(coin, call.now_ns)
            if found is not None:
                rows.append(self._prices(coin, found))
        return VenueResponse(200, msgspec.json.encode({"results": rows}))

    def _estimated_price(self, call: Call) -> VenueResponse:
        for name in ("symbol", "side", "quantity"):
            if not call.query.get(name):
                return invalid("This field is required.", name)
        coins = self._asked_coins(call)
        if isinstance(coins, VenueResponse):
            return coins
        sides = _SIDES.get(call.query["side"])
        if sides is None:
            return invalid(f'"{call.query["side"]}" is not a valid choice.', "side")
        quantities = [parse_number(part) for part in call.query["quantity"].split(",")]
        if len(quantities) > _QUANTITIES_MAX:
            return invalid(f"Ensure there are at most {_QUANTITIES_MAX} quantities.", "quantity")
        found = self._quotes.at(coins[0], call.now_ns)
        rows = []
        for quantity in quantities:
            if quantity is None or quantity <= 0:
                return invalid("A valid number is required.", "quantity")
            if found is not None:
                rows += [self._estimate(coins[0], found, side, quantity) for side in sides]
        return VenueResponse(200, msgspec.json.encode({"results": rows}))

    def _asked_coins(self, call: Call) -> list[str] | VenueResponse:
        # All that are traded, or those of `symbol`, which may be repeated.
        listed = self._quotes.listed(call.now_ns)
        symbols = [value for name, value in call.pairs if name == "symbol"]
        if not symbols:
            return list(listed)
        by_symbol = {f"{coin}-{self._quote}": coin for coin in listed}
        for symbol in symbols:
            if symbol not in by_symbol:
                return invalid_symbol(symbol)
        return sorted({by_symbol[symbol] for symbol in symbols}, key=self._coins.index)

    # ------------------------------------------------------------ rows

    def _pair(self, coin: str) -> dict[str, Any]:
        rules = self._instruments[coin]
        return {
            "asset_code": coin,
            "quote_code": self._quote,
            "quote_increment": text(rules.tick_size),
            "asset_increment": text(rules.lot_size),
            "max_order_size": text(order_qty_max(rules.lot_size)),
            "min_order_size": text(rules.lot_size),
            "status": "tradable",
            "symbol": f"{coin}-{self._quote}",
        }

    def _prices(self, coin: str, found: Quote) -> dict[str, Any]:
        tick = self._instruments[coin].tick_size
        return {
            "symbol": f"{coin}-{self._quote}",
            "price": text_at(found.last, tick),
            "bid_inclusive_of_sell_spread": text_at(found.bid, tick),
            "sell_spread": self._spread,
            "ask_inclusive_of_buy_spread": text_at(found.ask, tick),
            "buy_spread": self._spread,
            "timestamp": stamp(found.time_ns),
        }

    def _estimate(self, coin: str, found: Quote, side: str, quantity: Decimal) -> dict[str, Any]:
        # The side that was not asked for is zero.
        row = self._prices(coin, found)
        unasked = ("ask_inclusive_of_buy_spread", "buy_spread")
        if side == "ask":
            unasked = ("bid_inclusive_of_sell_spread", "sell_spread")
        row.update(dict.fromkeys(unasked, "0"))
        symbol = row.pop("symbol")
        price = row.pop("price")
        return {"symbol": symbol, "side": side, "price": price, "quantity": text(quantity), **row}
