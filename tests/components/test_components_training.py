"""The trainer's side of the SDK, and the reference trainer and thinker on what they compute."""

from __future__ import annotations

import datetime as dt
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import Training
from components.client import Replay
from components.patterns import changes_of, expected_changes, patterns_of
from components.snapshot import to_ns
from components.thinkers.nearest_patterns import load
from components.trainers import nearest_patterns
from orchestrator.errors import ComponentError, ConfigError, ProtocolError
from orchestrator.protocol import ClosedCandles, QueryRefused, Stop, TrainingQuery, TrainingWelcome
from tests.components.fake_replay import welcome as components_welcome

HOUR_NS = 3_600 * 10**9
T0 = 1_704_067_200 * 10**9


class FakeConnection:
    """Answers what it is told to, and remembers what was said."""

    def __init__(self, welcome: Any, *answers: Any) -> None:
        self.welcome = welcome
        self.said: list[Any] = []
        self.is_closed = False
        self._answers = list(answers)

    def send(self, message: Any) -> None:
        self.said.append(message)

    def receive(self, slices_max: int | None = None) -> Any:  # noqa: ARG002 - as the real one has it
        return self._answers.pop(0)

    def close(self) -> None:
        self.is_closed = True


def welcome(output: Path, **params: Any) -> TrainingWelcome:
    return TrainingWelcome(
        run_id="run",
        component="trainer-BTC-1",
        coin="BTC",
        coins=("BTC", "ETH"),
        currency="USD",
        timeframe="1h",
        timeframe_ns=HOUR_NS,
        train_from_ns=T0,
        train_until_ns=T0 + 100 * HOUR_NS,
        output=str(output),
        export=None,
        seed=7,
        params=params,
    )


def candles(closes: Any) -> ClosedCandles:
    n = len(closes)
    times = struct.pack(f"<{n}q", *(T0 + row * HOUR_NS for row in range(n)))
    return ClosedCandles("BTC", "1h", times, np.tile(np.asarray(closes, dtype="<f8"), 5).tobytes())


class TestTraining:
    def test_what_it_knows(self, tmp_path: Path) -> None:
        with Training(connection := FakeConnection(welcome(tmp_path, days=3))) as training:  # type: ignore[arg-type]
            assert (training.coin, training.coins, training.currency) == ("BTC", ("BTC", "ETH"), "USD")
            assert (training.timeframe, training.seed, dict(training.params)) == ("1h", 7, {"days": 3})
            assert training.begin == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
            assert to_ns(training.until) == T0 + 100 * HOUR_NS
            assert training.output == tmp_path
            assert training.export is None
        assert connection.is_closed

    def test_what_it_asks(self, tmp_path: Path) -> None:
        connection = FakeConnection(welcome(tmp_path), candles([1.0, 2.0]), candles([]))
        training = Training(connection)  # type: ignore[arg-type]
        assert list(training.history("ETH", "2h").close) == [1.0, 2.0]
        moment = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
        assert len(training.history("BTC", "1h", 5, until=moment)) == 0
        assert connection.said == [
            TrainingQuery("ETH", "2h"),
            TrainingQuery("BTC", "1h", 5, T0 + 24 * HOUR_NS),
        ]

    @pytest.mark.parametrize(
        ("arguments", "more", "said"),
        [
            (("DOGE", "1h"), {}, "coin 'DOGE' is not in this run"),
            (("BTC", 5), {}, "timeframe 5 is not understood"),
            (("BTC", "1h", 0), {}, "count 0 is not allowed"),
            (("BTC", "1h"), {"until": dt.datetime(2024, 1, 1)}, "has no timezone"),  # noqa: DTZ001
        ],
    )
    def test_what_is_wrong_with_a_call(
        self, tmp_path: Path, arguments: tuple[Any, ...], more: dict[str, Any], said: str
    ) -> None:
        training = Training(FakeConnection(welcome(tmp_path)))  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=said):
            training.history(*arguments, **more)

    def test_what_is_refused_raises(self, tmp_path: Path) -> None:
        training = Training(FakeConnection(welcome(tmp_path), QueryRefused("later"), Stop("end")))  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="later"):
            training.history("BTC", "1h")
        with pytest.raises(ProtocolError, match="received Stop"):
            training.history("BTC", "1h")

    def test_who_connects_as_another_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="call connect_training"):
            Replay(FakeConnection(welcome(tmp_path)))  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=r"call connect\(\)"):
            Training(FakeConnection(components_welcome()))  # type: ignore[arg-type]


