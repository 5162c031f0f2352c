"""Rejections, cancels, replaces, shared candles, cash, models and ends; the arithmetic is in each case."""

from __future__ import annotations

from decimal import Decimal

import pytest

from orchestrator.execution_settings import FeeTierSettings
from tests.exchange.cases import Case, buy, cancel, lines, replace, run, sell
from tests.exchange.harness import Row

D = Decimal
FLAT: Row = (100, 101, 99, 100, 1000)
FIVE = [FLAT] * 5
IN = "1:00 1 accepted|1:00.1 1 arrived"
BOTH_IN = "1:00 1 accepted|1:00 2 accepted|1:00.1 1 arrived"
END = "5:00 1 cancelled end_of_run"
RESTING = buy("1", limit="98")  # never reached by FLAT

# fmt: off  (each line of a case is a line of a table)
REJECTED = [
    Case("unknown-symbol", FIVE, [buy("1", coin="DOGE")], "1:00 1 rejected unknown_symbol", "BTC only"),
    Case("zero-qty", FIVE, [buy("0")], "1:00 1 rejected invalid_qty", "0 is not above 0"),
    Case("negative-qty", FIVE, [buy("-1")], "1:00 1 rejected invalid_qty", "-1 is not above 0"),
    Case("nan-qty", FIVE, [buy("NaN")], "1:00 1 rejected invalid_qty", "NaN is no number"),
    Case("infinite-qty", FIVE, [buy("Infinity")], "1:00 1 rejected invalid_qty", "infinity is not finite"),
    Case(
        "absurd-qty", FIVE, [buy("1e300")], "1:00 1 rejected invalid_qty", "over 20 digits before the point"
    ),
    Case("below-lot", FIVE, [buy("0.0009")], "1:00 1 rejected below_lot", "0.0009 < 0.001"),
    Case("off-lot", FIVE, [buy("1.0005")], "1:00 1 rejected qty_off_lot", "1.0005 / 0.001 is not whole"),
    Case("long-qty", FIVE, [buy("1." + "3" * 200)], "1:00 1 rejected qty_off_lot", "200 decimals"),
    Case("off-tick-limit", FIVE, [buy("1", limit="99.005")], "1:00 1 rejected price_off_tick", "tick 0.01"),
    Case("off-tick-stop", FIVE, [sell("1", stop="98.001")], "1:00 1 rejected price_off_tick", "tick 0.01"),
    Case("zero-limit", FIVE, [buy("1", limit="0")], "1:00 1 rejected invalid_price", "0 is not above 0"),
    Case("negative-stop", FIVE, [sell("1", stop="-5")], "1:00 1 rejected invalid_price", "-5 is not above 0"),
    Case(
        "min-notional",
        FIVE,
        [buy("0.049")],
        "1:00 1 rejected below_min_notional",
        "0.049 * 100 = 4.9 < 5",
    ),
    Case(
        "min-notional-of-limit",
        FIVE,
        [buy("0.05", limit="99")],
        "1:00 1 rejected below_min_notional",
        "0.05 * 99 = 4.95 < 5",
    ),
    Case(
        "min-notional-met",
        FIVE,
        [buy("0.05")],
        f"{IN}|1:00.1 1 filled 0.05 @ 100.05 fee 0.010005 taker_open",
        "0.05 * 100 = 5; fee 5.0025 * 0.002 = 0.010005",
    ),
    Case(
        "cash-short",
        FIVE,
        [buy("95.048")],
        "1:00 1 rejected insufficient_balance",
        "95.048 * 100 * 1.05 * 1.002 = 10000.00008 > 10000",
    ),
    Case(
        "cash-just-enough",
        [(100, 101, 99, 100, 100000)] * 5,
        [buy("95.047")],
        f"{IN}|1:00.1 1 filled 95.047 @ 100.05 fee 19.0189047 taker_open",
        "95.047 * 105.21 = 9999.89487 <= 10000; 9509.45235 * 0.002 = 19.0189047",
        cash_after="471.5287453",
        coins_after="195.047",
    ),
    Case(
        "coins-short",
        FIVE,
        [sell("100.001")],
        "1:00 1 rejected insufficient_balance",
        "100 are there",
    ),
    Case(
        "limit-cash-short",
        FIVE,
        [buy("101", limit="99")],
        "1:00 1 rejected insufficient_balance",
        "101 * 99 * 1.002 = 10018.998 > 10000",
    ),
    Case(
        "stop-cash-short",
        FIVE,
        [buy("94", stop="102")],
        "1:00 1 rejected insufficient_balance",
        "94 * 102 * 1.05 * 1.002 = 10087.5348 > 10000",
    ),
    Case(
        "second-order-short",
        FIVE,
        [buy("60", limit="98"), buy("50", limit="98")],
        f"1:00 1 accepted|1:00 2 rejected insufficient_balance|1:00.1 1 arrived|{END}",
        "60 * 98 * 1.002 = 5891.76 held; 50 * 98 * 1.002 = 4909.8 > 10000 - 5891.76 = 4108.24",
    ),
    Case(
        "second-sell-short",
        FIVE,
        [sell("60", limit="110"), sell("41", limit="110")],
        f"1:00 1 accepted|1:00 2 rejected insufficient_balance|1:00.1 1 arrived|{END}",
        "60 + 41 = 101 > 100",
    ),
    Case(
        "no-data",
        [None, FLAT, FLAT, FLAT, FLAT],
        [buy("1")],
        "1:00 1 rejected no_market_data",
        "no candle has closed",
    ),
    Case(
        "too-late",
        FIVE,
        [buy("1", time="4:59.95")],
        "4:59.95 1 rejected after_end_of_run",
        "it would arrive at 5:00.05",
    ),
    Case("gtd-without-time", FIVE, [buy("1", tif="GTD")], "1:00 1 rejected invalid_expiry", "GTD has a time"),
    Case(
        "gtd-too-early",
        FIVE,
        [buy("1", limit="99", tif="GTD", until="1:00.1")],
        "1:00 1 rejected invalid_expiry",
        "it would be over when it arrives",
    ),
    Case(
        "time-without-gtd", FIVE, [buy("1", until="3:00")], "1:00 1 rejected invalid_expiry", "GTC has none"
    ),
    Case(
        "coin-ended",
        [FLAT] * 3,
        [buy("1", time="3:30")],
        "3:30 1 rejected end_of_data",
        "the data ended at 3:00",
        coin_end="3:00",
    ),
]

