"""Bots whose trainers know nothing of Replay: stopped, trained on their own requests, and started again."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.config import parse_date_ns
from orchestrator.market.cache import entries_of, read_series, store_series
from orchestrator.market.series import series_key
from tests.bots.running import TIMEFRAME, BotPlace, BotRun, bot, script, tree

HOUR = 3_600
START = parse_date_ns("2024-01-02") // 10**9

TRAINER = """
import json, os, sys, time
import requests

coin = sys.argv[1]
began = time.time()
time.sleep(3600)                       # a trainer that is slow, in its own time
rows, end = [], int(time.time()) + 7 * 86400   # it asks for a week that has not happened yet
while True:
    answer = requests.get("https://api.kucoin.com/api/v1/market/candles", params={
        "symbol": coin + "-USDT", "type": "1hour", "startAt": end - 100 * 3600, "endAt": end}, timeout=10)
    page = answer.json()["data"]
    if not page and end < began:
        break
    rows += page
    end -= 100 * 3600
mode = open("../mode.txt").read().strip() if os.path.exists("../mode.txt") else ""
if mode == "fail_later" and began > 1704153600 + 3 * 3600:
    sys.exit(7)
rows.sort()
if mode != "nothing":
    with open("memory.json", "w") as f:
        json.dump({"coin": coin, "rows": len(rows), "sum": sum(float(row[2]) for row in rows),
                   "last": rows[-1], "began": began,
                   "was_there": os.path.exists("memory.txt"), "ended": time.time() - began}, f)
"""

THINKER = """
import json, os, time
print(json.dumps({"started": time.time()}), flush=True)
while True:
    model = json.load(open("BTC/memory.json"))
    print(json.dumps({"at": time.time(), "model": model["began"]}), flush=True)
    time.sleep(1800)
