"""What whole-run tests share: candles made once, and a place of its own for each test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.config import parse_date_ns
from orchestrator.market.synthetic import synthesize
from tests.replay.running import Place

COINS = ("BTC", "ETH", "DOGE")


@pytest.fixture(scope="session")
def candle_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache of synthetic 5-minute candles, 2023-12-28 to 2024-01-20; not to be written to."""
    cache = tmp_path_factory.mktemp("cache")
    start_ns, end_ns = parse_date_ns("2023-12-28"), parse_date_ns("2024-01-20")
    synthesize(cache, coins=COINS, timeframe="5m", start_ns=start_ns, end_ns=end_ns)
    return cache


@pytest.fixture
def empty_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Yield a place without candles; afterwards nothing of it may live."""
    # The name is short: the path of a socket holds 107 bytes.
    place = Place(tmp_path_factory.mktemp("r"))
    yield place
    is_clean = place.is_clean()
    left = f"left: processes {place.processes()}, sockets {place.socket_files()}"
    place.close()
    assert is_clean, left


@pytest.fixture
def place(empty_place: Place, candle_cache: Path) -> Place:
    """Return a place with the synthetic candles, linked: parts and mapped files are never written twice."""
    shutil.copytree(candle_cache, empty_place.cache, copy_function=os.link, dirs_exist_ok=True)
    return empty_place