CANCELLED = [
    Case(
        "cancel-resting",
        FIVE,
        [RESTING, cancel("t-1", "2:00")],
        f"{IN}|2:00.1 1 cancelled requested",
        "2:00 + 0.1",
    ),
    Case(
        "cancel-does-not-overtake",
        FIVE,
        [RESTING, cancel("t-1", "1:00")],
        f"{IN}|1:00.100000001 1 cancelled requested",
        "one connection keeps its order: the arrival and 1 ns",
    ),
    Case(
        "cancel-of-market-is-late",
        FIVE,
        [buy("1"), cancel("t-1", "1:00")],
        f"{IN}|1:00.1 1 filled 1 @ 100.05 fee 0.2001 taker_open|1:00.100000001 1 refused already_ended",
        "it filled when it arrived",
    ),
    Case(
        "cancel-after-the-fill",
        FIVE,
        [buy("1"), cancel("t-1", "2:00")],
        f"{IN}|1:00.1 1 filled 1 @ 100.05 fee 0.2001 taker_open|2:00 1 refused already_ended",
        "known at once",
    ),
    Case(
        "cancel-crosses-the-fill",
        FIVE,
        [buy("1", limit="99.5"), cancel("t-1", "1:59.95")],
        f"{IN}|2:00 1 filled 1 @ 99.5 fee 0.199 maker_through|2:00.05 1 refused already_ended",
        "the cancel arrives at 2:00.05",
    ),
    Case(
        "cancel-at-the-close",
        FIVE,
        [buy("1", limit="99.5"), cancel("t-1", "1:59.9")],
        f"{IN}|2:00 1 filled 1 @ 99.5 fee 0.199 maker_through|2:00 1 refused already_ended",
        "at 2:00 candles close before cancels arrive",
    ),
    Case("cancel-unknown", FIVE, [cancel("t-9", "1:00")], "1:00 t-9 refused unknown_order", "there is none"),
    Case(
        "cancel-of-another",
        FIVE,
        [RESTING, cancel("t-1", "2:00", who="u")],
        f"{IN}|2:00 1 refused not_own_order|{END}",
        "u did not place it",
    ),
    Case(
        "cancel-too-late",
        FIVE,
        [RESTING, cancel("t-1", "4:59.95")],
        f"{IN}|4:59.95 1 refused after_end_of_run|{END}",
        "it would arrive at 5:00.05",
    ),
    Case(
        "cancel-remainder",
        FIVE,
        [buy("25"), cancel("t-1", "1:30")],
        f"{IN}|1:00.1 1 partial 10 @ 100.05 fee 2.001 taker_open|1:30.1 1 cancelled requested",
        "10 of 25 filled; 100 + 10 coins; 10000 - 1000.5 - 2.001",
        cash_after="8997.499",
        coins_after="110",
    ),
    Case(
        "cancel-twice",
        FIVE,
        [RESTING, cancel("t-1", "2:00"), cancel("t-1", "2:00")],
        f"{IN}|2:00.1 1 cancelled requested|2:00.1 1 refused already_ended",
        "both arrive at 2:00.1, the first first",
    ),
    Case(
        "cancel-armed-stop",
        FIVE,
        [sell("1", stop="98"), cancel("t-1", "2:00")],
        f"{IN}|2:00.1 1 cancelled requested",
        "2:00 + 0.1",
    ),
]

