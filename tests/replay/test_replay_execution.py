"""Signals from one exchange, fills and equity from another."""

from __future__ import annotations

import shutil

from orchestrator.config import parse_date_ns
from orchestrator.market.synthetic import synthesize
from tests.replay.checker import check_run
from tests.replay.running import Place, Run, thinker, trader

COINS = ("BTC", "ETH")


def add_second_exchange(place: Place) -> None:
    start_ns, end_ns = parse_date_ns("2023-12-28"), parse_date_ns("2024-01-03")
    synthesize(
        place.cache, coins=COINS, timeframe="5m", start_ns=start_ns, end_ns=end_ns, seed=99, exchange="second"
    )


def check_on(place: Place, run: Run, exchange: str) -> list[str]:
    """Return what the checker, which knows one market, finds on an exchange's candles but for the signals."""
    found = check_run(run.directory, place.candles(list(COINS), exchange, "USDT", "5m"))
    return [line for line in found if not line.startswith("signals.jsonl")]


def test_orders_fill_and_equity_is_marked_on_the_second_exchange(place: Place) -> None:
    add_second_exchange(place)
    components = [thinker(), trader()]
    alone = place.run(place.config(components, data={"exchange": "synthetic"}), "alone")
    config = place.config(components, data={"exchange": "synthetic", "execution": "second"})
    run = place.run(config, "two")
    assert len(run.rows("fills.jsonl")) > 10
    # The thinker sees the same; every fill and mark is that of the other exchange.
    assert run.lines("signals.jsonl") == alone.lines("signals.jsonl")
    assert run.lines("fills.jsonl") != alone.lines("fills.jsonl")
    assert check_on(place, run, "second") == []
    assert check_on(place, run, "synthetic") != []

    assert (run.manifest["exchange"], run.manifest["execution"]) == ("synthetic", "second")
    assert run.manifest["data_digest"] != alone.manifest["data_digest"]
    assert "signals come from synthetic, fills and equity marks from second" in run.manifest["notes"]
    again = place.run(run.directory / "config.toml", "again")
    assert (again.digest, again.manifest["identity"]) == (run.digest, run.manifest["identity"])


def test_the_flag_and_the_analysis_know_both(place: Place) -> None:
    add_second_exchange(place)
    config = place.config([thinker(), trader()], data={"exchange": "synthetic"})
    run = place.run(config, "two", "--execution", "second")
    assert run.manifest["execution"] == "second"
    done = place.replay("analyze", run.directory)
    assert done.status == 0, done.stderr
    assert "prices are left out" not in done.stdout + done.stderr
    shutil.rmtree(place.cache / "second")
    done = place.replay("analyze", run.directory)
    assert "second has no 5m candles of BTC, ETH" in done.stdout + done.stderr
