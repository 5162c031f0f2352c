"""Files of other programs are read to the same candles, however they spell them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from orchestrator.errors import ConfigError, DataError
from orchestrator.market.candles import VALUES, Candles
from orchestrator.market.naming import key_of_file
from orchestrator.market.readers import read_candles
from orchestrator.market.series import SeriesKey
from tests.market.builders import assert_equal, candles_from, csv_text, rows_of

CANDLES = candles_from("2024-01-01", 30)


def frame(candles: Candles = CANDLES) -> pd.DataFrame:
    return pd.DataFrame(
        dict(zip(("time", *VALUES), (candles.open_times_ns // 10**9, *candles.values), strict=True))
    )


def iso(candles: Candles, suffix: str) -> list[str]:
    return [str(np.datetime64(int(t), "ns").astype("datetime64[s]")) + suffix for t in candles.open_times_ns]


def write_iso_csv(path: Path, suffix: str) -> None:
    frame().assign(time=iso(CANDLES, suffix)).to_csv(path, index=False)


WRITERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "csv": ("a.csv", lambda p: p.write_text(csv_text(CANDLES))),
    "csv with carriage returns and a mark": (
        "a.csv",
        lambda p: p.write_bytes(b"\xef\xbb\xbf" + csv_text(CANDLES).replace("\n", "\r\n").encode()),
    ),
    "csv with semicolons": ("a.csv", lambda p: p.write_text(csv_text(CANDLES).replace(",", ";"))),
    "csv zipped": ("a.csv.gz", lambda p: p.write_bytes(gzip.compress(csv_text(CANDLES).encode()))),
    "csv without header": ("a.csv", lambda p: p.write_text(csv_text(CANDLES, header=""))),
    "csv capitals": (
        "a.csv",
        lambda p: p.write_text(csv_text(CANDLES, "Open Time,Open,High,Low,Close,Volume")),
    ),
    "csv short": ("a.csv", lambda p: p.write_text(csv_text(CANDLES, "ts,o,h,l,c,v"))),
    "csv vol": ("a.csv", lambda p: p.write_text(csv_text(CANDLES, "open_time,open,high,low,close,vol"))),
    "csv iso": ("a.csv", lambda p: write_iso_csv(p, "")),
    "csv iso Z": ("a.csv", lambda p: write_iso_csv(p, "Z")),
    "csv iso zone": ("a.csv", lambda p: write_iso_csv(p, "+00:00")),
    "csv iso UTC": ("a.csv", lambda p: write_iso_csv(p, " UTC")),
    "csv of pandas with its index": (
        "a.csv",
        lambda p: frame().set_index(pd.DatetimeIndex(CANDLES.open_times_ns)).drop(columns="time").to_csv(p),
    ),
    "parquet": ("a.parquet", lambda p: frame().to_parquet(p)),
    "parquet index": (
        "a.parquet",
        lambda p: frame().set_index(pd.DatetimeIndex(CANDLES.open_times_ns, tz="UTC")).to_parquet(p),
    ),
    "parquet texts": ("a.parquet", lambda p: frame().astype(dict.fromkeys(VALUES, str)).to_parquet(p)),
    "feather freqtrade": (
        "a.feather",
        lambda p: feather.write_feather(
            pa.table(
                {"date": pa.array(CANDLES.open_times_ns, pa.timestamp("ns", tz="UTC"))}
                | dict(zip(VALUES, CANDLES.values, strict=True))
            ),
            str(p),
        ),
    ),
    "json freqtrade": ("a.json", lambda p: p.write_text(json.dumps(rows_of(CANDLES, 10**6)))),
    "json texts": (
        "a.json",
        lambda p: p.write_text(
            json.dumps([[t, *map(repr, values)] for t, *values in rows_of(CANDLES, 10**6)])
        ),
    ),
    "json binance": (
        "a.json",
        lambda p: p.write_text(json.dumps([[*r, 0, "0", 1, "0", "0", "0"] for r in rows_of(CANDLES)])),
    ),
    "json objects": (
        "a.json",
        lambda p: p.write_text(
            json.dumps([dict(zip("tohlcv", row, strict=True)) for row in rows_of(CANDLES)])
        ),
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_reads_to_the_same_candles(name: str, tmp_path: Path) -> None:
    file_name, write = WRITERS[name]
    write(tmp_path / file_name)
    assert_equal(read_candles(tmp_path / file_name), CANDLES)


@pytest.mark.parametrize("unit_ns", [10**9, 10**6, 10**3, 1])
@pytest.mark.parametrize("kind", [np.int64, np.float64])
def test_times_tell_their_unit_by_their_size(unit_ns: int, kind: type, tmp_path: Path) -> None:
    table = frame().assign(time=(CANDLES.open_times_ns // unit_ns).astype(kind))
    table.to_parquet(tmp_path / "a.parquet")
    assert_equal(read_candles(tmp_path / "a.parquet"), CANDLES)


def test_fractions_of_a_second_are_kept_for_the_grid_to_refuse(tmp_path: Path) -> None:
    frame().assign(time=CANDLES.open_times_ns / 1e9 + 0.5).to_parquet(tmp_path / "a.parquet")
    np.testing.assert_array_equal(
        read_candles(tmp_path / "a.parquet").open_times_ns, CANDLES.open_times_ns + 500_000_000
    )


REFUSED: dict[str, tuple[str, str | bytes, str]] = {
    "empty": ("a.csv", "", "is empty"),
    "header only": ("a.csv", "time,open,high,low,close,volume\n", "no rows"),
    "no rows": ("a.json", "[]", "no rows"),
    "no list": ("a.json", '{"a": 1}', "expected a list"),
    "cut json": ("a.json", "[[1, 2, 3, 4, 5, 6], [1,", "truncated or corrupt"),
    "ragged json": ("a.json", "[[1, 2, 3, 4, 5, 6], [1, 2]]", "row 2"),
    "cut row": (
        "a.csv",
        "time,open,high,low,close,volume\n0,1,1,1,1,1\n300,1,1",
        "row 2.*[Ee]xpected 6 columns, got 3",
    ),
    "cut row without header": ("a.csv", "0,1,1,1,1,1\n300,1,1", "row 2.*xpected 6 columns, got 3"),
    "not parquet": ("a.parquet", b"PAR1 and nothing more", "truncated or corrupt"),
    "not feather": ("a.feather", b"ARROW1 and nothing more", "truncated or corrupt"),
    "cut gzip": ("a.csv.gz", gzip.compress(csv_text(CANDLES).encode())[:-20], "truncated or corrupt"),
    "wrong columns": (
        "a.csv",
        "time,open,high,close\n0,1,1,1\n",
        "found the columns 'time', 'open'.*without low, volume.*expected time",
    ),
    "seven columns": ("a.csv", "0,1,1,1,1,1,1\n", "have 7 columns; expected 6"),
    "word for a number": (
        "a.csv",
        "time,open,high,low,close,volume\n0,1,1,1,1,1\n300,1,oops,1,1,1\n",
        "row 2: high 'oops'",
    ),
    "word for a time": (
        "a.csv",
        "time,open,high,low,close,volume\n0,1,1,1,1,1\nsoon,1,1,1,1,1\n",
        "row 2: the time 'soon'",
    ),
    "no time": (
        "a.csv",
        "time,open,high,low,close,volume\n0,1,1,1,1,1\n,1,1,1,1,1\n",
        "row 2: the time is missing",
    ),
    "mixed units": (
        "a.csv",
        "time,open,high,low,close,volume\n1704067200,1,1,1,1,1\n1704067500000,1,1,1,1,1\n",
        "row 2.*in ms, the rows before in s",
    ),
    "time of the wrong kind": (
        "a.json",
        '[{"time": true, "o": 1, "h": 1, "l": 1, "c": 1, "v": 1}]',
        "of type bool",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(name: str, tmp_path: Path) -> None:
    file_name, content, message = REFUSED[name]
    path = tmp_path / file_name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=message) as caught:
        read_candles(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_number_becomes_nan_for_the_check(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time,open,high,low,close,volume\n0,1,1,1,1,1\n300,1,,1,1,1\n")
    assert np.isnan(read_candles(path).high[1])


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_a_truncated_parquet_file_is_refused(keep: float, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pandas(frame()), path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(DataError, match="truncated or corrupt"):
        read_candles(path)


def test_a_file_that_is_not_there_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_candles(tmp_path / "a.csv")
    folder = tmp_path / "b.csv"
    folder.mkdir()
    with pytest.raises(DataError, match="is a folder"):
        read_candles(folder)


def test_an_unknown_ending_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.csv, \.parquet, \.feather, \.json"):
        read_candles(tmp_path / "a.xlsx")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("binance/BTC-USDT_5m.parquet", ("binance", "BTC", "USDT", "5m")),
        ("kucoin_2021-2023/BTC-USDT_1h.parquet", ("kucoin", "BTC", "USDT", "1h")),
        ("kraken/BTC_USD-1d.feather", ("kraken", "BTC", "USD", "1d")),
        ("Binance/btcusdt_1h.csv", ("binance", "BTC", "USDT", "1h")),
        ("binance/BTCUSDT-1h-2024-01.csv", ("binance", "BTC", "USDT", "1h")),
        ("binance/1INCHUSDT-15min.csv.gz", ("binance", "1INCH", "USDT", "15m")),
        ("bybit/ETHBTC_4h.json", ("bybit", "ETH", "BTC", "4h")),
        ("okx/PEPE-XYZ_7d.json", ("okx", "PEPE", "XYZ", "1w")),
    ],
)
def test_a_name_says_which_series_a_file_holds(path: str, expected: tuple[str, ...]) -> None:
    assert key_of_file(Path(path)) == SeriesKey(*expected)


def test_flags_win_over_the_name_and_what_is_missing_is_asked_for() -> None:
    path = Path("somewhere/BTC-USDT_5m.csv")
    assert key_of_file(path, exchange="My-Own", coin="eth") == SeriesKey("my-own", "ETH", "USDT", "5m")
    with pytest.raises(ConfigError, match=r"exchange cannot be told.*give --exchange,"):
        key_of_file(path)
    with pytest.raises(ConfigError, match="--coin --quote --timeframe"):
        key_of_file(Path("binance/candles.csv"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"exchange": "../up"}, "exchange"),
        ({"coin": "B/C"}, "coin"),
        ({"quote": ""}, "--quote"),
        ({"timeframe": "1month"}, "timeframe"),
    ],
)
def test_names_that_cannot_be(flags: dict[str, str], message: str) -> None:
    named = {"exchange": "binance", "coin": "BTC", "quote": "USDT", "timeframe": "5m"} | flags
    with pytest.raises(ConfigError, match=message):
        key_of_file(Path("a.csv"), **named)