REPLACED = [
    Case(
        "replace-limit",
        FIVE,
        [RESTING, replace("t-1", "2:00", limit_price="99.5")],
        f"{IN}|2:00.1 1 replaced limit_price 98 -> 99.5|3:00 1 filled 1 @ 99.5 fee 0.199 maker_through",
        "0.1 s is within the first 0.6 s of the candle",
    ),
    Case(
        "replace-limit-late-in-candle",
        FIVE,
        [RESTING, replace("t-1", "2:30", limit_price="99.5")],
        f"{IN}|2:30.1 1 replaced limit_price 98 -> 99.5|4:00 1 filled 1 @ 99.5 fee 0.199 maker_through",
        "the candle that closes at 3:00 began without it",
    ),
    Case(
        "replace-to-marketable",
        FIVE,
        [RESTING, replace("t-1", "2:00", limit_price="101")],
        f"{IN}|2:00.1 1 replaced limit_price 98 -> 101|2:00.1 1 filled 1 @ 100.05 fee 0.2001 taker_open",
        "100 * 1.0005 <= 101",
    ),
    Case(
        "replace-qty-up",
        FIVE,
        [RESTING, replace("t-1", "1:30", qty="2")],
        f"{IN}|1:30.1 1 replaced qty 1 -> 2|{END}",
        "it rests on",
    ),
    Case(
        "replace-qty-to-filled",
        FIVE,
        [buy("25", limit="99.5"), replace("t-1", "2:30", qty="10")],
        f"{IN}|2:00 1 partial 10 @ 99.5 fee 1.99 maker_through|2:30.1 1 refused already_filled"
        "|3:00 1 partial 10 @ 99.5 fee 1.99 maker_through|4:00 1 filled 5 @ 99.5 fee 0.995 maker_through",
        "10 are filled",
    ),
    Case(
        "replace-qty-down",
        FIVE,
        [buy("25", limit="99.5"), replace("t-1", "2:30", qty="15")],
        f"{IN}|2:00 1 partial 10 @ 99.5 fee 1.99 maker_through|2:30.1 1 replaced qty 25 -> 15"
        "|3:00 1 filled 5 @ 99.5 fee 0.995 maker_through",
        "15 - 10 = 5",
    ),
    Case(
        "replace-both",
        FIVE,
        [RESTING, replace("t-1", "2:00", qty="3", limit_price="99.5")],
        f"{IN}|2:00.1 1 replaced qty 1 -> 3, limit_price 98 -> 99.5"
        "|3:00 1 filled 3 @ 99.5 fee 0.597 maker_through",
        "3 * 99.5 * 0.002 = 0.597",
    ),
    *(
        Case(
            f"replace-refused-{reason}",
            FIVE,
            [RESTING, replace("t-1", "2:00", **fields)],
            f"{IN}|2:00.1 1 refused {reason}|{END}",
            why,
        )
        for reason, fields, why in [
            ("price_off_tick", {"limit_price": "98.001"}, "tick 0.01"),
            ("qty_off_lot", {"qty": "1.0001"}, "lot 0.001"),
            ("below_lot", {"qty": "0.0001"}, "0.0001 < 0.001"),
            ("invalid_qty", {"qty": "-2"}, "-2 is not above 0"),
            ("below_min_notional", {"qty": "0.05"}, "0.05 * 98 = 4.9 < 5"),
            ("unexpected_price", {"stop_price": "97"}, "a limit order has no stop price"),
            ("insufficient_balance", {"qty": "102"}, "102 * 98 * 1.002 = 10015.992 > 10000"),
            ("nothing_to_change", {"qty": "1", "limit_price": "98"}, "as they were"),
            ("nothing_to_change", {}, "nothing given"),
        ]
    ),
    Case(
        "replace-own-hold-counts",
        FIVE,
        [buy("60", limit="98"), replace("t-1", "2:00", qty="101")],
        f"{IN}|2:00.1 1 replaced qty 60 -> 101|{END}",
        "101 * 98 * 1.002 = 9917.796 <= 10000 with its own hold",
    ),
    Case(
        "replace-market",
        FIVE,
        [buy("11"), replace("t-1", "1:30", qty="15")],
        f"{IN}|1:00.1 1 partial 10 @ 100.05 fee 2.001 taker_open|1:30.1 1 refused not_replaceable"
        "|2:00 1 filled 1 @ 100.05 fee 0.2001 taker_next_open",
        "a market order has nothing that rests",
    ),
    Case(
        "replace-stop",
        FIVE,
        [sell("1", stop="98"), replace("t-1", "2:00", stop_price="99.5")],
        f"{IN}|2:00.1 1 replaced stop_price 98 -> 99.5|3:00 1 triggered"
        "|3:00 1 filled 1 @ 99.45 fee 0.1989 stop_reached",
        "99.5 * 0.9995 = 99.45025, down to 99.45; * 0.002 = 0.1989",
    ),
    Case(
        "replace-stop-to-reached",
        FIVE,
        [sell("1", stop="98"), replace("t-1", "2:00", stop_price="101")],
        f"{IN}|2:00.1 1 replaced stop_price 98 -> 101|2:00.1 1 triggered"
        "|2:00.1 1 filled 1 @ 99.95 fee 0.1999 taker_open",
        "the open 100 is below 101",
    ),
    Case(
        "replace-triggered-stop",
        [FLAT, (100, 101, 97, 97, 1000), (97, 98, 96, 97, 1000), *FIVE],
        [sell("1", stop="98", limit="97.5"), replace("t-1", "2:30", stop_price="96")],
        f"{IN}|2:00 1 triggered|2:30.1 1 refused already_triggered"
        "|3:00 1 filled 1 @ 97.5 fee 0.195 maker_through",
        "rests at 97.5 from 2:00 on; high 98 > 97.5",
    ),
    Case(
        "replace-larger-loses-place",
        FIVE,
        [buy("10", limit="99.5"), buy("10", limit="99.5", who="u"), replace("t-1", "1:30", qty="11")],
        "1:00 1 accepted|1:00 u-1 accepted|1:00.1 1 arrived|1:00.1 u-1 arrived|1:30.1 1 replaced qty 10 -> 11"
        "|2:00 u-1 filled 10 @ 99.5 fee 1.99 maker_through|3:00 1 partial 10 @ 99.5 fee 1.99 maker_through"
        "|4:00 1 filled 1 @ 99.5 fee 0.199 maker_through",
        "10 a candle; 1 of 11 is 9 %, so it waits",
    ),
    Case(
        "replace-larger-late-in-candle",
        FIVE,
        [buy("1", limit="99.5"), replace("t-1", "1:59.8", qty="5")],
        f"{IN}|1:59.9 1 replaced qty 1 -> 5|3:00 1 filled 5 @ 99.5 fee 0.995 maker_through",
        "the candle that closes at 2:00 began without the 4; 497.5 * 0.002",
    ),
    Case(
        "replace-larger-early-in-candle",
        FIVE,
        [buy("1", limit="99.5", time="1:30"), replace("t-1", "2:00", qty="5")],
        "1:30 1 accepted|1:30.1 1 arrived|2:00.1 1 replaced qty 1 -> 5"
        "|3:00 1 filled 5 @ 99.5 fee 0.995 maker_through",
        "0.1 s is within the first 0.6 s of the candle",
    ),
    Case(
        "replace-smaller-late-in-candle",
        FIVE,
        [buy("5", limit="99.5"), replace("t-1", "1:59.8", qty="1")],
        f"{IN}|1:59.9 1 replaced qty 5 -> 1|2:00 1 filled 1 @ 99.5 fee 0.199 maker_through",
        "the 1 that is left was there all the time",
    ),
    Case(
        "replace-smaller-keeps-place",
        FIVE,
        [buy("10", limit="99.5"), buy("10", limit="99.5", who="u"), replace("t-1", "1:30", qty="9")],
        "1:00 1 accepted|1:00 u-1 accepted|1:00.1 1 arrived|1:00.1 u-1 arrived|1:30.1 1 replaced qty 10 -> 9"
        "|2:00 1 filled 9 @ 99.5 fee 1.791 maker_through|2:00 u-1 partial 1 @ 99.5 fee 0.199 maker_through"
        "|3:00 u-1 filled 9 @ 99.5 fee 1.791 maker_through",
        "9 + 1 = 10; 9 * 99.5 * 0.002 = 1.791",
    ),
]

