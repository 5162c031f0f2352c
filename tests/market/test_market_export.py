"""What is exported comes back as it was; the calendar of what is cached."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from orchestrator.cli.data import data
from orchestrator.cli.terminal_plot import calendar_lines
from orchestrator.errors import DataError
from orchestrator.market.cache import entries_of, store_series
from orchestrator.market.coverage import monthly_coverage
from orchestrator.market.exporting import FORMATS, ExportFormat, export_series
from orchestrator.market.importing import import_file
from orchestrator.market.mapped import map_series
from tests.market.builders import KEY, assert_equal, candles_from, without

CANDLES = without(candles_from("2024-01-30", 1_000), 17, 18, 500)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPLAY_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "backtest_cache"
    store_series(folder, KEY, CANDLES)
    store_series(folder, KEY._replace(coin="ETH"), CANDLES)
    return folder


def run(*words: object) -> Result:
    result = CliRunner().invoke(data, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize("kind", FORMATS)
def test_an_exported_file_comes_back_value_for_value(kind: ExportFormat, cache: Path, tmp_path: Path) -> None:
    path = export_series(cache, KEY, tmp_path / "out", kind)
    name = "BTC_USDT-5m" if kind == "feather" else "BTC-USDT_5m"
    assert path == tmp_path / "out" / "binance" / f"{name}.{kind}"
    import_file(tmp_path / "other", path)
    assert_equal(map_series(tmp_path / "other", KEY), CANDLES)


def test_freqtrade_reads_its_feather(cache: Path, tmp_path: Path) -> None:
    table = pd.read_feather(export_series(cache, KEY, tmp_path, "feather"))
    assert list(table.columns) == ["date", "open", "high", "low", "close", "volume"]
    assert str(table["date"].dtype) == "datetime64[ms, UTC]"
    assert table["date"][0] == pd.Timestamp("2024-01-30", tz="UTC")
    np.testing.assert_array_equal(table["close"], CANDLES.close)


def test_export_as_it_is_typed(cache: Path, tmp_path: Path) -> None:
    words = (
        "export",
        "--coin",
        "btc",
        "--format",
        "csv",
        "--start-date",
        "2024-01-31",
        "--end-date",
        "2024-02-01",
    )
    result = run(*words)
    assert result.stdout == "export/binance/BTC-USDT_5m.csv\n"
    lines = (tmp_path / "export/binance/BTC-USDT_5m.csv").read_text().splitlines()
    assert (lines[0], len(lines)) == ("time,open,high,low,close,volume", 1 + 288 - 1)
    with pytest.raises(DataError, match=r"exists; give --replace"):
        run(*words)
    assert run(*words, "--replace").exit_code == 0
    with pytest.raises(DataError, match="nothing to export: DOGE is not cached"):
        run("export", "--coin", "DOGE")
    with pytest.raises(DataError, match="binance BTC-USDT 5m has no candles from 2025"):
        run("export", "--start-date", "2025-01-01")
    assert len(run("export", "--output-dir", tmp_path / "all").stdout.splitlines()) == 2


def test_coverage_is_told_by_the_month(cache: Path) -> None:
    store_series(cache, KEY, candles_from("2024-04-01", 30 * 288))
    shares = monthly_coverage(KEY, entries_of(cache, KEY))
    assert list(shares) == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert shares["2024-01"] == (2 * 288 - 3) / (31 * 288)
    assert (shares["2024-03"], shares["2024-04"]) == (0.0, 1.0)
    weekly = KEY._replace(timeframe="1w")
    store_series(cache, weekly, candles_from("2024-01-01", 9, "1w"))
    assert monthly_coverage(weekly, entries_of(cache, weekly)) == {"2024-01": 1.0, "2024-02": 1.0}


def test_the_calendar_is_full_only_where_nothing_is_missing() -> None:
    months = {"2023-12": 1.0, "2024-01": 0.999, "2024-02": 0.0, "2024-03": 0.01}
    assert calendar_lines({"kucoin BTC-USDT 5m": months}) == [
        "",
        "kucoin BTC-USDT 5m              JFMAMJJASOND",
        "                          2023             █",
        "                          2024  ▇·▁",
    ]


def test_list_shows_the_calendar(cache: Path) -> None:
    assert (
        "binance BTC-USDT 5m             JFMAMJJASOND\n                          2024  ▁▁\n"
        in run("list").stdout
    )
    assert '"2024-01":' in run("list", "--json").stdout
