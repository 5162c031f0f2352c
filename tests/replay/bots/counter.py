"""A thinker that says the sequence of each tick about each coin."""

from __future__ import annotations

from components import connect

with connect() as replay:
    for snapshot in replay.snapshots():
        for coin in replay.coins:
            replay.signal(coin, sequence=snapshot.sequence)
