"""Buys at the first tick, and at the second protects it with a stop and takes profit with a limit.

Parameters: `qty`, of each of the two; `stop` and `limit`, their prices.
"""

from __future__ import annotations

from components import connect


def main() -> None:
    with connect() as replay:
        coin, qty = replay.coins[0], replay.params["qty"]
        for snapshot in replay.snapshots():
            if snapshot.step:
                continue
            if snapshot.sequence == 1:
                replay.buy(coin, qty=2 * qty)
            elif snapshot.sequence == 2:
                replay.sell(coin, qty=qty, stop_price=replay.params["stop"])
                replay.sell(coin, qty=qty, limit_price=replay.params["limit"])


if __name__ == "__main__":
    main()
