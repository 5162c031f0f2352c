"""Unmodified trainers: how many of them run side by side."""

from __future__ import annotations

from orchestrator.runtime.bot_trainers import trainers_at_once
from orchestrator.training_settings import TrainingSettings


def test_trainers_that_share_a_folder_run_one_after_another() -> None:
    def at_once(**more: object) -> int:
        settings = TrainingSettings(command=("t",), kind="bot", leave=("m",), **more)  # type: ignore[arg-type]
        return trainers_at_once(settings, ["BTC", "ETH"])

    assert at_once(parallel=2) == 1
    assert at_once(parallel=2, folder="{coin}") == 2
    assert at_once(parallel=2, folder="{coin}", folders={"BTC": "."}) == 2
    assert at_once(parallel=2, folder="{coin}", folders={"BTC": "ETH"}) == 1
