"""Every way to read a clock and to wait: natively, in milliseconds, and in replay, in hours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bot import time_cases
from tests.bot.programs import run_in_replay, run_natively

# Seconds. Natively who waits is woken late on a busy machine, and what comes a unit later may come first: a longer
# unit then says what the program does. In replay nothing of this is so.
UNITS_NATIVE, UNIT_REPLAY = ("0.05", "0.5", "2"), "3600"
PROGRAM = Path(time_cases.__file__).read_text()


@pytest.mark.parametrize("case", time_cases.CASES)
def test_it_does_the_same_natively_and_in_replay(case: str, tmp_path: Path) -> None:
    units, _ = time_cases.CASES[case]
    replayed, *replayed_units = run_in_replay(tmp_path, PROGRAM, case, UNIT_REPLAY).value
    for unit in UNITS_NATIVE:
        native, native_units, _ = run_natively(tmp_path, PROGRAM, case, unit).value
        if native == replayed:
            break
    assert replayed == native
    assert native_units >= 0.9 * units
    for passed in replayed_units:
        assert passed == pytest.approx(units, abs=1e-4)
