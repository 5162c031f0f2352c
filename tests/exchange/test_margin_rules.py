"""Accounts that may owe: what is accepted, cut, charged and liquidated; the arithmetic is in each case."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from orchestrator.account_settings import AccountSettings
from tests.exchange.cases import Case, buy, cancel, lines, replace, run, sell
from tests.exchange.harness import Row

D = Decimal
FLAT: Row = (100, 101, 99, 100, 100_000)
FIVE = [FLAT] * 5
HOUR = [FLAT] * 62
IN = "1:00 1 accepted|1:00.1 1 arrived"
END = "5:00 1 cancelled end_of_run"
FREE: dict[str, Any] = {"slippage_bps": D(0), "fee_bps": D(0)}
BUY_200 = f"{IN}|1:00.1 1 filled 200 @ 100 fee 0 taker_open"
BUY_285 = f"{IN}|1:00.1 1 filled 285 @ 100 fee 0 taker_open"
SELL_10 = f"{IN}|1:00.1 1 filled 10 @ 100 fee 0 taker_open"
BUY_10 = f"{IN}|1:00.1 1 filled 10 @ 100 fee 0 taker_open"


def margin(kind: str = "margin", **keys: Any) -> AccountSettings:
    decimals = {key: D(value) for key, value in keys.items()}
    return AccountSettings(kind=kind, **decimals).resolved()  # type: ignore[arg-type]


NO_INTEREST: dict[str, Any] = {
    "borrow_quote_rate_pct_per_year": 0,
    "borrow_base_rate_pct_per_year": 0,
    "liquidation_fee_bps": 0,
}
PLAIN = margin(**NO_INTEREST)
INTEREST = margin()
CONTRACTS = margin("perpetual", liquidation_fee_bps=0)


BACKING = [
    Case(
        "short-from-nothing",
        FIVE,
        [sell("10")],
        SELL_10,
        "10000 + 10 * 100",
        model=FREE,
        account=PLAIN,
        cash_after="11000",
        coins_after="-10",
    ),
    Case(
        "buy-on-credit",
        FIVE,
        [buy("200")],
        BUY_200,
        "200 * 105 = 21000 <= 3 * 10000; 10000 - 20000",
        model=FREE,
        account=PLAIN,
        cash_after="-10000",
        coins_after="200",
    ),
    Case(
        "as-much-as-leverage-allows",
        FIVE,
        [buy("285")],
        BUY_285,
        "285 * 105 = 29925 <= 30000",
        model=FREE,
        account=PLAIN,
        cash_after="-18500",
        coins_after="285",
    ),
    Case(
        "more-than-leverage-allows",
        FIVE,
        [buy("286")],
        "1:00 1 rejected insufficient_margin",
        "286 * 105 = 30030 > 30000",
        model=FREE,
        account=PLAIN,
    ),
    Case(
        "short-more-than-leverage-allows",
        FIVE,
        [sell("286")],
        "1:00 1 rejected insufficient_margin",
        "286 * 105 = 30030 > 30000",
        model=FREE,
        account=PLAIN,
    ),
    Case(
        "limit-counts-at-its-price",
        FIVE,
        [buy("300", limit="100")],
        f"{IN}|1:00.1 1 filled 300 @ 100 fee 0 taker_open",
        "300 * 100 = 30000 <= 30000, and after the fill equity 10000 * 3 backs 30000",
        model=FREE,
        account=PLAIN,
        cash_after="-20000",
        coins_after="300",
    ),
    Case(
        "limit-a-lot-too-large",
        FIVE,
        [buy("300.001", limit="100")],
        "1:00 1 rejected insufficient_margin",
        "300.001 * 100 = 30000.1 > 30000",
        model=FREE,
        account=PLAIN,
    ),
    Case(
        "fees-need-margin-too",
        FIVE,
        [buy("299", limit="100")],
        "1:00 1 rejected insufficient_margin",
        "29900 * 0.002 = 59.8; (10000 - 59.8) * 3 = 29820.6 < 29900",
        model={"slippage_bps": D(0)},
        account=PLAIN,
    ),
    Case(
        "fees-and-margin-fit",
        FIVE,
        [buy("298", limit="100")],
        f"{IN}|1:00.1 1 filled 298 @ 100 fee 59.6 taker_open",
        "29800 * 0.002 = 59.6; (10000 - 59.6) * 3 = 29821.2 >= 29800; 10000 - 29800 - 59.6",
        model={"slippage_bps": D(0)},
        account=PLAIN,
        cash_after="-19859.6",
    ),
    Case(
        "stop-counts-5-percent-above",
        FIVE,
        [sell("97", stop="98"), sell("1", stop="98")],
        "1:00 1 accepted|1:00 2 rejected insufficient_margin|1:00.1 1 arrived|" + END,
        "97 * 98 * 1.05 = 9981.3 <= 10000; 98 * 98 * 1.05 = 10084.2 > 10000",
        model=FREE,
        account=margin(max_leverage=1, **NO_INTEREST),
    ),
    Case(
        "initial-margin-instead-of-leverage",
        FIVE,
        [buy("190", limit="100"), buy("11", limit="100")],
        "1:00 1 accepted|1:00 2 rejected insufficient_margin|1:00.1 1 arrived|"
        "1:00.1 1 filled 190 @ 100 fee 0 taker_open",
        "50 % of 19000 = 9500 <= 10000; of 20100 = 10050 > 10000",
        model=FREE,
        account=margin(initial_margin_pct=50, **NO_INTEREST),
    ),
    Case(
        "orders-of-one-side-add-up",
        FIVE,
        [buy("150", limit="98"), buy("150", limit="98"), buy("10", limit="98")],
        "1:00 1 accepted|1:00 2 accepted|1:00 3 rejected insufficient_margin|1:00.1 1 arrived|1:00.1 2 arrived|"
        f"{END}|5:00 2 cancelled end_of_run",
        "29400 <= 30000; 29400 + 980 = 30380 > 30000",
        model=FREE,
        account=PLAIN,
    ),
    Case(
        "orders-of-two-sides-do-not",
        FIVE,
        [buy("300", limit="98"), sell("290", limit="102")],
        "1:00 1 accepted|1:00 2 accepted|1:00.1 1 arrived|1:00.1 2 arrived|"
        f"{END}|5:00 2 cancelled end_of_run",
        "the worse of 29400 and 290 * 102 = 29580 is <= 30000",
        model=FREE,
        account=PLAIN,
    ),
    Case(
        "coins-add-up",
        FIVE,
        [buy("150", limit="98"), buy("160", limit="98", coin="ETH")],
        f"1:00 1 accepted|1:00 2 rejected insufficient_margin|1:00.1 1 arrived|{END}",
        "14700 + 15680 = 30380 > 30000",
        model=FREE,
        account=PLAIN,
        other_rows=FIVE,
    ),
    Case(
        "a-loss-leaves-less-to-order",
        [FLAT, FLAT, (100, 101, 70, 70, 100_000), FLAT, FLAT],
        [buy("285"), buy("1", time="3:00"), sell("285", time="3:00")],
        f"{BUY_285}|3:00 2 rejected insufficient_margin|3:00 3 accepted|3:00.1 3 arrived|"
        "3:00.1 3 filled 285 @ 100 fee 0 taker_open",
        "equity 285 * 70 - 18500 = 1450; 1450 * 3 < 286 * 70 * 1.05, but to sell 285 raises nothing",
        model=FREE,
        account=PLAIN,
        cash_after="10000",
        coins_after="0",
    ),
    Case(
        "a-position-may-turn",
        FIVE,
        [buy("10"), sell("20", time="2:00")],
        f"{BUY_10}|2:00 2 accepted|2:00.1 2 arrived|2:00.1 2 filled 20 @ 100 fee 0 taker_open",
        "20 * 105 - 1000 = 1100 <= 30000; 10000 - 1000 + 2000",
        model=FREE,
        account=PLAIN,
        cash_after="11000",
        coins_after="-10",
    ),
    Case(
        "replace-needs-margin",
        FIVE,
        [buy("100", limit="98"), replace("t-1", "2:00", qty="310")],
        f"{IN}|2:00.1 1 refused insufficient_margin|{END}",
        "310 * 98 = 30380 > 30000",
        model=FREE,
        account=PLAIN,
    ),
    Case(
        "replace-frees-its-own-margin",
        FIVE,
        [buy("300", limit="98"), replace("t-1", "2:00", limit_price="97")],
        f"{IN}|2:00.1 1 replaced limit_price 98 -> 97|{END}",
        "300 * 97 = 29100 <= 30000",
        model=FREE,
        account=PLAIN,
    ),
    Case(
        "a-cancel-frees-margin",
        FIVE,
        [buy("300", limit="98"), cancel("t-1", "2:00"), buy("300", limit="98", time="3:00")],
        f"{IN}|2:00.1 1 cancelled requested|3:00 2 accepted|3:00.1 2 arrived|5:00 2 cancelled end_of_run",
        "29400 <= 30000 twice, one after the other",
        model=FREE,
        account=PLAIN,
    ),
    Case(
        "margin-of-another-account",
        FIVE,
        [buy("200", limit="98"), buy("200", limit="98", who="u", account="other")],
        f"1:00 1 accepted|1:00 u-1 rejected insufficient_margin|1:00.1 1 arrived|{END}",
        "19600 <= 30000; 19600 > 3 * 1000",
        model=FREE,
        account=PLAIN,
        accounts={"main": "10000", "other": "1000"},
    ),
    Case(
        "perpetual-is-backed-alike",
        FIVE,
        [sell("285"), sell("15", time="2:00")],
        f"{IN}|1:00.1 1 filled 285 @ 100 fee 0 taker_open|2:00 2 rejected insufficient_margin",
        "285 * 105 = 29925 <= 30000; 28500 + 15 * 105 = 30075 > 30000",
        model=FREE,
        account=CONTRACTS,
        cash_after="38500",
    ),
]
CUT = [
    Case(
        "a-fill-dearer-than-the-margin",
        [FLAT, (130, 131, 129, 130, 100_000), *FIVE[:3]],
        [buy("285")],
        f"{IN}|1:00.1 1 partial 157.894 @ 130 fee 0 taker_open|1:00.1 1 cancelled insufficient_margin",
        "at the mark of 100, x at 130 leave 10000 - 30x, which backs 100x up to x = 30000 / 190 = 157.894…",
        model=FREE,
        account=PLAIN,
        cash_after="-10526.22",
        coins_after="157.894",
    ),
    Case(
        "a-short-into-a-gap",
        [FLAT, (160, 161, 159, 160, 100_000), *FIVE[:3]],
        [sell("285")],
        f"{IN}|1:00.1 1 partial 187.5 @ 160 fee 0 taker_open|1:00.1 1 cancelled insufficient_margin",
        "at 160, where it is worth its price, 10000 backs 160x up to x = 30000 / 160 = 187.5",
        model=FREE,
        account=PLAIN,
        cash_after="40000",
        coins_after="-187.5",
    ),
    Case(
        "fill-or-kill-is-not-cut",
        [FLAT, (130, 131, 129, 130, 100_000), *FIVE[:3]],
        [buy("285", tif="FOK")],
        f"{IN}|1:00.1 1 cancelled insufficient_margin",
        "157.894 < 285",
        model=FREE,
        account=PLAIN,
        cash_after="10000",
    ),
    Case(
        "a-maker-is-cut",
        [FLAT, FLAT, (100, 101, 89, 90, 100_000), FLAT, FLAT],
        [buy("200"), buy("99", limit="90", time="2:00")],
        f"{BUY_200}|2:00 2 accepted|2:00.1 2 arrived|3:00 2 partial 66.666 @ 90 fee 0 maker_through|"
        "3:00 2 cancelled insufficient_margin",
        "20000 + 8910 <= 30000; at 90 equity is 8000 and backs 24000 = 18000 + 90 * 66.666…",
        model=FREE,
        account=PLAIN,
        cash_after="-15999.94",
        coins_after="266.666",
    ),
    Case(
        "what-reduces-is-not-cut",
        [FLAT, FLAT, (100, 100, 70, 70, 100_000), (40, 41, 40, 41, 100_000), FLAT],
        [buy("285"), sell("285", time="3:00")],
        f"{BUY_285}|3:00 2 accepted|3:00.1 2 arrived|3:00.1 2 filled 285 @ 40 fee 0 taker_open",
        "285 * 40 = 11400; the debt of 18500 - 11400 = 7100 stays",
        model=FREE,
        account=PLAIN,
        cash_after="-7100",
        coins_after="0",
    ),
]
OWED = [
    Case(
        "interest-on-quote",
        HOUR,
        [buy("200")],
        f"{BUY_200}|60:00 main interest_quote -0.11415526",
        "10000 * 0.1 / 8760 = 0.114155251…",
        model=FREE,
        account=INTEREST,
        end="62:00",
        cash_after="-10000.11415526",
    ),
    Case(
        "interest-on-interest",
        [FLAT] * 122,
        [buy("200")],
        f"{BUY_200}|60:00 main interest_quote -0.11415526|120:00 main interest_quote -0.11415656",
        "10000.11415526 * 0.1 / 8760 = 0.114156554…",
        model=FREE,
        account=INTEREST,
        end="122:00",
    ),
    Case(
        "a-minute-pays-the-hour",
        HOUR,
        [buy("200"), sell("200", time="2:00")],
        f"{BUY_200}|2:00 2 accepted|2:00.1 2 arrived|2:00.1 2 filled 200 @ 100 fee 0 taker_open|"
        "60:00 main interest_quote -0.11415526",
        "the largest debt of the hour is 10000",
        model=FREE,
        account=INTEREST,
        end="62:00",
        cash_after="9999.88584474",
    ),
    Case(
        "interest-on-a-coin",
        HOUR,
        [sell("10")],
        f"{SELL_10}|60:00 main interest_base BTC -0.01141553",
        "10 * 100 * 0.1 / 8760 = 0.011415525…",
        model=FREE,
        account=INTEREST,
        end="62:00",
        cash_after="10999.98858447",
    ),
    Case(
        "a-coin-is-owed-at-its-last-close",
        [*[FLAT] * 59, (100, 120, 100, 120, 100_000), FLAT, FLAT],
        [sell("10")],
        f"{SELL_10}|60:00 main interest_base BTC -0.01369864",
        "10 * 120 * 0.1 / 8760 = 0.013698630…",
        model=FREE,
        account=INTEREST,
        end="62:00",
    ),
    Case(
        "both-are-owed",
        HOUR,
        [sell("10"), buy("200", coin="ETH")],
        "1:00 1 accepted|1:00 2 accepted|1:00.1 1 arrived|1:00.1 1 filled 10 @ 100 fee 0 taker_open|"
        "1:00.1 2 arrived|1:00.1 2 filled 200 @ 100 fee 0 taker_open|"
        "60:00 main interest_quote -0.10273973|60:00 main interest_base BTC -0.01141553",
        "9000 * 0.1 / 8760 = 0.102739726…",
        model=FREE,
        account=INTEREST,
        end="62:00",
        other_rows=HOUR,
    ),
    Case(
        "rates-of-ones-own",
        HOUR,
        [buy("200")],
        f"{BUY_200}|60:00 main interest_quote -0.05707763",
        "10000 * 0.05 / 8760 = 0.057077625…",
        model=FREE,
        end="62:00",
        account=margin(borrow_quote_rate_pct_per_year=5),
    ),
    Case(
        "a-close-at-the-full-hour-owes-that-hour",
        HOUR,
        [buy("200", limit="99.5", time="59:00")],
        "59:00 1 accepted|59:00.1 1 arrived|60:00 1 filled 200 @ 99.5 fee 0 maker_through|"
        "60:00 main interest_quote -0.1130137",
        "200 * 99.5 - 10000 = 9900; 9900 * 0.1 / 8760 = 0.113013698…",
        model=FREE,
        account=INTEREST,
        end="62:00",
    ),
    Case(
        "a-taker-at-the-full-hour-owes-the-next",
        HOUR,
        [buy("200", time="60:00")],
        "60:00 1 accepted|60:00.1 1 arrived|60:00.1 1 filled 200 @ 100 fee 0 taker_open",
        "the hour that ends at 120:00",
        model=FREE,
        account=INTEREST,
        end="62:00",
    ),
    Case(
        "own-cash-pays-nothing",
        HOUR,
        [buy("90")],
        f"{IN}|1:00.1 1 filled 90 @ 100 fee 0 taker_open",
        "10000 - 9000 >= 0",
        model=FREE,
        account=INTEREST,
        end="62:00",
        cash_after="1000",
    ),
    Case("no-rate-no-interest", HOUR, [buy("200")], BUY_200, "0 %", model=FREE, account=PLAIN, end="62:00"),
    Case(
        "nothing-after-the-end",
        HOUR,
        [buy("200")],
        BUY_200,
        "the first full hour is 60:00",
        model=FREE,
        account=INTEREST,
        end="59:00",
    ),
]
FUNDED = [
    Case(
        "a-long-pays",
        FIVE,
        [buy("10")],
        f"{BUY_10}|2:00 main funding BTC -0.1",
        "10 * 100 * 0.0001",
        model=FREE,
        account=CONTRACTS,
        funding={"2:00": "0.0001"},
        cash_after="8999.9",
    ),
    Case(
        "a-long-receives",
        FIVE,
        [buy("10")],
        f"{BUY_10}|2:00 main funding BTC 0.2",
        "10 * 100 * 0.0002",
        model=FREE,
        account=CONTRACTS,
        funding={"2:00": "-0.0002"},
        cash_after="9000.2",
    ),
    Case(
        "a-short-receives",
        FIVE,
        [sell("10")],
        f"{SELL_10}|2:00 main funding BTC 0.1",
        "10 * 100 * 0.0001",
        model=FREE,
        account=CONTRACTS,
        funding={"2:00": "0.0001"},
        cash_after="11000.1",
    ),
    Case(
        "a-short-pays",
        FIVE,
        [sell("10")],
        f"{SELL_10}|2:00 main funding BTC -0.2",
        "10 * 100 * 0.0002",
        model=FREE,
        account=CONTRACTS,
        funding={"2:00": "-0.0002"},
        cash_after="10999.8",
    ),
    Case(
        "the-mark-is-the-last-close",
        [FLAT, (100, 110, 100, 110, 100_000), *FIVE[:3]],
        [buy("10")],
        f"{BUY_10}|2:00 main funding BTC -0.11",
        "the candle that closes at 2:00 counts: 10 * 110 * 0.0001",
        model=FREE,
        account=CONTRACTS,
        funding={"2:00": "0.0001"},
    ),
    Case(
        "in-mid-candle",
        FIVE,
        [buy("10")],
        f"{BUY_10}|2:30 main funding BTC -0.1|3:30 main funding BTC -0.1",
        "10 * 100 * 0.0001 twice",
        model=FREE,
        account=CONTRACTS,
        funding={"2:30": "0.0001", "3:30": "0.0001"},
    ),
    Case(
        "what-is-paid-is-rounded-up",
        FIVE,
        [buy("10")],
        f"{BUY_10}|2:00 main funding BTC -0.00000002",
        "10 * 100 * 1.1e-11 = 1.1e-8",
        model=FREE,
        account=CONTRACTS,
        funding={"2:00": "0.000000000011"},
    ),
    Case(
        "what-is-received-is-rounded-down",
        FIVE,
        [buy("10")],
        f"{BUY_10}|2:00 main funding BTC 0.00000001",
        "10 * 100 * 1.9e-11 = 1.9e-8",
        model=FREE,
        account=CONTRACTS,
        funding={"2:00": "-0.000000000019"},
    ),
    Case(
        "without-a-position-nothing",
        FIVE,
        [buy("10", time="2:00"), sell("10", time="3:00")],
        "2:00 1 accepted|2:00.1 1 arrived|2:00.1 1 filled 10 @ 100 fee 0 taker_open|"
        "3:00 2 accepted|3:00.1 2 arrived|3:00.1 2 filled 10 @ 100 fee 0 taker_open",
        "flat at 1:30 and at 4:00",
        model=FREE,
        account=CONTRACTS,
        funding={"1:30": "0.01", "4:00": "0.01"},
        cash_after="10000",
    ),
    Case(
        "a-close-at-the-time-pays",
        FIVE,
        [buy("10", limit="99.5")],
        f"{IN}|2:00 1 filled 10 @ 99.5 fee 0 maker_through|2:00 main funding BTC -0.1",
        "candles close before funding is paid: 10 * 100 * 0.0001, with nobody else there",
        model=FREE,
        account=CONTRACTS,
        funding={"2:00": "0.0001"},
    ),
    Case(
        "a-stop-at-the-time-pays",
        FIVE,
        [buy("10", stop="101")],
        f"{IN}|2:00 1 triggered|2:00 1 filled 10 @ 101 fee 0 stop_reached|2:00 main funding BTC -0.1"
        "|4:00 main funding BTC -0.1",
        "as above, and at the next time again",
        model=FREE,
        account=CONTRACTS,
        funding={"2:00": "0.0001", "4:00": "0.0001"},
    ),
    Case(
        "a-close-pays-beside-another-account",
        FIVE,
        [buy("10", limit="99.5"), buy("5", who="u", account="other")],
        "1:00 1 accepted|1:00 u-1 accepted|1:00.1 1 arrived|1:00.1 u-1 arrived|"
        "1:00.1 u-1 filled 5 @ 100 fee 0 taker_open|2:00 1 filled 10 @ 99.5 fee 0 maker_through|"
        "2:00 main funding BTC -0.1|2:00 other funding BTC -0.05",
        "10 * 100 * 0.0001; 5 * 100 * 0.0001",
        model=FREE,
        account=CONTRACTS,
        funding={"2:00": "0.0001"},
        accounts={"main": "10000", "other": "1000"},
    ),
    Case(
        "every-account-pays",
        FIVE,
        [buy("10"), sell("5", who="u", account="other")],
        "1:00 1 accepted|1:00 u-1 accepted|1:00.1 1 arrived|1:00.1 1 filled 10 @ 100 fee 0 taker_open|"
        "1:00.1 u-1 arrived|1:00.1 u-1 filled 5 @ 100 fee 0 taker_open|"
        "2:00 main funding BTC -0.1|2:00 other funding BTC 0.05",
        "10 * 100 * 0.0001; 5 * 100 * 0.0001",
        model=FREE,
        account=CONTRACTS,
        funding={"2:00": "0.0001"},
        accounts={"main": "10000", "other": "1000"},
    ),
    Case(
        "a-contract-bears-no-interest",
        HOUR,
        [buy("200")],
        BUY_200,
        "nothing is borrowed",
        model=FREE,
        account=CONTRACTS,
        end="62:00",
        cash_after="-10000",
    ),
]
DIPS = {
    low: [FLAT, FLAT, (100, 101, low, 90, 100_000), (90, 91, 89, 90, 100_000), FLAT]
    for low in (62.49, 62.5, 68, 69, 1)
}
CLOSES_285 = (
    "3:00 exchange-1 accepted|3:00 exchange-1 arrived|3:00 exchange-1 filled 285 @ 90 fee 0 liquidation"
)
LIQUIDATED = [
    Case(
        "long-below-maintenance",
        DIPS[68],
        [buy("285")],
        f"{BUY_285}|{CLOSES_285}",
        "285 * 68 - 18500 = 880 < 5 % of 19380 = 969; -18500 + 285 * 90",
        model=FREE,
        account=PLAIN,
        cash_after="7150",
        coins_after="0",
    ),
    Case(
        "long-above-maintenance",
        DIPS[69],
        [buy("285")],
        BUY_285,
        "285 * 69 - 18500 = 1165 >= 5 % of 19665 = 983.25",
        model=FREE,
        account=PLAIN,
        cash_after="-18500",
    ),
    Case(
        "exactly-at-maintenance",
        DIPS[62.5],
        [buy("200")],
        BUY_200,
        "200 * 62.5 - 10000 = 2500 = 20 % of 12500",
        model=FREE,
        account=margin(maintenance_margin_pct=20, **NO_INTEREST),
    ),
    Case(
        "a-tick-below-maintenance",
        DIPS[62.49],
        [buy("200")],
        f"{BUY_200}|3:00 exchange-1 accepted|3:00 exchange-1 arrived|"
        "3:00 exchange-1 filled 200 @ 90 fee 0 liquidation",
        "200 * 62.49 - 10000 = 2498 < 20 % of 12498 = 2499.6",
        model=FREE,
        cash_after="8000",
        account=margin(maintenance_margin_pct=20, **NO_INTEREST),
    ),
    Case(
        "short-above-maintenance",
        [FLAT, FLAT, (100, 190, 99, 100, 100_000), FLAT, FLAT],
        [sell("100")],
        f"{IN}|1:00.1 1 filled 100 @ 100 fee 0 taker_open",
        "20000 - 100 * 190 = 1000 >= 5 % of 19000 = 950",
        model=FREE,
        account=PLAIN,
        cash_after="20000",
    ),
    Case(
        "short-below-maintenance",
        [FLAT, FLAT, (100, 191, 99, 110, 100_000), (110, 111, 109, 110, 100_000), FLAT],
        [sell("100")],
        f"{IN}|1:00.1 1 filled 100 @ 100 fee 0 taker_open|3:00 exchange-1 accepted|3:00 exchange-1 arrived|"
        "3:00 exchange-1 filled 100 @ 110 fee 0 liquidation",
        "20000 - 100 * 191 = 900 < 5 % of 19100 = 955; 20000 - 11000",
        model=FREE,
        account=PLAIN,
        cash_after="9000",
        coins_after="0",
    ),
    Case(
        "who-owes-nothing-keeps-it",
        DIPS[1],
        [buy("100", limit="100")],
        f"{IN}|1:00.1 1 filled 100 @ 100 fee 0 taker_open",
        "cash 0, worth 100 at the low",
        model=FREE,
        account=PLAIN,
        cash_after="0",
        coins_after="100",
    ),
    Case(
        "orders-are-cancelled",
        DIPS[68],
        [buy("285"), sell("5", limit="120", time="2:00"), buy("1", limit="50", time="2:59.95")],
        f"{BUY_285}|2:00 2 accepted|2:00.1 2 arrived|2:59.95 3 accepted|3:00 2 cancelled liquidation|"
        f"3:00 3 cancelled liquidation|{CLOSES_285}",
        "285 * 68 - 18500 = 880 < 969; t-3 is still on its way",
        model=FREE,
        account=PLAIN,
        cash_after="7150",
    ),
    Case(
        "it-pays-as-a-taker-and-a-fee",
        DIPS[68],
        [buy("284")],
        f"{IN}|1:00.1 1 filled 284 @ 100.05 fee 56.8284 taker_open|3:00 exchange-1 accepted|"
        "3:00 exchange-1 arrived|3:00 exchange-1 filled 284 @ 89.95 fee 51.0916 liquidation|"
        "3:00 main liquidation_fee BTC -127.729",
        "10000 - 28414.2 - 56.8284 = -18471.0284; 284 * 68 - that = 840.97 < 965.6; 90 * 0.9995 = 89.955; "
        "25545.8 * 0.002 and * 0.005",
        account=margin(borrow_quote_rate_pct_per_year=0),
        cash_after="6895.951",
    ),
    Case(
        "the-volume-bounds-it-too",
        [FLAT, FLAT, (100, 101, 68, 90, 15_000), (90, 91, 89, 90, 15_000), (90, 91, 89, 90, 15_000)],
        [buy("285"), sell("1", time="4:00"), buy("1", time="4:59")],
        f"{BUY_285}|3:00 exchange-1 accepted|3:00 exchange-1 arrived|"
        "3:00 exchange-1 partial 150 @ 90 fee 0 liquidation|4:00 exchange-1 filled 135 @ 90 fee 0 liquidation|"
        "4:00 2 accepted|4:00.1 2 arrived|4:00.1 2 filled 1 @ 90 fee 0 taker_open|4:59 3 accepted|"
        "4:59.1 3 arrived|4:59.1 3 filled 1 @ 90 fee 0 taker_open",
        "1 % of 15000 is 150 a candle; then the account may order again: 7150 + 90 - 90",
        model=FREE,
        account=PLAIN,
        cash_after="7150",
    ),
    Case(
        "no-orders-until-it-is-over",
        [FLAT, FLAT, (100, 101, 68, 90, 15_000), (90, 91, 89, 90, 15_000), (90, 91, 89, 90, 15_000)],
        [buy("285"), sell("1", time="3:30")],
        f"{BUY_285}|3:00 exchange-1 accepted|3:00 exchange-1 arrived|"
        "3:00 exchange-1 partial 150 @ 90 fee 0 liquidation|3:30 2 rejected liquidation|"
        "4:00 exchange-1 filled 135 @ 90 fee 0 liquidation",
        "150 of 285 are closed at 3:30",
        model=FREE,
        account=PLAIN,
        cash_after="7150",
    ),
    Case(
        "a-gap-leaves-a-debt",
        [FLAT, FLAT, (100, 101, 60, 60, 100_000), (40, 41, 39, 40, 100_000), FLAT],
        [buy("285"), buy("1", time="4:00")],
        f"{BUY_285}|3:00 exchange-1 accepted|3:00 exchange-1 arrived|"
        "3:00 exchange-1 filled 285 @ 40 fee 0 liquidation|4:00 2 rejected insufficient_margin",
        "285 * 60 - 18500 < 0; -18500 + 11400 = -7100",
        model=FREE,
        account=PLAIN,
        cash_after="-7100",
    ),
    Case(
        "no-candle-to-close-it-on",
        [FLAT, FLAT, (100, 101, 68, 90, 100_000)],
        [buy("285")],
        f"{BUY_285}|3:00 exchange-1 accepted|3:00 exchange-1 arrived|3:00 exchange-1 cancelled end_of_run",
        "the run ends at 3:00",
        model=FREE,
        account=PLAIN,
        end="3:00",
        cash_after="-18500",
    ),
    Case(
        "a-gain-elsewhere-helps",
        DIPS[68],
        [buy("142"), buy("142", coin="ETH")],
        "1:00 1 accepted|1:00 2 accepted|1:00.1 1 arrived|1:00.1 1 filled 142 @ 100 fee 0 taker_open|"
        "1:00.1 2 arrived|1:00.1 2 filled 142 @ 100 fee 0 taker_open",
        "142 * 68 + 142 * 99 - 18400 = 5314 >= 5 % of 23714",
        model=FREE,
        account=PLAIN,
        other_rows=FIVE,
        cash_after="-18400",
    ),
    Case(
        "all-worst-prices-at-once",
        [FLAT, FLAT, (100, 140, 60, 100, 100_000), FLAT, FLAT],
        [buy("140"), sell("140", coin="ETH")],
        "1:00 1 accepted|1:00 2 accepted|1:00.1 1 arrived|1:00.1 1 filled 140 @ 100 fee 0 taker_open|"
        "1:00.1 2 arrived|1:00.1 2 filled 140 @ 100 fee 0 taker_open|"
        "3:00 exchange-1 accepted|3:00 exchange-2 accepted|"
        "3:00 exchange-1 arrived|3:00 exchange-1 filled 140 @ 100 fee 0 liquidation|"
        "3:00 exchange-2 arrived|3:00 exchange-2 filled 140 @ 100 fee 0 liquidation",
        "10000 + 140 * 60 - 140 * 140 = -1200: long at the low, short at the high",
        model=FREE,
        account=PLAIN,
        other_rows=[FLAT, FLAT, (100, 140, 60, 100, 100_000), FLAT, FLAT],
        cash_after="10000",
    ),
    Case(
        "funding-comes-first",
        DIPS[69],
        [buy("285")],
        f"{BUY_285}|3:00 main funding BTC -256.5|{CLOSES_285}",
        "285 * 90 * 0.01 = 256.5; 1165 - 256.5 = 908.5 < 983.25",
        model=FREE,
        account=CONTRACTS,
        funding={"3:00": "0.01"},
        cash_after="6893.5",
    ),
    Case(
        "one-account-alone",
        DIPS[68],
        [buy("285"), buy("100", who="u", account="other")],
        "1:00 1 accepted|1:00 u-1 accepted|1:00.1 1 arrived|1:00.1 1 filled 285 @ 100 fee 0 taker_open|"
        f"1:00.1 u-1 arrived|1:00.1 u-1 filled 100 @ 100 fee 0 taker_open|{CLOSES_285}",
        "the other owes nothing",
        model=FREE,
        account=PLAIN,
        accounts={"main": "10000", "other": "10000"},
        cash_after="7150",
    ),
    Case(
        "data-that-ended-cannot-be-traded",
        [FLAT, FLAT, (100, 101, 68, 90, 100_000)],
        [buy("285")],
        BUY_285,
        "at 3:00 the coin's data end before anybody is judged",
        model=FREE,
        account=PLAIN,
        coin_end="3:00",
        end="3:00",
        cash_after="-18500",
    ),
]

ALL = [*BACKING, *CUT, *OWED, *FUNDED, *LIQUIDATED]


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    harness = run(case)
    assert harness.transcript() == lines(case.expect), case.why
    if case.cash_after is not None:
        assert harness.exchange.cash("main") == D(case.cash_after), case.why
    if case.coins_after is not None:
        assert harness.exchange.quantity("main", "BTC") == D(case.coins_after), case.why


def test_names_are_unique() -> None:
    assert len({case.name for case in ALL}) == len(ALL) >= 40
