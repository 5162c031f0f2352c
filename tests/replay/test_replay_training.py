"""Walk-forward training in whole runs: when, on what, and what if it goes wrong."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.config import parse_date_ns
from orchestrator.market.cache import entries_of, read_series, store_series
from orchestrator.market.series import series_key
from orchestrator.market.synthetic import synthesize
from tests.processes import wait_until
from tests.replay.running import BOTS, Place, Run, bot, unmeasured

DAY = 86_400
START = parse_date_ns("2024-01-01") // 10**9
TRAINER = ["python", str(BOTS / "trainer.py")]
READER = bot("reader", 1, "model_reader")


def training(**more: Any) -> dict[str, Any]:
    return {"command": TRAINER, "warmup": "2d", "every": "1d", "coins": ["BTC"], **more}


def four_days(place: Place, *, name: str = "replay.toml", **more: Any) -> Path:
    return place.config([READER], end="2024-01-05", name=name, training=training(**more))


def models_of(run: Run) -> dict[str, bytes]:
    """Return the files of all models, without what says how they were made."""
    root = run.directory / "models"
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "training.json" and "latest" not in path.parts
    }


def model(run: Run, coin: str, day: int) -> dict[str, Any]:
    path = run.directory / "models" / coin / str(START + day * DAY) / "model.json"
    content: dict[str, Any] = json.loads(path.read_text())
    return content


# ---------------------------------------------------------------- when, and what is seen


def test_trainings_of_thirty_days_are_at_days_0_7_14_21_28(empty_place: Place) -> None:
    start_ns, end_ns = parse_date_ns("2023-12-01"), parse_date_ns("2024-02-01")
    synthesize(empty_place.cache, coins=("BTC", "ETH"), timeframe="1h", start_ns=start_ns, end_ns=end_ns)
    config = empty_place.config(
        [READER],
        end="2024-01-31",
        timeframe="1h",
        training=training(every="7d", warmup="30d", coins=["BTC", "ETH"]),
    )
    run = empty_place.run(config)
    days = [0, 7, 14, 21, 28]
    rows = run.rows("models.jsonl")
    assert [(row["coin"], row["ts"], row["train_until"]) for row in rows] == [
        (coin, START + day * DAY, START + day * DAY) for day in days for coin in ("BTC", "ETH")
    ]
    assert [row["sequence"] for row in rows[::2]] == [day * 24 for day in days]
    for coin in ("BTC", "ETH"):
        names = sorted(path.name for path in (run.directory / "models" / coin).iterdir())
        assert names == [*(str(START + day * DAY) for day in days), "latest"]
        for day in days:
            seen = model(run, coin, day)
            assert seen["first"] // 10**9 == START + (day - 30) * DAY
            assert seen["last"] // 10**9 == START + day * DAY - 3_600
            assert seen["count"] == 30 * 24
    # Thinkers hear of the first with sequence 1, of later ones at the tick of the training.
    heard = [(row["ts"], row["sequence"]) for row in run.rows("signals.jsonl") if row["coin"] == "BTC"]
    assert heard[0] == (START + 3_600, 1)
    assert heard[1:] == [(START + day * DAY, day * 24) for day in days[1:]]
    assert run.manifest["file_digests"]["models.jsonl"]


def test_what_a_training_sees_by_scheme_purge_and_embargo(place: Place) -> None:
    def spans(name: str, **more: Any) -> list[tuple[int, int]]:
        run = place.run(four_days(place, name=f"{name}.toml", **more), name)
        seen = [json.loads(content) for path, content in models_of(run).items() if path.startswith("BTC/")]
        minutes = [
            ((s["first"] // 10**9 - START) // 60, (s["last"] // 10**9 - START) // 60 + 5) for s in seen
        ]
        return sorted(minutes, key=lambda span: span[1])

    day = 24 * 60
    assert spans("rolling") == [((n - 2) * day, n * day) for n in range(4)]
    assert spans("window", window="1d") == [((n - 1) * day, n * day) for n in range(4)]
    assert spans("expanding", scheme="expanding") == [(-2 * day, n * day) for n in range(4)]
    purged = spans("purged", purge="6h", warmup="1d")
    assert purged == [((n - 1) * day - 360, n * day - 360) for n in range(4)]


def test_an_anchored_training_sees_everything_since_its_anchor(place: Place) -> None:
    settings = {
        "command": TRAINER,
        "coins": ["BTC"],
        "every": "2d",
        "scheme": "anchored",
        "anchor": "2023-12-29",
    }
    run = place.run(place.config([READER], end="2024-01-05", training=settings))
    rows = [row for row in run.rows("models.jsonl") if row["coin"] == "BTC"]
    assert [(row["train_from"] - START) / DAY for row in rows] == [-3, -3]
    assert [(row["train_until"] - START) / DAY for row in rows] == [0, 2]
    assert model(run, "BTC", 2)["count"] == 5 * 288


def test_an_embargo_puts_models_in_use_later(place: Place) -> None:
    run = place.run(four_days(place, embargo="30m"))
    rows = [row for row in run.rows("models.jsonl") if row["coin"] == "BTC"]
    assert [row["use_from"] - row["ts"] for row in rows] == [1_800] * 4
    heard = [row["ts"] for row in run.rows("signals.jsonl") if row["coin"] == "BTC"]
    assert heard == [START + n * DAY + 1_800 for n in range(4)]


def test_trainers_get_words_templates_files_and_no_cache(place: Place) -> None:
    command = [*TRAINER, "--coin", "{coin}", "--from={train_from}", "{unknown}"]
    run = place.run(four_days(place, command=command, export=["1h", "4h"], every="2d", coins=["ETH"]))
    seen = model(run, "ETH", 2)
    assert seen["home"] is None
    words = [
        "--coin",
        "ETH",
        f"--from={START}",
        "{unknown}",
        "--train-until",
        str(START + 2 * DAY),
        "--output",
    ]
    assert seen["words"] == words
    assert sorted(seen["files"]) == [
        f"{coin}-USDT_{length}.csv" for coin in ("BTC", "ETH") for length in ("1h", "4h")
    ]
    for name, last in seen["files"].items():
        seconds = 3_600 if "1h" in name else 4 * 3_600
        assert int(last.split(",")[0]) == START + 2 * DAY - seconds
    assert not list(run.directory.rglob("*.export"))


def test_files_that_a_trainer_was_given_are_candles_that_it_was_given(place: Place) -> None:
    program = "import json, sys; json.dump({'sum': 1}, open(sys.argv[1] + '/model.json', 'w'))"
    command = ["python", "-c", program, "{output}"]
    run = place.run(four_days(place, command=command, export=["4h"], every="3d", purge="1h"))
    path = run.directory / "models" / "BTC" / str(START - 3_600) / "training.json"
    manifest = json.loads(path.read_text())
    until = START - 4 * 3_600  # the last four hours that are over by then
    assert (manifest["seen_from"], manifest["seen_until"]) == (until - 11 * 4 * 3_600, until)


def test_the_manifest_of_a_model_says_how_it_was_made(place: Place) -> None:
    run = place.run(four_days(place, params={"mode": "folders"}, coins=["ETH"]))
    folder = run.directory / "models" / "ETH" / str(START)
    manifest = json.loads((folder / "training.json").read_text())
    assert sorted(manifest["files"]) == ["a/b/deep.txt", "model.json"]
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert (manifest["train_from"], manifest["train_until"]) == (START - 2 * DAY, START)
    assert (manifest["seen_from"], manifest["seen_until"]) == (START - 2 * DAY, START)
    assert manifest["command"] == TRAINER
    assert manifest["wall_seconds"] > 0
    assert manifest["digest"] == run.rows("models.jsonl")[0]["digest"]
    assert [row["coin"] for row in run.rows("models.jsonl")] == ["ETH"] * 4


# ---------------------------------------------------------------- determinism and the cache


def test_a_cold_cache_a_warm_one_and_none_give_the_same_digest(place: Place) -> None:
    config = four_days(place, coins=["BTC", "ETH"])
    cold = place.run(config, "cold")
    assert len([p for p in (place.cache / "models").iterdir() if not p.name.startswith(".")]) == 8
    warm = place.run(config, "warm", PYTHONHASHSEED="5")
    again = place.run(config, "again", "--retrain")
    one_by_one = place.run(four_days(place, coins=["BTC", "ETH"], parallel=1), "serial", "--retrain")

    def trained(run: Run) -> list[bool]:
        return [not event["is_from_cache"] for event in run.events() if event["event"] == "training"]

    assert (trained(cold), trained(warm)) == ([True] * 8, [False] * 8)
    assert trained(again) == trained(one_by_one) == [True] * 8
    for other in (warm, again, one_by_one):
        assert other.digest == cold.digest
        assert other.manifest["identity"] == cold.manifest["identity"]
        assert models_of(other) == models_of(cold)


@pytest.mark.parametrize(
    "change", [{"params": {"mode": "sum", "x": 1}}, {"window": "1d"}, {"export": ["1h"]}]
)
def test_another_training_is_another_entry_of_the_cache(place: Place, change: dict[str, Any]) -> None:
    place.run(four_days(place, every="3d"), "one")
    run = place.run(four_days(place, every="3d", **change), "other")
    assert not any(event.get("is_from_cache") for event in run.events())


def test_a_damaged_entry_of_the_cache_is_trained_anew(place: Place) -> None:
    config = four_days(place, every="3d")
    first = place.run(config, "first")
    for path in (place.cache / "models").glob("*/model.json"):
        path.write_text("{}")
    second = place.run(config, "second")
    assert second.digest == first.digest
    assert models_of(second) == models_of(first)


def test_verify_trains_again(place: Place) -> None:
    place.run(four_days(place, every="3d"))
    done = place.replay("verify", "run")
    assert done.status == 0, done.stderr


def test_changed_candles_leave_every_earlier_model_as_it_was(place: Place) -> None:
    # All data after T are changed, the prices by 3 and the volume by 5.
    config = four_days(place, coins=["BTC", "ETH"])
    plain = place.run(config, "plain")
    time_ns = (START + 2 * DAY) * 10**9
    for coin in ("BTC", "ETH"):
        key = series_key("synthetic", coin, "USDT", "5m")
        candles = read_series(place.cache / key.folder, entries_of(place.cache, key))
        factor = np.where(candles.open_times_ns >= time_ns, 3.0, 1.0)
        changed_candles = candles._replace(
            open=candles.open * factor,
            high=candles.high * factor,
            low=candles.low * factor,
            close=candles.close * factor,
            volume=candles.volume * np.where(factor > 1, 5.0, 1.0),
        )
        store_series(place.cache, key, changed_candles, replace=True)
    shutil.rmtree(place.cache / "models")  # what is in it would prove nothing
    changed = place.run(config, "changed")
    before, after = models_of(plain), models_of(changed)
    assert before.keys() == after.keys()
    for name in before:
        is_earlier = int(name.split("/")[1]) <= START + 2 * DAY
        assert (before[name] == after[name]) == is_earlier, name
    assert changed.lines("models.jsonl")[:6] == plain.lines("models.jsonl")[:6]
    assert changed.lines("models.jsonl")[6:] != plain.lines("models.jsonl")[6:]


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("mode", ["cheat", "cheat_and_hide"])
def test_who_asks_for_the_next_week_is_told_and_named(place: Place, mode: str) -> None:
    done = place.replay(
        "start", "--config", four_days(place, params={"mode": mode}), "--output-dir", "run", "--quiet"
    )
    assert done.status == 4
    asked = "asked for BTC 1h candles until 2024-01-08 00:00, but its training ends at 2024-01-01 00:00"
    assert asked in done.stderr
    run = Run(place.root / "run")
    assert run.status == "failed"
    assert asked in run.manifest["reason"]
    assert not models_of(run)
    if mode == "cheat":
        assert "later candles were not known then" in run.log(f"trainer-BTC-{START}")


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("fail", "exited with status 3"),
        ("nothing", "wrote no file into --output"),
        ("manifest", "training.json, a name that is taken"),
        ("link", "is no plain file"),
        ("stall", "took longer than 0.5 s (training.timeout)"),
    ],
)
def test_a_training_that_fails_ends_the_run(place: Place, mode: str, said: str) -> None:
    timeout = 0.5 if mode == "stall" else 60.0
    config = four_days(place, params={"mode": mode}, timeout=timeout, on_failure="keep")
    done = place.replay("start", "--config", config, "--output-dir", "run", "--quiet")
    assert done.status == 4
    assert said in done.stderr
    assert "no older model to keep" in done.stderr
    assert f"logs/trainer-BTC-{START}.log" in done.stderr
    models = Run(place.root / "run").directory / "models"
    assert not [path for path in models.rglob("*") if path.is_file()]


def test_on_failure_keep_goes_on_with_the_old_model_and_says_so(place: Place) -> None:
    config = four_days(place, params={"mode": "fail_later"}, on_failure="keep")
    done = place.replay("start", "--config", config, "--output-dir", "run", "--quiet")
    assert done.status == 0, done.stderr
    run = Run(place.root / "run")
    rows = [row for row in run.rows("models.jsonl") if row["coin"] == "BTC"]
    assert [row["state"] for row in rows] == ["trained", "trained", "trained", "kept"]
    assert rows[3]["digest"] == rows[2]["digest"]
    assert "warning: training of BTC as of 2024-01-04 00:00 failed" in done.stderr
    assert "cannot make sense of this" in run.manifest["notes"][-1]
    assert (run.directory / "models" / "BTC" / "latest").resolve().name == str(START + 2 * DAY)
    heard = [row for row in run.rows("signals.jsonl") if row["coin"] == "BTC"]
    assert len(heard) == 3


def test_history_that_does_not_reach_back_is_said_before_anything_starts(place: Place) -> None:
    done = place.call("start", "--config", four_days(place, warmup="30d"), "--dry-run")
    assert done.status == 3
    assert "the first training of BTC sees candles from 2023-12-02 00:00" in done.stderr


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT])
def test_a_kill_in_the_middle_of_a_training_leaves_no_half_model(
    place: Place, signum: signal.Signals
) -> None:
    config = four_days(place, params={"mode": "stall_later"})
    running = place.launch(
        "start", "--config", config, "--output-dir", place.results / "run", environment=unmeasured(place)
    )
    models = place.results / "run" / "models" / "BTC"
    assert wait_until(lambda: bool(list(models.glob(".*/half"))), 20.0)
    os.kill(running.process.pid, signum)
    running.process.wait(20.0)
    assert place.is_clean()
    visible = sorted(path.name for path in models.iterdir() if not path.name.startswith("."))
    assert visible == [str(START + n * DAY) for n in range(3)] + ["latest"]
    assert (models / "latest").resolve().name == str(START + 2 * DAY)
    for name in visible:
        assert (models / name / "training.json").is_file()
        assert not (models / name / "half").exists()
    done = place.replay("runs", "show", "run", "--json")
    assert json.loads(done.stdout)["status"] == "interrupted"
    if signum is signal.SIGINT:
        assert not list(models.glob(".*.part"))
    cached = [path.name for path in (place.cache / "models").iterdir()]
    assert len(cached) == 3
    assert not [name for name in cached if name.startswith(".")]


# ---------------------------------------------------------------- models that are given


def test_given_models_are_used_from_the_first_sequence_on(place: Place) -> None:
    first = place.run(four_days(place, every="3d"), "first")
    path = str(first.directory / "models")
    run = place.run(
        place.config(
            [READER], start="2024-01-05", end="2024-01-06", training={"models": path, "coins": ["BTC"]}
        ),
        "given",
    )
    rows = run.rows("models.jsonl")
    assert [(row["coin"], row["state"], row["train_until"]) for row in rows] == [
        ("BTC", "given", START + 3 * DAY)
    ]
    assert not any("LOOK-AHEAD" in note for note in run.manifest["notes"])
    assert [row["sequence"] for row in run.rows("signals.jsonl")] == [1]


def test_a_given_model_that_knows_the_future_is_called_by_its_name(place: Place) -> None:
    first = place.run(four_days(place, every="3d"), "first")
    path = f"{first.directory}/models/{{coin}}/{START + 3 * DAY}"
    run = place.run(
        place.config([READER], end="2024-01-02", training={"models": path, "coins": ["BTC"]}), "given"
    )
    said = "LOOK-AHEAD: the model of BTC was made of candles until 2024-01-04 00:00"
    assert any(note.startswith(said) for note in run.manifest["notes"])


@pytest.mark.parametrize(
    ("models", "said"), [("nowhere", "there is no model of BTC at"), (".", "there is no model of BTC at")]
)
def test_given_models_that_are_not_there(place: Place, models: str, said: str) -> None:
    config = place.config([READER], training={"models": models})
    done = place.call("start", "--config", config, "--dry-run")
    assert done.status == 2
    assert said in done.stderr