"""


def folder_of(tmp_path: Path, mode: str = "") -> Path:
    folder = tmp_path / "mybot"
    (folder / "BTC").mkdir(parents=True)
    (folder / "BTC" / "memory.txt").write_text("of an earlier life")
    script(folder, TRAINER, "train.py")
    script(folder, THINKER, "think.py")
    if mode:
        (folder / "mode.txt").write_text(mode)
    return folder


def config(place: BotPlace, folder: Path, *, hours: int = 4, **more: Any) -> Path:
    training = {
        "kind": "bot",
        "command": ["python", "-u", "../train.py", "{coin}"],
        "workdir": str(folder),
        "folder": "{coin}",
        "coins": ["BTC"],
        "every": "2h",
        "stop": ["thinker"],
        "delete": ["memory.*"],
        "leave": ["memory.json"],
        **more,
    }
    end = f"2024-01-02T{hours:02}:00"
    return place.bots([bot("thinker", folder, "think.py")], start="2024-01-02", end=end, training=training)


def memory(run: BotRun, coin: str, time: int) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (run.directory / "models" / coin / str(time) / "memory.json").read_text()
    )
    return content


def test_a_bot_is_stopped_trained_on_the_past_alone_and_started_again(
    bot_place: BotPlace, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    before = tree(folder)
    path = config(bot_place, folder, coins=["BTC", "ETH"])
    run = bot_place.complete(path)
    assert tree(folder) == before
    times = [START, START + 2 * HOUR]
    assert [(r["coin"], r["train_until"], r["state"]) for r in run.rows("models.jsonl")] == [
        (coin, time, "trained") for time in times for coin in ("BTC", "ETH")
    ]
    for time in times:
        for coin in ("BTC", "ETH"):
            seen = memory(run, coin, time)
            # Its clock begins at the training and runs on; the market does not: the last hour that it is told of
            # is the one that had closed, or that was open, at the training.
            assert seen["coin"] == coin
            assert seen["began"] == pytest.approx(time, abs=5)
            assert seen["ended"] >= HOUR
            assert int(seen["last"][0]) in (time - HOUR, time)
            assert not seen["was_there"]
            manifest = json.loads((run.directory / "models" / coin / str(time) / "training.json").read_text())
            assert list(manifest["files"]) == ["memory.json"]
    said = [row for name in ("thinker", "thinker.2") for row in run.said(name)]
    assert [row["started"] for row in said if "started" in row] == pytest.approx(times, abs=5)
    used = {(row["at"] - START) // 1800: row["model"] for row in said if "model" in row}
    assert [used[n] for n in range(8)] == pytest.approx([START] * 4 + [START + 2 * HOUR] * 4, abs=5)

    # The cache fills the bot's folder as a training does; nothing of the result changes.
    warm = bot_place.complete(path)
    events = [e["is_from_cache"] for e in warm.events() if e["event"] == "training"]
    assert events == [True] * 4
    assert warm.digest == run.digest
    assert warm.said("thinker.2") == run.said("thinker.2")
    again = bot_place.complete(path, "--retrain", PYTHONHASHSEED="4")
    assert again.digest == run.digest
    assert memory(again, "ETH", times[1]) == memory(run, "ETH", times[1])


def test_changed_candles_leave_every_earlier_model_as_it_was(own_place: BotPlace, tmp_path: Path) -> None:
    path = config(own_place, folder_of(tmp_path), hours=5)
    times = [START, START + 2 * HOUR, START + 4 * HOUR]
    plain = own_place.complete(path)
    key = series_key("synthetic", "BTC", "USDT", TIMEFRAME)
    candles = read_series(own_place.cache / key.folder, entries_of(own_place.cache, key))
    factor = np.where(candles.open_times_ns >= times[1] * 10**9, 3.0, 1.0)
    prices = {name: getattr(candles, name) * factor for name in ("open", "high", "low", "close")}
    store_series(own_place.cache, key, candles._replace(**prices), replace=True)
    changed = own_place.complete(path, "--retrain")
    are_equal = [memory(changed, "BTC", time) == memory(plain, "BTC", time) for time in times]
    assert are_equal == [True, True, False]


def test_a_trainer_that_fails_leaves_the_old_model_where_the_bot_looks(
    bot_place: BotPlace, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, "fail_later")
    run = bot_place.complete(config(bot_place, folder, hours=5, on_failure="keep"))
    assert [r["state"] for r in run.rows("models.jsonl")] == ["trained", "trained", "kept"]
    kept = json.loads((run.copy() / "BTC" / "memory.json").read_text())
    assert kept == memory(run, "BTC", START + 2 * HOUR)
    assert "exited with status 7" in run.manifest["notes"][-1]
    assert run.said("thinker.3")


def test_a_trainer_may_ask_as_often_as_its_own_time_allows(bot_place: BotPlace, tmp_path: Path) -> None:
    # More than the quota of 30 seconds, within more than a minute of its own: venues have no clock that tells.
    folder = folder_of(tmp_path)
    asking = """
import json, time
import requests
codes = set()
for number in range(800):
    asked = {"symbol": "BTC-USDT", "type": "1hour", "endAt": 1704153600 - number}
    codes.add(requests.get("https://api.kucoin.com/api/v1/market/candles", asked, timeout=10).json()["code"])
    time.sleep(0.1)
json.dump({"began": 0, "codes": sorted(codes)}, open("memory.json", "w"))
"""
    script(folder, asking, "train.py")
    run = bot_place.complete(config(bot_place, folder, hours=1))
    assert memory(run, "BTC", START)["codes"] == ["200000"]


def test_a_model_of_the_cache_takes_the_place_of_all_that_its_trainer_has_removed(
    bot_place: BotPlace, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    keeping_one = """
import glob, json, os, time
for old in glob.glob("part-*.txt"):
    os.remove(old)
