"""Figures worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.benchmark import buy_and_hold_return
from orchestrator.analysis.costs import slippage_cost, total_fees
from orchestrator.analysis.curve import total_return
from orchestrator.analysis.drawdown import max_drawdown
from orchestrator.analysis.headline import headline_of
from orchestrator.errors import DataError
from orchestrator.runs.reader import open_run
from orchestrator.runs.writer import RunWriter
from tests.runs import samples


def curve(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(values, dtype=np.float64)


@pytest.mark.parametrize(
    ("values", "gained", "fell"),
    [
        ((100.0,), 0.0, 0.0),
        ((100.0, 110.0), 0.1, 0.0),
        ((100.0, 80.0), -0.2, 0.2),
        ((100.0, 200.0, 150.0, 190.0, 120.0, 300.0, 240.0), 1.4, 0.4),  # 200 -> 120
        ((100.0, 50.0, 200.0, 120.0), 0.2, 0.5),  # 100 -> 50
        ((100.0, 0.0), -1.0, 1.0),
    ],
)
def test_return_and_drawdown(values: tuple[float, ...], gained: float, fell: float) -> None:
    assert total_return(curve(*values)) == pytest.approx(gained)
    assert max_drawdown(curve(*values)) == pytest.approx(fell)


@pytest.mark.parametrize("values", [(0.0, 1.0), (-1.0, 1.0), (1.0, float("nan")), (float("nan"), 1.0)])
def test_an_impossible_curve_is_refused(values: tuple[float, ...]) -> None:
    for figure in (total_return, max_drawdown):
        with pytest.raises(DataError):
            figure(curve(*values))


@given(st.lists(st.floats(1.0, 1e6), min_size=1, max_size=30), st.floats(0.0, 1e6))
def test_a_raised_curve_has_no_larger_drawdown(values: list[float], raised: float) -> None:
    equity = curve(*values)
    assert 0.0 <= max_drawdown(equity + raised) <= max_drawdown(equity) + 1e-9


def test_buy_and_hold_puts_the_same_amount_in_each_coin() -> None:
    pairs = [(100.0, 150.0), (10.0, 9.0)]  # +50 % and -10 %
    assert buy_and_hold_return(pairs, 0.0) == pytest.approx(0.2)
    assert buy_and_hold_return(pairs, 0.002) == pytest.approx(
        1.2 / 1.002 - 1
    )  # buying costs, holding does not
    assert buy_and_hold_return([*pairs, None, None], 0.0) == pytest.approx(0.1)  # not begun: still cash
    for marks in ([], [(1.0, 0.0)], [(float("nan"), 1.0)]):
        with pytest.raises(DataError):
            buy_and_hold_return(marks, 0.0)


def test_costs_are_exact() -> None:
    fills = [
        {
            "side": "buy",
            "qty": Decimal("0.3"),
            "fill_price": Decimal("100.1"),
            "reference_price": Decimal(100),
            "fees": Decimal("0.1"),
        },
        {
            "side": "sell",
            "qty": Decimal(2),
            "fill_price": Decimal("99.8"),
            "reference_price": Decimal(100),
            "fees": Decimal("0.2"),
        },
        {
            "side": "sell",
            "qty": Decimal(1),
            "fill_price": Decimal("100.05"),
            "reference_price": Decimal(100),
            "fees": Decimal(0),
        },
    ]
    assert total_fees(fills) == Decimal("0.3")
    assert slippage_cost(fills) == Decimal("0.38")  # 0.03 + 0.4 - 0.05
    assert total_fees([]) == slippage_cost([]) == 0


CONFIG = """[account]
initial_cash = 9000.5
[execution_model]
taker_bps = 10
"""


class Prices:
    """BTC doubles, ETH has no candle in the run."""

    def first_and_last(self, coin: str, end_ns: int) -> tuple[float, float] | None:
        assert end_ns == samples.time_ns(25)
        return (100.0, 200.0) if coin == "BTC" else None


def test_the_headline_of_a_run(tmp_path: Path) -> None:
    samples.write_run(tmp_path / "run", config=CONFIG)
    run = open_run(tmp_path / "run")
    found = headline_of(run, initial_cash=Decimal(10_000), market=Prices())
    assert found.initial_equity == 10_000
    assert found.final_equity == pytest.approx(10_000 + 25 / 3)
    assert found.total_return == pytest.approx(25 / 30_000)
    assert found.max_drawdown == 0
    assert found.buy_and_hold_return == pytest.approx((2 / 1.001 + 1) / 2 - 1)  # half of it stays cash
    assert found.fills == 5
    assert found.fees == pytest.approx(42.0)  # 5 x 8.4
    assert found.slippage_cost == pytest.approx(3.75)  # 5 x 0.5 x 1.5
    assert found.lines("USD") == [
        "equity     10,000.00 -> 10,008.33 USD",
        "return     +0.08% (buy and hold +49.90%)",
        "drawdown   0.00%",
        "fills      5, fees 42.00, slippage cost 3.75 USD",
    ]
    alone = headline_of(run)
    assert alone.initial_equity == 9000.5
    assert alone.buy_and_hold_return is None


def test_a_run_without_a_tick_or_a_configuration_has_none(tmp_path: Path) -> None:
    samples.write_run(tmp_path / "empty", n_sequences=0, config=CONFIG)
    with pytest.raises(DataError, match="no tick"):
        headline_of(open_run(tmp_path / "empty"))
    samples.write_run(tmp_path / "run")
    with pytest.raises(DataError, match="initial_cash"):
        headline_of(open_run(tmp_path / "run"))


def test_no_coin_with_a_price_gives_no_buy_and_hold(tmp_path: Path) -> None:
    class Nothing:
        def first_and_last(self, coin: str, end_ns: int) -> tuple[float, float] | None:
            assert coin in samples.COINS
            assert end_ns
            return None

    writer = RunWriter.create(
        tmp_path / "run", coins=samples.COINS, config_toml="", manifest=samples.manifest()
    )
    writer.write_equity(samples.equity(1, 2))
    writer.finish(samples.manifest(status="complete"))
    found = headline_of(open_run(tmp_path / "run"), initial_cash=Decimal(1), market=Nothing())
    assert found.buy_and_hold_return is None