# Four quarters of the second candle: up first, then down.
UP_THEN_DOWN: list[Row | None] = [
    None,
    None,
    None,
    None,
    (100, 101, 100, 100.5, 250),
    (100.5, 100.6, 99, 99, 250),
    (99, 100, 99, 100, 250),
    (100, 100, 100, 100, 250),
]
# The dip comes in the third quarter.
LATE_DIP: list[Row | None] = [
    None,
    None,
    None,
    None,
    (100, 101, 99.8, 100, 250),
    (100, 101, 99.8, 100, 250),
    (100, 101, 99, 100, 250),
    (100, 101, 99.8, 100, 250),
]
BRACKET = [sell("2.5", stop="99.5"), sell("2.5", limit="100.5")]
BRACKET_IN = f"{BOTH_IN}|1:00.1 2 arrived"
STOP_FILLED = "2:00 1 triggered|2:00 1 filled 2.5 @ 99.45 fee 0.49725 stop_reached"
LIMIT_FILLED = "2:00 2 filled 2.5 @ 100.5 fee 0.5025 maker_through"

SHARED = [
    Case(
        "two-takers",
        FIVE,
        [buy("6"), buy("6")],
        f"{BOTH_IN}|1:00.1 1 filled 6 @ 100.05 fee 1.2006 taker_open|1:00.1 2 arrived"
        "|1:00.1 2 partial 4 @ 100.05 fee 0.8004 taker_open|2:00 2 filled 2 @ 100.05 fee 0.4002 taker_next_open",
        "6 + 4 = 10; 600.3 * 0.002 = 1.2006; 400.2 * 0.002 = 0.8004; 200.1 * 0.002 = 0.4002",
    ),
    Case(
        "two-takers-of-two-components",
        FIVE,
        [buy("12", who="u"), buy("12", who="t", time="1:00.01")],
        "1:00 u-1 accepted|1:00.01 1 accepted|1:00.1 u-1 arrived"
        "|1:00.1 u-1 partial 10 @ 100.05 fee 2.001 taker_open|1:00.11 1 arrived"
        "|2:00 u-1 filled 2 @ 100.05 fee 0.4002 taker_next_open"
        "|2:00 1 partial 8 @ 100.05 fee 1.6008 taker_next_open|3:00 1 filled 4 @ 100.05 fee 0.8004 taker_next_open",
        "the earlier arrival is served first: 10, then 2 + 8, then 4",
    ),
    Case(
        "buy-and-sell-apart",
        FIVE,
        [buy("10"), sell("10")],
        f"{BOTH_IN}|1:00.1 1 filled 10 @ 100.05 fee 2.001 taker_open|1:00.1 2 arrived"
        "|1:00.1 2 filled 10 @ 99.95 fee 1.999 taker_open",
        "each side has its own 10",
    ),
    Case(
        "two-makers-price-first",
        FIVE,
        [buy("10", limit="99.4"), buy("10", limit="99.5")],
        f"{BOTH_IN}|1:00.1 2 arrived|2:00 2 filled 10 @ 99.5 fee 1.99 maker_through"
        "|3:00 1 filled 10 @ 99.4 fee 1.988 maker_through",
        "the better price is served first",
    ),
    Case(
        "two-makers-time-next",
        FIVE,
        [buy("10", limit="99.5"), buy("10", limit="99.5")],
        f"{BOTH_IN}|1:00.1 2 arrived|2:00 1 filled 10 @ 99.5 fee 1.99 maker_through"
        "|3:00 2 filled 10 @ 99.5 fee 1.99 maker_through",
        "at the same price the first is served first",
    ),
    Case(
        "two-stops",
        [FLAT, (100, 101, 97, 98, 1000), (98, 99, 97, 98, 1000), FLAT, FLAT],
        [sell("8", stop="98"), sell("8", stop="97.5")],
        f"{BOTH_IN}|1:00.1 2 arrived|2:00 1 triggered|2:00 1 filled 8 @ 97.95 fee 1.5672 stop_reached"
        "|2:00 2 triggered|2:00 2 partial 2 @ 97.45 fee 0.3898 stop_reached"
        "|3:00 2 filled 6 @ 99.95 fee 1.1994 taker_next_open",
        "8 + 2 = 10, also of the open at 2:00; 97.5 * 0.9995 = 97.45125, down to 97.45; then 6 at the open 100: 99.95; "
        "783.6, 194.9 and 599.7 times 0.002",
    ),
    Case(
        "stops-and-takers-of-one-moment",
        [FLAT, (100, 101, 97, 98, 1000), (98, 99, 97, 98, 1000), FLAT, FLAT],
        [sell("8", stop="98"), sell("8", time="2:00"), buy("10", time="2:00")],
        f"{IN}|2:00 1 triggered|2:00 1 filled 8 @ 97.95 fee 1.5672 stop_reached|2:00 2 accepted|2:00 3 accepted"
        "|2:00.1 2 arrived|2:00.1 2 partial 2 @ 97.95 fee 0.3918 taker_open|2:00.1 3 arrived"
        "|2:00.1 3 filled 10 @ 98.05 fee 1.961 taker_open|3:00 2 filled 6 @ 99.95 fee 1.1994 taker_next_open",
        "sells: 8 + 2 = 10; buys: 10; 98 * 1.0005 = 98.049, up to 98.05; 195.9, 980.5 and 599.7 times 0.002",
    ),
    Case(
        "stop-and-profit-pessimistic",
        FIVE,
        BRACKET,
        f"{BRACKET_IN}|{STOP_FILLED}|{LIMIT_FILLED}",
        "the stop first: 99.5 * 0.9995 = 99.45025, down to 99.45; 248.625 * 0.002; 251.25 * 0.002",
    ),
    Case(
        "stop-and-profit-optimistic",
        FIVE,
        BRACKET,
        f"{BRACKET_IN}|{LIMIT_FILLED}|{STOP_FILLED}",
        "the limit first",
        model={"intrabar": "optimistic"},
    ),
    Case(
        "stop-takes-the-candle",
        FIVE,
        [sell("10", stop="99.5"), sell("10", limit="100.5")],
        f"{BRACKET_IN}|2:00 1 triggered|2:00 1 filled 10 @ 99.45 fee 1.989 stop_reached"
        "|3:00 2 filled 10 @ 100.5 fee 2.01 maker_through",
        "the stop used the 10 of the side; 994.5 * 0.002 and 1005 * 0.002",
    ),
    Case(
        "profit-takes-the-candle",
        FIVE,
        [sell("10", stop="99.5"), sell("10", limit="100.5")],
        f"{BRACKET_IN}|2:00 2 filled 10 @ 100.5 fee 2.01 maker_through|2:00 1 triggered"
        "|2:00 1 filled 10 @ 99.95 fee 1.999 taker_next_open",
        "the limit used the 10; the stop, triggered, takes the next open 100: 99.95",
        model={"intrabar": "optimistic"},
    ),
    Case(
        "finer-candles-decide",
        FIVE,
        BRACKET,
        f"{BRACKET_IN}|{LIMIT_FILLED}|{STOP_FILLED}",
        "the high came in the first quarter, the low in the second; 1 % of 250 = 2.5 each",
        finer=UP_THEN_DOWN,
    ),
    Case(
        "finer-candles-after-arrival",
        FIVE,
        [buy("1", limit="99.5", time="1:20")],
        "1:20 1 accepted|1:20.1 1 arrived|2:00 1 filled 1 @ 99.5 fee 0.199 maker_through",
        "it arrived in the second quarter; the third dips to 99",
        finer=LATE_DIP,
    ),
    Case(
        "no-finer-candles-after-arrival",
        FIVE,
        [buy("1", limit="99.5", time="1:20")],
        "1:20 1 accepted|1:20.1 1 arrived|3:00 1 filled 1 @ 99.5 fee 0.199 maker_through",
        "without finer candles the candle of arrival does not count",
    ),
    Case(
        "finer-candles-gap",
        [FLAT, (100, 101, 96, 97, 1000), FLAT, FLAT, FLAT],
        [sell("1", stop="98")],
        f"{IN}|2:00 1 triggered|2:00 1 filled 1 @ 96.95 fee 0.1939 stop_gap",
        "the third quarter opens at 97, beyond the stop: 97 * 0.9995 = 96.9515, down to 96.95",
        finer=[None, None, None, None, FLAT, FLAT, (97, 98, 96, 97, 250), (97, 97, 97, 97, 250)],
    ),
    Case(
        "within-the-first-hundredth",
        FIVE,
        [buy("1", limit="99.5", time="1:00.5")],
        "1:00.5 1 accepted|1:00.6 1 arrived|2:00 1 filled 1 @ 99.5 fee 0.199 maker_through",
        "0.6 s <= 60 s / 100",
    ),
    Case(
        "after-the-first-hundredth",
        FIVE,
        [buy("1", limit="99.5", time="1:00.501")],
        "1:00.501 1 accepted|1:00.601 1 arrived|3:00 1 filled 1 @ 99.5 fee 0.199 maker_through",
        "0.601 s > 0.6 s",
    ),
    Case(
        "stop-after-the-first-hundredth",
        [FLAT, (100, 101, 97, 98, 1000), (96, 97, 95, 96, 1000), FLAT, FLAT],
        [sell("1", stop="98", time="1:10")],
        "1:10 1 accepted|1:10.1 1 arrived|3:00 1 triggered|3:00 1 filled 1 @ 95.95 fee 0.1919 stop_gap",
        "the candle of arrival does not count; the next opens at 96: 95.952, down to 95.95",
    ),
]

