"""The yardstick of `make fidelity`: the tape and the book are walked as they should be, and the aims are met."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import fidelity, fidelity_measures
from benchmarks.fidelity_report import BEGIN, END, Report, write_page
from benchmarks.order_book import read_recording
from benchmarks.single_orders import Ask, play
from benchmarks.trade_tape import COIN, MINUTE_NS, Tape, Trades, candles_of, market_of, read_trades
from orchestrator.exchange.instruments import resolve_instruments
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.protocol import Side

SECOND = 1_000_000_000
DAY = 86_400
INSTRUMENT = resolve_instruments((COIN,), {}, "kraken")[COIN]
D = Decimal


def tape_of(*trades: tuple[float, str, float, float]) -> Trades:
    """Return trades given as second, side, price, amount."""
    seconds, sides, prices, amounts = zip(*trades, strict=True)
    return Trades(
        (np.array(seconds) * SECOND).astype(np.int64),
        np.array(sides) == "buy",
        np.array(prices, dtype=float),
        np.array(amounts, dtype=float),
    )


FEW = tape_of(
    (1, "buy", 100.0, 1.0),
    (5, "sell", 99.0, 2.0),
    (30, "buy", 101.0, 3.0),
    (70, "buy", 103.0, 1.0),
    (200, "sell", 98.0, 4.0),
)


def test_candles_of_trades_have_none_where_nothing_traded() -> None:
    candles = candles_of(FEW)
    assert (candles.open_times_ns // MINUTE_NS).tolist() == [0, 1, 3]
    assert [column.tolist() for column in candles.values] == [
        [100, 103, 98],
        [101, 103, 98],
        [99, 103, 98],
        [101, 103, 98],
        [6, 1, 4],
    ]


@pytest.mark.parametrize(
    ("side", "qty", "arrival", "expected"),
    [
        (Side.BUY, 1.0, 0.0, (1.0, 100.0, 1.0)),
        (Side.BUY, 1.0, 1.0, (1.0, 100.0, 0.0)),  # a trade at the very arrival counts
        (Side.BUY, 2.0, 0.5, (2.0, 100.5, 29.5)),  # 1 at 100, 1 at 101
        (Side.BUY, 4.0, 1.5, (4.0, 101.5, 68.5)),  # 3 at 101, 1 at 103
        (Side.BUY, 9.0, 1.5, (4.0, 101.5, 68.5)),  # the tape ends
        (Side.SELL, 3.0, 0.0, (3.0, 296 / 3, 200.0)),  # 2 at 99, 1 at 98
        (Side.SELL, 1.0, 201.0, (0.0, None, 0.0)),
    ],
)
def test_takers_walk_the_trades_of_their_side(
    side: Side, qty: float, arrival: float, expected: tuple[float, float | None, float]
) -> None:
    walk = Tape(FEW).take(side, qty, int(arrival * SECOND))
    assert walk.qty == pytest.approx(expected[0])
    assert walk.price == pytest.approx(expected[1]) if expected[1] is not None else np.isnan(walk.price)
    assert walk.wait_ns == int(expected[2] * SECOND)


@pytest.mark.parametrize(
    ("side", "limit", "arrival", "deadline", "expected"),
    [
        (Side.BUY, 99.5, 0, 300, (6.0, 6.0)),
        (Side.BUY, 99.0, 0, 300, (4.0, 6.0)),  # the 2 at 99 only touch
        (Side.BUY, 99.5, 6, 100, (0.0, 0.0)),
        (Side.SELL, 101.0, 0, 300, (1.0, 4.0)),
        (Side.SELL, 101.0, 0, 70, (0.0, 3.0)),  # the deadline itself is too late
    ],
)
def test_what_went_beyond_a_limit(
    side: Side, limit: float, arrival: int, deadline: int, expected: tuple[float, float]
) -> None:
    assert Tape(FEW).amount_beyond(side, limit, arrival * SECOND, deadline * SECOND) == expected


def test_an_order_is_played_by_the_exchange() -> None:
    rows = [(60.0 * minute + 1, "buy", 100.0 + minute, 100.0) for minute in range(8)]
    market = market_of(tape_of(*rows), 8 * MINUTE_NS)
    model = ExecutionModelSettings(
        latency_model="fixed", latency_fixed_ms=D(100), slippage_bps=D(0), max_volume_pct=D(1)
    )
    closes = market.tick_times_ns.tolist()
    got = play(Ask(1, 2 * MINUTE_NS, Side.BUY, D(2)), market, (), model, INSTRUMENT, 8 * MINUTE_NS)
    assert (got.qty, got.price, got.arrival_ns) == (2.0, 102.5, 2 * MINUTE_NS + SECOND // 10)
    assert [fill.rule for fill in got.fills] == ["taker_open", "taker_next_open"]
    sale = Ask(2, 2 * MINUTE_NS, Side.SELL, D(2), D(104), 6 * MINUTE_NS)
    got = play(sale, market, closes, model, INSTRUMENT, 8 * MINUTE_NS)
    assert (got.qty, got.price) == (
        1.0,
        104.0,
    )  # minute 5 goes beyond; minute 4 only touches; then it expires
    got = play(sale._replace(limit=D(200)), market, closes, model, INSTRUMENT, 8 * MINUTE_NS)
    assert got.qty == 0
    assert np.isnan(got.price)


def test_a_recorded_book_is_rebuilt_and_walked(tmp_path: Path) -> None:
    rows = [
        ("depth", "a", 900, 100.5, 9.0, 1),  # in the snapshot already
        ("snapshot", "b", 0, 99.0, 1.0, 5),
        ("snapshot", "b", 0, 98.0, 2.0, 5),
        ("snapshot", "a", 0, 101.0, 1.0, 5),
        ("snapshot", "a", 0, 103.0, 4.0, 5),
        ("depth", "a", 1_000, 102.0, 2.0, 6),
        ("trade", "buy", 1_500, 101.0, 0.7, 0),
        ("depth", "b", 2_000, 99.0, 0.0, 7),
        ("depth", "b", 4_000, 97.0, 1.0, 8),
    ]
    names = ("kind", "side", "event_ms", "price", "qty", "last_id")
    path = tmp_path / "book.parquet"
    pq.write_table(pa.table(dict(zip(names, zip(*rows, strict=True), strict=True))), path)
    recording = read_recording(path)
    assert recording.volume(SECOND, 2 * SECOND) == 0.7
    assert recording.volume(2 * SECOND, 3 * SECOND) == 0
    first, second = recording.books(1)
    assert first.bids.tolist() == [[99, 1], [98, 2]]
    assert first.asks.tolist() == [[101, 1], [102, 2], [103, 4]]
    assert first.mid == 100
    assert first.half_spread_bps == pytest.approx(100)
    assert first.cost_bps(Side.BUY, 2) == pytest.approx(150)  # 1 at 101, 1 at 102
    assert first.cost_bps(Side.SELL, 3) == pytest.approx(1e4 * (1 - (99 + 2 * 98) / 300))
    assert np.isnan(first.cost_bps(Side.SELL, 4))
    assert second.bids.tolist() == [[98, 2]]


def test_tables_are_written_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_page(page, ["| new |", ""])
    assert page.read_text() == f"before\n{BEGIN}\n\n| new |\n\n{END}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(SystemExit, match="lacks the lines"):
        write_page(page, [])


def test_a_made_tape_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(5)
    count = 5 * DAY // 20
    prices = np.round(36_000 * np.exp(np.cumsum(chance.normal(0, 5e-5, count))), 1)
    table = {
        "time_ms": np.sort(chance.integers(0, 5 * DAY * 1000, count)),
        "side": np.where(chance.random(count) < 0.5, "buy", "sell"),
        "price": prices,
        "amount": chance.exponential(0.5, count),
    }
    path = tmp_path / "trades.parquet"
    pq.write_table(pa.table(table), path)
    assert len(read_trades(path).prices) == count
    monkeypatch.setattr(fidelity_measures, "ORDERS", 30)
    monkeypatch.setattr(fidelity, "SHARES", [D(1), D(50)])
    report = Report()
    fidelity.measure_kraken(report, path)
    figures = dict(line.split(": ") for line in report.lines)
    assert float(figures["fidelity_defaults_small_bias_bps"]) > 0
    assert len([line for line in report.page if line.startswith("| ")]) == 2 * 2 + 4 * 3 + 2 * 4
    again = Report()
    fidelity.measure_kraken(again, path)
    assert again.lines == report.lines


@pytest.mark.shared
def test_the_aims_are_met_on_real_trades(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # With fewer orders than the page has.
    monkeypatch.setattr(fidelity_measures, "ORDERS", 300)
    monkeypatch.setattr(fidelity, "SHARES", [D(1), D(10), D(30)])
    report = Report()
    fidelity.measure_kraken(report, shared_data.parent / fidelity.TRADES)
    figures = {name: float(value) for name, value in (line.split(": ") for line in report.lines)}
    assert figures["fidelity_calibrated_small_median_bps"] < 2
    for size in fidelity_measures.SIZES:
        assert figures[f"fidelity_calibrated_{size}_bias_bps"] > -0.5
        assert figures[f"fidelity_defaults_{size}_bias_bps"] > 0
        assert figures[f"fidelity_defaults_mid-candle_{size}_bias_bps"] > 0
    assert figures["fidelity_calibrated_limits_all_wrongly_filled_pct"] < 2
    assert figures["fidelity_calibrated_limits_all_wrongly_missed_pct"] < 15
    assert figures["fidelity_defaults_limits_all_wrongly_filled_pct"] < 2


@pytest.mark.shared
def test_the_book_agrees_with_the_page(shared_data: Path) -> None:
    report = Report()
    fidelity.measure_binance(report, shared_data.parent / fidelity.BOOK)
    page = (Path(fidelity.__file__).parents[1] / "docs" / "fidelity.md").read_text(encoding="utf-8")
    assert [line for line in report.page if line not in page] == []
