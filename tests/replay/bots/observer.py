"""A thinker that says everything it can see, as a digest: a look ahead anywhere would change it.

Parameters: `every`, the number of ticks from one look at the history to the next.
"""

from __future__ import annotations

import hashlib

from components import connect


def main() -> None:
    with connect() as replay:
        every = replay.params.get("every", 7)
        for snapshot in replay.snapshots():
            for coin in replay.coins:
                seen = repr((snapshot.reason, snapshot[coin], dict(snapshot.signals[coin])))
                if snapshot.sequence % every == 0:
                    for timeframe in (replay.timeframe, "15m", "1h", "1d"):
                        candles = replay.history(coin, timeframe, 30)
                        columns = (
                            candles.open_time_ns,
                            candles.open,
                            candles.high,
                            candles.low,
                            candles.close,
                        )
                        seen += repr((timeframe, *columns, candles.volume))
                replay.signal(coin, seen=hashlib.sha256(seen.encode()).hexdigest()[:16])


if __name__ == "__main__":
    main()
