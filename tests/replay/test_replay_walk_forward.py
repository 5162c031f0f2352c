"""The report of a run with training tells the truth: no edge where there is none, and look-ahead by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.config import parse_date_ns
from orchestrator.market.cache import store_series
from orchestrator.market.candles import Candles
from orchestrator.market.series import series_key
from tests.replay.running import BOTS, Place, Run, bot, component, trader

HOUR_NS = 3_600 * 10**9
COINS = ("BTC", "ETH")
FREE = {
    "slippage_bps": 0, "slippage_model": None, "fee_bps": 0, "liquidity_model": "unlimited", "max_volume_pct": None,
}  # fmt: skip
THINKER = component("thinker", 1, "python", "-m", "components.thinkers.nearest_patterns")
TRAINER = ["python", "-m", "components.trainers.nearest_patterns"]
PARAMS = {"neighbours": 1, "edge": 0.0, "length": 4, "cost": 0.0}


def random_walk(place: Place, start: str, end: str) -> None:
    """Put hourly candles into the cache whose closes are a random walk: nothing can be known of them."""
    generator = np.random.Generator(np.random.PCG64(11))
    times = np.arange(parse_date_ns(start), parse_date_ns(end), HOUR_NS)
    for coin in COINS:
        closes = 1_000.0 * np.exp(np.cumsum(0.006 * generator.standard_normal(len(times)) - 0.006**2 / 2))
        opens = np.concatenate(([1_000.0], closes[:-1]))
        high, low = np.maximum(opens, closes), np.minimum(opens, closes)
        candles = Candles(times, opens, high, low, closes, np.full(len(times), 1e6))
        store_series(place.cache, series_key("synthetic", coin, "USDT", "1h"), candles)


def walk(place: Place, name: str, training: dict[str, Any], start: str, end: str) -> Run:
    free = {key: value for key, value in FREE.items() if value is not None}
    config = place.config(
        [THINKER, trader(fraction=0.45)],
        start=start, end=end, coins=COINS, timeframe="1h", name=f"{name}.toml", training=training,
        execution_model=free,
    )  # fmt: skip
    return place.run(config, name)


def walk_forward(place: Place, name: str, *words: str) -> tuple[dict[str, Any], str]:
    done = place.replay("analyze", name, *words)
    assert done.status == 0, done.stderr
    directory = place.results / name
    figures: dict[str, Any] = json.loads((directory / "metrics.json").read_text())["walk_forward"]
    return figures, (directory / "report.html").read_text()


@pytest.mark.slow
def test_a_model_that_knows_the_future_wins_and_is_named_and_the_honest_one_shows_no_edge(
    empty_place: Place,
) -> None:
    place = empty_place
    random_walk(place, "2023-12-01", "2024-02-03")
    learning = {"command": TRAINER, "params": PARAMS}
    honest = walk(place, "honest", {**learning, "every": "7d", "warmup": "30d"}, "2024-01-01", "2024-01-31")
    # The same trainer, once all of that month is the past, and its models carried back in time.
    walk(place, "later", {**learning, "warmup": "60d"}, "2024-02-01", "2024-02-02")
    leaked = walk(
        place, "leaked", {"models": str(place.results / "later" / "models")}, "2024-01-01", "2024-01-31"
    )
    told, page = walk_forward(place, "leaked")
    assert told["out_of_sample_return"] > 2.0
    assert told["has_look_ahead"] is True
    assert told["has_edge"] is None
    assert "Nothing here is out of sample" in page
    assert any("LOOK-AHEAD" in note for note in leaked.manifest["notes"])

    told, page = walk_forward(place, "honest")
    assert told["has_look_ahead"] is False
    assert told["has_edge"] is False
    assert "No edge is shown out of sample" in page
    assert abs(told["out_of_sample_return"]) < 0.5
    # What its trainer claims is what anybody can learn by heart.
    assert told["in_sample_source"] == "trainer"
    assert told["in_sample_annual"] > 5.0
    assert abs(told["efficiency"]) < 0.2
    assert [window["trained_at"][:10] for window in told["windows"]] == [
        f"2024-01-{day:02}" for day in (1, 8, 15, 22, 29)
    ]
    assert sum(window["days"] for window in told["windows"]) == 30.0
    assert [age["days_from"] for age in told["ages"]] == list(range(7))
    assert honest.digest != leaked.digest

    # Its own processes, on the candles that they were trained with, do as well as it says.
    measured, page = walk_forward(place, "honest", "--in-sample")
    assert measured["in_sample_source"] == "replay"
    assert measured["in_sample_annual"] > 5.0
    assert measured["has_edge"] is False
    assert "measured by replays" in page
    assert not list((place.data / "in_sample").rglob("run.json"))
    before = (honest.directory / "in_sample.jsonl").read_bytes()
    assert walk_forward(place, "honest", "--in-sample")[0] == measured
    assert (honest.directory / "in_sample.jsonl").read_bytes() == before


def test_in_sample_is_for_runs_with_training(place: Place) -> None:
    place.run(place.config([trader()], end="2024-01-01T02:00"))
    done = place.call("analyze", "run", "--in-sample")
    assert done.status == 2
    assert "run has no models" in done.stderr


def test_a_run_that_fails_in_its_second_training_is_measured_as_far_as_it_went(place: Place) -> None:
    training = {
        "command": ["python", str(BOTS / "trainer.py")],
        "every": "1d",
        "warmup": "2d",
        "coins": ["BTC"],
        "params": {"mode": "fail_later"},
    }
    config = place.config([bot("reader", 1, "model_reader")], end="2024-01-06", training=training)
    done = place.replay("start", "--config", config, "--output-dir", place.results / "run", "--quiet")
    assert done.status == 4
    figures, _ = walk_forward(place, "run")
    assert figures["trainings"] == 3
    assert figures["in_sample_source"] is None
    assert figures["efficiency"] is None


@pytest.mark.parametrize("claim", ["no json", '{"total_return": 1e999, "days": 3}', '{"days": 3}'])
def test_a_claim_that_is_none_does_not_count(place: Place, claim: str, tmp_path: Path) -> None:
    script = tmp_path / "claims.py"
    script.write_text(
        "from components import connect_training\n"
        "with connect_training() as training:\n"
        f"    (training.output / 'in_sample.json').write_text('''{claim}''')\n"
        "    (training.output / 'model.json').write_text('{\"sum\": 1}')\n"
    )
    training = {"command": ["python", str(script)], "warmup": "1d", "coins": ["BTC"]}
    place.run(place.config([bot("reader", 1, "model_reader")], end="2024-01-02", training=training))
    assert walk_forward(place, "run")[0]["in_sample_annual"] is None
