"""A trader that goes long and short in turn with orders of one size, and says what its account has.

Parameters: `qty`, written as text; `every`, the number of ticks from one order to the next.
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
            account = replay.account
            replay.signal(coin, cash=str(account.cash), free=str(account.cash_available))
            if (snapshot.sequence - 1) % replay.params["every"] == 0:
                turn = (snapshot.sequence - 1) // replay.params["every"]
                act = (replay.sell, replay.buy)[turn % 2]
                act(coin, qty=qty if turn == 0 else 2 * qty)


if __name__ == "__main__":
    main()
