"""`replay data import`: from a file of another program to a series of the cache, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from orchestrator.market.cache import Stored, store_series
from orchestrator.market.checks import check_candles
from orchestrator.market.naming import key_of_file
from orchestrator.market.readers import read_candles

__all__ = ["import_file"]


def import_file(
    cache: Path,
    path: Path,
    *,
    exchange: str | None = None,
    coin: str | None = None,
    quote: str | None = None,
    timeframe: str | None = None,
    replace: bool = False,
) -> Stored:
    """Read, check and store one file.

    Parameters
    ----------
    cache
        The cache folder, `home().cache`.
    exchange, coin, quote, timeframe
        What the file holds; None: told by its name and folder (`naming.key_of_file`).
    replace
        Whether candles that differ from cached ones replace them.

    Raises
    ------
    DataError
        If the file cannot be read, breaks a rule or differs from the cache; the cache is then as before.
    ConfigError
        If it cannot be told which series the file holds.
    ReplayError
        If the cache cannot be written; it is then as before.
    """
    candles = read_candles(path)
    key = key_of_file(path, exchange=exchange, coin=coin, quote=quote, timeframe=timeframe)
    check_candles(candles, key.timeframe_ns, key.anchor_ns, str(path))
    return store_series(cache, key, candles, replace=replace)
