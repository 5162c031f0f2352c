"""The pairs of Binance spot: which there are, what an order of each must obey, and how numbers are written."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from orchestrator.exchange.money import EXACT
from orchestrator.venues.binance.errors import INVALID_SYMBOL, malformed
from orchestrator.venues.binance.params import Params, RefusedError
from orchestrator.venues.http import VenueResponse
from orchestrator.venues.numbers import text_at
from orchestrator.venues.quotes import Quote, Quotes
from orchestrator.venues.venue import VenueContext

__all__ = ["Pairs", "json_answer", "ms", "number"]

_ORDER_TYPES: Final = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)

_NS_PER_MS: Final = 1_000_000
_EIGHT_DECIMALS: Final = Decimal("0.00000001")
_STEPS_MAX: Final = Decimal(10**9)  # lots of the largest order, ticks of the highest price
_STP: Final = "EXPIRE_MAKER"  # self-trade prevention; nobody trades with himself here


def ms(time_ns: int) -> int:
    """Return whole milliseconds since the epoch."""
    return time_ns // _NS_PER_MS


def number(value: Decimal) -> str:
    """Return a number as the venue writes it, with at least eight decimals."""
    return text_at(value, _EIGHT_DECIMALS)


def json_answer(data: object) -> VenueResponse:
    """Return data as an answer."""
    return VenueResponse(200, msgspec.json.encode(data))


class Pairs:
    """The pairs of a run as symbols without a separator, such as BTCUSDT."""

    def __init__(self, context: VenueContext, quotes: Quotes) -> None:
        self._instruments = context.instruments
        self._quotes = quotes
        self._quote = context.quote
        self._coins = {f"{coin}{context.quote}": coin for coin in context.market.coins}

    def symbol(self, coin: str) -> str:
        """Return the symbol of a coin."""
        return f"{coin}{self._quote}"

    def coin(self, params: Params) -> str:
        """Return the coin of `symbol`, traded at the moment or not."""
        coin = self._coins.get(params.text("symbol"))
        if coin is None:
            raise RefusedError(INVALID_SYMBOL)
        return coin

    def quoted(self, params: Params, sim_time_ns: int) -> tuple[str, Quote]:
        """Return the coin of `symbol` and its prices."""
        coin = self.coin(params)
        quote = self._quotes.at(coin, sim_time_ns)
        if quote is None:
            raise RefusedError(INVALID_SYMBOL)
        return coin, quote

    def asked(self, params: Params, sim_time_ns: int) -> list[tuple[str, Quote]]:
        """Return what `symbol` or `symbols` (a list in JSON) name, all that are traded without them."""
        if params.has("symbol"):
            return [self.quoted(params, sim_time_ns)]
        names = params.find("symbols")
        if names is None:
            coins = list(self._coins.values())
        else:
            try:
                wanted = msgspec.json.decode(names, type=list[str])
            except msgspec.DecodeError:
                raise RefusedError(malformed("symbols")) from None
            coins = [self._coins[name] for name in wanted if name in self._coins]
            if len(coins) < len(wanted):
                raise RefusedError(INVALID_SYMBOL)
        found = [(coin, self._quotes.at(coin, sim_time_ns)) for coin in coins]
        traded = [(coin, quote) for coin, quote in found if quote is not None]
        if names is not None and len(traded) < len(coins):
            raise RefusedError(INVALID_SYMBOL)
        return traded

    def rules(self, coin: str) -> dict[str, Any]:
        """Return one entry of `symbols` in exchangeInfo."""
        rules = self._instruments[coin]
        lot, tick = number(rules.lot_size), number(rules.tick_size)
        lots_max, ticks_max = (EXACT.multiply(step, _STEPS_MAX) for step in (rules.lot_size, rules.tick_size))
        precisions = (
            "quotePrecision",
            "quoteAssetPrecision",
            "baseCommissionPrecision",
            "quoteCommissionPrecision",
        )
        return {
            "symbol": self.symbol(coin),
            "status": "TRADING",
            "baseAsset": coin,
            "baseAssetPrecision": 8,
            "quoteAsset": self._quote,
            **dict.fromkeys(precisions, 8),
            "orderTypes": _ORDER_TYPES,
            "icebergAllowed": False,
            "ocoAllowed": False,
            "otoAllowed": False,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": False,
            "cancelReplaceAllowed": False,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": [
                {
                    "filterType": "PRICE_FILTER",
                    "minPrice": tick,
                    "maxPrice": number(ticks_max),
                    "tickSize": tick,
                },
                {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": number(lots_max), "stepSize": lot},
                {
                    "filterType": "NOTIONAL",
                    "minNotional": number(rules.min_notional),
                    "applyMinToMarket": True,
                    "maxNotional": "9000000.00000000",
                    "applyMaxToMarket": False,
                    "avgPriceMins": 0,
                },
            ],
            "permissions": ["SPOT"],
            "permissionSets": [["SPOT"]],
            "defaultSelfTradePreventionMode": _STP,
            "allowedSelfTradePreventionModes": [_STP],
        }
