"""A candle that could both stop and take profit: finer candles say which came first, else the stop did."""

from __future__ import annotations

import numpy as np

from orchestrator.config import NS_PER_SECOND, parse_date_ns
from orchestrator.market.cache import store_series
from orchestrator.market.candles import Candles
from orchestrator.market.resample import resample
from orchestrator.market.series import series_key
from tests.replay.running import Place, Run, bot

START_NS = parse_date_ns("2024-01-01")
MINUTE = 60 * NS_PER_SECOND
FIRST, LAST = (100.0, 100.5, 99.5, 100.0, 200.0), (100.0, 100.2, 99.8, 100.0, 200.0)
UP = (100.0, 110.0, 100.0, 104.0, 120.0)  # takes profit at 105, with 1 % of its volume
DOWN = (104.0, 104.0, 90.0, 96.0, 80.0)  # reaches the stop at 95
STILL = (96.0, 96.0, 96.0, 96.0, 0.0)


def minutes() -> Candles:
    """Return 25 minutes: the wild candle of five minutes is the third."""
    rows = [FIRST] * 10 + [UP, DOWN, STILL, STILL, (96.0, 100.0, 96.0, 100.0, 0.0)] + [LAST] * 10
    opens = START_NS + np.arange(len(rows), dtype=np.int64) * MINUTE
    return Candles(opens, *np.array(rows).T.copy())


def fills_of(run: Run) -> list[tuple[str, str, float, float, str]]:
    """Return the fills after the purchase: order, rule, quantity, price, minute of the reference candle."""
    return [
        (
            row["client_order_id"],
            row["rule"],
            row["qty"],
            row["fill_price"],
            f"{(row['reference_candle'] - START_NS // NS_PER_SECOND) // 60}",
        )
        for row in run.rows("fills.jsonl")
        if row["side"] == "sell"
    ]


def test_finer_candles_decide_whether_stop_or_profit_came_first(empty_place: Place) -> None:
    place = empty_place
    store_series(place.cache, series_key("binance", "BTC", "USDT", "5m"), resample(minutes(), 5 * MINUTE, 0))
    config = place.config(
        [bot("bracket", 1, "bracket", qty=2, stop=95, limit=105)],
        coins=("BTC",), end="2024-01-01T00:25", execution_model={"slippage_bps": 0, "fee_bps": 0},
    )  # fmt: skip
    without = place.run(config, "without")
    # 1 % of 200: the stop, served first, takes all of it.
    assert fills_of(without) == [("bracket-2", "stop_reached", 2, 95, "10")]

    store_series(place.cache, series_key("binance", "BTC", "USDT", "1m"), minutes())
    fine = place.run(config, "fine")
    # Minute 10 takes profit with 1 % of 120; minute 11 stops out with 1 % of 80, the rest at the next open.
    assert fills_of(fine) == [
        ("bracket-3", "maker_through", 1.2, 105, "10"),
        ("bracket-2", "stop_reached", 0.8, 95, "11"),
        ("bracket-2", "taker_next_open", 1.2, 100, "15"),
    ]
    assert fine.manifest["data_digest"] != without.manifest["data_digest"]
    assert [note for note in fine.manifest["notes"] if "finer" in note] == [
        "finer candles decide what happens inside a candle: BTC 1m"
    ]
    assert not [note for note in without.manifest["notes"] if "finer" in note]
    # What was cached meanwhile does not change what repeating the first run does.
    assert place.replay("verify", "without").status == 0
    assert place.replay("verify", "fine").status == 0
