"""The small models by themselves: latency, fees, slippage, liquidity, instruments, exact arithmetic."""

from __future__ import annotations

import statistics
from decimal import Decimal, Inexact, localcontext
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import InstrumentSettings
from orchestrator.exchange.events import OrderFilled
from orchestrator.exchange.fees import FeeTier, TieredFees
from orchestrator.exchange.instruments import Instrument, resolve_instruments
from orchestrator.exchange.latency import FixedLatency, LognormalLatency, UniformLatency, normal_quantile
from orchestrator.exchange.liquidity import ShareOfVolume, UnlimitedLiquidity
from orchestrator.exchange.market_view import Candle
from orchestrator.exchange.models import build_fill_model
from orchestrator.exchange.money import (
    EXACT,
    ceil_to,
    fee_amount,
    floor_to,
    from_float,
    is_multiple,
    plain,
    round_up_8,
)
from orchestrator.exchange.slippage import (
    Conditions,
    FixedSlippage,
    HalfSpread,
    SquareRootImpact,
    VolatilityScaledSlippage,
    quote_limit,
    quote_taker,
    volatility_factor,
)
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.protocol import Liquidity, Side
from tests.exchange.cases import MODEL, buy, cancel, run
from tests.exchange.cases import Case as Story
from tests.exchange.harness import MINUTE, MemoryMarket, Row, candles_of

D = Decimal
DAY = 86_400 * 1_000_000_000
RULES = Instrument(coin="BTC", tick_size=D("0.01"), lot_size=D("0.001"), min_notional=D(5))

# ---------------------------------------------------------------- latency


def test_uniform_latency_stays_in_the_closed_interval_and_covers_it() -> None:
    model = UniformLatency(7, D("0.000001"), D("0.000003"))
    assert {model.draw_ns("t", "order", number) for number in range(200)} == {1, 2, 3}


def test_uniform_latency_is_spread_evenly() -> None:
    model = UniformLatency(7, D(50), D(500))
    draws = [model.draw_ns("t", "order", number) / 1e6 for number in range(4000)]
    assert min(draws) >= 50
    assert max(draws) <= 500
    assert statistics.fmean(draws) == pytest.approx(275, rel=0.03)
    assert statistics.pstdev(draws) == pytest.approx(450 / 12**0.5, rel=0.03)


def test_latencies_are_the_same_on_every_machine() -> None:
    # Written down once: another value here means that results of old seeds change.
    uniform = UniformLatency(7, D(50), D(500))
    lognormal = LognormalLatency(7, median_ms=D(150), sigma=D("0.5"), max_ms=D(5000))
    assert [uniform.draw_ns("t", "order", n) for n in (1, 2, 3)] == [60582166, 318974703, 86367572]
    assert [lognormal.draw_ns("t", "order", n) for n in (1, 2, 3)] == [55569177, 169756033, 74502760]


def test_latency_depends_on_its_key_alone() -> None:
    model = UniformLatency(7, D(50), D(500))
    key = model.draw_ns("t", "order", 1)
    model.draw_ns("u", "order", 1)
    assert model.draw_ns("t", "order", 1) == key
    others = [
        model.draw_ns("u", "order", 1),
        model.draw_ns("t", "cancel", 1),
        model.draw_ns("t", "order", 2),
        UniformLatency(8, D(50), D(500)).draw_ns("t", "order", 1),
    ]
    assert key not in others


def test_fixed_latency_is_never_zero() -> None:
    assert FixedLatency(D("0.0000001")).draw_ns("t", "order", 1) == 1


def test_lognormal_latency_has_its_median_and_its_maximum() -> None:
    model = LognormalLatency(7, median_ms=D(150), sigma=D("0.5"), max_ms=D(400))
    draws = sorted(model.draw_ns("t", "order", number) / 1e6 for number in range(2000))
    assert draws[1000] == pytest.approx(150, rel=0.05)
    assert draws[-1] == 400
    below = draws[int(2000 * 0.1587)]  # one standard deviation below the median
    assert below == pytest.approx(150 / 2.718281828**0.5, rel=0.07)


@given(st.floats(1e-9, 1 - 1e-9))
def test_the_normal_quantile_agrees_with_the_library(probability: float) -> None:
    expected = statistics.NormalDist().inv_cdf(probability)
    assert float(normal_quantile(Decimal(probability))) == pytest.approx(expected, rel=2e-9, abs=1e-9)


# ---------------------------------------------------------------- fees


def test_tiers_count_thirty_days_before_the_fill() -> None:
    with localcontext(EXACT):
        fees = TieredFees((FeeTier(D(0), D(10), D(20)), FeeTier(D(1000), D(5), D(8))))
        assert fees.rate_max == D("0.002")
        fees.record("main", D(999), 0)
        assert fees.rate("main", Liquidity.TAKER, 1) == D("0.002")
        fees.record("main", D(1), 1)
        assert fees.rate("main", Liquidity.TAKER, 2) == D("0.0008")
        assert fees.rate("main", Liquidity.MAKER, 2) == D("0.0005")
        assert fees.rate("other", Liquidity.TAKER, 2) == D("0.002")
        assert fees.rate("main", Liquidity.TAKER, 30 * DAY - 1) == D("0.0008")
        assert fees.rate("main", Liquidity.TAKER, 30 * DAY) == D("0.002")


