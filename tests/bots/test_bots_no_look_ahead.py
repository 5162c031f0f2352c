"""Bots know nothing of the future: candles that are changed from a time on change no earlier line of theirs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.config import parse_date_ns
from orchestrator.market.cache import entries_of, read_series, store_series
from orchestrator.market.series import series_key
from tests.bots.running import COINS, TIMEFRAME, BotPlace, BotRun, Shared, examples
from tests.replay.running import LINE_FILES

EAGER = {"trade_usd": 900.0, "buy_level": 3, "sell_level": 3, "take_profit_pct": 0.5}
SPAN = ("--start-date", "2024-01-01", "--end-date", "2024-01-01T14:00", "--timeframe", TIMEFRAME)
MOMENTS = {
    "on a tick": "2024-01-01T08:00",
    "just after a tick": "2024-01-01T10:15:00.000000001",
    "inside a candle": "2024-01-01T04:50",
    "between a tick and the orders after it": "2024-01-01T12:00:02",
}
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)( |$)")


@pytest.fixture(scope="module")
def plain(bot_place: BotPlace, shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> BotRun:
    def make() -> list[Any]:
        config = examples(tmp_path_factory.mktemp("user") / "mybot", **EAGER)
        return [str(bot_place.complete(config, *SPAN).directory)]

    return BotRun(Path(shared.once("plain", make)[0]))


@pytest.fixture
def place(bot_place: BotPlace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BotPlace]:
    place = BotPlace(tmp_path_factory.mktemp("c"))
    shutil.copytree(bot_place.cache, place.cache, dirs_exist_ok=True)
    yield place
    assert place.is_clean()


def change_candles_from(place: BotPlace, time_ns: int) -> None:
    """Multiply the prices of all candles that open at or after a time by 3, and their volume by 5."""
    for coin in COINS:
        folder = next((place.cache / "synthetic").glob(f"{coin}-*/{TIMEFRAME}"))
        key = series_key("synthetic", coin, folder.parent.name.partition("-")[2], TIMEFRAME)
        candles = read_series(folder, entries_of(place.cache, key))
        factor = np.where(candles.open_times_ns >= time_ns, 3.0, 1.0)
        prices = {name: getattr(candles, name) * factor for name in ("open", "high", "low", "close")}
        volume = candles.volume * np.where(factor > 1, 5.0, 1.0)
        store_series(place.cache, key, candles._replace(**prices, volume=volume), replace=True)


def lines_before(run: BotRun, name: str, time_ns: int) -> list[bytes]:
    return [line for line in run.lines(name) if ts_ns(line) < time_ns]


def ts_ns(line: bytes) -> int:
    return int(json.loads(line, parse_float=Decimal)["ts"] * 10**9)


def printed_before(run: BotRun, component: str, time_ns: int) -> list[str]:
    """Return what a bot printed up to the last line that tells a time before this one."""
    lines = run.log(component).splitlines()
    last = 0
    for number, line in enumerate(lines):
        found = _STAMP.match(line)
        if found:
            stamp = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            if int(stamp.timestamp() + 1) * 10**9 <= time_ns:
                last = number
    return lines[:last]


@pytest.mark.parametrize("moment", MOMENTS)
def test_changed_candles_change_no_earlier_line(
    place: BotPlace, plain: BotRun, tmp_path: Path, moment: str
) -> None:
    whole, _, fraction = MOMENTS[moment].partition(".")
    time_ns = parse_date_ns(whole) + int(fraction or 0)
    change_candles_from(place, time_ns)
    changed = place.complete(examples(tmp_path / "mybot", **EAGER), *SPAN)
    for name in LINE_FILES:
        assert lines_before(changed, name, time_ns) == lines_before(plain, name, time_ns), name
    assert lines_before(plain, "orders.jsonl", time_ns), "nothing was compared"
    for component in ("thinker", "trader"):
        before = printed_before(plain, component, time_ns)
        assert len(before) > 40
        assert printed_before(changed, component, time_ns) == before
    # The change is seen: what comes afterwards is different.
    assert changed.digest != plain.digest
    assert changed.log("trader") != plain.log("trader")