DEAR = (200, 201, 199, 200, 1000)
CASH = [
    Case(
        "cut-to-the-cash",
        [(100, 101, 99, 100, 100000), (120, 121, 119, 120, 1000), *FIVE],
        [buy("90")],
        f"{IN}|1:00.1 1 partial 83.125 @ 120.06 fee 19.959975 taker_open|1:00.1 1 cancelled insufficient_balance",
        "83.125 * 120.06 * 1.002 = 9999.947475 <= 10000; one lot more is 10000.06777512",
        cash_after="0.052525",
        coins_after="183.125",
    ),
    Case(
        "cut-to-nothing",
        [(100, 101, 99, 100, 100000), (200000, 200001, 199999, 200000, 1000), *FIVE],
        [buy("0.9")],
        f"{IN}|1:00.1 1 cancelled insufficient_balance",
        "0.001 * 200100 * 1.002 = 200.5002 > 100",
        cash="100",
        cash_after="100",
        coins_after="100",
    ),
    Case(
        "cut-fill-or-kill",
        [(100, 101, 99, 100, 100000), (120, 121, 119, 120, 1000), *FIVE],
        [buy("90", tif="FOK")],
        f"{IN}|1:00.1 1 cancelled insufficient_balance",
        "90 * 120.06 * 1.002 = 10827.0108 > 10000",
        cash_after="10000",
    ),
    Case(
        "cut-fill-or-kill-leaves-the-volume",
        [FLAT, (120, 121, 119, 120, 1000), *FIVE],
        [buy("9", tif="FOK", account="a"), buy("8", who="u", account="b")],
        "1:00 1 accepted|1:00 u-1 accepted|1:00.1 1 arrived|1:00.1 1 cancelled insufficient_balance"
        "|1:00.1 u-1 arrived|1:00.1 u-1 filled 8 @ 120.06 fee 1.92096 taker_open",
        "9 * 120.06 * 1.002 = 1082.70108 > 1000; all 10 are left for u: 960.48 * 0.002 = 1.92096",
        accounts={"a": "1000", "b": "10000"},
    ),
    Case(
        "dear-fills-use-the-hold-up",
        [FLAT, *[DEAR] * 6],
        [buy("90")],
        f"{IN}|1:00.1 1 partial 10 @ 200.1 fee 4.002 taker_open"
        + "".join(f"|{minute}:00 1 partial 10 @ 200.1 fee 4.002 taker_next_open" for minute in (2, 3, 4))
        + "|5:00 1 partial 9.875 @ 200.1 fee 3.951975 taker_next_open|5:00 1 cancelled insufficient_balance",
        "10 cost 2005.002; after four 1979.992 are left; 9.875 * 200.1 * 1.002 = 1979.939475",
        end="7:00",
        cash_after="0.052525",
        coins_after="149.875",
    ),
    Case(
        "round-trip",
        FIVE,
        [buy("10"), sell("10", time="2:00")],
        f"{IN}|1:00.1 1 filled 10 @ 100.05 fee 2.001 taker_open|2:00 2 accepted|2:00.1 2 arrived"
        "|2:00.1 2 filled 10 @ 99.95 fee 1.999 taker_open",
        "10000 - 1000.5 - 2.001 + 999.5 - 1.999 = 9995",
        cash_after="9995",
        coins_after="100",
    ),
    Case(
        "fee-rounds-up",
        [(0.33, 0.34, 0.32, 0.33, 1e6), (0.33, 0.34, 0.32, 0.33, 1e6)],
        [buy("16.001")],
        f"{IN}|1:00.1 1 filled 16.001 @ 0.34 fee 0.00054404 taker_open",
        "0.33 * 1.0005 = 0.330165, up to 0.34; 5.44034 * 0.0001 = 0.000544034, up to 0.00054404",
        end="2:00",
        model={"fee_bps": D(1)},
    ),
    Case(
        "separate-accounts",
        FIVE,
        [buy("1", account="a"), buy("1", who="u", account="b")],
        "1:00 1 accepted|1:00 u-1 rejected insufficient_balance|1:00.1 1 arrived"
        "|1:00.1 1 filled 1 @ 100.05 fee 0.2001 taker_open",
        "105.21 > 100 of account b",
        accounts={"a": "10000", "b": "100"},
    ),
    Case(
        "shared-account",
        FIVE,
        [buy("90"), buy("10", who="u"), cancel("t-1", "2:30")],
        "1:00 1 accepted|1:00 u-1 rejected insufficient_balance|1:00.1 1 arrived"
        "|1:00.1 1 partial 10 @ 100.05 fee 2.001 taker_open|2:00 1 partial 10 @ 100.05 fee 2.001 taker_next_open"
        "|2:30.1 1 cancelled requested",
        "90 * 105.21 = 9468.9 held; 1052.1 > 531.1",
        cash_after="7994.998",
        coins_after="120",
    ),
]

