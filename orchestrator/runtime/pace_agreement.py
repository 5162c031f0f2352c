"""Whether two runs of the same bots at different paces placed the same orders."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final

__all__ = ["first_difference"]

_SAME: Final = ("side", "symbol", "qty", "order_type", "limit_price", "stop_price", "time_in_force")
"""Fields of a line of orders.jsonl that decide what is traded."""

Order = Mapping[str, Any]


def first_difference(
    natural: Sequence[Order], burst: Sequence[Order], tick_seconds: float, names: Sequence[str]
) -> str | None:
    """Return the earliest difference between the orders of two runs in one line, None if they agree.

    Orders are compared component by component, the first with the first; they agree when the same is ordered
    within the length of one base candle.

    Parameters
    ----------
    natural, burst
        Lines of orders.jsonl.
    tick_seconds
        Length of the base candles.
    names
        The components.
    """
    found: list[tuple[float, str]] = []
    for name in names:
        mine = [order for order in natural if order["component"] == name]
        theirs = [order for order in burst if order["component"] == name]
        for number, (one, other) in enumerate(zip_longest(mine, theirs), 1):
            why = _difference(one, other, tick_seconds)
            if why is not None:
                at = min(float(order["ts"]) for order in (one, other) if order is not None)
                found.append((at, f"order {number} of {name}: {why}"))
                break
    return min(found)[1] if found else None


def _difference(natural: Order | None, burst: Order | None, tick_seconds: float) -> str | None:
    if natural is None or burst is None:
        here, there = ("natural", "in burst") if burst is None else ("burst", "at natural pace")
        return f"{here}: {_describe(natural or burst or {})}; there is none {there}"
    is_same = all(natural[field] == burst[field] for field in _SAME)
    if is_same and abs(float(natural["ts"]) - float(burst["ts"])) <= tick_seconds:
        return None
    return f"natural: {_describe(natural)}; burst: {_describe(burst)}"


def _describe(order: Order) -> str:
    moment = dt.datetime.fromtimestamp(int(order["ts"]), dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
    prices = [f"at {order[key]}" for key in ("limit_price", "stop_price") if order[key] is not None]
    words = [order["side"], str(order["qty"]), order["symbol"], order["order_type"], *prices]
    return f"{' '.join(words)}, {moment}"