class TestPatterns:
    def test_nearest_by_hand(self) -> None:
        known = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
        followed = np.array([1.0, 2.0, 3.0, 5.0])
        present = np.array([[0.9, 0.1], [0.0, 1.9], [0.0, 0.0]])
        assert expected_changes(known, followed, present, 1).tolist() == [2.0, 3.0, 1.0]
        assert expected_changes(known, followed, present, 2).tolist() == [3.5, 2.0, 1.5]
        assert expected_changes(known, followed, present, 9).tolist() == [2.75] * 3

    def test_patterns(self) -> None:
        changes = changes_of(np.array([1.0, 2.0, 3.0, 1.5]))
        assert changes.tolist() == [1.0, 0.5, -0.5]
        assert patterns_of(changes, 2).tolist() == [[1.0, 0.5], [0.5, -0.5]]

    @given(st.integers(1, 600), st.integers(1, 5), st.integers(0, 2**32 - 1))
    def test_like_a_plain_loop_however_many(self, rows: int, neighbours: int, seed: int) -> None:
        generator = np.random.Generator(np.random.PCG64(seed))
        known, followed = generator.standard_normal((7, 3)), generator.standard_normal(7)
        present = generator.standard_normal((rows, 3))
        found = expected_changes(known, followed, present, neighbours)
        for row in (0, rows // 2, rows - 1):
            distances = [
                sum((float(a) - float(b)) ** 2 for a, b in zip(present[row], k, strict=True)) for k in known
            ]
            nearest = sorted(range(7), key=lambda place: (distances[place], place))[:neighbours]
            assert found[row] == pytest.approx(sum(followed[place] for place in nearest) / neighbours)


class TestReference:
    def train(self, output: Path, monkeypatch: pytest.MonkeyPatch, closes: Any, **params: Any) -> Path:
        output.mkdir(exist_ok=True)
        training = Training(FakeConnection(welcome(output, **params), candles(closes)))  # type: ignore[arg-type]
        monkeypatch.setattr(nearest_patterns, "connect_training", lambda: training)
        nearest_patterns.main()
        return output

    def test_a_model_is_read_as_it_was_made(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        closes = [100.0, 101.0, 100.0, 101.0, 100.0, 101.0]
        output = self.train(tmp_path / "a", monkeypatch, closes, length=2, neighbours=1, edge=0.0)
        model = load(output)
        assert (model.timeframe, model.timeframe_ns, model.length, model.neighbours) == ("1h", HOUR_NS, 2, 1)
        assert model.known.shape == (3, 2)
        assert model.followed.tolist() == pytest.approx([0.01, -1 / 101, 0.01])
        claim = json.loads((output / "in_sample.json").read_text())
        # In at 0.25 %, +1 %, out; in again, +1 %.
        assert claim["total_return"] == pytest.approx(0.9975**3 * 1.01**2 - 1)
        assert claim["days"] == pytest.approx(5 / 24)

    def test_the_same_candles_give_the_same_bytes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closes = 100.0 * np.exp(
            np.cumsum(0.01 * np.random.Generator(np.random.PCG64(1)).standard_normal(500))
        )
        one, other = (self.train(tmp_path / name, monkeypatch, closes) for name in ("a", "b"))
        for name in ("patterns.json", "in_sample.json"):
            assert (one / name).read_bytes() == (other / name).read_bytes()

    def test_too_little_history_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(SystemExit, match="5 1h candles of BTC are too few"):
            self.train(tmp_path / "a", monkeypatch, [1.0] * 5)


def test_a_trainer_that_is_started_by_hand_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPLAY_ENDPOINT", raising=False)
    with pytest.raises((ConfigError, ComponentError), match="is started by a replay"):
        nearest_patterns.main()
