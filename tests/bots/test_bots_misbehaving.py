"""Bots that misbehave: each ends the run or goes on as documented, and harms nobody else."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from orchestrator.config import parse_date_ns
from orchestrator.market.synthetic import synthesize
from orchestrator.runs.reader import open_run
from orchestrator.runtime.guardian import LOG_BYTES_MAX
from tests.bots.running import COINS, TIMEFRAME, BotPlace, BotRun, Shared, bot, program
from tests.replay.running import RESULT_FILES, Finished

START = 1_704_067_200.0
TIMEOUT_SECONDS = 4.0  # component_timeout of those that fall silent: bots need some of it to start

# ---------------------------------------------------------------- what ends the run

FATAL = {
    "crash": ("bad exited with status 1 at sequence 1", "RuntimeError: a mistake in the bot's own code", 1),
    "leave": ("bad exited with status 0 at sequence 1", "it leaves with status 0", 0),
    "exit_at_once": ("bad exited with status 3 at sequence 1", "", 3),
    "kill_itself": ("bad was killed by SIGKILL at sequence 1", "", -9),
}
SILENT = {
    "spin": (0, "in spin"),
    "spin_after_a_while": (2, "in spin"),
    "print_without_end": (0, "in print_without_end"),
    "wait_for_a_lock_in_c": (0, "in wait_for_a_lock_in_c"),
    "busy_child": (0, "in <module>"),
    "leave_a_tool_behind": (0, "does not end: tail -f /dev/null"),
}


def run_with(place: BotPlace, workdir: Path, mode: str, **more: Any) -> tuple[Finished, BotRun]:
    """Run a bot that behaves beside one that does not."""
    good = workdir.parent / "goodbot"
    good.mkdir()
    sections = [
        bot("good", good, program(good, "misbehaving"), "mind_ones_business"),
        bot("bad", workdir, program(workdir, "misbehaving"), mode),
    ]
    return place.finish(place.bots(sections, **more))


def assert_failed(place: BotPlace, done: Finished, run: BotRun) -> None:
    assert done.status == 4, done.stderr
    assert run.status == "failed"
    assert run.manifest["reason"] in done.stderr
    assert open_run(run.directory).digests().digest == run.digest
    assert place.is_clean()


@pytest.mark.parametrize("mode", FATAL)
def test_a_bot_that_ends_fails_the_run(bot_place: BotPlace, workdir: Path, mode: str) -> None:
    how, last_line, status = FATAL[mode]
    done, run = run_with(bot_place, workdir, mode)
    assert_failed(bot_place, done, run)
    assert how in run.manifest["reason"]
    assert "on_exit" in run.manifest["reason"]
    assert last_line in done.stderr
    assert run.exit_code("bad") == status
    (end,) = run.facts["ended"]
    assert (end["component"], end["how"]) == ("bad", how.removeprefix("bad ").removesuffix(" at sequence 1"))
    assert end["sim_time_ns"] == pytest.approx((START + 1200) * 1e9, abs=1e6)
    assert len(run.said("good")) == 20


@pytest.mark.parametrize("mode", SILENT)
def test_a_bot_that_neither_sleeps_nor_asks_is_named_with_its_place(
    bot_place: BotPlace, workdir: Path, mode: str
) -> None:
    sequence, place = SILENT[mode]
    done, run = run_with(bot_place, workdir, mode, component_timeout=TIMEOUT_SECONDS)
    assert_failed(bot_place, done, run)
    reason = run.manifest["reason"]
    assert f"bad neither slept nor asked for anything for {TIMEOUT_SECONDS:g} s" in reason
    assert f"at sequence {sequence}" in reason
    assert place in reason
    if mode not in ("busy_child", "leave_a_tool_behind"):  # children, which have no file of the bot's
        assert "misbehaving.py" in reason
        assert "line " in reason
    (stuck,) = run.facts["stuck"]
    assert stuck["component"] == "bad"
    assert stuck["place"] in reason
    assert (run.directory / "logs" / "bad.log").stat().st_size < LOG_BYTES_MAX * 1.1


# ---------------------------------------------------------------- what does not

HARMLESS = (
    "error_loop", "flood", "threads", "tasks", "restart", "unknown_coin", "sell_what_has_no_data", "ignore_sigterm",
    "handle_sigterm", "close_stdout", "children", "clear", "huge", "garbage", "strangers", "daemon",
)  # fmt: skip
ENDING = ("crash", "leave")


class Crowd(NamedTuple):
    """A well-behaved bot alone, and among all those that harm nobody, twice."""

    alone: BotRun
    among: BotRun
    again: BotRun
    done: Finished


@pytest.fixture(scope="module")
def crowd(bot_place: BotPlace, shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Crowd:
    def make() -> list[Any]:
        alone, among, again, done = run_crowd(bot_place, tmp_path_factory.mktemp("user"))
        return [*(str(run.directory) for run in (alone, among, again)), done]

    *directories, done = shared.once("crowd", make)
    alone, among, again = (BotRun(Path(directory)) for directory in directories)
    return Crowd(alone, among, again, Finished(*done))


def run_crowd(place: BotPlace, user: Path) -> Crowd:
    start_ns, end_ns = parse_date_ns("2023-12-25"), parse_date_ns("2024-01-01T00:30")
    synthesize(place.cache, coins=("GONE",), timeframe=TIMEFRAME, start_ns=start_ns, end_ns=end_ns)
    sections = [bot("good", folder_of(user, "good"), "misbehaving.py", "mind_ones_business")]
    more: dict[str, Any] = {
        "end": "2024-01-01T01:00",
        "coins": (*COINS, "GONE"),
        "bots": {"request_latency_ms": 1000},
    }
    alone = place.complete(place.bots(sections, **more))
    sections += [bot(mode, folder_of(user, mode), "misbehaving.py", mode) for mode in HARMLESS]
    sections += [
        bot(mode, folder_of(user, mode), "misbehaving.py", mode, on_exit="continue") for mode in ENDING
    ]
    folder = folder_of(user, "write_outside")
    (folder / "where.txt").write_text(str(folder / "outside.txt"))
    sections.append(bot("write_outside", folder, "misbehaving.py", "write_outside"))
    config = place.bots(sections, **more)
    done, among = place.finish(config, seconds=100)
    return Crowd(alone, among, place.complete(config, seconds=100), done)


def folder_of(user: Path, name: str) -> Path:
    folder = user / name
    folder.mkdir()
    program(folder, "child")
    program(folder, "misbehaving")
    return folder


def told(run: BotRun, component: str) -> list[str]:
    """Return a bot's log without how its process was ended, which is the machine's affair, and without its folder."""
    text = run.log(component).replace(str(run.directory), "")
    return [line for line in text.splitlines() if not line.startswith("replay: ") and '"signal"' not in line]


def test_the_run_completes_and_others_are_unharmed(crowd: Crowd) -> None:
    assert crowd.done.status == 0, crowd.done.stderr
    assert crowd.among.status == "complete"
    assert len(told(crowd.alone, "good")) == 59
    assert told(crowd.among, "good") == told(crowd.alone, "good")


@pytest.mark.parametrize("mode", ["good", *HARMLESS, *ENDING])
def test_what_they_see_and_do_is_the_same_again(crowd: Crowd, mode: str) -> None:
    assert told(crowd.again, mode) == told(crowd.among, mode)


def test_the_results_are_the_same_again(crowd: Crowd) -> None:
    assert crowd.again.digest == crowd.among.digest
    for name in RESULT_FILES:
        assert (crowd.again.directory / name).read_bytes() == (crowd.among.directory / name).read_bytes()
    first, second = crowd.among.facts, crowd.again.facts
    for key in ("refused", "requests", "ended", "stuck", "never_started"):
        assert first[key] == second[key], key


def test_an_error_loop_lets_time_pass(crowd: Crowd) -> None:
    assert crowd.among.said("error_loop")[-1]["errors"] in (3_500, 3_600)  # one a second, for an hour
    (row,) = [row for row in crowd.among.facts["requests"] if row["component"] == "error_loop"]
    assert row["count"] == pytest.approx(3_600, abs=1)
    assert not row["is_known"]


def test_a_flood_is_capped(crowd: Crowd) -> None:
    path = crowd.among.directory / "logs" / "flood.log"
    assert LOG_BYTES_MAX * 0.9 < path.stat().st_size < LOG_BYTES_MAX * 1.1
    assert '"price"' in path.read_text()[-1_000:]  # the end is kept


def test_threads_and_tasks_sleep_in_simulated_time(crowd: Crowd) -> None:
    beats = [(round(row["time"] - START, 1), row["beat"]) for row in crowd.among.said("threads")]
    due = [
        (k * s, name) for name, s in (("a", 61), ("b", 97.5), ("c", 180), ("main", 600)) for k in range(1, 60)
    ]
    assert sorted(beats) == sorted((at, name) for at, name in due if at < 3_600)
    assert [at for at, _ in beats] == sorted(at for at, _ in beats)
    looks = crowd.among.said("tasks")
    assert {row["symbol"] for row in looks} == {"BTC-USDT", "ETH-USDT"}
    assert len(looks) == pytest.approx(3_600 / 61 + 3_600 / 46, abs=3)


def test_a_restart_by_exec_goes_on_at_the_same_time(crowd: Crowd) -> None:
    rows = crowd.among.said("restart")
    assert [row["restarts"] for row in rows] == list(range(6))
    assert [round(row["time"] - START) for row in rows] == [k * 600 for k in range(6)]
    assert all(row["pid_is_the_same"] for row in rows)


def test_orders_without_data_are_refused_as_the_exchange_refuses(crowd: Crowd) -> None:
    orders = [row for row in crowd.among.said("unknown_coin") if "symbol" in row]
    assert [row["code"] for row in orders] == [
        "900001",
        "400100",
        "400100",
    ]  # no symbol, no number, no good id
    rows = crowd.among.said("sell_what_has_no_data")
    assert [row["code"] == "200000" for row in rows] == [True, True, False, False]
    states = [row["state"] for row in crowd.among.orders_of("sell_what_has_no_data")]
    assert states[:2] == ["accepted", "accepted"]
    assert "rejected" not in states[:2]


@pytest.mark.parametrize("mode", ["ignore_sigterm", "handle_sigterm"])
def test_the_end_of_a_run_does_not_wait_for_a_bot(crowd: Crowd, mode: str) -> None:
    assert len(told(crowd.among, mode)) == 59
    assert not any(row.get("handled") for row in crowd.among.said(mode))
    assert crowd.among.manifest["wall_seconds"] < 60


def test_a_closed_stdout_is_the_bots_own_affair(crowd: Crowd) -> None:
    assert crowd.among.log("close_stdout") == ""
    closed = (crowd.among.copy("close_stdout") / "closed.txt").read_text().splitlines()
    assert closed == ["9"] * 6


def test_a_child_has_requests_and_sleeps_of_its_own(crowd: Crowd) -> None:
    first, second, third = crowd.among.said("children")[:3]
    assert first["status"] == 0
    assert first["stderr"] == ""
    assert first["lasted"] in (30, 31)
    assert first["child"]["asked"] == pytest.approx(START + 30, abs=1)
    assert first["child"]["end"] == pytest.approx(START + 31, abs=0.1)
    assert second["gave_up_after"] == first["lasted"] + 5
    assert (third["shell"], third["false"]) == (0, 3)


def test_screens_are_cleared_without_a_shell(crowd: Crowd) -> None:
    assert [row["status"] for row in crowd.among.said("clear")] == [0] * 60


def test_the_exchange_answers_whatever_it_is_asked(crowd: Crowd) -> None:
    huge = [row for row in crowd.among.said("huge") if "path" in row]
    assert len(huge) == 5
    assert all(row["status"] < 500 and row["length"] < 1_000_000 for row in huge)
    rows = [row for row in crowd.among.said("garbage") if "price" not in row]
    assert [row["status"] < 500 for row in rows] == [True]
    assert len(crowd.among.said("garbage")) > 40  # and it goes on
    assert crowd.among.orders_of("garbage") == []


REFUSED = {
    "requests": ("requests.exceptions.ConnectionError", "api.telegram.org is not emulated"),
    "urllib": ("urllib.error.URLError", "hooks.slack.com is not emulated"),
    "socket": ("builtins.ConnectionRefusedError", "a bot under replay has no network"),
    "venue by socket": ("socket.gaierror", "only HTTP requests are"),
    "loopback": ("builtins.ConnectionRefusedError", "a bot under replay has no network"),
    "dns": ("socket.gaierror", "a bot under replay has no network"),
    "udp": ("builtins.ConnectionRefusedError", "a bot under replay has no network"),
    "curl": ("", "curl speaks to the network"),
    "websockets": ("builtins.ConnectionRefusedError", "ws-api-spot.kucoin.com"),
    "aiohttp websocket": ("aiohttp.client_exceptions.ClientConnectorError", "a websocket to"),
}


def test_strangers_are_refused_and_counted_and_the_run_is_marked(crowd: Crowd) -> None:
    tried = {row["tried"]: row for row in crowd.among.said("strangers") if "tried" in row}
    assert tried.keys() == REFUSED.keys()
    for name, (kind, text) in REFUSED.items():
        assert tried[name]["kind"].startswith(kind), tried[name]
        assert text in tried[name]["text"], tried[name]
    assert crowd.among.manifest["refused_requests"] == len(REFUSED)
    assert {row["component"] for row in crowd.among.facts["refused"]} == {"strangers"}
    assert sum(row["count"] for row in crowd.among.facts["refused"]) == len(REFUSED)
    assert "refused" in crowd.done.stderr


def test_a_daemon_lives_in_simulated_time_and_dies_with_the_run(bot_place: BotPlace, crowd: Crowd) -> None:
    lives = [row["time"] - START for row in crowd.among.said("daemon") if "daemon" in row]
    assert [round(at) for at in lives] == [0, 900, 1800, 2700]
    assert bot_place.is_clean()


@pytest.mark.parametrize("mode", ENDING)
def test_a_bot_whose_way_it_is_may_end(crowd: Crowd, mode: str) -> None:
    ends = {row["component"]: row for row in crowd.among.facts["ended"]}
    assert ends.keys() == set(ENDING)
    assert ends[mode]["how"] == f"exited with status {int(mode == 'crash')}"
    assert ends[mode]["sim_time_ns"] == pytest.approx((START + 1200) * 1e9, abs=1e6)


def test_what_is_written_outside_is_noticed(crowd: Crowd) -> None:
    assert crowd.alone.manifest["bot_files_unchanged"] is True
    assert crowd.among.manifest["bot_files_unchanged"] is False
    changed = [row for row in crowd.among.facts["folders"] if not row["is_original_unchanged"]]
    assert [Path(row["folder"]).name for row in changed] == ["write_outside"]
    assert (Path(changed[0]["folder"]) / "outside.txt").read_text().splitlines() == ["a bot was here"] * 2


def test_every_end_is_in_the_run(crowd: Crowd) -> None:
    # json.dumps of what a reader of the report sees: each of the two that left is named by name.
    text = json.dumps(crowd.among.facts["ended"]) + json.dumps(crowd.among.manifest["notes"])
    assert all(f'"{name}"' in text for name in ENDING)
    codes = {c["name"]: c["exit_code"] for c in crowd.among.manifest["components"]}
    assert codes["crash"] == 1
    assert codes["leave"] == 0
    assert list(itertools.filterfalse(codes.get, codes)) == ["leave"]
