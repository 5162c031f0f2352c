"""A trader that places every type of order in every time in force, changes some and cancels some, by a seed.

Parameters: `seed`; `chance` of an order per coin and tick.
"""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal

from components import Replay, Snapshot, connect

KINDS = ("limit", "limit", "stop", "stop_limit", "market")
FORCES = ("GTC", "GTC", "GTC", "IOC", "FOK", "GTD")


def main() -> None:
    with connect() as replay:
        chance = random.Random(replay.params.get("seed", 1))  # noqa: S311 - chance, not a secret
        placed: list[tuple[str, str]] = []  # (order, coin)
        for snapshot in replay.snapshots():
            if snapshot.step:
                continue
            for coin in replay.coins:
                if chance.random() < replay.params.get("chance", 0.3):
                    order = place(replay, snapshot, coin, chance)
                    placed += [(order, coin)] if order else []
            recent = placed[-8:]
            if recent and chance.random() < 0.15:
                replay.cancel(chance.choice(recent)[0])
            if recent and chance.random() < 0.15:
                order, coin = chance.choice(recent)
                price = near(replay, snapshot, coin, chance.choice([-30, 30]))
                replay.replace(
                    order, **({"limit_price": price} if chance.random() < 0.5 else {"stop_price": price})
                )


def near(replay: Replay, snapshot: Snapshot, coin: str, bps: int) -> Decimal:
    """A price some basis points from the last close, on the tick."""
    candle = snapshot[coin]
    tick = replay.instruments[coin].tick_size
    close = Decimal(str(candle.close)) if candle is not None else tick
    return max(tick, close * (10_000 + bps) / 10_000 // tick * tick)


def place(replay: Replay, snapshot: Snapshot, coin: str, chance: random.Random) -> str | None:
    kind, force = chance.choice(KINDS), chance.choice(FORCES)
    side = chance.choice([replay.buy, replay.sell])
    offset = chance.choice([-60, -20, -5, -1, 0, 1, 5, 20, 60])
    budget = Decimal(chance.choice([30, 200, 1500]))
    qty = replay.round_qty(coin, budget / near(replay, snapshot, coin, 0))
    if not qty:
        return None
    return side(
        coin,
        qty=qty,
        limit_price=near(replay, snapshot, coin, 2 * offset) if kind in ("limit", "stop_limit") else None,
        stop_price=near(replay, snapshot, coin, offset) if kind in ("stop", "stop_limit") else None,
        time_in_force=force,
        expires_at=snapshot.time + timedelta(minutes=chance.choice([1, 7, 33])) if force == "GTD" else None,
    )


if __name__ == "__main__":
    main()
