"""What must never be in the books of an account that may owe; each is named and fatal."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.account_settings import AccountSettings
from orchestrator.errors import InvariantError
from orchestrator.exchange.margin_account import MarginAccount
from orchestrator.exchange.money import quotient_up_8
from orchestrator.protocol import OrderType, Side
from tests.exchange.cases import MODEL
from tests.exchange.harness import MINUTE, Harness, MemoryMarket, candles_of

D = Decimal


@pytest.fixture
def harness() -> Harness:
    """Return an exchange two minutes into the run: 150 bought, half on credit, and a resting buy t-2."""
    market = MemoryMarket({"BTC": candles_of([(100, 101, 99, 100, 100_000)] * 5)})
    account = AccountSettings(kind="margin").resolved()
    made = Harness(market, end_ns=5 * MINUTE, model=MODEL, account=account)
    made.advance(MINUTE)
    made.order(1, "BTC", Side.BUY, D(150))
    made.order(2, "BTC", Side.BUY, D(10), limit_price=D(90), order_type=OrderType.LIMIT)
    made.advance(MINUTE * 3 // 2)
    return made


def account_of(harness: Harness) -> MarginAccount:
    account = harness.exchange._accounts["main"]
    assert isinstance(account, MarginAccount)
    return account


def test_money_from_nowhere_is_found(harness: Harness) -> None:
    account_of(harness).cash += D("0.00000001")
    with pytest.raises(InvariantError, match=r"account main has cash .* its fills say"):
        harness.exchange.validate()


def test_a_flow_is_in_both_books(harness: Harness) -> None:
    account_of(harness).flow("interest", D("-1.5"))
    harness.exchange.validate()
    account_of(harness).cash += 1
    with pytest.raises(InvariantError, match="its fills say"):
        harness.exchange.validate()


def test_coins_from_nowhere_are_found(harness: Harness) -> None:
    account_of(harness).holdings["BTC"] += 1
    with pytest.raises(InvariantError, match="has BTC 151, its fills say 150"):
        harness.exchange.validate()


def test_lost_margin_of_an_order_is_found(harness: Harness) -> None:
    assert account_of(harness).ordered["BTC", Side.BUY] == 900  # 10 * 90
    account_of(harness).order("BTC", Side.BUY, D(-1))
    with pytest.raises(InvariantError, match="ordered, its open orders"):
        harness.exchange.validate()


def test_a_debt_that_would_bear_no_interest_is_found(harness: Harness) -> None:
    account_of(harness).quote_debt_peak = D(1)
    with pytest.raises(InvariantError, match="more than the peaks"):
        harness.exchange.validate()


def test_a_position_that_is_not_backed_is_found(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness.exchange._settlement, "_payable", lambda *_: D(400))
    monkeypatch.setattr(harness.exchange._settlement, "refusal", lambda *_: None)
    harness.order(3, "BTC", Side.BUY, D(400))
    with pytest.raises(InvariantError, match="took a position in BTC that its equity does not back"):
        harness.advance(2 * MINUTE)


def test_what_components_see_is_the_free_margin(harness: Harness) -> None:
    state = harness.exchange.account_state("main")
    # 10000 - 150 * 100.05 - 30.015 = -5037.515; equity 9962.485; likely exposure 15000 + 900, fees 1.8.
    assert state.cash == D("-5037.515")
    assert state.cash - state.cash_held == D("4660.685")  # 9962.485 - 5300 - 1.8
    assert state.holdings == {"BTC": D(150)}
    assert state.holdings_held == {}


def test_a_refusal_leaves_the_version(harness: Harness) -> None:
    version = harness.exchange.account_version("main")
    harness.order(3, "BTC", Side.BUY, D(400))
    assert harness.transcript()[-1].endswith("rejected insufficient_margin")
    assert harness.exchange.account_version("main") == version


def test_a_run_of_contracts_needs_rates() -> None:
    market = MemoryMarket({"BTC": candles_of([(100, 101, 99, 100, 1000)])})
    with pytest.raises(InvariantError, match="without funding rates"):
        Harness(market, end_ns=MINUTE, account=AccountSettings(kind="perpetual").resolved())


def test_spot_accounts_do_without_all_of_it() -> None:
    market = MemoryMarket({"BTC": candles_of([(100, 101, 99, 100, 1000)])})
    spot = Harness(market, end_ns=MINUTE, account=AccountSettings())
    assert spot.exchange._margin is None


@given(dividend=st.integers(0, 10**24), scale=st.integers(0, 12), divisor=st.integers(1, 10**9))
def test_quotients_are_rounded_up_exactly(dividend: int, scale: int, divisor: int) -> None:
    value = quotient_up_8(D(dividend).scaleb(-scale), D(divisor))
    exact = Fraction(dividend, 10**scale * divisor)
    assert exact <= Fraction(value) < exact + Fraction(1, 10**8)
    assert Fraction(value) * 10**8 % 1 == 0
