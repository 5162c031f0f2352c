"""The name of a series: whose candles of which coin, in which quote currency, of which length."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from orchestrator.config import parse_timeframe_ns
from orchestrator.errors import ConfigError
from orchestrator.market.timeframes import grid_anchor_ns, timeframe_label

__all__ = ["DEMO_EXCHANGE", "MADE_UP_EXCHANGES", "SYNTHETIC_EXCHANGE", "SeriesKey", "series_key"]

SYNTHETIC_EXCHANGE: Final = "synthetic"
"""The exchange of candles that were made by rule."""

DEMO_EXCHANGE: Final = "demo"
"""The exchange of the candles that `replay demo` makes."""

MADE_UP_EXCHANGES: Final = (SYNTHETIC_EXCHANGE, DEMO_EXCHANGE)
"""They never compete with a real one, and say nothing about it."""

_EXCHANGE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_ASSET: Final = re.compile(r"[A-Z0-9]{1,20}")


class SeriesKey(NamedTuple):
    """Identifies a series of candles; sorts by exchange, coin, quote, then the name of the timeframe."""

    exchange: str  # lower case, such as "binance"
    coin: str  # base asset, upper case
    quote: str  # quote asset, upper case
    timeframe: str  # shortest name, such as "5m"

    @property
    def timeframe_ns(self) -> int:
        """Length of a candle in nanoseconds."""
        return parse_timeframe_ns(self.timeframe)

    @property
    def anchor_ns(self) -> int:
        """One open time of the series' grid."""
        return grid_anchor_ns(self.exchange, self.timeframe_ns)

    @property
    def folder(self) -> Path:
        """Where the series lies, relative to the cache."""
        return Path(self.exchange, f"{self.coin}-{self.quote}", self.timeframe)

    def can_be_made_of(self, finer: SeriesKey) -> bool:
        """Return whether candles of this series are sums of whole candles of the other, of the same pair."""
        is_same_pair = self[:3] == finer[:3]
        divides = finer.timeframe_ns < self.timeframe_ns and self.timeframe_ns % finer.timeframe_ns == 0
        return is_same_pair and divides and (finer.anchor_ns - self.anchor_ns) % finer.timeframe_ns == 0

    def __str__(self) -> str:
        """Return the series as errors and tables show it."""
        return f"{self.exchange} {self.coin}-{self.quote} {self.timeframe}"


def series_key(exchange: str, coin: str, quote: str, timeframe: str) -> SeriesKey:
    """Return the key in canonical spelling.

    Raises
    ------
    ConfigError
        If a part cannot be the name of an exchange, an asset or a candle length.
    """
    exchange, coin, quote = exchange.strip().lower(), coin.strip().upper(), quote.strip().upper()
    if not _EXCHANGE.fullmatch(exchange):
        raise ConfigError(f"exchange {exchange!r} is not understood; write a name such as binance or kucoin")
    for name, asset in (("coin", coin), ("quote", quote)):
        if not _ASSET.fullmatch(asset):
            raise ConfigError(f"{name} {asset!r} is not understood; write letters and digits, such as BTC")
    return SeriesKey(exchange, coin, quote, timeframe_label(parse_timeframe_ns(timeframe)))
