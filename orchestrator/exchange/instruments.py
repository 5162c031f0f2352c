"""The trading rules of each coin: tick size, lot size and minimum notional, with defaults by venue.

The table below holds typical rules, written by hand and checked against no venue; venues change theirs. What
matters to a result belongs into `[instrument.COIN]` of replay.toml. The table is never derived from market data:
the number of digits in later candles would tell a run something about its future.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from orchestrator.config import InstrumentSettings

__all__ = ["Instrument", "resolve_instruments"]


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """What an order of one coin must obey.

    Prices are multiples of `tick_size`, quantities of `lot_size`; quantity * price is at least
    `min_notional`, in quote currency.
    """

    coin: str
    tick_size: Decimal
    lot_size: Decimal
    min_notional: Decimal


_FALLBACK_TICK_SIZE: Final = "0.00000001"
_FALLBACK_LOT_SIZE: Final = "0.00000001"
_FALLBACK_MIN_NOTIONAL: Final = "1"

_MIN_NOTIONALS: Final = {
    "binance": "5",
    "kucoin": "0.1",
    "coinbase": "1",
    "kraken": "0.5",
    "bitfinex": "4",
    "bybit": "1",
}

# (tick size, lot size); a venue that is not listed, or a coin that its venue does not list, uses "any".
_TABLE: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "binance": {
        "BTC": ("0.01", "0.00001"),
        "ETH": ("0.01", "0.0001"),
        "SOL": ("0.01", "0.001"),
        "XRP": ("0.0001", "1"),
        "DOGE": ("0.00001", "1"),
        "LTC": ("0.01", "0.001"),
        "LINK": ("0.001", "0.01"),
        "AVAX": ("0.01", "0.01"),
        "TRX": ("0.0001", "0.1"),
        "SHIB": ("0.00000001", "1"),
        "ADA": ("0.0001", "0.1"),
        "BNB": ("0.1", "0.001"),
        "DOT": ("0.001", "0.01"),
        "BCH": ("0.1", "0.001"),
        "ATOM": ("0.001", "0.01"),
        "UNI": ("0.001", "0.01"),
        "XLM": ("0.0001", "1"),
        "ETC": ("0.01", "0.01"),
        "FIL": ("0.001", "0.01"),
        "NEAR": ("0.001", "0.1"),
        "PEPE": ("0.00000001", "1"),
    },
    "kucoin": {
        "BTC": ("0.1", "0.00001"),
        "ETH": ("0.01", "0.0001"),
        "SOL": ("0.001", "0.0001"),
        "XRP": ("0.00001", "0.0001"),
        "DOGE": ("0.00001", "0.0001"),
        "LTC": ("0.01", "0.0001"),
        "LINK": ("0.0001", "0.0001"),
        "AVAX": ("0.001", "0.0001"),
        "TRX": ("0.00001", "0.0001"),
        "SHIB": ("0.000000001", "1"),
    },
    "coinbase": {
        "BTC": ("0.01", "0.00000001"),
        "ETH": ("0.01", "0.00000001"),
        "SOL": ("0.01", "0.00000001"),
        "XRP": ("0.0001", "0.000001"),
        "DOGE": ("0.00001", "0.1"),
        "LTC": ("0.01", "0.00000001"),
        "LINK": ("0.001", "0.01"),
        "AVAX": ("0.01", "0.00000001"),
        "SHIB": ("0.00000001", "1"),
    },
    "kraken": {
        "BTC": ("0.1", "0.00000001"),
        "ETH": ("0.01", "0.00000001"),
        "SOL": ("0.01", "0.00000001"),
        "XRP": ("0.00001", "0.00000001"),
        "DOGE": ("0.0000001", "0.00000001"),
        "LTC": ("0.01", "0.00000001"),
        "LINK": ("0.00001", "0.00000001"),
        "AVAX": ("0.01", "0.00000001"),
        "TRX": ("0.000001", "0.00000001"),
        "SHIB": ("0.00000001", "0.00001"),
    },
    "any": {
        "BTC": ("0.01", "0.00000001"),
        "ETH": ("0.01", "0.00000001"),
        "SOL": ("0.001", "0.0001"),
        "XRP": ("0.00001", "0.0001"),
        "DOGE": ("0.00001", "0.0001"),
        "LTC": ("0.01", "0.0001"),
        "LINK": ("0.0001", "0.0001"),
        "AVAX": ("0.001", "0.0001"),
        "TRX": ("0.00001", "0.0001"),
        "SHIB": ("0.000000001", "1"),
    },
}


def resolve_instruments(
    coins: tuple[str, ...], settings: Mapping[str, InstrumentSettings], exchange: str
) -> dict[str, Instrument]:
    """Return the rules of each coin: what the user set, else the venue's default, else the fallback.

    Parameters
    ----------
    coins
        Of the run, in its order.
    settings
        `[instrument.COIN]` sections.
    exchange
        The venue whose candles are replayed, such as "binance"; an unknown one gets general defaults.
    """
    return {
        coin: _resolve(coin, settings.get(coin, InstrumentSettings()), exchange.lower()) for coin in coins
    }


def _resolve(coin: str, settings: InstrumentSettings, exchange: str) -> Instrument:
    fallback = _TABLE["any"].get(coin, (_FALLBACK_TICK_SIZE, _FALLBACK_LOT_SIZE))
    tick_size, lot_size = _TABLE.get(exchange, {}).get(coin, fallback)
    min_notional = _MIN_NOTIONALS.get(exchange, _FALLBACK_MIN_NOTIONAL)
    return Instrument(
        coin=coin,
        tick_size=settings.tick_size if settings.tick_size is not None else Decimal(tick_size),
        lot_size=settings.lot_size if settings.lot_size is not None else Decimal(lot_size),
        min_notional=settings.min_notional if settings.min_notional is not None else Decimal(min_notional),
    )
