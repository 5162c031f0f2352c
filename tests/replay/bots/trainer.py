"""A trainer whose behaviour is a parameter: sums what it sees, cheats, fails, stalls, writes nothing."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from components import Training, connect_training
from orchestrator.errors import ConfigError

LATER = dt.datetime(2024, 1, 3, tzinfo=dt.UTC)


def misbehave(training: Training, mode: str) -> None:
    is_later = training.until > LATER
    if mode == "cheat":
        training.history(training.coin, "1h", until=training.until + dt.timedelta(days=7))
    if mode == "cheat_and_hide":
        with contextlib.suppress(ConfigError):
            training.history(training.coin, "1h", until=training.until + dt.timedelta(days=7))
    if mode == "nothing":
        sys.exit(0)
    if mode == "fail" or (mode == "fail_later" and is_later):
        print("cannot make sense of this")  # noqa: T201 - the last line of its log
        sys.exit(3)
    if mode == "stall" or (mode == "stall_later" and is_later):
        (training.output / "half").write_text("half a model")
        time.sleep(600)


def dirty(output: Path, mode: str) -> None:
    if mode == "folders":
        (output / "a" / "b").mkdir(parents=True)
        (output / "a" / "b" / "deep.txt").write_text("deep")
    if mode == "manifest":
        (output / "training.json").write_text("{}")
    if mode == "link":
        (output / "link").symlink_to("/etc/hosts")


with connect_training() as training:
    mode = str(training.params.get("mode", "sum"))
    misbehave(training, mode)
    candles = training.history(training.coin, training.timeframe)
    seen: dict[str, Any] = {
        "first": candles.open_time_ns[0],
        "last": candles.open_time_ns[-1],
        "count": len(candles),
        "sum": sum(candles.close),
        "words": [word for word in sys.argv[1:] if not word.startswith("/")],
        "home": os.environ.get("REPLAY_HOME"),
    }
    if training.export is not None:
        seen["files"] = {f.name: f.read_text().splitlines()[-1] for f in sorted(training.export.iterdir())}
    dirty(training.output, mode)
    (training.output / "model.json").write_text(json.dumps(seen))
    assert Path(sys.argv[sys.argv.index("--output") + 1]) == training.output
