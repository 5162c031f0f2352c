"""Real candles of real exchanges: imported as they are, loaded fast, their known features found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from orchestrator.errors import DataError
from orchestrator.market.cache import series_in
from orchestrator.market.importing import import_file
from orchestrator.market.mapped import map_series
from orchestrator.market.verify import verify_series
from tests.market.builders import open_market

pytestmark = pytest.mark.shared
COINS = ("BTC", "ETH", "DOGE")
TEN = ("AVAX", "BTC", "DOGE", "ETH", "LINK", "LTC", "SHIB", "SOL", "TRX", "XRP")


def bring(cache: Path, folder: Path, pattern: str) -> None:
    for path in sorted(folder.glob(pattern)):
        import_file(cache, path)


@pytest.fixture(scope="module")
def ten(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("ten")
    bring(cache, shared_data / "binance", "*_5m.parquet")
    return cache


def test_three_coins_of_binance_are_cached_value_for_value(shared_data: Path, ten: Path) -> None:
    for key in series_in(ten):
        table = pq.read_table(shared_data / "binance" / f"{key.coin}-USDT_5m.parquet")
        cached = map_series(ten, key)
        np.testing.assert_array_equal(cached.open_times_ns, table["time"].to_numpy() * 10**9)
        for name in ("open", "high", "low", "close", "volume"):
            np.testing.assert_array_equal(getattr(cached, name), table[name].to_numpy())
    market = open_market(ten, COINS, "2024-01-01", "2024-07-01")
    assert market.tick_count == 52_416
    assert market.tick_times_ns[-1] == market.end_ns


def test_dates_after_the_real_data_tell_the_range(ten: Path) -> None:
    with pytest.raises(DataError, match="BTC 2024-01-01 00:00 to 2024-09-06 04:40"):
        open_market(ten, ("BTC",), "2024-01-01", "2025-01-01")


def test_segments_of_one_series_join(shared_data: Path, tmp_path: Path) -> None:
    for folder in ("binance_2023", "binance", "binance_2025q1"):
        import_file(tmp_path, shared_data / folder / "BTC-USDT_5m.parquet")
    report = verify_series(tmp_path, series_in(tmp_path)[0])
    assert report.problems == ()
    assert report.candle_count == 104_816 + 71_768 + 25_920
    assert report.gaps[0].length_ns == 80 * 60 * 10**9  # 2023-03-24


def test_known_gaps_are_found_and_accepted_by_the_flag_that_is_printed(
    shared_data: Path, tmp_path: Path
) -> None:
    for coin in ("BTC", "DOGE"):
        import_file(tmp_path, shared_data / "binance_2021spring" / f"{coin}-USDT_1m.parquet")
    with pytest.raises(
        DataError, match=r"4 gap\(s\).*2021-04-20 02:00 \(2h30m\).*--gaps stale --max-gap 5h$"
    ):
        open_market(tmp_path, ("BTC", "DOGE"), "2021-04-02", "2021-05-14")
    market = open_market(
        tmp_path, ("BTC", "DOGE"), "2021-04-02", "2021-05-14", gaps="stale", max_gap_ns=18_000 * 10**9
    )
    assert market.tick_count == 42 * 1440 - 434
    assert market.notes[-1] == "DOGE: 2 gaps, longest 4h44m, kept stale"


def test_thousands_of_gaps_of_bitfinex(shared_data: Path, tmp_path: Path) -> None:
    import_file(tmp_path, shared_data / "bitfinex" / "XRP-USD_1m.parquet")
    report = verify_series(tmp_path, series_in(tmp_path)[0])
    assert (len(report.gaps), report.problems) == (21_126, ())
    assert sum(gap.length_ns for gap in report.gaps) == 30_574 * 60 * 10**9
    with pytest.raises(DataError, match=r"^21126 gap\(s\) .* and 21121 more") as caught:
        open_market(tmp_path, ("XRP",), "2019-01-01", "2019-07-01")
    assert len(str(caught.value)) < 500


def test_exchanges_are_told_by_their_folders(shared_data: Path, tmp_path: Path) -> None:
    bring(tmp_path, shared_data / "kucoin_2021-2023", "SOL*")
    bring(tmp_path, shared_data / "kucoin", "SOL*")
    bring(tmp_path, shared_data / "kraken_2019h1", "BTC*")
    assert [str(key) for key in series_in(tmp_path)] == ["kraken BTC-USD 1h", "kucoin SOL-USDT 1h"]


MEASURE = """
import json, pathlib, sys, time
import psutil
started = time.perf_counter()
from tests.market.builders import open_market
imported = time.perf_counter()
market = open_market(pathlib.Path(sys.argv[1]), tuple(sys.argv[2].split(",")), "2024-01-01", "2024-09-01")
loaded = time.perf_counter()
process = psutil.Process()
after_load = process.memory_info().rss
halves = []
for first in range(0, market.tick_count, 4096):
    market.block(first, first + 4096)
    halves.append(process.memory_info().rss)
print(json.dumps({"load": loaded - imported, "rss": after_load, "middle": halves[len(halves) // 2], "end": halves[-1]}))
"""


def test_ten_coins_load_into_little_and_flat_memory(ten: Path) -> None:
    command = [sys.executable, "-c", MEASURE, str(ten), ",".join(TEN)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)  # builds the mapped files
    child = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    figures = json.loads(child.stdout)
    assert figures["rss"] < 200e6
    assert figures["end"] < figures["middle"] * 1.02
