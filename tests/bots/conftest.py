"""What the tests of whole runs of bots share: candles made once, and one place for all runs of a session."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.config import parse_date_ns
from orchestrator.market.synthetic import synthesize
from tests.bots.running import COINS, TIMEFRAME, BotPlace, Shared


@pytest.fixture(scope="session")
def bot_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BotPlace]:
    """Yield a place with candles of a week before its first day; afterwards nothing of it may live."""
    place = BotPlace(tmp_path_factory.mktemp("b"))  # the name is short: the path of a socket holds 107 bytes
    synthesize(
        place.cache,
        coins=COINS,
        timeframe=TIMEFRAME,
        start_ns=parse_date_ns("2023-12-25"),
        end_ns=parse_date_ns("2024-01-06"),
    )
    yield place
    is_clean = place.is_clean()
    left = f"left: processes {place.processes()}, sockets {place.socket_files()}"
    place.close()
    assert is_clean, left


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Shared:
    """Return what is made once for all workers of this session."""
    base = tmp_path_factory.getbasetemp()
    return Shared(base if worker_id == "master" else base.parent)


@pytest.fixture
def own_place(bot_place: BotPlace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BotPlace]:
    """Yield a place with the same candles for tests that kill or change what others use."""
    place = BotPlace(tmp_path_factory.mktemp("o"))
    shutil.copytree(bot_place.cache, place.cache, copy_function=os.link, dirs_exist_ok=True)
    yield place
    place.close()


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """Return a user's empty folder."""
    folder = tmp_path / "mybot"
    folder.mkdir()
    return folder
