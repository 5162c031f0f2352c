"""Funding rates: what a file may hold, what the cache keeps, what a run sees of it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import cli
from orchestrator.config import NS_PER_SECOND, parse_date_ns
from orchestrator.errors import ConfigError, DataError
from orchestrator.market.cache import series_in
from orchestrator.market.funding import FundingRates, import_funding, load_funding

HOUR = 3_600 * NS_PER_SECOND
START = parse_date_ns("2024-01-01")
RATES = ["0.0001", "-0.00005", "0.00012345", "0"]


def write(path: Path, hours: list[int], rates: list[str], head: str = "fundingTime,fundingRate") -> Path:
    rows = [f"{(START + hour * HOUR) // 1_000_000},{rate}" for hour, rate in zip(hours, rates, strict=True)]
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def load(cache: Path, *, hours: int = 24, accepted: bool = False) -> FundingRates:
    return load_funding(
        cache,
        coins=("BTC",),
        exchange="binance",
        start_ns=START,
        end_ns=START + hours * HOUR,
        is_missing_accepted=accepted,
    )


@pytest.fixture
def day(tmp_path: Path) -> Path:
    return write(tmp_path / "rates.csv", [0, 8, 16, 24], RATES)


def test_what_is_imported_is_what_a_run_sees(tmp_path: Path, day: Path) -> None:
    stored = import_funding(tmp_path, day, exchange="Binance", coin="btc")
    assert stored == ("binance", "BTC", 4, 0)
    rates = load(tmp_path)
    assert rates.next_time("BTC", START) == START + 8 * HOUR  # what stands at the start is not of the run
    assert rates.next_time("BTC", START + 8 * HOUR) == START + 16 * HOUR
    assert rates.next_time("BTC", START + 24 * HOUR) is None
    assert rates.next_time("ETH", START) is None
    assert rates.rate_at("BTC", START + 8 * HOUR) == Decimal("-0.00005")
    assert rates.rate_at("BTC", START + 16 * HOUR) == Decimal("0.00012345")
    assert series_in(tmp_path) == []  # candles are not taken for it, nor it for candles


@pytest.mark.parametrize(
    "head", ["calc_time,last_funding_rate", "timestamp,fundingRate", "Time,Rate", "date,funding rate"]
)
def test_spellings(tmp_path: Path, head: str) -> None:
    file = write(tmp_path / "rates.csv", [8], ["0.0001"], head)
    assert import_funding(tmp_path, file, exchange="okx", coin="ETH").added == 1


def test_a_second_import_adds_what_is_new(tmp_path: Path, day: Path) -> None:
    import_funding(tmp_path, day, exchange="binance", coin="BTC")
    before = load(tmp_path).digest
    assert import_funding(tmp_path, day, exchange="binance", coin="BTC") == ("binance", "BTC", 0, 4)
    more = write(tmp_path / "more.csv", [4, 24, 32], ["0.0002", "0", "0.0003"])
    assert import_funding(tmp_path, more, exchange="binance", coin="BTC") == ("binance", "BTC", 2, 1)
    rates = load(tmp_path, hours=32)
    assert rates.next_time("BTC", START) == START + 4 * HOUR
    assert rates.digest != before


def test_another_rate_for_the_same_time_is_refused_unless_asked_for(tmp_path: Path, day: Path) -> None:
    import_funding(tmp_path, day, exchange="binance", coin="BTC")
    other = write(tmp_path / "other.csv", [8], ["0.0009"])
    with pytest.raises(DataError, match=r"is 0.0009, cached is -5e-05; add --replace"):
        import_funding(tmp_path, other, exchange="binance", coin="BTC")
    import_funding(tmp_path, other, exchange="binance", coin="BTC", replace=True)
    assert load(tmp_path).rate_at("BTC", START + 8 * HOUR) == Decimal("0.0009")


@pytest.mark.parametrize(
    ("hours", "rates", "head", "said"),
    [
        ([8, 8], ["0", "0"], "time,rate", "row 2: the time is not later"),
        ([16, 8], ["0", "0"], "time,rate", "row 2: the time is not later"),
        ([8], ["0.1"], "time,rate", "row 1: the rate 0.1 is none; fractions"),
        ([8, 16], ["0", "nan"], "time,rate", "row 2: the rate nan is none"),
        ([8], ["much"], "time,rate", "the rates are no numbers"),
        ([8], ["0"], "time,price", "found 1 rows of 'time', 'price', without a rate"),
        ([8], ["0"], "when,rate", "without a time"),
        ([], [], "time,rate", "found 0 rows"),
    ],
)
def test_what_is_refused(tmp_path: Path, hours: list[int], rates: list[str], head: str, said: str) -> None:
    file = write(tmp_path / "rates.csv", hours, rates, head)
    with pytest.raises(DataError, match=said) as error:
        import_funding(tmp_path, file, exchange="binance", coin="BTC")
    assert "\n" not in str(error.value)
    assert load(tmp_path, accepted=True).next_time("BTC", START) is None


def test_names_cannot_lead_out_of_the_cache(tmp_path: Path, day: Path) -> None:
    with pytest.raises(ConfigError, match=r"coin '\.\./BTC' is not understood"):
        import_funding(tmp_path, day, exchange="binance", coin="../BTC")
    with pytest.raises(ConfigError, match="exchange"):
        import_funding(tmp_path, day, exchange="..", coin="BTC")


@pytest.mark.parametrize(
    ("hours", "until", "is_missing"),
    [
        ([8, 16], 24, False),  # the last one may stand right at the end
        ([8, 16], 25, True),  # more than 8 hours to the end
        ([9, 16], 24, True),  # more than 8 hours from the start
        ([8, 24], 24, True),
        ([4, 8, 12, 16], 20, False),
        ([], 8, False),
        ([], 9, True),
    ],
)
def test_missing_rates_are_named_with_the_flag_that_accepts_them(
    tmp_path: Path, hours: list[int], until: int, is_missing: bool
) -> None:
    if hours:
        file = write(tmp_path / "rates.csv", hours, ["0.0001"] * len(hours))
        import_funding(tmp_path, file, exchange="binance", coin="BTC")
    load(tmp_path, hours=until, accepted=True)
    if is_missing:
        with pytest.raises(DataError, match="--missing-funding zero"):
            load(tmp_path, hours=until)
    else:
        load(tmp_path, hours=until)


def test_a_damaged_file_is_named(tmp_path: Path, day: Path) -> None:
    import_funding(tmp_path, day, exchange="binance", coin="BTC")
    (tmp_path / "binance" / "funding" / "BTC.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match="remove it and import the rates again"):
        load(tmp_path)


def test_the_command(tmp_path: Path, day: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLAY_HOME", str(tmp_path))
    words = ["data", "import-funding", str(day), "--exchange", "binance", "--coin", "BTC"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert result.output == "binance BTC: 4 funding rates added, 0 were there\n"
