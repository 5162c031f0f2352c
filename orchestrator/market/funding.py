"""Funding rates of perpetual contracts: imported once per coin and exchange, read by runs of such contracts.

Layout: `<cache>/<exchange>/funding/<COIN>.parquet` with the columns `time_ns` (int64) and `rate` (float64, a
fraction of the position), one row per funding, ascending.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from orchestrator.arrow_reading import parquet_table
from orchestrator.config import NS_PER_SECOND
from orchestrator.errors import ConfigError, DataError
from orchestrator.market.arrow import arrow_array, float_view, int_view
from orchestrator.market.candles import time_text
from orchestrator.market.files import locked, make_folder, write_whole
from orchestrator.market.formats import read_table
from orchestrator.market.instants import instants_ns

__all__ = ["FundingRates", "FundingSeries", "StoredFunding", "import_funding", "load_funding"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_FOLDER: Final = "funding"
_NAME: Final = re.compile(r"[A-Za-z0-9]{1,20}")
_TIMES: Final = ("fundingtime", "calctime", "time", "timestamp", "datetime", "date", "ts", "t")
_RATES: Final = ("fundingrate", "lastfundingrate", "rate", "realizedrate")
_RATE_MAX: Final = 0.1  # ten percent in one period is a percentage taken for a fraction
_INTERVAL_NS: Final = 8 * 3_600 * NS_PER_SECOND  # no venue lets longer pass between two fundings
_LATE_NS: Final = 60 * NS_PER_SECOND  # venues stamp a funding some seconds after its time


class FundingSeries(NamedTuple):
    """The rates of one coin: times ascending, rates as fractions of the position."""

    times_ns: IntArray
    rates: FloatArray


class StoredFunding(NamedTuple):
    """What an import changed."""

    exchange: str
    coin: str
    added: int
    unchanged: int


class FundingRates:
    """The rates of a run, as of a simulation time.

    Parameters
    ----------
    series
        By coin; a coin that is absent has no funding.

    Attributes
    ----------
    digest
        SHA-256 over coins, times and rates, hexadecimal.
    """

    def __init__(self, series: dict[str, FundingSeries]) -> None:
        self._series = series
        whole = hashlib.sha256()
        for coin, (times_ns, rates) in series.items():
            whole.update(f"{coin} {len(times_ns)}\n".encode())
            whole.update(times_ns.astype("<i8").tobytes() + rates.astype("<f8").tobytes())
        self.digest = whole.hexdigest()

    def next_time(self, coin: str, sim_time_ns: int) -> int | None:
        """Return the first funding time later than the time, None when there is none."""
        if coin not in self._series:
            return None
        times_ns = self._series[coin].times_ns
        place = int(np.searchsorted(times_ns, sim_time_ns, "right"))
        return int(times_ns[place]) if place < len(times_ns) else None

    def rate_at(self, coin: str, sim_time_ns: int) -> Decimal:
        """Return the rate of the funding at exactly the time.

        Raises
        ------
        DataError
            If there is none.
        """
        times_ns, rates = self._series[coin]
        place = int(np.searchsorted(times_ns, sim_time_ns))
        if place == len(times_ns) or times_ns[place] != sim_time_ns:
            raise DataError(f"{coin} has no funding at {time_text(sim_time_ns)}; import the rates again")
        return Decimal(repr(float(rates[place])))


def import_funding(
    cache: Path, path: Path, *, exchange: str, coin: str, replace: bool = False
) -> StoredFunding:
    """Read a file of funding rates and add it to the coin's series, whole or not at all.

    Raises
    ------
    DataError
        If the file cannot be read, breaks a rule, or differs from what is cached and `replace` is false.
    ConfigError
        If exchange or coin are no names.
    """
    for what, name in (("exchange", exchange), ("coin", coin)):
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{what} {name!r} is not understood; write such as binance or BTC")
    exchange, coin = exchange.lower(), coin.upper()
    fresh = _read_file(path)
    target = _path(cache, exchange, coin)
    make_folder(target.parent)
    with locked(target.with_suffix(".lock"), exclusive=True):
        old = _read_series(target)
        merged = _merged(old, fresh, str(path), replace=replace)
        if len(merged.times_ns) > len(old.times_ns) or replace:
            _write_series(target, merged)
    added = len(merged.times_ns) - len(old.times_ns)
    return StoredFunding(exchange, coin, added=added, unchanged=len(fresh.times_ns) - added)


def load_funding(
    cache: Path,
    *,
    coins: tuple[str, ...],
    exchange: str,
    start_ns: int,
    end_ns: int,
    is_missing_accepted: bool,
) -> FundingRates:
    """Return the rates of a run, those in (start, end].

    Raises
    ------
    DataError
        If more than 8 hours of the run pass without a rate of some coin and that is not accepted.
    """
    series = {}
    for coin in coins:
        whole = _read_series(_path(cache, exchange, coin))
        inside = (whole.times_ns > start_ns) & (whole.times_ns <= end_ns)
        found = FundingSeries(whole.times_ns[inside], whole.rates[inside])
        if not is_missing_accepted:
            _refuse_missing(found, coin, exchange, start_ns, end_ns)
        series[coin] = found
    return FundingRates(series)


def _refuse_missing(series: FundingSeries, coin: str, exchange: str, start_ns: int, end_ns: int) -> None:
    times = [start_ns, *series.times_ns.tolist(), end_ns]
    for before, after in itertools.pairwise(times):
        if after - before > _INTERVAL_NS + _LATE_NS:
            raise DataError(
                f"{coin} of {exchange} has no funding rate between {time_text(before)} and {time_text(after)}, and "
                "there is one at least every 8 hours; import them with `replay data import-funding FILE "
                f"--exchange {exchange} --coin {coin}`, or accept that nothing is paid with --missing-funding zero"
            )


def _path(cache: Path, exchange: str, coin: str) -> Path:
    return cache / exchange / _FOLDER / f"{coin}.parquet"


def _read_file(path: Path) -> FundingSeries:
    where = str(path)
    table = read_table(path)
    times_ns = instants_ns(_column(table, _TIMES, "time", where), where)
    rates = _rates(_column(table, _RATES, "rate", where), where)
    broken = ~(np.abs(rates) < _RATE_MAX)
    if broken.any():
        row = int(np.argmax(broken))
        raise DataError(
            f"{where}: row {row + 1}: the rate {rates[row]} is none; fractions of the position between "
            f"-{_RATE_MAX} and {_RATE_MAX} are expected, such as 0.0001 for 0.01 %"
        )
    unsorted = np.diff(times_ns) <= 0
    if unsorted.any():
        raise DataError(
            f"{where}: row {int(np.argmax(unsorted)) + 2}: the time is not later than the one before; sort the file"
        )
    return FundingSeries(times_ns, rates)


def _column(table: Any, spellings: tuple[str, ...], what: str, where: str) -> Any:
    plain = {re.sub(r"[\s_]", "", name).lower(): name for name in reversed(table.column_names)}
    found = next((plain[spelling] for spelling in spellings if spelling in plain), None)
    if found is None or table.num_rows == 0:
        names = ", ".join(map(repr, table.column_names))
        raise DataError(
            f"{where}: found {table.num_rows} rows of {names}, without a {what}; "
            f"expected rows with a column such as {', '.join(spellings[:3])}"
        )
    return table[found]


def _rates(column: Any, where: str) -> FloatArray:
    try:
        values: FloatArray = column.cast(pa.float64()).fill_null(np.nan).to_numpy() + 0.0
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise DataError(f"{where}: the rates are no numbers; correct the file") from None
    return values


def _merged(old: FundingSeries, fresh: FundingSeries, where: str, *, replace: bool) -> FundingSeries:
    common, in_old, in_fresh = np.intersect1d(old.times_ns, fresh.times_ns, return_indices=True)
    differing = old.rates[in_old] != fresh.rates[in_fresh]
    if differing.any() and not replace:
        place = int(np.argmax(differing))
        raise DataError(
            f"{where}: the rate of {time_text(int(common[place]))} is {fresh.rates[in_fresh][place]}, cached is "
            f"{old.rates[in_old][place]}; add --replace to take the file's"
        )
    kept = np.ones(len(old.times_ns), dtype=bool)
    kept[in_old] = False
    times_ns = np.concatenate((old.times_ns[kept], fresh.times_ns))
    order = np.argsort(times_ns, kind="stable")
    return FundingSeries(times_ns[order], np.concatenate((old.rates[kept], fresh.rates))[order])


def _read_series(path: Path) -> FundingSeries:
    try:
        table = parquet_table(path)
    except FileNotFoundError:
        return FundingSeries(np.zeros(0, dtype=np.int64), np.zeros(0))
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read: {error}; remove it and import the rates again") from None
    return FundingSeries(int_view(table["time_ns"]), float_view(table["rate"]))


def _write_series(path: Path, series: FundingSeries) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415 - only runs of perpetual contracts need it

    table = pa.table([arrow_array(series.times_ns), arrow_array(series.rates)], names=["time_ns", "rate"])
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    write_whole(path, memoryview(sink.getvalue()))
