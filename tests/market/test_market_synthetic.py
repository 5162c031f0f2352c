"""The synthetic market: the same everywhere, and like a market."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestrator.config import parse_date_ns
from orchestrator.errors import ConfigError, DataError
from orchestrator.market.cache import entries_of, read_series, series_in
from orchestrator.market.candles import Candles, values_digest
from orchestrator.market.checks import check_candles
from orchestrator.market.gaps import find_gaps
from orchestrator.market.synthetic import synthesize, synthetic_candles
from tests.market.builders import assert_equal

START, END = parse_date_ns("2024-01-01"), parse_date_ns("2024-01-31")
STEP = 5 * 60 * 10**9


def made(coin: str, *, seed: int = 7, gaps: int = 0, end_ns: int = END, timeframe: str = "5m") -> Candles:
    return synthetic_candles(coin, timeframe, start_ns=START, end_ns=end_ns, seed=seed, gaps=gaps)


@pytest.mark.parametrize(
    ("coin", "seed", "gaps", "digest"),
    [
        ("BTC", 7, 0, "eb3a254f2c97816d3b7d050f1af7144051cc663dd1965e5eafc7600dfd5a229d"),
        ("DOGE", 7, 3, "e5d4109655b37a89ed369e334bf07b04c1f0bae6c676c611a86860317655c6a1"),
        ("PEPE", 2**63 - 1, 0, "c2e499c2f516e9633f5613b10f5012d134fc8a25093db5ee29421fd218b73566"),
    ],
)
def test_the_values_are_the_same_on_every_machine(coin: str, seed: int, gaps: int, digest: str) -> None:
    # A change of these digests changes the results of everybody's synthetic runs: say so in CHANGELOG.md.
    assert values_digest(made(coin, seed=seed, gaps=gaps)) == digest


def test_seed_and_coin_decide_and_nothing_else() -> None:
    assert_equal(made("BTC"), made("BTC"))
    assert values_digest(made("BTC", seed=8)) != values_digest(made("BTC"))
    assert values_digest(made("ETH")) != values_digest(made("BTC"))


def test_another_coin_in_the_list_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    synthesize(tmp_path, coins=("ETH", "LTC", "BTC"), start_ns=START, end_ns=END)
    key = next(key for key in series_in(tmp_path) if key.coin == "BTC")
    assert (key.exchange, key.quote, key.timeframe) == ("synthetic", "USDT", "5m")
    assert_equal(read_series(tmp_path / key.folder, entries_of(tmp_path, key)), made("BTC"))


@pytest.mark.parametrize("timeframe", ["1m", "5m", "1h", "1d", "1w"])
@pytest.mark.parametrize("coin", ["BTC", "DOGE", "PEPE"])
def test_candles_are_sound(coin: str, timeframe: str) -> None:
    end = parse_date_ns("2024-02-15" if timeframe == "1m" else "2025-01-01")
    candles = synthetic_candles(coin, timeframe, start_ns=START, end_ns=end, seed=3)
    step = {"1m": 60, "5m": 300, "1h": 3600, "1d": 86_400, "1w": 604_800}[timeframe] * 10**9
    check_candles(candles, step, 0, coin)
    assert not find_gaps(candles, step)
    assert candles.open_times_ns[0] >= START
    assert candles.open_times_ns[-1] + step <= end
    np.testing.assert_array_equal(candles.open[1:], candles.close[:-1])
    assert (candles.volume > 0).all()


def test_it_behaves_like_a_market() -> None:
    coins = [made(coin, end_ns=parse_date_ns("2024-07-01")) for coin in ("BTC", "ETH", "DOGE")]
    returns = [np.diff(np.log(candles.close)) for candles in coins]
    correlations = np.corrcoef(returns)[np.triu_indices(3, 1)]
    assert (correlations > 0.3).all()
    assert (correlations < 0.9).all()
    for candles, change in zip(coins, returns, strict=True):
        size = np.abs(change)
        assert 0.015 < change.std() * np.sqrt(288) < 0.06  # daily volatility
        assert ((change - change.mean()) ** 4).mean() / change.var() ** 2 > 5  # fat tails
        assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.03  # clustered
        assert abs(np.corrcoef(change[1:], change[:-1])[0, 1]) < 0.05  # but not predictable
        ranges = (candles.high - candles.low) / candles.open
        assert np.corrcoef(ranges, candles.volume)[0, 1] > 0.3
        assert np.abs(change).max() > 0.01  # jumps


def test_gaps_are_as_many_as_asked_and_inside() -> None:
    candles = made("BTC", gaps=6)
    gaps = find_gaps(candles, STEP)
    assert len(gaps) == 6
    assert all(STEP <= gap.length_ns <= 12 * STEP for gap in gaps)
    whole = made("BTC")
    assert (candles.open_times_ns[0], candles.open_times_ns[-1]) == (
        whole.open_times_ns[0],
        whole.open_times_ns[-1],
    )
    assert_equal(candles, whole.take(np.isin(whole.open_times_ns, candles.open_times_ns)))
    assert [gap.start_ns for gap in gaps] != [gap.start_ns for gap in find_gaps(made("ETH", gaps=6), STEP)]


def test_what_cannot_be_made() -> None:
    with pytest.raises(ConfigError, match="gaps do not fit"):
        made("BTC", gaps=10_000)
    with pytest.raises(ConfigError, match="no whole 5m candle"):
        made("BTC", end_ns=START)


def test_other_candles_in_the_cache_are_not_overwritten_unasked(tmp_path: Path) -> None:
    options = {"coins": ("BTC",), "start_ns": START, "end_ns": END}
    synthesize(tmp_path, **options, seed=1)  # type: ignore[arg-type]
    assert synthesize(tmp_path, **options, seed=1)[0].unchanged == 30 * 288  # type: ignore[arg-type]
    with pytest.raises(DataError, match="--replace"):
        synthesize(tmp_path, **options, seed=2)  # type: ignore[arg-type]
    assert synthesize(tmp_path, **options, seed=2, replace=True)[0].replaced > 0  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no coins"):
        synthesize(tmp_path, coins=(), start_ns=START, end_ns=END)


def test_two_markets_are_never_made_one_series(tmp_path: Path) -> None:
    def synth(end: str, start: str = "2024-01-01", **more: bool | int) -> int:
        span = {"start_ns": parse_date_ns(start), "end_ns": parse_date_ns(end)}
        return synthesize(tmp_path, coins=("BTC",), **span, **more)[0].replaced  # type: ignore[arg-type]

    synth("2024-01-31")
    (key,) = series_in(tmp_path)
    before = read_series(tmp_path / key.folder, entries_of(tmp_path, key))
    for end, start, more in (
        ("2024-02-10", "2024-01-01", {}),
        ("2024-01-20", "2024-01-01", {}),
        ("2024-01-20", "2024-01-01", {"replace": True}),
        ("2024-03-01", "2024-02-01", {}),
        ("2024-03-01", "2024-02-01", {"replace": True}),
        ("2024-01-31", "2024-01-01", {"gaps": 2}),
        ("2024-01-31", "2024-01-01", {"gaps": 2, "replace": True}),
    ):
        with pytest.raises(
            DataError, match=r"depends on its dates.* another --exchange NAME keeps both"
        ) as caught:
            synth(end, start, **more)
        assert ("--replace" in str(caught.value)) == (end == "2024-02-10")
        assert_equal(read_series(tmp_path / key.folder, entries_of(tmp_path, key)), before)
    assert synth("2024-02-10", replace=True) > 0
    whole = made("BTC", end_ns=parse_date_ns("2024-02-10"))
    assert_equal(read_series(tmp_path / key.folder, entries_of(tmp_path, key)), whole)
    # A corrupt part of the same dates is replaced.
    part = tmp_path / key.folder / entries_of(tmp_path, key)[0].file
    part.write_bytes(part.read_bytes()[:-3])
    with pytest.raises(DataError, match="corrupt"):
        synth("2024-02-10")
    synth("2024-02-10", replace=True)
    assert_equal(read_series(tmp_path / key.folder, entries_of(tmp_path, key)), whole)