SPREAD = {"half_spread_bps": D(50)}
QUIET: list[Row | None] = [FLAT] * 24
WILD = (100, 102, 99, 100, 1000)
LATE_IN = "25:00 1 accepted|25:00.1 1 arrived"
MODELS = [
    Case(
        "touch",
        FIVE,
        [buy("1", limit="99")],
        f"{IN}|2:00 1 filled 1 @ 99 fee 0.198 maker_touch",
        "low 99 touches 99",
        model={"touch": "touch"},
    ),
    Case(
        "impact",
        FIVE,
        [buy("10")],
        f"{IN}|1:00.1 1 filled 10 @ 100.15 fee 2.003 taker_open",
        "5 + 100 * sqrt(10 / 1000) = 15 bp; 1001.5 * 0.002 = 2.003",
        model={"impact_bps": D(100)},
    ),
    Case(
        "half-spread",
        FIVE,
        [sell("1")],
        f"{IN}|1:00.1 1 filled 1 @ 99.92 fee 0.19984 taker_open",
        "5 + 3 = 8 bp; 99.92 * 0.002 = 0.19984",
        model={"half_spread_bps": D(3)},
    ),
    *(
        Case(f"half-spread-of-{name}", FIVE, [ask], f"{IN}|{expect}", why, model=SPREAD)
        for name, ask, expect, why in [
            ("buy-limit-missed", buy("1", limit="99.4"), END, "low 99: ask 99 * 1.005 = 99.495 > 99.4"),
            (
                "buy-limit",
                buy("1", limit="99.5"),
                "2:00 1 filled 1 @ 99.5 fee 0.199 maker_through",
                "low 99: ask 99.495 < 99.5; 99.5 * 0.002",
            ),
            ("sell-limit-missed", sell("1", limit="100.5"), END, "high 101: bid 101 * 0.995 = 100.495"),
            (
                "sell-limit",
                sell("1", limit="100.49"),
                "2:00 1 filled 1 @ 100.49 fee 0.20098 maker_through",
                "high 101: bid 100.495 > 100.49; 100.49 * 0.002",
            ),
            (
                "sell-stop",
                sell("1", stop="98.51"),
                "2:00 1 triggered|2:00 1 filled 1 @ 97.96 fee 0.19592 stop_reached",
                "low 99: bid 98.505 <= 98.51; 98.51 * (1 - 0.0055) = 97.968195, down to 97.96",
            ),
            ("sell-stop-missed", sell("1", stop="98.5"), END, "low 99: bid 98.505 > 98.5"),
            (
                "buy-stop",
                buy("1", stop="101.5"),
                "2:00 1 triggered|2:00 1 filled 1 @ 102.06 fee 0.20412 stop_reached",
                "high 101: ask 101.505 >= 101.5; 101.5 * 1.0055 = 102.05825, up to 102.06",
            ),
            ("buy-stop-missed", buy("1", stop="101.51"), END, "high 101: ask 101.505 < 101.51"),
            (
                "buy-stop-at-arrival",
                buy("1", stop="100.5"),
                "1:00.1 1 triggered|1:00.1 1 filled 1 @ 100.55 fee 0.2011 taker_open",
                "open 100: ask 100.5 >= 100.5; 100 * 1.0055 = 100.55",
            ),
            (
                "sell-stop-at-arrival",
                sell("1", stop="99.5"),
                "1:00.1 1 triggered|1:00.1 1 filled 1 @ 99.45 fee 0.1989 taker_open",
                "open 100: bid 99.5 <= 99.5; 100 * 0.9945 = 99.45",
            ),
        ]
    ),
    Case(
        "limit-beside-half-spread",
        FIVE,
        [buy("1", limit="100.5"), buy("1", limit="100.49")],
        f"{BOTH_IN}|1:00.1 1 filled 1 @ 100.5 fee 0.201 taker_limit|1:00.1 2 arrived"
        "|2:00 2 filled 1 @ 100.49 fee 0.20098 maker_through",
        "ask 100 * 1.005 = 100.5; 100 * 1.0055 = 100.55 > 100.5; 100.49 rests until the ask is 99.495",
        model=SPREAD,
    ),
    Case(
        "taker-fee-at-the-limit",
        FIVE,
        [buy("1", limit="100.04")],
        f"{IN}|1:00.1 1 filled 1 @ 100.04 fee 0.40016 taker_limit",
        "100.04 * 0.004",
        model={"maker_bps": D(10), "taker_bps": D(40)},
    ),
    Case(
        "takers-share-with-those-at-the-limit",
        FIVE,
        [buy("6", limit="100.04"), buy("6")],
        f"{BOTH_IN}|1:00.1 1 filled 6 @ 100.04 fee 1.20048 taker_limit|1:00.1 2 arrived"
        "|1:00.1 2 partial 4 @ 100.05 fee 0.8004 taker_open|2:00 2 filled 2 @ 100.05 fee 0.4002 taker_next_open",
        "6 + 4 = 10; 600.24 * 0.002 = 1.20048",
    ),
    Case(
        "no-slippage",
        FIVE,
        [buy("1")],
        f"{IN}|1:00.1 1 filled 1 @ 100 fee 0.2 taker_open",
        "0 bp",
        model={"slippage_bps": D(0)},
    ),
    Case(
        "volatility",
        [*QUIET, WILD, FLAT],
        [buy("1", time="25:00")],
        f"{LATE_IN}|25:00.1 1 filled 1 @ 100.08 fee 0.20016 taker_open",
        "m = 0.03 / 0.02 = 1.5; 7.5 bp: 100.075, up to 100.08",
        end="26:00",
    ),
    Case(
        "volatility-at-most-2",
        [*QUIET, (100, 109, 99, 100, 1000), FLAT],
        [buy("1", time="25:00")],
        f"{LATE_IN}|25:00.1 1 filled 1 @ 100.1 fee 0.2002 taker_open",
        "m = 0.1 / 0.02 = 5, at most 2: 10 bp",
        end="26:00",
    ),
    Case(
        "volatility-at-least-1",
        [*QUIET, (100, 100.5, 99.5, 100, 1000), FLAT],
        [buy("1", time="25:00")],
        f"{LATE_IN}|25:00.1 1 filled 1 @ 100.05 fee 0.2001 taker_open",
        "m = 0.01 / 0.02 = 0.5, at least 1: 5 bp",
        end="26:00",
    ),
    Case(
        "volatility-needs-20",
        [*QUIET[:18], WILD, FLAT],
        [buy("1", time="19:00")],
        "19:00 1 accepted|19:00.1 1 arrived|19:00.1 1 filled 1 @ 100.05 fee 0.2001 taker_open",
        "19 candles: m = 1",
        end="20:00",
    ),
    Case(
        "fixed-slippage",
        [*QUIET, WILD, FLAT],
        [buy("1", time="25:00")],
        f"{LATE_IN}|25:00.1 1 filled 1 @ 100.05 fee 0.2001 taker_open",
        "5 bp whatever the market",
        end="26:00",
        model={"slippage_model": "fixed"},
    ),
    Case(
        "maker-fee",
        FIVE,
        [buy("1", limit="99.5")],
        f"{IN}|2:00 1 filled 1 @ 99.5 fee 0.0995 maker_through",
        "99.5 * 0.001",
        model={"maker_bps": D(10), "taker_bps": D(40)},
    ),
    Case(
        "taker-fee",
        FIVE,
        [buy("1")],
        f"{IN}|1:00.1 1 filled 1 @ 100.05 fee 0.4002 taker_open",
        "100.05 * 0.004",
        model={"maker_bps": D(10), "taker_bps": D(40)},
    ),
    Case(
        "fee-tiers",
        FIVE,
        [buy("5"), buy("1", time="2:00")],
        f"{IN}|1:00.1 1 filled 5 @ 100.05 fee 1.0005 taker_open|2:00 2 accepted|2:00.1 2 arrived"
        "|2:00.1 2 filled 1 @ 100.05 fee 0.10005 taker_open",
        "500.25 * 0.002; then 500.25 >= 500 traded: 100.05 * 0.001",
        model={
            "fee_tiers": (
                FeeTierSettings(volume=D(0), maker_bps=D(10), taker_bps=D(20)),
                FeeTierSettings(volume=D(500), maker_bps=D(5), taker_bps=D(10)),
            )
        },
    ),
    Case(
        "unlimited",
        FIVE,
        [buy("50")],
        f"{IN}|1:00.1 1 filled 50 @ 100.05 fee 10.005 taker_open",
        "no bound; 5002.5 * 0.002",
        model={"liquidity_model": "unlimited"},
    ),
    Case(
        "unlimited-needs-volume",
        [(100, 100, 100, 100, 0), *FIVE],
        [buy("50")],
        f"{IN}|2:00 1 filled 50 @ 100.05 fee 10.005 taker_next_open",
        "no volume, no fill",
        model={"liquidity_model": "unlimited"},
    ),
    Case(
        "no-threshold",
        FIVE,
        [buy("10.05")],
        f"{IN}|1:00.1 1 partial 10 @ 100.05 fee 2.001 taker_open"
        "|2:00 1 filled 0.05 @ 100.05 fee 0.010005 taker_next_open",
        "0.05 is not below 0",
        model={"partial_fill_threshold": D(0)},
    ),
    Case(
        "larger-share",
        FIVE,
        [buy("50")],
        f"{IN}|1:00.1 1 filled 50 @ 100.05 fee 10.005 taker_open",
        "5 % of 1000 = 50",
        model={"max_volume_pct": D(5)},
    ),
    Case(
        "latency",
        FIVE,
        [buy("1")],
        "1:00 1 accepted|1:00.25 1 arrived|1:00.25 1 filled 1 @ 100.05 fee 0.2001 taker_open",
        "1:00 + 0.25 s",
        model={"latency_fixed_ms": D(250)},
    ),
]

