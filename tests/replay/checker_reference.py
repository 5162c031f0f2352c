"""The checker's own reference components: what quad_ma must have said and follow_signals must have ordered."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from tests.replay.checker_files import RunFiles
from tests.replay.checker_market import Array, CoinMarket, exact
from tests.replay.checker_recount import Turn

SCALE = 10**12  # candles have fewer decimals
NEARLY_EQUAL = 10**11  # one part in so many: which of two floating-point averages is higher is open

Level = tuple[int, int] | None


def check_reference_components(
    files: RunFiles, markets: Mapping[str, CoinMarket], ticks: Array, turns: Mapping[tuple[int, int], Turn]
) -> Iterator[str]:
    """Yield what the reference components of a run should have said or ordered otherwise."""
    # What was said at the tick at which a run was ended by force need not have been taken.
    is_cut = files.manifest["status"] not in ("complete", "interrupted")
    done = ticks[: max(0, files.manifest["sequences"] - is_cut)]
    for component in files.config["component"]:
        if component["command"][-2:] == ["-m", "components.thinkers.quad_ma"] and len(done):
            yield from _check_quad_ma(component, files, markets, done)
        if component["command"][-2:] == ["-m", "components.traders.follow_signals"]:
            yield from _check_follow_signals(component, files, markets, turns)


def _check_quad_ma(
    component: Mapping[str, Any], files: RunFiles, markets: Mapping[str, CoinMarket], ticks: Array
) -> Iterator[str]:
    said: dict[tuple[int, str], Level] = {}
    for row in files.rows["signals.jsonl"]:
        if row["component"] == component["name"]:
            if (row["ts"], row["coin"]) in said:
                yield f"signals.jsonl: {row['coin']} at {row['ts']} is said twice"
            said[row["ts"], row["coin"]] = (int(row["values"]["long"]), int(row["values"]["short"]))
    for coin, market in markets.items():
        periods = component.get("params", {}).get("periods", [5, 10, 20, 50])
        level: Level = None
        for time_ns, possible in _strengths(market, periods, int(ticks[0]), int(ticks[-1])):
            now = said.pop((time_ns, coin), None)
            if now is not None and now == level:
                yield f"signals.jsonl: {coin} at {time_ns} repeats {now}"
            level = level if now is None else now
            if level not in possible:
                yield f"signals.jsonl: {coin} at {time_ns} is {level}, should be {possible}"
                level = possible[0]
    for (time_ns, coin), level in said.items():
        if time_ns <= ticks[-1]:
            yield f"signals.jsonl: {coin} at {time_ns} is {level}, should not have been said"


def _strengths(
    market: CoinMarket, periods: list[int], first_ns: int, last_ns: int
) -> Iterator[tuple[int, list[Level]]]:
    """Yield, for each close of the coin in the run, what may be said then."""
    closes = market.closes_ns
    first = int(np.searchsorted(closes, first_ns))
    # Its past counts if it has a new candle at the first tick; else it begins with its first one.
    has_past = first < len(closes) and closes[first] == first_ns
    begin = max(0, first + 1 - periods[-1]) if has_past else first
    scaled = [int(exact(close) * SCALE) for close in market.table.close[begin:]]
    sums = [0, *accumulate(scaled)]
    common = math.lcm(*periods)
    for row in range(first, int(np.searchsorted(closes, last_ns, side="right"))):
        count = row + 1 - begin
        if count < periods[-1]:
            yield int(closes[row]), [None]
            continue
        # Averages times a common multiple of the periods, which keeps them whole numbers.
        averages = [(sums[count] - sums[count - period]) * (common // period) for period in periods]
        yield int(closes[row]), _levels(averages)


def _levels(averages: list[int]) -> list[Level]:
    possible: list[tuple[int, int]] = [(0, 0)]
    for shorter, longer in pairwise(averages):
        is_open = abs(shorter - longer) * NEARLY_EQUAL < longer
        steps = [(1, 0)] * (shorter > longer or is_open) + [(0, 1)] * (shorter < longer or is_open)
        steps += [(0, 0)] * is_open
        possible = [(a + x, b + y) for a, b in possible for x, y in steps]
    return list(possible)


def _check_follow_signals(
    component: Mapping[str, Any],
    files: RunFiles,
    markets: Mapping[str, CoinMarket],
    turns: Mapping[tuple[int, int], Turn],
) -> Iterator[str]:
    fraction = Fraction(str(component.get("params", {}).get("fraction", "0.3")))
    for row in files.rows["orders.jsonl"]:
        if row["component"] != component["name"]:
            continue
        coin = row["symbol"].rpartition("-")[0]
        lot = Fraction(files.config["instrument"][coin]["lot_size"])
        turn = turns[row["ts"], component["stage"]]
        if row["side"] == "sell":
            expected = turn.free_qty[coin] // lot * lot
        else:
            equity = turn.cash + sum(
                qty * _last_close(markets[name], row["ts"]) for name, qty in turn.qty.items() if qty
            )
            budget = min(equity * fraction, turn.free_cash * Fraction(9, 10))
            expected = budget / _last_close(markets[coin], row["ts"]) // lot * lot
        if Fraction(row["qty"].exact) != expected:
            yield f"orders.jsonl: {row['client_order_id']} has qty {row['qty']}, should be {float(expected)}"


def _last_close(market: CoinMarket, time_ns: int) -> Fraction:
    row = market.last_closed(time_ns)
    if row is None:
        raise ValueError(f"no candle of the coin was closed at {time_ns}")
    return exact(market.table.close[row])
