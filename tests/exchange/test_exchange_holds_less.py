"""A buy that may hold less is accepted where only the margin and the fee of its hold do not fit."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.exchange.cases import Ask, Case, buy, lines, run

D = Decimal
FLAT = (100.0, 101.0, 99.0, 100.0, 100_000.0)
FIVE = [FLAT] * 5
BARE = {"slippage_bps": D(0)}


def loose(ask: Ask) -> Ask:
    return Ask(ask.what, ask.time, {**ask.fields, "may_hold_less": True})


CASES = [
    Case(
        "all-of-it",
        FIVE,
        [loose(buy("100"))],
        "1:00 1 accepted|1:00.1 1 arrived|1:00.1 1 partial 99.8 @ 100 fee 19.96"
        "|1:00.1 1 cancelled insufficient_balance",
        "100 * 100 = 10000 fits, with 5 % and the fee it does not; 99.8 * 100 * 1.002 = 9999.96",
        model=BARE,
        cash_after="0.04",
    ),
    Case(
        "limit",
        FIVE,
        [loose(buy("100", limit="99.5"))],
        "1:00 1 accepted|1:00.1 1 arrived|2:00 1 filled 100 @ 99.5 fee 19.9",
        "9950 + 19.9 = 9969.9",
        cash_after="30.1",
        model=BARE,
    ),
    Case("more-than-there-is", FIVE, [loose(buy("100.01"))], "1:00 1 rejected insufficient_balance", "10001"),
    Case("not-asked-for", FIVE, [buy("100")], "1:00 1 rejected insufficient_balance", "105 * 100 * 1.002"),
    Case(
        "two-of-them",
        FIVE,
        [loose(buy("98")), loose(buy("3", time="1:00.05"))],
        "1:00 1 accepted|1:00.05 2 rejected insufficient_balance|1:00.1 1 arrived|1:00.1 1 filled 98 @ 100 fee 19.6",
        "9800 are held, 200 are left for 300",
        model=BARE,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hold(case: Case) -> None:
    harness = run(case)
    said = [line.replace(" taker_open", "").replace(" maker_through", "") for line in harness.transcript()]
    assert said == lines(case.expect), case.why
    if case.cash_after is not None:
        assert harness.exchange.cash("main") == D(case.cash_after)
