"""Which series a file holds, from its name, its folder and what the user says.

Understood are a coin and its quote, apart or together, then the candle length: `BTC-USDT_5m.parquet`,
`BTC_USDT-5m.feather`, `BTCUSDT_1h.csv`, `BTCUSDT-1h-2024-01.csv`. The exchange is the folder's name, if that
begins with one: `binance/`, `kucoin_2021-2023/`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from orchestrator.errors import ConfigError
from orchestrator.market.series import SeriesKey, series_key

__all__ = ["key_of_file"]

_FILE_NAME: Final = re.compile(
    r"(?P<coin>[A-Za-z0-9]+?)[-_]?(?P<quote>USDT|USDC|BUSD|FDUSD|TUSD|DAI|USD|EUR|GBP|TRY|JPY|KRW|BRL|AUD|BTC|ETH|BNB)"
    r"[-_](?P<count>[0-9]+)(?P<unit>(?-i:min|[smhdwHDW]))(?:[-_][0-9]{4}-[0-9]{2}(?:-[0-9]{2})?)?",
    re.ASCII | re.IGNORECASE,
)
_SEPARATE_NAME: Final = re.compile(
    r"(?P<coin>[A-Za-z0-9]+)[-_](?P<quote>[A-Za-z0-9]+)[-_](?P<count>[0-9]+)(?P<unit>min|[smhdwHDW])",
    re.ASCII | re.IGNORECASE,
)
_EXCHANGES: Final = frozenset(
    {
        *("binance", "binanceus", "bitfinex", "bitget", "bithumb", "bitmex", "bitstamp", "bybit", "coinbase"),
        *(
            "cryptocom",
            "deribit",
            "gate",
            "gateio",
            "gemini",
            "htx",
            "huobi",
            "hyperliquid",
            "kraken",
            "kucoin",
        ),
        *("mexc", "okx", "phemex", "poloniex", "robinhood", "upbit", "synthetic"),
    }
)


def key_of_file(
    path: Path,
    *,
    exchange: str | None = None,
    coin: str | None = None,
    quote: str | None = None,
    timeframe: str | None = None,
) -> SeriesKey:
    """Return the series of a file; what is given wins over what the name says.

    Raises
    ------
    ConfigError
        Naming the flags for what neither the name nor the user says.
    """
    named = _from_name(path)
    found = {
        "exchange": exchange or _exchange_of_folder(path),
        "coin": coin or named.get("coin"),
        "quote": quote or named.get("quote"),
        "timeframe": timeframe or named.get("timeframe"),
    }
    missing = [f"--{name}" for name, value in found.items() if not value]
    if missing:
        what = " and ".join(flag[2:] for flag in missing)
        raise ConfigError(
            f"{path}: {what} cannot be told from the name; give {' '.join(missing)}, "
            "or name the file like binance/BTC-USDT_5m.parquet"
        )
    return series_key(*(value or "" for value in found.values()))


def _from_name(path: Path) -> dict[str, str]:
    stem = path.name.split(".")[0]
    match = _SEPARATE_NAME.fullmatch(stem) or _FILE_NAME.fullmatch(stem)
    if match is None:
        return {}
    unit = "m" if match["unit"] == "min" else match["unit"].lower()
    return {"coin": match["coin"], "quote": match["quote"], "timeframe": match["count"] + unit}


def _exchange_of_folder(path: Path) -> str | None:
    name = re.split(r"[_-]", path.absolute().parent.name.lower())[0]
    return name if name in _EXCHANGES else None