open(f"part-{int(time.time())}.txt", "w").close()
json.dump({"began": int(time.time())}, open("memory.json", "w"))
"""
    script(folder, keeping_one, "train.py")
    path = config(bot_place, folder, leave=["memory.json", "part-*.txt"])
    cold = bot_place.complete(path)
    warm = bot_place.complete(path)
    assert [e["is_from_cache"] for e in warm.events() if e["event"] == "training"] == [True] * 2
    found = [sorted(p.name for p in (run.copy() / "BTC").glob("part-*")) for run in (cold, warm)]
    assert found == [[f"part-{START + 2 * HOUR}.txt"]] * 2
    # What an exchange says of fees may decide a model.
    path.write_text(path.read_text() + "\n[execution_model]\nfee_bps = 7\n")
    other = bot_place.complete(path)
    assert [e["is_from_cache"] for e in other.events() if e["event"] == "training"] == [False] * 2


def test_a_folder_that_is_too_large_to_be_known_has_nothing_in_the_cache(
    bot_place: BotPlace, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    for number in range(2_001):
        (folder / "BTC" / f"{number}.txt").touch()
    path = config(bot_place, folder, hours=1)
    for _ in range(2):
        run = bot_place.complete(path)
        assert [e["is_from_cache"] for e in run.events() if e["event"] == "training"] == [False]


@pytest.mark.parametrize(
    ("mode", "said"), [("nothing", "did not leave memory.json"), ("fail", "exited with status")]
)
def test_a_trainer_that_leaves_nothing_ends_the_run(
    bot_place: BotPlace, tmp_path: Path, mode: str, said: str
) -> None:
    folder = folder_of(tmp_path, mode)
    if mode == "fail":
        script(folder, "raise SystemExit(3)", "train.py")
    done, run = bot_place.finish(config(bot_place, folder))
    assert done.status == 4
    assert said in done.stderr
    assert f"logs/trainer-BTC-{START}.log" in done.stderr
    assert not run.said("thinker") if (run.directory / "logs" / "thinker.log").exists() else True


def test_a_bot_that_refuses_old_models_is_foretold(bot_place: BotPlace, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    done = bot_place.call("start", "--config", config(bot_place, folder, max_age="90m"), "--dry-run")
    assert done.status == 0, done.stderr
    assert "refuses models older than training.max_age = 90m" in done.stderr
    assert "so from 2024-01-02 01:30 on" in done.stderr
    done = bot_place.call("start", "--config", config(bot_place, folder, max_age="2h"), "--dry-run")
    assert "max_age" not in done.stderr


def test_models_that_the_user_left_are_foretold(bot_place: BotPlace, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "BTC" / "memory.json").write_text("{}")
    said = "BTC/memory.json stand in the bot's folder before the first training"
    done = bot_place.call("start", "--config", config(bot_place, folder), "--dry-run")
    assert done.status == 0, done.stderr
    assert said not in done.stderr
    done = bot_place.call("start", "--config", config(bot_place, folder, delete=["memory.txt"]), "--dry-run")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"stop": ["trader"]}, "training.stop names trader"),
        ({"workdir": "/"}, 'is the folder of no [[component]] with kind = "bot"'),
        ({"leave": []}, "training.leave is missing"),
        ({"leave": ["../x"]}, "leads out of the bot's folder"),
        ({"scheme": "rolling"}, "training.scheme has no effect with kind"),
        ({"params": {"x": 1}}, "training.params has no effect with kind"),
        ({"kind": "sdk"}, "training.stop has no effect without kind"),
    ],
)
def test_what_is_refused(bot_place: BotPlace, tmp_path: Path, more: dict[str, Any], said: str) -> None:
    done = bot_place.call("start", "--config", config(bot_place, folder_of(tmp_path), **more), "--dry-run")
    assert done.status == 2
    assert said in done.stderr


def test_its_configuration_can_be_used_again(bot_place: BotPlace, tmp_path: Path) -> None:
    run = bot_place.complete(config(bot_place, folder_of(tmp_path), hours=1))
    written = tomllib.loads((run.directory / "config.toml").read_text())["training"]
    assert written["kind"] == "bot"
    assert "window" not in written
    assert bot_place.complete(run.directory / "config.toml").digest == run.digest