def test_a_fee_is_rounded_up_and_never_above_the_notional() -> None:
    assert fee_amount(D("100.000001"), D("0.002")) == D("0.20000001")
    assert fee_amount(D("100"), D("0.002")) == D("0.2")
    assert fee_amount(D("0.000000001"), D("0.002")) == D("0.000000001")


# ---------------------------------------------------------------- slippage


@pytest.mark.parametrize(
    ("ranges", "factor"),
    [
        ([0.01] * 19, "1"),
        ([0.01] * 20, "1"),
        ([0.01] * 19 + [0.015], "1.5"),
        ([0.01] * 19 + [0.05], "2"),
        ([0.01] * 19 + [0.005], "1"),
        ([0.0] * 20, "1"),
        ([0.0] * 19 + [0.001], "2"),
        ([0.01] * 10 + [0.02] * 9 + [0.018], "1.2857142857142857142857142857142857"),
    ],
)
def test_the_volatility_factor(ranges: list[float], factor: str) -> None:
    # The last: sorted, the middle two of 20 are 0.01 and 0.018; 0.018 / 0.014.
    with localcontext(EXACT):
        assert volatility_factor(np.array(ranges)) == pytest.approx(D(factor), abs=D("1e-30"))


def conditions(volume: float = 1000.0) -> Conditions:
    candle = Candle(0, MINUTE, 100.0, 101.0, 99.0, 100.0, volume)
    return Conditions(MemoryMarket({"BTC": [candle]}), "BTC", candle)


@given(
    side=st.sampled_from(list(Side)),
    cents=st.integers(1, 10_000_000),
    bps=st.integers(0, 9_999),
    lots=st.integers(1, 10_000_000),
)
def test_a_taker_never_gains_and_the_parts_sum_up(side: Side, cents: int, bps: int, lots: int) -> None:
    with localcontext(EXACT):
        models = (FixedSlippage(D(bps) / 10), SquareRootImpact(D(30)), HalfSpread(D(2)))
        reference = D(cents) / 100
        quote = quote_taker(models, side, reference, D(lots) / 1000, conditions(), RULES)
        assert is_multiple(quote.price, RULES.tick_size)
        assert (
            quote.price >= reference if side is Side.BUY else quote.price <= max(reference, RULES.tick_size)
        )
        assert sum(bps for _, bps in quote.parts) == quote.slippage_bps


def test_parts_that_are_nothing_are_left_out() -> None:
    with localcontext(EXACT):
        quote = quote_taker(
            (FixedSlippage(D(5)), VolatilityScaledSlippage(D(5))), Side.BUY, D(100), D(1), conditions(), RULES
        )
    assert quote.parts == (("base", D(5)),)


def test_the_way_to_the_limit_is_a_part() -> None:
    models = (FixedSlippage(D(5)), HalfSpread(D(2)))
    with localcontext(EXACT):
        buys = quote_limit(models, Side.BUY, D(100), D("100.04"), D(1), conditions())
        sells = quote_limit(models, Side.SELL, D(100), D("99.98"), D(1), conditions())
    # 0.04 / 100 = 4 bp, 7 - 3; 0.02 / 100 = 2 bp, 7 - 5.
    assert buys == (D("100.04"), D(4), (("base", D(5)), ("spread", D(2)), ("limit", D(-3))))
    assert sells == (D("99.98"), D(2), (("base", D(5)), ("spread", D(2)), ("limit", D(-5))))


def test_a_sell_price_is_never_below_one_tick() -> None:
    with localcontext(EXACT):
        quote = quote_taker(
            (FixedSlippage(D(9_999)), FixedSlippage(D(9_999))), Side.SELL, D(1), D(1), conditions(), RULES
        )
    assert quote.price == D("0.01")


def test_a_fill_tells_why() -> None:
    story = Story(
        "", [(100, 101, 99, 100, 1000)] * 3, [buy("10")], "", "", model={"impact_bps": D(30)}, end="3:00"
    )
    fill = next(outcome for outcome in run(story).outcomes if isinstance(outcome, OrderFilled))
    # 5 + 30 * sqrt(10 / 1000) = 8 bp: 100.08, on the tick.
    assert fill.price == D("100.08")
    assert fill.slippage_bps == 8
    assert fill.slippage_parts == (("base", D(5)), ("impact", D(3)))
    assert fill.participation == D("0.01")
    assert fill.reference_price == 100
    assert fill.reference_open_time_ns == MINUTE
    assert fill.latency_ns == 100_000_000
    assert fill.fill_number == 1


# ---------------------------------------------------------------- liquidity


def test_shares_of_volume() -> None:
    with localcontext(EXACT):
        model = ShareOfVolume(D(1), D("0.01"))
        assert model.allowance(D(1000)) == 10
        assert model.cut(D(25), D(25), D(10), D("0.001")) == 10
        assert model.cut(D(25), D(25), D("10.0009"), D("0.001")) == 10
        assert model.cut(D("10.1"), D("10.1"), D(10), D("0.001")) == D("10.1")
        assert model.cut(D("10.102"), D("10.102"), D(10), D("0.001")) == 10
        assert model.cut(D(25), D(25), D("0.0009"), D("0.001")) == 0


