"""A trader that does everything a trader can do with market orders, at moments drawn from a seed.

Parameters: `seed`; `chance` of an order per coin and tick; `size`, the largest order as a share of the equity.
"""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal

from components import Replay, Snapshot, connect
from components.snapshot import Candle


def main() -> None:
    with connect() as replay:
        params = replay.params
        chance = random.Random(params.get("seed", 1))  # noqa: S311 - chance, not a secret
        orders: list[str] = []
        for snapshot in replay.snapshots():
            if chance.random() < 0.05:
                replay.wake_at(
                    snapshot.time + timedelta(milliseconds=chance.choice([1, 90, 400, 61_000, 300_000]))
                )
            if orders and chance.random() < 0.1:
                replay.cancel(chance.choice(orders[-3:]))  # may have ended, which is refused
            if chance.random() < 0.01:
                replay.cancel(f"{replay.name}-999999")
            # Less between ticks: who answers each rejection with more than one order never comes to an end.
            often = params.get("chance", 0.1) * (0.3 if snapshot.step else 1)
            for coin in replay.coins:
                candle = snapshot[coin]
                if candle is not None and chance.random() < often:
                    orders.append(order(replay, snapshot, coin, candle, chance))


def order(replay: Replay, snapshot: Snapshot, coin: str, candle: Candle, chance: random.Random) -> str:
    account = replay.account
    price = Decimal(str(candle.close))
    share = Decimal(str(replay.params.get("size", 0.3))) * Decimal(str(round(chance.random(), 6)))
    lot = replay.instruments[coin].lot_size
    held = account.holdings_available[coin]
    is_sell = held > 0 and chance.random() < 0.5
    most = held if is_sell else account.cash / price
    kind = chance.random()
    if kind < 0.03:
        qty = lot  # below the smallest notional
    elif kind < 0.05:
        qty = lot * Decimal("1.5")  # off the lot
    elif kind < 0.1:
        qty = replay.round_qty(coin, most * 3)  # more than there is
    elif kind < 0.2 and is_sell:
        qty = replay.round_qty(coin, held)
    else:
        qty = replay.round_qty(coin, most * share)
    qty = max(qty, lot)
    force = chance.choice(["GTC", "GTC", "GTC", "IOC", "FOK"])
    act = replay.sell if is_sell else replay.buy
    return act(coin, qty=qty, time_in_force=force)


if __name__ == "__main__":
    main()
