"""Every way to read a clock and to wait: natively, in milliseconds, and in replay, in hours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bot import time_cases
from tests.bot.programs import run_in_replay, run_natively

UNIT_NATIVE, UNIT_REPLAY = "0.05", "3600"  # seconds
PROGRAM = Path(time_cases.__file__).read_text()


@pytest.mark.parametrize("case", time_cases.CASES)
def test_it_does_the_same_natively_and_in_replay(case: str, tmp_path: Path) -> None:
    units, _ = time_cases.CASES[case]
    native, native_units, _ = run_natively(tmp_path, PROGRAM, case, UNIT_NATIVE).value
    replayed, *replayed_units = run_in_replay(tmp_path, PROGRAM, case, UNIT_REPLAY).value
    assert replayed == native
    assert native_units >= 0.9 * units
    for passed in replayed_units:
        assert passed == pytest.approx(units, abs=1e-4)
