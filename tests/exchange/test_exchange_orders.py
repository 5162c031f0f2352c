"""Every order type, in every time in force, on every kind of market: the arithmetic is written in each case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import pytest

from orchestrator.protocol import Side
from tests.exchange.cases import Case, lines, order, run
from tests.exchange.harness import Row

FLAT: Row = (100, 101, 99, 100, 1000)
IN = "1:00 1 accepted|1:00.1 1 arrived"
ALL = ("GTC", "IOC", "FOK", "GTD")


class Situation(NamedTuple):
    """One order on one market, and what each time in force makes of it; "GTC" stands for those not given."""

    name: str
    rows: Sequence[Row | None]
    side: Side
    qty: str
    limit: str | None
    stop: str | None
    expect: Mapping[str, str]
    why: str
    until: str = "4:00"  # of GTD


B, S = Side.BUY, Side.SELL
IOC_AT_ARRIVAL = f"{IN}|1:00.1 1 cancelled ioc_remainder"
FOK_AT_ARRIVAL = f"{IN}|1:00.1 1 cancelled fok_unfillable"
AT_ARRIVAL = {"IOC": IOC_AT_ARRIVAL, "FOK": FOK_AT_ARRIVAL}

# fmt: off  (each line of a situation is a line of a table)
SITUATIONS = [
    Situation(
        "market-normal",
        [FLAT] * 5,
        B,
        "1",
        None,
        None,
        {"GTC": f"{IN}|1:00.1 1 filled 1 @ 100.05 fee 0.2001 taker_open"},
        "100 * 1.0005 = 100.05; fee 100.05 * 0.002 = 0.2001",
    ),
    Situation(
        "market-sell",
        [FLAT] * 5,
        S,
        "1",
        None,
        None,
        {"GTC": f"{IN}|1:00.1 1 filled 1 @ 99.95 fee 0.1999 taker_open"},
        "100 * 0.9995 = 99.95; fee 99.95 * 0.002 = 0.1999",
    ),
    Situation(
        "market-price-gap",
        [FLAT, (105, 106, 104, 105, 1000), FLAT, FLAT, FLAT],
        B,
        "1",
        None,
        None,
        {"GTC": f"{IN}|1:00.1 1 filled 1 @ 105.06 fee 0.21012 taker_open"},
        "the open of the candle of arrival: 105 * 1.0005 = 105.0525, up to 105.06; * 0.002 = 0.21012",
    ),
    Situation(
        "market-stale",
        [FLAT, None, FLAT, FLAT, FLAT],
        B,
        "1",
        None,
        None,
        {"GTC": f"{IN}|2:00 1 filled 1 @ 100.05 fee 0.2001 taker_next_open", **AT_ARRIVAL},
        "no candle contains 1:00.1, the next opens at 2:00 at 100; 100 * 1.0005 = 100.05",
    ),
    Situation(
        "market-no-volume",
        [(100, 100, 100, 100, 0), FLAT, FLAT, FLAT, FLAT],
        B,
        "1",
        None,
        None,
        {"GTC": f"{IN}|2:00 1 filled 1 @ 100.05 fee 0.2001 taker_next_open", **AT_ARRIVAL},
        "1 % of the last closed volume 0 is 0; at 2:00 it is 10",
    ),
    Situation(
        "market-partial",
        [FLAT, FLAT, (101, 102, 100, 101, 1000), (102, 103, 101, 102, 1000), FLAT],
        B,
        "25",
        None,
        None,
        {
            "GTC": f"{IN}|1:00.1 1 partial 10 @ 100.05 fee 2.001 taker_open"
            "|2:00 1 partial 10 @ 101.06 fee 2.0212 taker_next_open"
            "|3:00 1 filled 5 @ 102.06 fee 1.0206 taker_next_open",
            "IOC": f"{IN}|1:00.1 1 partial 10 @ 100.05 fee 2.001 taker_open|1:00.1 1 cancelled ioc_remainder",
            "FOK": FOK_AT_ARRIVAL,
            "GTD": f"{IN}|1:00.1 1 partial 10 @ 100.05 fee 2.001 taker_open"
            "|2:00 1 partial 10 @ 101.06 fee 2.0212 taker_next_open|2:30 1 expired expired",
        },
        "1 % of 1000 = 10 a candle; 101 * 1.0005 = 101.0505, up to 101.06, fee 1010.6 * 0.002 = 2.0212; "
        "102 * 1.0005 = 102.051, up to 102.06, fee 510.3 * 0.002 = 1.0206",
        until="2:30",
    ),
    Situation(
        "market-small-remainder",
        [FLAT] * 5,
        B,
        "10.05",
        None,
        None,
        {"GTC": f"{IN}|1:00.1 1 filled 10.05 @ 100.05 fee 2.011005 taker_open"},
        "10 fit; the rest 0.05 < 0.01 * 10.05 = 0.1005 goes along; fee 10.05 * 100.05 * 0.002 = 2.011005",
    ),
    Situation(
        "limit-through",
        [FLAT] * 5,
        B,
        "1",
        "99.5",
        None,
        {"GTC": f"{IN}|2:00 1 filled 1 @ 99.5 fee 0.199 maker_through", **AT_ARRIVAL},
        "100.05 > 99.5 is not marketable; low 99 < 99.5; fee 99.5 * 0.002 = 0.199",
    ),
    Situation(
        "limit-sell-through",
        [FLAT] * 5,
        S,
        "1",
        "100.5",
        None,
        {"GTC": f"{IN}|2:00 1 filled 1 @ 100.5 fee 0.201 maker_through", **AT_ARRIVAL},
        "99.95 < 100.5 is not marketable; high 101 > 100.5; fee 100.5 * 0.002 = 0.201",
    ),
    Situation(
        "limit-touch",
        [FLAT, *[(100, 101, 99.5, 100, 1000)] * 4],
        B,
        "1",
        "99.5",
        None,
        {
            "GTC": f"{IN}|5:00 1 cancelled end_of_run",
            "GTD": f"{IN}|4:00 1 expired expired",
            **AT_ARRIVAL,
        },
        "low 99.5 is not below 99.5",
    ),
    Situation(
        "limit-price-gap",
        [FLAT, (100, 101, 99.8, 100, 1000), (95, 96, 94, 95, 1000), FLAT, FLAT],
        B,
        "1",
        "99.5",
        None,
        {"GTC": f"{IN}|3:00 1 filled 1 @ 99.5 fee 0.199 maker_through", **AT_ARRIVAL},
        "a gap beyond the limit does not improve its price: 99.5",
    ),
    Situation(
        "limit-stale",
        [FLAT, None, None, FLAT, FLAT],
        B,
        "1",
        "99.5",
        None,
        {
            "GTC": f"{IN}|4:00 1 filled 1 @ 99.5 fee 0.199 maker_through",
            "GTD": f"{IN}|3:30 1 expired expired",
            **AT_ARRIVAL,
        },
        "no market until 3:00; 100.05 > 99.5 rests; the candle that closes at 4:00 has low 99",
        until="3:30",
    ),
    Situation(
        "limit-no-volume",
        [FLAT, (100, 101, 99, 100, 0), (100, 101, 99, 100, 0), FLAT, FLAT],
        B,
        "1",
        "99.5",
        None,
        {"GTC": f"{IN}|4:00 1 filled 1 @ 99.5 fee 0.199 maker_through", **AT_ARRIVAL},
        "candles without volume reach nothing",
    ),
    Situation(
        "limit-partial",
        [FLAT] * 5,
        B,
        "25",
        "99.5",
        None,
        {
            "GTC": f"{IN}|2:00 1 partial 10 @ 99.5 fee 1.99 maker_through"
            "|3:00 1 partial 10 @ 99.5 fee 1.99 maker_through|4:00 1 filled 5 @ 99.5 fee 0.995 maker_through",
            "GTD": f"{IN}|2:00 1 partial 10 @ 99.5 fee 1.99 maker_through"
            "|3:00 1 partial 10 @ 99.5 fee 1.99 maker_through|3:30 1 expired expired",
            **AT_ARRIVAL,
        },
        "1 % of 1000 = 10 a candle; fee 995 * 0.002 = 1.99 and 497.5 * 0.002 = 0.995",
        until="3:30",
    ),
    Situation(
        "limit-marketable",
        [FLAT] * 5,
        B,
        "1",
        "101",
        None,
        {"GTC": f"{IN}|1:00.1 1 filled 1 @ 100.05 fee 0.2001 taker_open"},
        "100.05 <= 101 takes at 100.05",
    ),
    Situation(
        "limit-just-marketable",
        [FLAT] * 5,
        B,
        "1",
        "100.05",
        None,
        {"GTC": f"{IN}|1:00.1 1 filled 1 @ 100.05 fee 0.2001 taker_open"},
        "100.05 <= 100.05",
    ),
    Situation(
        "limit-not-quite-marketable",
        [FLAT] * 5,
        B,
        "1",
        "100.04",
        None,
        {"GTC": f"{IN}|1:00.1 1 filled 1 @ 100.04 fee 0.20008 taker_limit"},
        "open 100 <= 100.04 < 100 * 1.0005 takes at its limit; fee 100.04 * 0.002 = 0.20008",
    ),
    Situation(
        "limit-at-the-open",
        [FLAT] * 5,
        S,
        "1",
        "100",
        None,
        {"GTC": f"{IN}|1:00.1 1 filled 1 @ 100 fee 0.2 taker_limit"},
        "open 100 >= 100 > 100 * 0.9995 takes at its limit; fee 100 * 0.002 = 0.2",
    ),
    Situation(
        "limit-one-tick-off-the-open",
        [FLAT] * 5,
        B,
        "1",
        "99.99",
        None,
        {"GTC": f"{IN}|2:00 1 filled 1 @ 99.99 fee 0.19998 maker_through", **AT_ARRIVAL},
        "open 100 > 99.99 rests; low 99 < 99.99; fee 99.99 * 0.002 = 0.19998",
    ),
    Situation(
        "limit-partial-at-the-limit",
        [FLAT] * 5,
        B,
        "15",
        "100.04",
        None,
        {
            "GTC": f"{IN}|1:00.1 1 partial 10 @ 100.04 fee 2.0008 taker_limit"
            "|2:00 1 filled 5 @ 100.04 fee 1.0004 taker_limit",
            "IOC": f"{IN}|1:00.1 1 partial 10 @ 100.04 fee 2.0008 taker_limit|1:00.1 1 cancelled ioc_remainder",
            "FOK": FOK_AT_ARRIVAL,
        },
        "1 % of 1000 = 10 a candle for takers; 1000.4 * 0.002 = 2.0008; the open at 2:00 is 100 again",
    ),
    Situation(
        "limit-marketable-partial",
        [
            FLAT,
            FLAT,
            (100.5, 101, 100, 100.5, 1000),
            (102, 103, 101.5, 102, 1000),
            (102, 103, 100, 102, 1000),
        ],
        B,
        "25",
        "101",
        None,
        {
            "GTC": f"{IN}|1:00.1 1 partial 10 @ 100.05 fee 2.001 taker_open"
            "|2:00 1 partial 10 @ 100.56 fee 2.0112 taker_next_open|5:00 1 filled 5 @ 101 fee 1.01 maker_through",
            "IOC": f"{IN}|1:00.1 1 partial 10 @ 100.05 fee 2.001 taker_open|1:00.1 1 cancelled ioc_remainder",
            "FOK": FOK_AT_ARRIVAL,
            "GTD": f"{IN}|1:00.1 1 partial 10 @ 100.05 fee 2.001 taker_open"
            "|2:00 1 partial 10 @ 100.56 fee 2.0112 taker_next_open|4:30 1 expired expired",
        },
        "100.5 * 1.0005 = 100.55025, up to 100.56, fee 1005.6 * 0.002 = 2.0112; at 3:00 102.06 > 101 rests; "
        "low 101.5 at 4:00 misses, low 100 at 5:00 fills, fee 505 * 0.002 = 1.01",
        until="4:30",
    ),
    Situation(
        "stop-reached",
        [FLAT, (100, 101, 97, 98, 1000), FLAT, FLAT, FLAT],
        S,
        "1",
        None,
        "98",
        {"GTC": f"{IN}|2:00 1 triggered|2:00 1 filled 1 @ 97.95 fee 0.1959 stop_reached"},
        "min(98, open 100) = 98; 98 * 0.9995 = 97.951, down to 97.95; fee 97.95 * 0.002 = 0.1959",
    ),
    Situation(
        "stop-buy-reached",
        [FLAT, (100, 103, 99, 100, 1000), FLAT, FLAT, FLAT],
        B,
        "1",
        None,
        "102",
        {"GTC": f"{IN}|2:00 1 triggered|2:00 1 filled 1 @ 102.06 fee 0.20412 stop_reached"},
        "max(102, open 100) = 102; 102 * 1.0005 = 102.051, up to 102.06; fee 102.06 * 0.002 = 0.20412",
    ),
    Situation(
        "stop-touched",
        [FLAT, (100, 101, 98, 99, 1000), FLAT, FLAT, FLAT],
        S,
        "1",
        None,
        "98",
        {"GTC": f"{IN}|2:00 1 triggered|2:00 1 filled 1 @ 97.95 fee 0.1959 stop_reached"},
        "low 98 reaches 98: touching is enough for a stop",
    ),
    Situation(
        "stop-price-gap",
        [FLAT, FLAT, (95, 96, 94, 95, 1000), FLAT, FLAT],
        S,
        "1",
        None,
        "98",
        {"GTC": f"{IN}|3:00 1 triggered|3:00 1 filled 1 @ 94.95 fee 0.1899 stop_gap"},
        "min(98, open 95) = 95; 95 * 0.9995 = 94.9525, down to 94.95; fee 94.95 * 0.002 = 0.1899",
    ),
    Situation(
        "stop-buy-price-gap",
        [FLAT, FLAT, (105, 106, 104, 105, 1000), FLAT, FLAT],
        B,
        "1",
        None,
        "102",
        {"GTC": f"{IN}|3:00 1 triggered|3:00 1 filled 1 @ 105.06 fee 0.21012 stop_gap"},
        "max(102, open 105) = 105; 105 * 1.0005 = 105.0525, up to 105.06; fee 105.06 * 0.002 = 0.21012",
    ),
    Situation(
        "stop-stale",
        [FLAT, None, None, (97, 98, 96, 97, 1000), FLAT],
        S,
        "1",
        None,
        "98",
        {"GTC": f"{IN}|4:00 1 triggered|4:00 1 filled 1 @ 96.95 fee 0.1939 stop_gap"},
        "armed in the gap; min(98, open 97) = 97; 97 * 0.9995 = 96.9515, down to 96.95; fee 96.95 * 0.002 = 0.1939",
        until="4:30",
    ),
    Situation(
        "stop-no-volume",
        [FLAT, (100, 100, 90, 95, 0), (95, 96, 94, 95, 1000), FLAT, FLAT],
        S,
        "1",
        None,
        "98",
        {"GTC": f"{IN}|3:00 1 triggered|3:00 1 filled 1 @ 94.95 fee 0.1899 stop_gap"},
        "a candle without volume triggers nothing; the next opens at 95",
    ),
    Situation(
        "stop-partial",
        [FLAT, (100, 101, 97, 98, 1000), (97, 98, 96, 97, 1000), (96, 97, 95, 96, 1000), FLAT],
        S,
        "25",
        None,
        "98",
        {
            "GTC": f"{IN}|2:00 1 triggered|2:00 1 partial 10 @ 97.95 fee 1.959 stop_reached"
            "|3:00 1 partial 10 @ 95.95 fee 1.919 taker_next_open|4:00 1 filled 5 @ 99.95 fee 0.9995 taker_next_open",
            "IOC": f"{IN}|2:00 1 triggered|2:00 1 partial 10 @ 97.95 fee 1.959 stop_reached"
            "|2:00 1 cancelled ioc_remainder",
            "FOK": f"{IN}|2:00 1 triggered|2:00 1 cancelled fok_unfillable",
            "GTD": f"{IN}|2:00 1 triggered|2:00 1 partial 10 @ 97.95 fee 1.959 stop_reached"
            "|2:30 1 expired expired",
        },
        "10 of the candle that triggered, which are all of the open at 2:00; the rest at the opens of 96 "
        "(96 * 0.9995 = 95.952, down to 95.95, fee 959.5 * 0.002 = 1.919) and 100 (99.95, fee 499.75 * 0.002 = 0.9995)",
        until="2:30",
    ),
    Situation(
        "stop-reached-on-arrival",
        [FLAT] * 5,
        S,
        "1",
        None,
        "101",
        {"GTC": f"{IN}|1:00.1 1 triggered|1:00.1 1 filled 1 @ 99.95 fee 0.1999 taker_open"},
        "the open 100 is below 101 already; 100 * 0.9995 = 99.95",
    ),
    Situation(
        "stop-limit-reached",
        [FLAT, (100, 101, 97, 98, 1000), (98, 99, 97.8, 98, 1000), FLAT, FLAT],
        S,
        "1",
        "97.5",
        "98",
        {"GTC": f"{IN}|2:00 1 triggered|2:00 1 filled 1 @ 97.95 fee 0.1959 taker_next_open"},
        "it is a limit from 2:00 on; the open of 98 gives 97.951, down to 97.95 >= 97.5",
    ),
    Situation(
        "stop-limit-price-gap",
        [FLAT, FLAT, (95, 96, 94, 95, 1000), (95, 96, 94, 95, 1000), (96, 98, 95, 97, 1000)],
        S,
        "1",
        "97.5",
        "98",
        {
            "GTC": f"{IN}|3:00 1 triggered|5:00 1 filled 1 @ 97.5 fee 0.195 maker_through",
            "IOC": f"{IN}|3:00 1 triggered|3:00 1 cancelled ioc_remainder",
            "FOK": f"{IN}|3:00 1 triggered|3:00 1 cancelled fok_unfillable",
            "GTD": f"{IN}|3:00 1 triggered|4:00 1 expired expired",
        },
        "94.95 < 97.5 rests; high 98 > 97.5 in the last candle; fee 97.5 * 0.002 = 0.195",
    ),
    Situation(
        "stop-limit-touch",
        [FLAT, (100, 101, 97, 97, 1000), *[(97, 97.5, 96, 97, 1000)] * 3],
        S,
        "1",
        "97.5",
        "98",
        {
            "GTC": f"{IN}|2:00 1 triggered|5:00 1 cancelled end_of_run",
            "IOC": f"{IN}|2:00 1 triggered|2:00 1 cancelled ioc_remainder",
            "FOK": f"{IN}|2:00 1 triggered|2:00 1 cancelled fok_unfillable",
            "GTD": f"{IN}|2:00 1 triggered|4:00 1 expired expired",
        },
        "96.95 < 97.5 rests; high 97.5 is not above 97.5",
    ),
    Situation(
        "stop-limit-stale",
        [FLAT, (100, 101, 97, 98, 1000), None, (98, 99, 97.8, 98, 1000), FLAT],
        S,
        "1",
        "97.5",
        "98",
        {
            "GTC": f"{IN}|2:00 1 triggered|3:00 1 filled 1 @ 97.95 fee 0.1959 taker_next_open",
            "IOC": f"{IN}|2:00 1 triggered|2:00 1 cancelled ioc_remainder",
            "FOK": f"{IN}|2:00 1 triggered|2:00 1 cancelled fok_unfillable",
        },
        "nothing opens at 2:00, so nothing is possible at once; 98 * 0.9995 = 97.951 at 3:00",
    ),
    Situation(
        "stop-limit-no-volume",
        [FLAT, (100, 100, 90, 98, 0), (99, 100, 97.9, 98, 1000), (98, 99, 97, 98, 1000), FLAT],
        S,
        "1",
        "97.5",
        "98",
        {"GTC": f"{IN}|3:00 1 triggered|3:00 1 filled 1 @ 97.95 fee 0.1959 taker_next_open"},
        "low 90 without volume triggers nothing; low 97.9 does; 98 * 0.9995 = 97.951, down to 97.95",
    ),
    Situation(
        "stop-limit-partial",
        [FLAT, (100, 101, 97, 98, 1000), *[(98, 99, 97.8, 98, 1000)] * 3],
        S,
        "25",
        "97.5",
        "98",
        {
            "GTC": f"{IN}|2:00 1 triggered|2:00 1 partial 10 @ 97.95 fee 1.959 taker_next_open"
            "|3:00 1 partial 10 @ 97.95 fee 1.959 taker_next_open|4:00 1 filled 5 @ 97.95 fee 0.9795 taker_next_open",
            "IOC": f"{IN}|2:00 1 triggered|2:00 1 partial 10 @ 97.95 fee 1.959 taker_next_open"
            "|2:00 1 cancelled ioc_remainder",
            "FOK": f"{IN}|2:00 1 triggered|2:00 1 cancelled fok_unfillable",
            "GTD": f"{IN}|2:00 1 triggered|2:00 1 partial 10 @ 97.95 fee 1.959 taker_next_open"
            "|3:00 1 partial 10 @ 97.95 fee 1.959 taker_next_open|3:30 1 expired expired",
        },
        "10 a candle; fee 979.5 * 0.002 = 1.959 and 489.75 * 0.002 = 0.9795",
        until="3:30",
    ),
    Situation(
        "stop-limit-reached-on-arrival",
        [FLAT] * 5,
        S,
        "1",
        "99",
        "101",
        {"GTC": f"{IN}|1:00.1 1 triggered|1:00.1 1 filled 1 @ 99.95 fee 0.1999 taker_open"},
        "100 <= 101 triggers; 99.95 >= 99 takes",
    ),
]
# fmt: on


def cases() -> Iterator[Case]:
    for situation in SITUATIONS:
        for tif in ALL:
            until = situation.until if tif == "GTD" else None
            asked = order(
                situation.side,
                situation.qty,
                limit=situation.limit,
                stop=situation.stop,
                tif=tif,
                until=until,
            )
            expect = situation.expect.get(tif, situation.expect["GTC"])
            yield Case(f"{situation.name}-{tif}", situation.rows, [asked], expect, situation.why)


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.name)
def test_an_order_on_a_market(case: Case) -> None:
    harness = run(case)
    assert harness.transcript() == lines(case.expect), case.why
    state = harness.exchange.account_state("main")
    assert state.cash_held == 0
    assert not any(state.holdings_held.values())
