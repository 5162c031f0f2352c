"""What a reader of the documents has at hand: candle files, a cache, the command."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from orchestrator.config import NS_PER_SECOND, parse_date_ns
from orchestrator.home import ENVIRONMENT_HOME
from orchestrator.market.candles import VALUES
from orchestrator.market.synthetic import synthesize, synthetic_candles

BIN = Path(sys.executable).parent
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def candle_table(coin: str, timeframe: str, start: str, end: str) -> pa.Table:
    """Return candles as the files of other programs have them."""
    candles = synthetic_candles(
        coin, timeframe, start_ns=parse_date_ns(start), end_ns=parse_date_ns(end), seed=3
    )
    times = candles.open_times_ns // NS_PER_SECOND
    return pa.table([pa.array(column) for column in (times, *candles.values)], names=["time", *VALUES])


@pytest.fixture(scope="session")
def candle_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the candle files that the documents name."""
    folder = tmp_path_factory.mktemp("candle-files")
    (folder / "binance").mkdir()
    (folder / "broken").mkdir()
    for coin in ("BTC", "ETH", "DOGE"):
        table = candle_table(coin, "5m", "2023-12-30", "2024-02-01")
        for place in (folder, folder / "binance"):
            pq.write_table(table, place / f"{coin}-USDT_5m.parquet")
    pa_csv.write_csv(candle_table("BTC", "1h", "2024-01-01", "2024-01-08"), folder / "prices.csv")
    (folder / "broken" / "BTC-USDT_5m.csv").write_text(
        "time,open,high,low,close,volume\n1704067200,100,99,101,100,3\n", encoding="utf-8"
    )
    return folder


@pytest.fixture
def reader_home(tmp_path: Path, candle_files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home with the candle files and the example bot in it."""
    shutil.copytree(candle_files, tmp_path, dirs_exist_ok=True)
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    for name in [name for name in os.environ if name.startswith("REPLAY_")]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture(scope="session")
def market_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home whose cache holds two weeks of two coins."""
    home = tmp_path_factory.mktemp("market-home")
    start_ns, end_ns = parse_date_ns("2024-01-01"), parse_date_ns("2024-01-15")
    synthesize(home / "backtest_cache", coins=("BTC", "ETH"), start_ns=start_ns, end_ns=end_ns)
    return home


@pytest.fixture
def market_environment(market_home: Path) -> dict[str, str]:
    """Return an environment whose home is `market_home`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REPLAY_")}
    return {**environment, ENVIRONMENT_HOME: str(market_home)}