def test_unlimited_liquidity_needs_volume() -> None:
    model = UnlimitedLiquidity()
    assert model.allowance(D(0)) == 0
    assert model.allowance(D("0.1")).is_infinite()


# ---------------------------------------------------------------- exact arithmetic


@given(st.decimals(0, 10**9, places=12), st.sampled_from(["0.01", "0.25", "1e-8", "5", "0.003"]))
def test_rounding_to_a_step(value: Decimal, step_text: str) -> None:
    step = D(step_text)
    with localcontext(EXACT):
        low, high = floor_to(value, step), ceil_to(value, step)
        assert low <= value <= high
        assert high - low in (0, step)
        assert is_multiple(low, step)
        assert is_multiple(high, step)


@given(st.decimals(-(10**12), 10**12, places=10))
def test_plain_numbers_are_equal_and_short(value: Decimal) -> None:
    text = str(plain(value))
    assert D(text) == value
    assert "E" not in text.replace("E-", "")
    assert "." not in text or not text.endswith("0")


def test_what_does_not_fit_is_an_error() -> None:
    with localcontext(EXACT), pytest.raises(Inexact):
        _ = D(1) / D(3)
    assert not is_multiple(D("0." + "3" * 200), D("0.01"))
    assert round_up_8(D("0.000000001")) == D("1e-8")
    assert from_float(0.1) == D("0.1")


# ---------------------------------------------------------------- instruments and settings


def test_instruments_come_from_the_user_then_the_venue_then_the_fallback() -> None:
    mine = InstrumentSettings(lot_size=D("0.5"), min_notional=D(0))
    found = resolve_instruments(("BTC", "DOGE", "NEWCOIN"), {"DOGE": mine}, "Binance")
    assert found["BTC"] == Instrument(
        coin="BTC", tick_size=D("0.01"), lot_size=D("0.00001"), min_notional=D(5)
    )
    assert found["DOGE"] == Instrument(
        coin="DOGE", tick_size=D("0.00001"), lot_size=D("0.5"), min_notional=D(0)
    )
    assert found["NEWCOIN"] == Instrument(
        coin="NEWCOIN", tick_size=D("1e-8"), lot_size=D("1e-8"), min_notional=D(5)
    )


@pytest.mark.parametrize("coin", ["BTC", "ETH", "SOL", "XRP", "DOGE", "LTC", "LINK", "AVAX", "TRX", "SHIB"])
@pytest.mark.parametrize("exchange", ["binance", "kucoin", "coinbase", "kraken", "bitfinex", "nowhere"])
def test_every_common_coin_has_rules_everywhere(coin: str, exchange: str) -> None:
    rules = resolve_instruments((coin,), {}, exchange)[coin]
    assert 0 < rules.tick_size <= 1
    assert 0 < rules.lot_size <= 1
    assert 0 <= rules.min_notional <= 10


def test_every_choice_of_models_can_be_built() -> None:
    chosen: list[dict[str, Any]] = [
        {},
        {"slippage_model": "fixed", "half_spread_bps": D(2), "impact_bps": D(10)},
        {"liquidity_model": "unlimited", "touch": "touch", "intrabar": "optimistic"},
        {"latency_model": "fixed"},
        {"latency_model": "lognormal"},
        {"maker_bps": D(10), "taker_bps": D(20)},
    ]
    for fields in chosen:
        model = build_fill_model(msgspec.structs.replace(ExecutionModelSettings(), **fields), 7)
        assert model.latency.draw_ns("t", "order", 1) > 0


def test_what_happens_before_a_time_does_not_depend_on_candles_after_it() -> None:
    rows: list[Row | None] = [
        (100 + i % 3, 103 + i % 2, 98 - i % 4, 100 + i % 3, 300.0 + i) for i in range(12)
    ]
    late: list[Row | None] = [
        row if row is None or place < 6 else (row[0] * 3, row[1] * 3, row[2] * 3, row[3] * 3, row[4])
        for place, row in enumerate(rows)
    ]
    asks = [buy(str(qty), time=f"{minute}:00") for minute, qty in [(1, 9), (3, 2), (5, 7)]]
    asks += [buy("5", limit="97", time="2:00"), buy("5", stop="103", time="2:00"), cancel("t-2", "8:00")]
    told = []
    for candles in (rows, late):
        harness = run(Story("", candles, asks, "", "", end="12:00"))
        told.append([outcome for outcome in harness.outcomes if outcome.sim_time_ns < 6 * MINUTE])
    assert told[0] == told[1]
    assert len(told[0]) > 10


def test_the_model_of_the_cases_is_what_they_say() -> None:
    filled = MODEL.resolved()
    assert (filled.slippage_bps, filled.fee_bps, filled.max_volume_pct) == (D(5), D(20), D(1))
    assert candles_of([None, (1, 1, 1, 1, 1)])[0].open_time_ns == MINUTE
