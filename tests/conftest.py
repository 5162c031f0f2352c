"""Fixtures that several test folders share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine makes a single example slow; the tests have timeouts of their own.
settings.register_profile("replay", deadline=None)
settings.load_profile("replay")

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag that lets golden runs be written anew; the difference is then reviewed."""
    parser.addoption("--update-golden", action="store_true", help="write the golden summaries anew")


def pytest_configure() -> None:
    """Undo what a job control or `nohup` does to those that it starts: who ignores a signal lets children ignore it."""
    for signum, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real market data, or skip with the reason why it is not used."""
    root = Path(os.environ.get("REPLAY_SHARED", REPOSITORY.parent / "shared"))
    data = root / "data"
    if not data.is_dir():
        pytest.skip(f"real market data not found at {data}; set REPLAY_SHARED to the folder that holds data/")
    return data
