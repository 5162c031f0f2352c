"""What must never be: broken books, events out of time, transitions that do not exist; each is named and fatal."""

from __future__ import annotations

import re
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import CausalityError, InvariantError
from orchestrator.exchange.account import Account
from orchestrator.exchange.events import CandlesClosed, SetTimer, TimerDue, TimerKind
from orchestrator.exchange.money import EXACT, fee_amount
from orchestrator.exchange.orders import Order, OrderStatus
from orchestrator.exchange.settlement import Trade, _payable
from orchestrator.exchange.slippage import Quote
from orchestrator.exchange.vocabulary import Rule
from orchestrator.protocol import OrderType, Side
from tests.exchange.cases import MODEL
from tests.exchange.harness import MINUTE, Harness, MemoryMarket, candles_of

D = Decimal


@pytest.fixture
def harness() -> Harness:
    """Return an exchange one minute into the run, with a resting buy t-1."""
    market = MemoryMarket({"BTC": candles_of([(100, 101, 99, 100, 1000)] * 5)})
    made = Harness(market, end_ns=5 * MINUTE, model=MODEL)
    made.advance(MINUTE)
    made.order(1, "BTC", Side.BUY, D(1), limit_price=D(98), order_type=OrderType.LIMIT)
    made.advance(MINUTE * 3 // 2)
    return made


def test_events_may_not_go_back_in_time(harness: Harness) -> None:
    with pytest.raises(CausalityError, match="CandlesClosed"):
        harness.exchange.handle(CandlesClosed(sim_time_ns=MINUTE))


def test_a_timer_is_called_at_its_time(harness: Harness) -> None:
    timer = SetTimer(sim_time_ns=3 * MINUTE, kind=TimerKind.ARRIVAL, source=0, counter=1, subject="t-1")
    with pytest.raises(CausalityError, match="t-1"):
        harness.exchange.handle(TimerDue(sim_time_ns=4 * MINUTE, timer=timer))


def test_an_order_is_requested_once(harness: Harness) -> None:
    with pytest.raises(InvariantError, match="t-1 was requested twice"):
        harness.order(1, "BTC", Side.BUY, D(1))


def test_money_from_nowhere_is_found(harness: Harness) -> None:
    harness.exchange._accounts["main"].cash += D("0.00000001")
    with pytest.raises(InvariantError, match=r"account main has cash .* its fills say 10000"):
        harness.exchange._accounts["main"].check("BTC")


def test_a_lost_hold_is_found(harness: Harness) -> None:
    harness.exchange._accounts["main"].cash_held = D(0)
    with pytest.raises(InvariantError, match="account main holds 0"):
        harness.exchange.validate()


def test_a_misplaced_order_is_found(harness: Harness) -> None:
    harness.exchange._books["BTC"].resting.clear()
    with pytest.raises(InvariantError, match=r"order t-1 \(resting\) is in the wrong place"):
        harness.exchange.validate()


def test_an_order_in_the_book_alone_is_found(harness: Harness) -> None:
    order = harness.exchange._open.pop("t-1")
    harness.exchange._accounts["main"].cash_held = D(0)
    with pytest.raises(InvariantError, match=r"order t-1 \(resting\) is in the book of BTC and not open"):
        harness.exchange.validate()
    assert order.hold


def test_a_touched_order_is_looked_for_in_its_book(harness: Harness) -> None:
    class Leaky(dict[str, Order]):
        def __setitem__(self, key: str, order: Order) -> None:
            pass

    harness.exchange._books["BTC"].resting = Leaky()
    harness.exchange.validate = lambda: None  # type: ignore[method-assign]  # the check at each event finds it
    harness.order(2, "BTC", Side.BUY, D(1), limit_price=D(98), order_type=OrderType.LIMIT)
    with pytest.raises(InvariantError, match=r"order t-2 \(resting\) is in the wrong place"):
        harness.advance(2 * MINUTE)


def test_an_opening_that_nobody_calls_is_found(harness: Harness) -> None:
    harness.order(2, "BTC", Side.BUY, D(25))
    harness.advance(MINUTE * 7 // 4)  # 10 are filled, 15 wait for 2:00
    harness.exchange._books["BTC"]._opening_time_ns = None
    with pytest.raises(InvariantError, match=r"order t-2 \(waiting\) waits for an opening of BTC"):
        harness.exchange.validate()


def test_an_opening_that_was_not_called_is_found(harness: Harness) -> None:
    harness.order(2, "BTC", Side.BUY, D(25))
    harness.advance(MINUTE * 7 // 4)
    harness._timers.clear()
    with pytest.raises(InvariantError, match=r"order t-2 \(waiting\) waits for an opening of BTC"):
        harness.advance(3 * MINUTE)


def test_an_overfilled_order_is_found_with_its_history(harness: Harness) -> None:
    harness.exchange._open["t-1"].filled_qty = D(2)
    with pytest.raises(
        InvariantError, match=re.escape("history: OrderAccepted at 60000000000, OrderArrived")
    ):
        harness.exchange.validate()


def test_what_an_event_touched_is_checked_at_its_end(harness: Harness) -> None:
    harness.exchange._accounts["main"].cash -= 1
    with pytest.raises(InvariantError, match="its fills say"):
        harness.order(2, "BTC", Side.BUY, D(1))


def test_an_order_ends_once(harness: Harness) -> None:
    order = harness.exchange._open["t-1"]
    harness.cancel(1, "t-1")
    harness.advance(2 * MINUTE)
    with pytest.raises(InvariantError, match="cannot become resting"):
        order.move(OrderStatus.RESTING)


def test_a_refused_change_changes_nothing() -> None:
    account = Account("main", D(100))
    for change in (
        {"cash": D(-101)},
        {"cash_held": D(101)},
        {"qty": D(-1)},
        {"qty_held": D(1)},
        {"cash_held": D(-1)},
    ):
        with pytest.raises(InvariantError, match="account main would have"):
            account.change("t-1", "BTC", **change)
    assert (account.cash, account.cash_held, account.version) == (D(100), D(0), 0)
    assert not account.holdings


def test_the_version_changes_with_the_state(harness: Harness) -> None:
    exchange = harness.exchange
    state, version = exchange.account_state("main"), exchange.account_version("main")
    assert state.cash_held == D("98.196")  # 98 * 1.002
    harness.advance(4 * MINUTE)
    assert exchange.account_version("main") == version
    harness.cancel(1, "t-1")
    harness.advance(5 * MINUTE)
    assert exchange.account_version("main") != version
    assert exchange.account_state("main") != state


def test_nothing_open_costs_nothing() -> None:
    class Untouchable(MemoryMarket):
        def closed_at(self, coin: str, sim_time_ns: int) -> None:  # noqa: ARG002 - never called
            raise AssertionError("asked without need")

    market = Untouchable({"BTC": candles_of([(100, 101, 99, 100, 1000)] * 5)})
    made = Harness(market, end_ns=5 * MINUTE, model=MODEL)
    made.advance(5 * MINUTE)
    assert made.outcomes == []


def test_an_order_needs_its_prices(harness: Harness) -> None:
    for order_type in (OrderType.LIMIT, OrderType.STOP):
        harness.order(2 + list(OrderType).index(order_type), "BTC", Side.BUY, D(1), order_type=order_type)
        assert harness.transcript()[-1].endswith("rejected missing_price")


@given(cash=st.integers(1, 10**6), price=st.integers(1, 500), rate=st.integers(0, 300))
def test_cash_pays_as_many_lots_as_it_can(cash: int, price: int, rate: int) -> None:
    # Lots so cheap that many of them cost less than the last decimal of a fee.
    lot, available, unit, fee_rate = D("1e-8"), D(cash) * D("1e-8"), D(price) / 100, D(rate) / 10_000
    wanted = Trade(D(10), Quote(unit, D(0), ()), unit, 0, D(1000), None, Rule.TAKER_OPEN)
    with localcontext(EXACT):
        qty = _payable(wanted, available, fee_rate, lot)

        def costs(quantity: Decimal) -> Decimal:
            return unit * quantity + fee_amount(unit * quantity, fee_rate)

        assert qty % lot == 0
        assert costs(qty) <= available < costs(qty + lot)