ENDS = [
    Case(
        "data-end",
        [FLAT] * 3,
        [RESTING],
        f"{IN}|3:00 1 cancelled end_of_data",
        "the last candle closes at 3:00",
        coin_end="3:00",
    ),
    Case(
        "data-end-in-flight",
        [FLAT] * 3,
        [buy("1", time="2:59.95")],
        "2:59.95 1 accepted|3:00 1 cancelled end_of_data",
        "it would arrive at 3:00.05",
        coin_end="3:00",
    ),
    Case(
        "arrives-at-the-end",
        FIVE,
        [buy("1", time="4:59.9")],
        "4:59.9 1 accepted|5:00 1 arrived|5:00 1 cancelled end_of_run",
        "no candle opens at 5:00",
    ),
    Case(
        "expiry-after-the-end",
        FIVE,
        [buy("1", limit="98", tif="GTD", until="9:00")],
        f"{IN}|{END}",
        "the run ends first",
    ),
    Case(
        "expiry-at-the-close",
        FIVE,
        [buy("1", limit="99.5", tif="GTD", until="2:00")],
        f"{IN}|2:00 1 filled 1 @ 99.5 fee 0.199 maker_through",
        "candles close before orders expire",
    ),
    Case(
        "expiry-before-the-cancel",
        FIVE,
        [buy("1", limit="98", tif="GTD", until="2:00"), cancel("t-1", "1:59.9")],
        f"{IN}|2:00 1 expired expired|2:00 1 refused already_ended",
        "orders expire before cancels arrive",
    ),
]

# fmt: on
CASES = [*REJECTED, *CANCELLED, *REPLACED, *SHARED, *CASH, *MODELS, *ENDS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_rule(case: Case) -> None:
    harness = run(case)
    assert harness.transcript() == lines(case.expect), case.why
    if case.cash_after is not None:
        assert harness.exchange.cash("main") == D(case.cash_after)
    if case.coins_after is not None:
        assert harness.exchange.quantity("main", "BTC") == D(case.coins_after)
