"""Live fills as people have them: read exactly, or refused with the row."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from orchestrator.analysis.live_fills import LiveFill, read_live_fills
from orchestrator.config import NS_PER_SECOND, parse_date_ns
from orchestrator.errors import DataError
from orchestrator.protocol import Side

D = Decimal
NOON = parse_date_ns("2024-01-31T12:00:00")
HEADER = "time,side,qty,price"


def write(path: Path, text: str) -> Path:
    file = path / "fills.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_fills_come_in_order_of_time(tmp_path: Path) -> None:
    text = "Price , qty,SIDE,fee,Timestamp\n43000.5,0.1,SELL,x,1706702401.25\n43000,0.25,Buy,x,1706702400\n\n"
    assert read_live_fills(write(tmp_path, text)) == [
        LiveFill(2, NOON, Side.BUY, D("0.25"), D(43000)),
        LiveFill(1, NOON + 1_250_000_000, Side.SELL, D("0.1"), D("43000.5")),
    ]


@pytest.mark.parametrize(
    ("text", "after_noon_ns"),
    [
        ("1706702400", 0),
        ("1706702400.123456789", 123_456_789),
        ("1706702400123", 123_000_000),
        ("1706702400123456", 123_456_000),
        ("1706702400123456789", 123_456_789),
        ("2024-01-31T12:00:00.25Z", 250_000_000),
        ("2024-01-31 12:00:00", 0),
        ("2024-01-31 12:00:01 UTC", NS_PER_SECOND),
        ("2024-01-31T13:00:00+01:00", 0),
    ],
)
def test_times_are_understood_to_the_nanosecond(tmp_path: Path, text: str, after_noon_ns: int) -> None:
    (fill,) = read_live_fills(write(tmp_path, f"{HEADER}\n{text},buy,1,2\n"))
    assert fill.time_ns == NOON + after_noon_ns


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column time; its header names nothing"),
        ("time,side,price\n", "has no column qty; its header names time, side, price"),
        (f"{HEADER}\n", "has no fills"),
        (f"{HEADER}\n1706702400,buy,1,2\n1706702400,hold,1,2\n", "row 2: side 'hold' is not understood"),
        (f"{HEADER}\n1706702400,buy,1\n", "row 1: 3 values, fewer than the header names"),
        (f"{HEADER}\nyesterday,buy,1,2\n", "row 1: time 'yesterday' is not understood"),
        (f"{HEADER}\n,buy,1,2\n", "row 1: time '' is not understood"),
        (f"{HEADER}\n-5,buy,1,2\n", "row 1: time '-5' is not understood"),
        (f"{HEADER}\n{'9' * 20},buy,1,2\n", f"row 1: time '{'9' * 20}' is not understood"),
        (f"{HEADER}\n1706702400,buy,0,2\n", "row 1: qty '0' is not a number above 0"),
        (f"{HEADER}\n1706702400,buy,1,-2\n", "row 1: price '-2' is not a number above 0"),
        (f"{HEADER}\n1706702400,buy,1,nan\n", "row 1: price 'nan' is not a number above 0"),
        (f"{HEADER}\n1706702400,buy,1e99,2\n", "row 1: qty '1e99' is not a number above 0"),
        (f'{HEADER}\n1706702400,buy,"1,000",2\n', "row 1: qty '1,000' is not a number above 0"),
    ],
)
def test_what_is_no_fill_is_refused_with_its_row(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_live_fills(write(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_live_fills(tmp_path / "none.csv")
    (tmp_path / "bad.csv").write_bytes(b"time,side\xff\xfe,qty,price\n")
    with pytest.raises(DataError, match="must be a CSV file in UTF-8"):
        read_live_fills(tmp_path / "bad.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_live_fills(tmp_path)
