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
from orchestrator.market.candles import time_text
from orchestrator.market.divergence import Divergence, divergence_between
from orchestrator.market.importing import import_file
from orchestrator.market.mapped import map_series
from orchestrator.market.pairing import Side, pair_series
from orchestrator.market.verify import SeriesReport, verify_series
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


def test_a_year_of_minutes_takes_less_than_100_mb(shared_data: Path, tmp_path: Path) -> None:
    import_file(tmp_path, shared_data / "binance_2023spring" / "BTC-USDT_1m.parquet")
    (key,) = series_in(tmp_path)
    count = map_series(tmp_path, key).size
    stored = sum(path.stat().st_size for path in (tmp_path / key.folder).iterdir())
    assert stored / count * 365 * 1440 < 50e6  # with the mapped file


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
started = time.process_time()
from tests.market.builders import open_market
imported = time.process_time()
market = open_market(pathlib.Path(sys.argv[1]), tuple(sys.argv[2].split(",")), "2024-01-01", "2024-09-01")
loaded = time.process_time()
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
    subprocess.run(command, check=True, capture_output=True, timeout=200)  # builds the mapped files
    child = subprocess.run(command, check=True, capture_output=True, text=True, timeout=200)
    figures = json.loads(child.stdout)
    assert figures["load"] < 1.0  # seconds of work; a tenth of it in fact
    assert figures["rss"] < 200e6
    assert figures["end"] < figures["middle"] * 1.02


def verified(cache: Path, name: str) -> SeriesReport:
    return next(verify_series(cache, key) for key in series_in(cache) if str(key) == name)


def apart(cache: Path, a: str, b: str, timeframe: str | None = None) -> Divergence:
    pairing = pair_series(cache, Side.parsed(a), Side.parsed(b), timeframe=timeframe)
    divergence = divergence_between(pairing.candles_a, pairing.candles_b)
    assert divergence is not None
    return divergence


def test_the_stale_hour_of_binance_and_its_gap(shared_data: Path, tmp_path: Path) -> None:
    for folder in ("binance_2023spring", "kucoin_2023spring"):
        import_file(tmp_path, shared_data / folder / "BTC-USDT_1m.parquet")
    report = verified(tmp_path, "binance BTC-USDT 1m")
    (run,) = report.flat_runs
    assert (time_text(run.start_ns), time_text(run.end_ns)) == ("2023-03-24 11:28", "2023-03-24 12:40")
    assert run.candles == 72
    (gap,) = report.gaps
    assert (time_text(gap.start_ns), gap.length_ns) == ("2023-03-24 12:40", 80 * 60 * 10**9)
    divergence = apart(tmp_path, "binance", "kucoin")
    assert {time_text(moment.open_time_ns)[:13] for moment in divergence.worst} <= {
        "2023-03-24 11", "2023-03-24 12"
    }  # fmt: skip
    assert 2.2 < divergence.max_pct < 2.4
    assert divergence.median_pct < 0.01


def test_the_filled_hours_of_kucoin(shared_data: Path, tmp_path: Path) -> None:
    import_file(tmp_path, shared_data / "kucoin_2021-2023" / "BTC-USDT_1h.parquet")
    import_file(tmp_path, shared_data / "binance" / "BTC-USDT_1h.parquet")
    runs = verified(tmp_path, "kucoin BTC-USDT 1h").flat_runs
    assert {time_text(run.start_ns): run.candles for run in runs} == {
        "2021-02-07 06:00": 5, "2021-04-06 03:00": 1, "2021-07-27 05:00": 2, "2021-09-23 14:00": 1,
        "2021-12-02 05:00": 1, "2022-08-16 08:00": 1,
    }  # fmt: skip
    worst = apart(tmp_path, "binance", "kucoin").worst[0]
    assert time_text(worst.open_time_ns) == "2021-02-07 09:00"
    assert 2.5 < worst.divergence_pct < 2.6


def test_the_filled_minutes_of_kucoin(shared_data: Path, tmp_path: Path) -> None:
    import_file(tmp_path, shared_data / "kucoin_2023spring" / "DOGE-USDT_1m.parquet")
    assert sum(run.candles for run in verified(tmp_path, "kucoin DOGE-USDT 1m").flat_runs) == 1_863


def test_the_first_hour_of_a_listing(shared_data: Path, tmp_path: Path) -> None:
    import_file(tmp_path, shared_data / "kucoin_2021-2023" / "SOL-USDT_1h.parquet")
    report = verified(tmp_path, "kucoin SOL-USDT 1h")
    assert {outlier.open_time_ns for outlier in report.outliers} == {report.start_ns}


def test_bitfinex_against_kraken(shared_data: Path, tmp_path: Path) -> None:
    import_file(tmp_path, shared_data / "bitfinex" / "BTC-USD_1m.parquet")
    import_file(tmp_path, shared_data / "kraken_2019h1" / "BTC-USD_1h.parquet")
    divergence = apart(tmp_path, "bitfinex", "kraken")
    assert divergence.candles == 4_337
    assert 1.9 < divergence.median_pct < 1.94
    assert 6.3 < divergence.high_pct < 6.4
    assert 7.3 < divergence.max_pct < 7.4
    assert time_text(divergence.worst[0].open_time_ns) == "2019-05-03 00:00"
    assert divergence.adjustment_factor > 1.019


def test_two_exchanges_that_agree(shared_data: Path, tmp_path: Path) -> None:
    import_file(tmp_path, shared_data / "binance_2025q1" / "BTC-USDT_5m.parquet")
    import_file(tmp_path, shared_data / "coinbase" / "BTC-USD_15m.parquet")
    assert apart(tmp_path, "binance", "coinbase").max_pct < 0.27


def test_minutes_and_quarters_that_do_not_sum_to_the_hours(shared_data: Path, tmp_path: Path) -> None:
    import_file(tmp_path, shared_data / "binance_2021spring" / "DOGE-USDT_1m.parquet")
    import_file(tmp_path, shared_data / "binance" / "DOGE-USDT_1h.parquet")
    bring(tmp_path, shared_data / "coinbase", "DOGE*")
    bring(tmp_path, shared_data / "coinbase", "BTC*")
    sell_off = verified(tmp_path, "binance DOGE-USDT 1h").sums
    assert sell_off is not None
    assert sell_off.differing == 3
    assert 140 < sell_off.price_bp_max < 160
    assert time_text(sell_off.price_time_ns)[:10] in {"2021-04-22", "2021-04-23"}
    assert 20 < sell_off.volume_pct_max < 24
    doge, btc = (verified(tmp_path, f"coinbase {coin}-USD 1h").sums for coin in ("DOGE", "BTC"))
    assert doge is not None
    assert btc is not None
    assert doge.differing / doge.compared > 0.07
    assert 20 < doge.price_bp_max < 22
    assert btc.differing < doge.differing
