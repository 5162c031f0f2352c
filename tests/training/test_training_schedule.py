"""When trainings happen and what they see: tables, and the rules that hold for all of them."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import load_settings
from orchestrator.durations import NS_PER_DAY, parse_date_ns
from orchestrator.fetch.job import jobs_of_run
from orchestrator.training.schedule import history_needed_ns, training_times, windows_of
from orchestrator.training_settings import TrainingSettings, fill_templates, validate_training

START = parse_date_ns("2024-01-01")
COINS = ("BTC", "ETH")


def settings(**more: object) -> TrainingSettings:
    return TrainingSettings(command=("trainer",), **more).resolved(COINS)  # type: ignore[arg-type]


def days(time_ns: int) -> float:
    return (time_ns - START) / NS_PER_DAY


@pytest.mark.parametrize(
    ("every", "length", "expected"),
    [
        ("7d", 30, [0, 7, 14, 21, 28]),
        ("7d", 28, [0, 7, 14, 21]),  # who is trained at the end is never used
        ("7d", 29, [0, 7, 14, 21, 28]),
        ("30d", 30, [0]),
        (None, 30, [0]),
        ("12h", 2, [0, 0.5, 1, 1.5]),
    ],
)
def test_when(every: str | None, length: int, expected: list[float]) -> None:
    times = training_times(settings(every=every), START, START + length * NS_PER_DAY)
    assert [days(time_ns) for time_ns in times] == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"warmup": "30d"}, [(-30, 0, 0, 10), (-20, 10, 10, 20)]),
        ({"warmup": "30d", "window": "5d"}, [(-5, 0, 0, 10), (5, 10, 10, 20)]),
        ({"warmup": "30d", "scheme": "expanding"}, [(-30, 0, 0, 10), (-30, 10, 10, 20)]),
        ({"scheme": "anchored", "anchor": "2023-12-22"}, [(-10, 0, 0, 10), (-10, 10, 10, 20)]),
        ({"warmup": "30d", "purge": "1d"}, [(-31, -1, 0, 10), (-21, 9, 10, 20)]),
        ({"warmup": "30d", "embargo": "2d"}, [(-30, 0, 2, 12), (-20, 10, 12, 20)]),
        (
            {"warmup": "30d", "purge": "1d", "embargo": "2d", "scheme": "expanding"},
            [(-30, -1, 2, 12), (-30, 9, 12, 20)],
        ),
    ],
)
def test_windows(more: dict[str, object], expected: list[tuple[float, ...]]) -> None:
    windows = windows_of(settings(every="10d", **more), START, START + 20 * NS_PER_DAY)
    found = [
        tuple(map(days, (w.train_from_ns, w.train_until_ns, w.use_from_ns, w.use_until_ns))) for w in windows
    ]
    assert found == expected


@given(
    every=st.integers(1, 40),
    length=st.integers(1, 100),
    window=st.integers(1, 60),
    purge=st.integers(0, 5),
    embargo=st.integers(0, 5),
    scheme=st.sampled_from(["rolling", "expanding"]),
)
def test_no_window_reaches_into_its_use_and_uses_follow_one_another(
    every: int, length: int, window: int, purge: int, embargo: int, scheme: str
) -> None:
    training = settings(
        every=f"{every * 24}h",
        warmup=f"{window + purge}d",
        scheme=scheme,
        purge=f"{purge}d" if purge else None,
        embargo=f"{embargo * 4}h" if embargo else None,
    )
    end = START + length * NS_PER_DAY
    windows = windows_of(training, START, end)
    assert windows[0].trained_ns == START
    for w in windows:
        assert w.train_from_ns < w.train_until_ns <= w.trained_ns <= w.use_from_ns
        assert w.use_from_ns - w.train_until_ns == training.purge_ns + training.embargo_ns
        assert w.trained_ns < end
    for one, other in itertools.pairwise(windows):
        assert one.use_until_ns == min(other.use_from_ns, end)
    assert windows[-1].use_until_ns == end


def test_what_was_resolved_stays_as_it_is_and_is_allowed() -> None:
    for more in (
        {},
        {"scheme": "expanding"},
        {"scheme": "anchored", "anchor": "2023-01-01"},
        {"warmup": "3d"},
    ):
        once = settings(**more)
        assert once.resolved(COINS) == once
        validate_training(once, START, COINS)


def test_templates_are_filled_in_and_other_braces_stay() -> None:
    words = ("{coin}", "--at={train_until}x", '{"a": 1}', "{nothing}", "{}")
    filled = fill_templates(words, {"coin": "BTC", "train_until": "5"})
    assert filled == ("BTC", "--at=5x", '{"a": 1}', "{nothing}", "{}")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"warmup": "30d"}, 30),
        ({"warmup": "30d", "window": "60d", "purge": "1d"}, 61),
        ({"scheme": "expanding", "warmup": "9d"}, 9),
        ({"scheme": "anchored", "anchor": "2023-12-01"}, 31),
        ({"kind": "bot", "leave": ("x",)}, 0),
        ({"kind": "bot", "leave": ("x",), "warmup": "5d"}, 5),
    ],
)
def test_how_much_history_is_needed_and_fetched(more: dict[str, object], expected: int) -> None:
    training = settings(**more)
    assert history_needed_ns(training, START, START + NS_PER_DAY) == expected * NS_PER_DAY
    flags = {
        "start_date": "2024-01-01",
        "end_date": "2024-01-02",
        "coins": ["BTC"],
        "data": {"exchange": "kucoin"},
    }
    run = msgspec.structs.replace(load_settings(None, flags), training=training)
    assert {job.span.start_ns for job in jobs_of_run(run)} == {START - expected * NS_PER_DAY}
    earlier = {job.span.start_ns for job in jobs_of_run(run, warm_up_ns=90 * NS_PER_DAY)}
    assert earlier == {START - 90 * NS_PER_DAY}


def test_given_models_need_no_history() -> None:
    assert history_needed_ns(TrainingSettings(models="m").resolved(COINS), START, START + NS_PER_DAY) == 0
