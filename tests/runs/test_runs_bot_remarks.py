"""What is said of a run's unmodified bots: each thing that spoils a result, and nothing when all is well."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.runs.bot_facts import (
    BotFacts,
    EndedBot,
    FolderFacts,
    RefusedRequest,
    RequestFacts,
    StuckBot,
    read_bot_facts,
    write_bot_facts,
)
from orchestrator.runs.bot_remarks import bot_remarks

START_NS = 1_705_276_800_000_000_000
SOUND = FolderFacts(
    folder="/home/me/mybot",
    copy="work/mybot",
    scripts_before={"bot.py": "aa"},
    scripts_after={"bot.py": "aa"},
    is_original_unchanged=True,
)


def refused(target: str, count: int, after: int = 0) -> RefusedRequest:
    return RefusedRequest(
        component="trader",
        what="request",
        target=target,
        client="requests",
        count=count,
        first_sim_time_ns=START_NS + after,
    )


def asked(endpoint: str, *, is_known: bool) -> RequestFacts:
    return RequestFacts(component="trader", venue="kucoin", endpoint=endpoint, count=3, is_known=is_known)


def changed(**fields: object) -> FolderFacts:
    return FolderFacts(**{**{f: getattr(SOUND, f) for f in SOUND.__struct_fields__}, **fields})


def test_nothing_is_said_of_a_sound_run() -> None:
    facts = BotFacts(
        requests=(asked("GET /api/v1/accounts", is_known=True),),
        folders=(SOUND,),
        protections={"network_namespace": "bots have no network"},
    )
    assert bot_remarks(facts) == ()


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            BotFacts(refused_requests=7, refused=(refused("b.com", 5, 9), refused("a.com", 2, 1))),
            "7 requests of bots were refused: trader request to a.com (2), trader request to b.com (5);",
        ),
        (
            BotFacts(refused_requests=5, refused=tuple(refused(f"{n}.com", 1, n) for n in range(5))),
            "trader request to 2.com (1) and 2 more (bots.json);",
        ),
        (
            BotFacts(requests=(asked("GET /api/v9/x", is_known=False), asked("GET /y", is_known=True))),
            "3 requests asked for what is not emulated: trader GET /api/v9/x of kucoin (3);",
        ),
        (
            BotFacts(ended=(EndedBot(component="trader", how="exited with status 0", sim_time_ns=START_NS),)),
            "bot trader exited with status 0 at 2024-01-15 00:00:00, before the replay ended",
        ),
        (
            BotFacts(
                stuck=(StuckBot(component="trader", place='File "bot.py", line 3 in f', sim_time_ns=0),)
            ),
            'trader neither slept nor asked for anything: it was at File "bot.py", line 3 in f',
        ),
        (BotFacts(never_started=("trader",)), "bot trader never started"),
        (BotFacts(folders=(changed(is_original_unchanged=False),)), "/home/me/mybot changed while"),
        (
            BotFacts(folders=(changed(scripts_after={"bot.py": "bb"}),)),
            "their own scripts in the copy: bot.py;",
        ),
        (BotFacts(folders=(changed(scripts_after={}),)), "their own scripts in the copy: bot.py;"),
    ],
)
def test_what_spoils_a_result_is_a_warning(facts: BotFacts, said: str) -> None:
    (remark,) = bot_remarks(facts)
    assert remark.level == "warning"
    assert said in remark.text


def test_a_protection_that_did_not_hold_is_a_note() -> None:
    facts = BotFacts(protections={"network_namespace": "not available: Operation not permitted"})
    (remark,) = bot_remarks(facts)
    assert remark.level == "note"
    assert remark.text.endswith("no network namespace, Operation not permitted")


def test_facts_are_read_as_they_were_written(tmp_path: Path) -> None:
    assert read_bot_facts(tmp_path) is None
    facts = BotFacts(refused_requests=7, refused=(refused("b.com", 7),), folders=(SOUND,))
    write_bot_facts(tmp_path, facts)
    assert read_bot_facts(tmp_path) == facts
