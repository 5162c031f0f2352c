"""Random orders of accounts that may owe, on wild candles: the naive books agree with all that was said."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from orchestrator.account_settings import AccountSettings
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.protocol import OrderType, Side, TimeInForce
from tests.exchange.harness import MINUTE, Harness, MemoryFunding, MemoryMarket, Row, candles_of
from tests.exchange.naive_margin import HOUR, NaiveBooks, NaiveTerms

COINS = ("BTC", "ETH")
STEP = 20 * MINUTE
LENGTH = 24
END = LENGTH * STEP


@st.composite
def rows(draw: st.DrawFn) -> list[Row | None]:
    made: list[Row | None] = []
    price = 10_000
    for place in range(LENGTH):
        if place and draw(st.integers(0, 14)) == 0:
            made.append(None)
            continue
        opened = max(2_000, price + draw(st.sampled_from([0, 0, 0, 100, -100, 900, -900])))
        closed = max(2_000, opened + draw(st.integers(-400, 400)))
        high = max(opened, closed) + draw(st.sampled_from([0, 50, 300, 2_500]))
        low = max(1_500, min(opened, closed) - draw(st.sampled_from([0, 50, 300, 2_500])))
        made.append(
            (opened / 100, high / 100, low / 100, closed / 100, draw(st.sampled_from([0.0, 9e3, 1e5])))
        )
        price = closed
    return made


asks = st.fixed_dictionaries(
    {
        "wait": st.sampled_from([1, 100, 20_000, 600_000, 1_200_000, 1_200_000, 3_600_000]),  # milliseconds
        "coin": st.sampled_from(COINS),
        "side": st.sampled_from(list(Side)),
        "qty": st.sampled_from(["1", "10", "37.5", "80", "150", "250", "290", "600"]).map(Decimal),
        "order_type": st.sampled_from([OrderType.MARKET, *OrderType]),
        "limit": st.integers(8_000, 12_000).map(lambda cents: Decimal(cents) / 100),
        "stop": st.integers(8_000, 12_000).map(lambda cents: Decimal(cents) / 100),
        "tif": st.sampled_from([TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]),
        "cancels": st.booleans(),
    }
)
kinds = st.sampled_from(
    [
        AccountSettings(kind="margin").resolved(),
        AccountSettings(
            kind="margin", max_leverage=Decimal(7), maintenance_margin_pct=Decimal(10)
        ).resolved(),
        AccountSettings(kind="margin", max_leverage=Decimal(1)).resolved(),
        AccountSettings(kind="perpetual", max_leverage=Decimal(12)).resolved(),
    ]
)
rates = st.lists(
    st.sampled_from(["0.0001", "-0.0003", "0.00000123", "0.01"]).map(Decimal), min_size=8, max_size=8
)


def fraction_of(percent: Decimal | None) -> Fraction:
    return Fraction(percent or 0) / 100


def place(harness: Harness, number: int, ask: dict[str, Any]) -> None:
    order_type = ask["order_type"]
    has_limit = order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT)
    has_stop = order_type in (OrderType.STOP, OrderType.STOP_LIMIT)
    harness.order(
        number,
        ask["coin"],
        ask["side"],
        ask["qty"],
        order_type=order_type,
        limit_price=ask["limit"] if has_limit else None,
        stop_price=ask["stop"] if has_stop else None,
        time_in_force=ask["tif"],
    )


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(
    series=st.tuples(rows(), rows()),
    script=st.lists(asks, min_size=1, max_size=25),
    account=kinds,
    funding=rates,
    cash=st.sampled_from([3_000, 10_000]),
)
def test_the_naive_books_agree(
    series: tuple[list[Row | None], list[Row | None]],
    script: list[dict[str, Any]],
    account: AccountSettings,
    funding: list[Decimal],
    cash: int,
) -> None:
    candles = {coin: candles_of(made, length_ns=STEP) for coin, made in zip(COINS, series, strict=True)}
    paid = {
        "BTC": {(place + 1) * HOUR: rate for place, rate in enumerate(funding)},
        "ETH": {90 * MINUTE: funding[0]},
    }
    harness = Harness(
        MemoryMarket(candles),
        end_ns=END,
        model=ExecutionModelSettings(),
        accounts={"main": Decimal(cash)},
        account=account,
        funding=MemoryFunding(paid),
    )
    harness.advance(STEP)
    for number, ask in enumerate(script, start=1):
        harness.advance(min(harness.now_ns + ask["wait"] * 1_000_000, END))
        place(harness, number, ask)
        if ask["cancels"]:
            harness.cancel(number, f"t-{max(1, number - 1)}")
    harness.finish()

    terms = NaiveTerms(
        leverage=Fraction(account.max_leverage or 0),
        maintenance=fraction_of(account.maintenance_margin_pct),
        quote_rate=fraction_of(account.borrow_quote_rate_pct_per_year),
        base_rate=fraction_of(account.borrow_base_rate_pct_per_year),
        liquidation_fee=Fraction(account.liquidation_fee_bps or 0) / 10_000,
        fee=Fraction(20, 10_000),
        is_perpetual=account.kind == "perpetual",
    )
    exact = {coin: {time: Fraction(rate) for time, rate in of.items()} for coin, of in paid.items()}
    books = NaiveBooks(candles, terms, Fraction(cash), exact, END)
    books.audit(harness.outcomes, END)
    assert Fraction(harness.exchange.cash("main")) == books.cash
    for coin in COINS:
        assert Fraction(harness.exchange.quantity("main", coin)) == books.qty.get(coin, 0)
    state = harness.exchange.account_state("main")
    # No order is open any more: what is held is the margin of the positions, rounded up.
    free = Fraction(state.cash) - Fraction(state.cash_held)
    needed = books.exposure(END) / terms.leverage
    assert 0 <= books.equity(END) - needed - free < Fraction(1, 10**8)
