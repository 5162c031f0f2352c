"""Every client library does the same against a real server and under the shim.

One program per library runs natively against a server on loopback, and in replay against the same site asked
through the orchestrator. It prints a value for each case: types, values, and whole messages of exceptions.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bot.http_programs import FRAME, PROGRAMS
from tests.bot.http_site import orchestrated, served
from tests.bot.programs import run_in_replay, run_natively


@pytest.mark.parametrize("library", PROGRAMS)
def test_a_client_does_the_same_natively_and_in_replay(library: str, tmp_path: Path) -> None:
    program = FRAME + PROGRAMS[library]
    with served() as base:
        native = run_natively(tmp_path, program, base)
    replay = run_in_replay(tmp_path, program, base, answer=orchestrated, hello={"hosts": ["127.0.0.1"]})
    expected, found = native.value, replay.value
    assert list(found) == list(expected)
    assert list(differences(expected, found)) == []


def differences(expected: Any, found: Any, place: str = "") -> Iterator[str]:
    """Yield where two JSON values differ, and how."""
    if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        for key, value in expected.items():
            yield from differences(value, found[key], f"{place} > {key}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, value in enumerate(expected):
            yield from differences(value, found[index], f"{place}[{index}]")
    elif expected != found:
        yield f"{place}: natively {expected!r}, in replay {found!r}"
