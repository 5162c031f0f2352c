"""Trainings in the engine: at their times, before anyone is woken, and heard of with the next snapshot."""

from __future__ import annotations

from decimal import Decimal

import pytest

from orchestrator.engine.commands import (
    Command,
    PutModelsInUse,
    TrainModels,
    WakeComponent,
    Write,
)
from orchestrator.engine.engine import Engine
from orchestrator.engine.trainings import TrainingOutcome, TrainingTimes
from orchestrator.errors import CausalityError
from orchestrator.protocol import (
    Acknowledgement,
    Instruction,
    Reason,
    SetWakeUp,
    Side,
    SubmitOrder,
    TrainedModel,
)
from orchestrator.runs.records import ModelRecord
from tests.engine.markets import MINUTE, SECOND, T0, FakeMarket
from tests.engine.plays import make_engine, seconds

NAMES = ("thinker", "trader")


def outcome(sim_time_ns: int, *, state: str = "trained") -> TrainingOutcome:
    model = TrainedModel("BTC", sim_time_ns, f"/models/{sim_time_ns}", f"digest {seconds(sim_time_ns)}")
    return TrainingOutcome(
        coin="BTC", train_from_ns=T0 - MINUTE, train_until_ns=sim_time_ns, state=state, model=model  # type: ignore[arg-type]
    )  # fmt: skip


class Trained:
    """Runs an engine to its end, training as it asks, and notes what came out of it."""

    def __init__(self, engine: Engine, *, state: str = "trained") -> None:
        self.engine = engine
        self.lines: list[str] = []
        self._state = state
        while not engine.is_over:
            self.perform(engine.advance())

    def perform(self, commands: list[Command]) -> None:
        for command in commands:
            line = self.line(command)
            self.lines += [line] if line else []
            if isinstance(command, TrainModels):
                with pytest.raises(CausalityError, match="models are trained"):
                    self.engine.advance()
                assert self.engine.is_training
                assert not self.engine.is_waiting
                self.perform(self.engine.trained((outcome(command.sim_time_ns, state=self._state),)))
            if isinstance(command, WakeComponent):
                clock = self.engine.clock
                self.perform(
                    self.engine.handle(command.component, Acknowledgement(clock.sequence, clock.step))
                )

    def line(self, command: Command) -> str:
        match command:
            case TrainModels(time_ns):
                return f"train at {seconds(time_ns)}"
            case PutModelsInUse(models):
                return f"use {' '.join(model.digest for model in models)}"
            case Write(ModelRecord() as record):
                return f"model {record.state} {record.sequence} {record.digest} from {record.use_from - T0 // SECOND}"
            case WakeComponent(component, snapshot):
                models = snapshot.news.models if snapshot.news is not None else ()
                heard = "".join(f" hears {model.digest}" for model in models)
                assert bool(models) == bool(snapshot.reason & Reason.MODEL)
                return f"wake {NAMES[component]} {snapshot.sequence}.{snapshot.step}{heard}"
        return ""


def market(minutes: int = 3) -> FakeMarket:
    return FakeMarket({"BTC": [100.0 + minute for minute in range(minutes)]})


def run(times: list[int], *, embargo_ns: int = 0, state: str = "trained") -> list[str]:
    trainings = TrainingTimes(tuple(times), embargo_ns)
    return Trained(make_engine(market(), trainings=trainings), state=state).lines


def test_a_training_before_the_first_sequence_and_one_at_a_tick() -> None:
    assert run([T0, T0 + 2 * MINUTE]) == [
        "train at 0",
        "model trained 0 digest 0 from 0",
        "use digest 0",
        "wake thinker 1.0 hears digest 0",
        "wake trader 1.0 hears digest 0",
        "train at 120",
        "model trained 2 digest 120 from 120",
        "use digest 120",
        "wake thinker 2.0 hears digest 120",
        "wake trader 2.0 hears digest 120",
        "wake thinker 3.0",
        "wake trader 3.0",
    ]


def test_a_training_between_ticks_is_heard_at_the_next_one() -> None:
    assert run([T0 + 90 * SECOND])[2:] == [
        "train at 90",
        "model trained 1 digest 90 from 90",
        "use digest 90",
        "wake thinker 2.0 hears digest 90",
        "wake trader 2.0 hears digest 90",
        "wake thinker 3.0",
        "wake trader 3.0",
    ]


def test_an_embargo_puts_models_in_use_later_and_one_beyond_the_end_never_does() -> None:
    lines = run([T0, T0 + 2 * MINUTE], embargo_ns=61 * SECOND)
    assert lines == [
        "train at 0",
        "model trained 0 digest 0 from 61",
        "wake thinker 1.0",
        "wake trader 1.0",
        "use digest 0",
        "train at 120",
        "model trained 2 digest 120 from 181",
        "wake thinker 2.0 hears digest 0",
        "wake trader 2.0 hears digest 0",
        "wake thinker 3.0",
        "wake trader 3.0",
    ]


def test_a_model_that_is_kept_is_no_news() -> None:
    assert run([T0 + MINUTE], state="kept") == [
        "train at 60",
        "model kept 1 digest 60 from 60",
        *(f"wake {name} {sequence}.0" for sequence in (1, 2, 3) for name in NAMES),
    ]


def test_a_training_comes_after_fills_and_before_wake_ups() -> None:
    # At 70 s the order of the thinker arrives, the model is trained, and the trader has asked to be woken.
    trainings = TrainingTimes((T0 + 70 * SECOND,))
    engine = make_engine(market(), latency_ms=10_000, trainings=trainings)
    said: dict[int, tuple[Instruction, ...]] = {
        0: (SubmitOrder(1, "BTC", Side.BUY, Decimal(1)),),
        1: (SetWakeUp(T0 + 70 * SECOND),),
    }
    commands = engine.advance()
    for place in (0, 1):
        commands = engine.handle(place, Acknowledgement(1, 0, said[place]))
    commands = engine.advance()
    kinds = [type(command).__name__ for command in commands]
    assert kinds[-1] == "TrainModels"
    assert "PublishFill" in kinds
    assert engine.fills == 1
    commands = engine.trained((outcome(T0 + 70 * SECOND),))
    woken = [command for command in commands if isinstance(command, WakeComponent)]
    assert [(wake.component, wake.snapshot.reason) for wake in woken] == [(0, Reason.ORDER | Reason.MODEL)]


def test_an_engine_that_is_interrupted_in_a_training_can_be_finished() -> None:
    engine = make_engine(market(), trainings=TrainingTimes((T0 + MINUTE,)))
    commands = engine.advance()
    assert isinstance(commands[-1], TrainModels)
    finished: list[Command] = []
    engine.finish(finished, "interrupted")
    assert engine.is_over
