from __future__ import annotations

import json
import math
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InvariantError
from orchestrator.protocol import Side
from orchestrator.runs.lines import RECORD_TYPES, encode_line, number_text, time_ns_from_text, time_text
from orchestrator.runs.records import Record, SignalRecord
from tests.runs import samples

finite = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=Decimal("-1e40"), max_value=Decimal("1e40")
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1E+2", "100"),
        ("100.00", "100"),
        ("0.10", "0.1"),
        ("1E-8", "0.00000001"),
        ("-0.00", "0"),
        ("0E+3", "0"),
        ("0E-9", "0"),
        ("-0E-9", "0"),
        ("-1.50", "-1.5"),
        ("12345678901234567890.123456789", "12345678901234567890.123456789"),
    ],
)
def test_numbers_are_exact_fixed_and_without_trailing_zeros(value: str, text: str) -> None:
    assert number_text(Decimal(value)) == text


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_a_number_that_is_not_finite_is_refused(value: str) -> None:
    with pytest.raises(InvariantError):
        number_text(Decimal(value))


@given(finite)
def test_a_number_reads_back_as_the_same_decimal(value: Decimal) -> None:
    text = number_text(value)
    assert "e" not in text.lower()
    assert json.loads(text, parse_float=Decimal, parse_int=Decimal) == value
    assert number_text(Decimal(text)) == text


@given(finite, st.integers(0, 12))
def test_equal_decimals_have_one_spelling(value: Decimal, zeros: int) -> None:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    padded = Decimal((sign, (*digits, *[0] * zeros), exponent - zeros))
    assert number_text(padded) == number_text(value)


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "0.0"),
        (1_704_067_500_000_000_000, "1704067500.0"),
        (1_704_067_500_123_456_789, "1704067500.123456789"),
        (1_704_067_500_050_000_000, "1704067500.05"),
        (-1, "-0.000000001"),
        (-1_500_000_000, "-1.5"),
        (-2_000_000_000, "-2.0"),
    ],
)
def test_times_are_unix_seconds(time_ns: int, text: str) -> None:
    assert time_text(time_ns) == text
    assert time_ns_from_text(text) == time_ns


@given(st.integers(-(2**62), 2**62))
def test_a_time_reads_back_as_the_same_nanosecond(time_ns: int) -> None:
    assert time_ns_from_text(json.loads(time_text(time_ns), parse_float=Decimal)) == time_ns


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("orders.jsonl", samples.order(1)),
        ("order_events.jsonl", samples.order_event(1)),
        ("fills.jsonl", samples.fill(1)),
        ("signals.jsonl", samples.signal(1)),
    ],
)
def test_keys_stand_in_the_order_of_the_fields(name: str, record: Record) -> None:
    line = encode_line(record)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert type(record) is RECORD_TYPES[name]
    expected = ["ts", *[field.name for field in msgspec.structs.fields(record)][1:]]
    assert list(json.loads(line)) == expected


def test_a_fill_is_written_like_this() -> None:
    assert encode_line(samples.fill(1)) == (
        b'{"ts":1704067500.123456789,"sequence":1,"fill_id":"fill-1","client_order_id":"trader-1",'
        b'"component":"trader","side":"buy","symbol":"BTC-USD","qty":0.5,"fill_price":42001.5,"fees":8.4,'
        b'"slippage_bps":5.1,"state":"filled","liquidity":"taker","reference_price":42000,'
        b'"reference_candle":1704067500,"latency_ms":123.456789,"slippage_parts":{"base":5,"rounding":0.1},'
        b'"participation":0.0001,"rule":"taker_open"}\n'
    )


def test_absent_values_are_null_and_enums_are_their_values() -> None:
    line = json.loads(encode_line(msgspec.structs.replace(samples.order(1), side=Side.SELL)))
    assert line["side"] == "sell"
    assert line["limit_price"] is None
    assert line["reason"] is None


def test_the_order_of_a_signals_keys_does_not_matter() -> None:
    one = samples.signal(1)
    other = msgspec.structs.replace(one, values=dict(reversed(one.values.items())))
    assert encode_line(one) == encode_line(other)


signal_values = st.dictionaries(
    st.text(max_size=8),
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    max_size=4,
)


@given(signal_values)
def test_a_signal_reads_back_as_it_was_said(values: dict[str, int | float | str | bool]) -> None:
    line = encode_line(
        SignalRecord(sim_time_ns=0, sequence=1, component="thinker", coin="BTC", values=values)
    )
    read = json.loads(line)["values"]
    assert read == values
    assert {key: type(value) for key, value in read.items()} == {
        key: type(value) for key, value in values.items()
    }


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_signal_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(InvariantError):
        encode_line(msgspec.structs.replace(samples.signal(1), values={"x": value}))
