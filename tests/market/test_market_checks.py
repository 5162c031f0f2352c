"""Candles that break a rule are refused with file, row and reason, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orchestrator.errors import DataError
from orchestrator.market.cache import series_in
from orchestrator.market.candles import Candles
from orchestrator.market.checks import first_fault
from orchestrator.market.importing import import_file
from tests.market.builders import KEY, candles_from, csv_text

NS = 10**9


def change(field: str, row: int, value: float) -> Callable[[Candles], Candles]:
    def changed(candles: Candles) -> Candles:
        column = getattr(candles, field).copy()
        column[row] = value
        return candles._replace(**{field: column})

    return changed


def shift_time(row: int, seconds: int) -> Callable[[Candles], Candles]:
    def changed(candles: Candles) -> Candles:
        times = candles.open_times_ns.copy()
        times[row] += seconds * NS
        return candles._replace(open_times_ns=times)

    return changed


def swapped(candles: Candles) -> Candles:
    return candles.take(np.array([0, 1, 3, 2, 4]))


REJECTIONS = {
    "unsorted": (swapped, r"row 4 \(2024-01-01 00:10\): the time is earlier than in the row before"),
    "duplicate": (
        shift_time(2, -300),
        r"row 3 \(2024-01-01 00:05\): the time is the same as in the row before",
    ),
    "off grid": (shift_time(4, 60), r"row 5 \(2024-01-01 00:21\): the time is off the grid of 5m candles"),
    "low above high": (change("low", 1, 999), r"row 2 \(2024-01-01 00:05\): low is above high \(.*low 999"),
    "open outside": (change("open", 1, 999), r"row 2 .*open is outside low to high"),
    "close outside": (change("close", 1, 1), r"row 2 .*close is outside low to high"),
    "zero price": (change("open", 3, 0), r"row 4 .*open is not above zero"),
    "negative price": (change("low", 3, -1), r"row 4 .*low is not above zero"),
    "not a number": (change("close", 2, np.nan), r"row 3 .*close is not a finite number"),
    "infinite": (change("high", 2, np.inf), r"row 3 .*high is not a finite number"),
    "negative volume": (change("volume", 4, -1), r"row 5 .*volume is negative"),
    "volume not a number": (change("volume", 4, np.nan), r"row 5 .*volume is not a finite number"),
}


@pytest.mark.parametrize("name", REJECTIONS)
def test_a_broken_rule_is_named_and_nothing_is_imported(name: str, tmp_path: Path) -> None:
    broken, message = REJECTIONS[name]
    path = tmp_path / "binance" / "BTC-USDT_5m.csv"
    path.parent.mkdir()
    path.write_text(csv_text(broken(candles_from("2024-01-01", 5))))
    with pytest.raises(DataError, match=message) as caught:
        import_file(tmp_path / "cache", path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert series_in(tmp_path / "cache") == []
    assert not (tmp_path / "cache").exists()


def test_the_first_broken_row_is_named_whatever_the_rule() -> None:
    candles = change("volume", 1, -1)(change("open", 3, -5)(candles_from("2024-01-01", 5)))
    fault = first_fault(candles, KEY.timeframe_ns, KEY.anchor_ns)
    assert fault is not None
    assert fault[0] == 1


def test_sound_candles_with_gaps_and_without_volume_pass() -> None:
    candles = change("volume", 1, 0)(candles_from("2024-01-01", 9)).take(np.array([0, 1, 5, 8]))
    assert first_fault(candles, KEY.timeframe_ns, KEY.anchor_ns) is None


@pytest.mark.parametrize(("exchange", "first"), [("binance", "2024-01-01"), ("kucoin", "2024-01-04")])
def test_weeks_begin_where_the_exchange_has_them(exchange: str, first: str, tmp_path: Path) -> None:
    # 2024-01-01 was a Monday.
    path = tmp_path / "BTC-USDT_1w.csv"
    path.write_text(csv_text(candles_from(first, 3, "1w")))
    assert import_file(tmp_path / "cache", path, exchange=exchange).added == 3
    other = {"binance": "kucoin", "kucoin": "binance"}[exchange]
    with pytest.raises(DataError, match=r"row 1 .*off the grid of 1w"):
        import_file(tmp_path / "cache", path, exchange=other)
