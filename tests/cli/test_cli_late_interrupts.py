"""Ctrl+C when a run has ended comes too late: the exit status is that of run.json."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.cli import main as main_module
from orchestrator.cli import run_view
from orchestrator.runtime.interrupts import Interrupts


class _Plan:
    notes = ()
    directory = "somewhere"


class _Result:
    exit_status = 0


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_view, "_present_end", lambda *_words, **_how: interrupt())


def present(monkeypatch: pytest.MonkeyPatch, run: Callable[[Callable[[Any], None]], None]) -> int:
    def run_replay(_plan: Any, *, environment: dict[str, str], show: Callable[[Any], None]) -> _Result:
        run(show)
        return _Result()

    monkeypatch.setattr(run_view, "run_replay", run_replay)
    return run_view.present_run(_Plan(), is_quiet=True, as_json=False)  # type: ignore[arg-type]


def test_a_run_that_has_ended_is_not_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(show: Callable[[Any], None]) -> None:
        with Interrupts() as interrupts:
            show(None)
            interrupt()
            assert interrupts.count == 1  # its own affair while it goes on
        interrupt()  # run.json is complete

    before = signal.getsignal(signal.SIGINT)
    assert present(monkeypatch, run) == 0
    assert signal.getsignal(signal.SIGINT) == before


def test_one_that_has_not_begun_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        present(monkeypatch, lambda _show: interrupt())


def test_the_status_of_a_process_stays_when_it_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(status: int) -> None:
        interrupt()
        raise SystemExit(status)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("sys.argv", ["replay", "completion", "bash"])
    monkeypatch.setattr("sys.exit", leave)
    try:
        with pytest.raises(SystemExit) as ended:
            main_module.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 0
