"""A thinker or trader that takes a time of its own for some ticks, so that who is first changes.

Parameters: `delays_ms`, one of them per tick in turn; `buys`, whether it buys now and then. The environment
variable SLOW_<NAME> takes the place of `delays_ms`: what makes no difference need not be in the configuration.
"""

from __future__ import annotations

import json
import os
import time
from decimal import Decimal

from components import connect


def main() -> None:
    with connect() as replay:
        delays_ms = json.loads(os.environ.get(f"SLOW_{replay.name.upper()}", "[0]"))
        for snapshot in replay.snapshots():
            if snapshot.step:  # who answers each fill with an order never comes to an end
                continue
            time.sleep(delays_ms[snapshot.sequence % len(delays_ms)] / 1_000)
            for coin in replay.coins:
                replay.signal(coin, **{replay.name: snapshot.sequence})
                candle = snapshot[coin]
                if replay.params.get("buys") and snapshot.sequence % 3 == 0 and candle is not None:
                    qty = replay.round_qty(coin, Decimal(500) / Decimal(str(candle.close)))
                    replay.buy(coin, qty=qty)


if __name__ == "__main__":
    main()
