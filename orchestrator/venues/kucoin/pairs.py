"""KuCoin's symbols, pair rules and currencies, made of the coins of the run."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from orchestrator.exchange.instruments import Instrument
from orchestrator.venues.kucoin.envelope import Refusal
from orchestrator.venues.numbers import text
from orchestrator.venues.quotes import Quotes
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["PRICE_LIMIT_RATE", "QUOTE_INCREMENT", "Pairs"]

PRICE_LIMIT_RATE: Final = Decimal("0.1")
"""How far a limit price may lie beyond the best opposite price, as a fraction of it."""

QUOTE_INCREMENT: Final = Decimal("0.000001")

_DOLLARS: Final = frozenset({"USD", "USDT", "USDC", "TUSD", "DAI"})
_SIZE_MAX: Final = "10000000000"
_FUNDS_MAX: Final = "99999999"


class Pairs:
    """What can be traded, as of a time: not before a coin's first candle, not long after its last one."""

    def __init__(self, context: VenueContext, quotes: Quotes) -> None:
        self._context = context
        self._quotes = quotes
        self.quote = context.quote
        self._coins = {self.symbol(coin): coin for coin in context.market.coins}
        self.area = "USDS" if self.quote in _DOLLARS else self.quote

    def symbol(self, coin: str) -> str:
        """Return the symbol of a coin: BTC-USDT."""
        return f"{coin}-{self.quote}"

    def coin(self, symbol: str | None) -> str | None:
        """Return the coin of a symbol, None when the run has it not."""
        return self._coins.get(symbol) if symbol is not None else None

    def require(self, call: Call, symbol: object, *, message: str = "symbol not exists") -> str:
        """Return the coin of a symbol that can be traded now.

        Raises
        ------
        Refusal
            900001 when there is no such pair (yet, or any more).
        """
        coin = self._coins.get(symbol) if isinstance(symbol, str) else None
        if coin is None or self._quotes.at(coin, call.now_ns) is None:
            raise Refusal("900001", message)
        return coin

    def instrument(self, coin: str) -> Instrument:
        """Return the trading rules of a coin."""
        return self._context.instruments[coin]

    # ------------------------------------------------------------ pages

    def markets(self, call: Call) -> list[str]:  # noqa: ARG002 - a page
        """Answer the names of the trading areas."""
        return [self.area]

    def symbols(self, call: Call) -> list[dict[str, Any]]:
        """Answer the rules of all pairs, of one area where one is asked for."""
        area = call.query.get("market")
        if area not in (None, "", self.area, self.quote):
            return []
        return [self._rules(coin) for coin in self._quotes.listed(call.now_ns)]

    def old_symbols(self, call: Call) -> list[dict[str, Any]]:
        """Answer the same with the fields of version 1."""
        return [{key: rules[key] for key in _OLD_FIELDS} for rules in self.symbols(call)]

    def symbol_rules(self, call: Call) -> dict[str, Any]:
        """Answer the rules of one pair."""
        return self._rules(self.require(call, call.args[0]))

    def _rules(self, coin: str) -> dict[str, Any]:
        rules, symbol = self._context.instruments[coin], self.symbol(coin)
        return {
            "symbol": symbol,
            "name": symbol,
            "baseCurrency": coin,
            "quoteCurrency": self.quote,
            "feeCurrency": self.quote,
            "market": self.area,
            "baseMinSize": text(rules.lot_size),
            "quoteMinSize": text(rules.min_notional),
            "baseMaxSize": _SIZE_MAX,
            "quoteMaxSize": _FUNDS_MAX,
            "baseIncrement": text(rules.lot_size),
            "quoteIncrement": text(QUOTE_INCREMENT),
            "priceIncrement": text(rules.tick_size),
            "priceLimitRate": text(PRICE_LIMIT_RATE),
            "minFunds": text(rules.min_notional),
            "isMarginEnabled": False,
            "enableTrading": True,
            "feeCategory": 1,
            "makerFeeCoefficient": "1.00",
            "takerFeeCoefficient": "1.00",
            "st": False,
            "callauctionIsEnabled": False,
            "callauctionPriceFloor": None,
            "callauctionPriceCeiling": None,
            "callauctionFirstStageStartTime": None,
            "callauctionSecondStageStartTime": None,
            "callauctionThirdStageStartTime": None,
            "tradingStartTime": None,
        }

    def currencies(self, call: Call) -> list[dict[str, Any]]:
        """Answer all currencies with their chains; nothing can be deposited or withdrawn."""
        return [self._currency(name) for name in self._names(call)]

    def currency(self, call: Call) -> dict[str, Any]:
        """Answer one currency."""
        return self._currency(self._require_currency(call))

    def old_currencies(self, call: Call) -> list[dict[str, Any]]:
        """Answer all currencies with the fields of version 1."""
        return [_old_currency(name) for name in self._names(call)]

    def old_currency(self, call: Call) -> dict[str, Any]:
        """Answer one currency with the fields of version 1."""
        return _old_currency(self._require_currency(call))

    def _names(self, call: Call) -> list[str]:
        return [*self._quotes.listed(call.now_ns), self.quote]

    def _require_currency(self, call: Call) -> str:
        name = call.args[0]
        if name not in self._names(call):
            raise Refusal("900003", "currency not exists")
        return name

    @staticmethod
    def _currency(name: str) -> dict[str, Any]:
        chain = {
            "chainName": name,
            "withdrawalMinSize": "0",
            "depositMinSize": None,
            "withdrawFeeRate": "0",
            "withdrawalMinFee": "0",
            "isWithdrawEnabled": False,
            "isDepositEnabled": False,
            "confirms": 1,
            "preConfirms": 1,
            "contractAddress": "",
            "withdrawPrecision": 8,
            "maxWithdraw": None,
            "maxDeposit": None,
            "needTag": False,
            "chainId": name.lower(),
        }
        return {
            "currency": name,
            "name": name,
            "fullName": name,
            "precision": 8,
            "confirms": None,
            "contractAddress": None,
            "isMarginEnabled": False,
            "isDebitEnabled": False,
            "chains": [chain],
        }


def _old_currency(name: str) -> dict[str, Any]:
    return {
        "currency": name,
        "name": name,
        "fullName": name,
        "precision": 8,
        "confirms": None,
        "contractAddress": None,
        "withdrawalMinSize": "0",
        "withdrawalMinFee": "0",
        "isWithdrawEnabled": False,
        "isDepositEnabled": False,
        "isMarginEnabled": False,
        "isDebitEnabled": False,
    }


_OLD_FIELDS: Final = (
    "symbol",
    "name",
    "baseCurrency",
    "quoteCurrency",
    "feeCurrency",
    "market",
    "baseMinSize",
    "quoteMinSize",
    "baseMaxSize",
    "quoteMaxSize",
    "baseIncrement",
    "quoteIncrement",
    "priceIncrement",
    "priceLimitRate",
    "minFunds",
    "isMarginEnabled",
    "enableTrading",
)
