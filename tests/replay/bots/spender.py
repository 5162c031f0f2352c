"""A trader that orders the same quantity of the first coin at every tick and says what its account has.

Parameters: `qty`, written as text; negative to sell.
"""

from __future__ import annotations

from decimal import Decimal

from components import connect


def main() -> None:
    with connect() as replay:
        coin, qty = replay.coins[0], Decimal(replay.params["qty"])
        for snapshot in replay.snapshots():
            if snapshot.step:
                continue
            replay.signal(coin, cash=str(replay.account.cash), qty=str(replay.account.holdings[coin]))
            if qty > 0:
                replay.buy(coin, qty=qty)
            else:
                replay.sell(coin, qty=-qty)


if __name__ == "__main__":
    main()
