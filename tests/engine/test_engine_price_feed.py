"""The cursor over ticks: what it shows of a tick, and until when."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from orchestrator.engine import price_feed
from orchestrator.engine.price_feed import PriceFeed
from orchestrator.protocol import CandleFlag, Snapshot

TICK_COUNT = 11
BLOCK_TICKS = 4


class Block(NamedTuple):
    times_ns: npt.NDArray[np.int64]
    prices: npt.NDArray[np.float64]
    open_times_ns: npt.NDArray[np.int64]
    flags: npt.NDArray[np.uint8]


class Source:
    """Eleven ticks of two coins whose prices and times say which tick they are of."""

    coins = ("BTC", "ETH")
    tick_count = TICK_COUNT

    def block(self, start: int, stop: int) -> Block:
        ticks = np.arange(start, stop, dtype=np.int64)
        prices = np.tile(ticks.astype("<f8")[:, None, None], (1, 2, 5))
        flags = np.full((len(ticks), 2), CandleFlag.PRESENT | CandleFlag.NEW, dtype="u1")
        return Block(100 * (ticks + 1), prices, np.tile(100 * ticks[:, None], (1, 2)), flags)


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> PriceFeed:
    monkeypatch.setattr(price_feed, "_BLOCK_TICKS", BLOCK_TICKS)
    return PriceFeed(Source())


def test_a_tick_is_shown_until_the_next_one_also_where_a_block_ends(feed: PriceFeed) -> None:
    for tick in range(TICK_COUNT):
        assert feed.next_time_ns == 100 * (tick + 1)
        feed.advance()
        for later in (feed.snapshot(tick + 1), _looked_ahead(feed, tick)):
            assert np.frombuffer(later.prices, "<f8").tolist() == [float(tick)] * 10
            assert np.frombuffer(later.open_times, "<i8").tolist() == [100 * tick] * 2
        assert feed.mark(1) == float(tick)
    assert feed.next_time_ns is None


def _looked_ahead(feed: PriceFeed, tick: int) -> Snapshot:
    # Whoever asks when the next tick is makes the feed load the block that holds it.
    _ = feed.next_time_ns
    snapshot = feed.later_snapshot(tick + 1, 1, 100 * (tick + 1) + 1)
    assert snapshot.flags == bytes([CandleFlag.PRESENT] * 2)
    return snapshot
