"""`replay data` as it is typed: results on stdout, talk on stderr, errors as exceptions with a status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli.data import data
from orchestrator.cli.start import start
from orchestrator.errors import ConfigError, DataError
from orchestrator.home import home
from orchestrator.market.cache import entries_of
from tests.market.builders import KEY, cache_coins, candles_from, csv_text, without


@pytest.fixture(autouse=True)
def home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPLAY_HOME", str(tmp_path))
    return tmp_path


def run(*words: object) -> Result:
    result = CliRunner().invoke(data, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_home_is_the_variable_or_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home().cache == tmp_path / "backtest_cache"
    assert home().results == tmp_path / "backtest_results"
    assert home().data == tmp_path / "replay_data"
    monkeypatch.delenv("REPLAY_HOME")
    monkeypatch.chdir(tmp_path)
    assert home().root == tmp_path


def test_import_says_what_it_did(home_folder: Path) -> None:
    btc = write(home_folder, "binance/BTC-USDT_5m.csv", csv_text(candles_from("2024-01-01", 10)))
    eth = write(home_folder, "binance/ETHUSDT_5m.csv", csv_text(candles_from("2024-01-01", 20)))
    result = run("import", btc, eth)
    assert result.exit_code == 0
    assert result.stdout == (
        "binance BTC-USDT 5m: 10 added, 0 replaced, 0 already there\n"
        "binance ETH-USDT 5m: 20 added, 0 replaced, 0 already there\n"
    )
    assert "next:" in result.stderr
    assert "0 added, 0 replaced, 10 already there" in run("import", btc).stdout


def test_flags_say_what_a_file_holds(home_folder: Path) -> None:
    path = write(home_folder, "mine.csv", csv_text(candles_from("2024-01-01", 10)))
    with pytest.raises(ConfigError, match="--exchange --coin --quote --timeframe"):
        run("import", path)
    result = run("import", path, "--exchange", "okx", "--coin", "btc", "--quote", "usd", "--timeframe", "5m")
    assert result.stdout.startswith("okx BTC-USD 5m: 10 added")


def test_a_file_that_cannot_be_imported_ends_the_command_and_keeps_what_was_whole(home_folder: Path) -> None:
    good = write(home_folder, "binance/BTC-USDT_5m.csv", csv_text(candles_from("2024-01-01", 10)))
    bad = write(
        home_folder,
        "binance/ETH-USDT_5m.csv",
        csv_text(candles_from("2024-01-01", 10)).replace("1704067200", "x"),
    )
    with pytest.raises(DataError, match="row 1"):
        run("import", good, bad)
    assert [row["coin"] for row in json.loads(run("list", "--json").stdout)] == ["BTC"]


def test_replace(home_folder: Path) -> None:
    run("import", write(home_folder, "binance/BTC-USDT_5m.csv", csv_text(candles_from("2024-01-01", 10))))
    other = write(home_folder, "binance/BTC-USDT_5m.csv", csv_text(candles_from("2024-01-01", 10, seed=2)))
    with pytest.raises(DataError, match="give --replace"):
        run("import", other)
    assert "0 added, 10 replaced, 0 already there" in run("import", "--replace", other).stdout


def test_synth_then_list(home_folder: Path) -> None:
    assert json.loads(run("list", "--json").stdout) == []
    assert "replay data synth" in run("list").stderr
    words = ("--coins", "BTC,SOL", "--start-date", "2024-01-01", "--end-date", "2024-01-08", "--gaps", 2)
    result = run("synth", *words)
    assert result.stdout.count(" added") == 2
    assert "replay start --start-date 2024-01-01 --end-date 2024-01-08 --coins BTC,SOL" in result.stderr
    assert result.stderr.rstrip().endswith("--exchange synthetic --quote USDT --timeframe 5m --gaps stale")
    rows = json.loads(run("list", "--json").stdout)
    assert [(row["exchange"], row["coin"], row["timeframe"]) for row in rows] == [
        ("synthetic", "BTC", "5m"),
        ("synthetic", "SOL", "5m"),
    ]
    assert rows[0]["start"] == "2024-01-01T00:00Z"
    assert rows[0]["candles"] + rows[0]["missing"] == 7 * 288
    table = run("list").stdout
    assert "synthetic" in table
    assert "2024-01-08T00:00Z" in table


def test_a_damaged_series_hides_no_other(home_folder: Path) -> None:
    run("synth", "--coins", "BTC,SOL", "--start-date", "2024-01-01", "--end-date", "2024-01-02")
    index = next(home_folder.glob("**/BTC-USDT/5m/index.json"))
    for broken in ("{", '{"version": 1, "entries": []}'):
        index.write_text(broken)
        for words in ((), ("--json",)):
            found = run("list", *words)
            assert "SOL" in found.stdout
            assert "BTC" not in found.stdout
            assert found.stderr.startswith(f"replay: {index} ")
            assert found.stderr.count("\n") == 1
            assert f"remove {index.parent} and import it again" in found.stderr
    assert replay(home_folder, "data", "list").returncode == 3


@pytest.mark.parametrize("gaps", [0, 2])
def test_what_synth_says_is_next_works(gaps: int) -> None:
    dates = ("--start-date", "2024-01-01", "--end-date", "2024-01-05")
    run("synth", "--coins", "sol", *dates, "--timeframe", "1m")
    run("synth", "--coins", "sol", *dates, "--quote", "USDC", "--timeframe", "15m")
    run("synth", "--coins", "btc", *dates, "--timeframe", "1h", "--exchange", "Other")
    words = (
        "--coins",
        "sol,btc",
        "--timeframe",
        "15m",
        "--start-date",
        "2024-02-01",
        "--end-date",
        "2024-02-08",
    )
    said = run("synth", *words, "--gaps", gaps).stderr.split()
    assert said[:3] == ["next:", "replay", "start"]
    result = CliRunner().invoke(start, [*said[3:], "--dry-run"])
    assert result.exit_code == 0, result.exception
    assert "of 15m candles" in result.stdout


def test_verify_lists_gaps_which_are_no_corruption(home_folder: Path) -> None:
    cache_coins(
        home().cache,
        {"BTC": without(candles_from("2024-01-01", 50), 3, 4, 20), "ETH": candles_from("2024-01-01", 5)},
    )
    result = run("verify")
    assert result.exit_code == 0
    assert "binance BTC-USDT 5m: sound, 47 candles, 2 gaps" in result.stdout
    assert "gap: 2024-01-01 00:15 to 2024-01-01 00:25, 10m, 2 candles" in result.stdout
    rows = json.loads(run("verify", "--coin", "btc", "--json").stdout)
    assert len(rows) == 1
    assert rows[0]["is_sound"] is True
    assert rows[0]["gaps"][0] == {
        "start": "2024-01-01T00:15Z",
        "end": "2024-01-01T00:25Z",
        "seconds": 600,
        "candles": 2,
        "is_at_the_exchange": False,
    }


def test_verify_names_what_is_unsound_and_gives_status_3(home_folder: Path) -> None:
    cache_coins(home().cache, {"BTC": candles_from("2024-01-01", 50), "ETH": candles_from("2024-01-01", 5)})
    part = home().cache / KEY.folder / entries_of(home().cache, KEY)[0].file
    part.write_bytes(part.read_bytes()[:-3])
    with pytest.raises(
        DataError, match=r"1 of 2 series unsound, first binance BTC-USDT 5m: .*corrupt"
    ) as caught:
        run("verify")
    assert caught.value.exit_status == 3
    with pytest.raises(DataError, match="nothing to verify: DOGE"):
        run("verify", "--coin", "DOGE")


def replay(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from orchestrator.cli.main import main; main()", *words]
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_the_command_in_a_process_of_its_own(home_folder: Path) -> None:
    write(home_folder, "binance/BTC-USDT_5m.csv", csv_text(candles_from("2024-01-01", 10)))
    child = replay(home_folder, "data", "import", "binance/BTC-USDT_5m.csv")
    assert child.returncode == 0
    assert child.stdout == "binance BTC-USDT 5m: 10 added, 0 replaced, 0 already there\n"


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (("import", "missing.csv"), 3, "does not exist"),
        (("import", "mine.csv"), 2, "give --exchange"),
        (("import",), 2, "Missing argument"),
        (("synth", "--timeframe", "5x"), 2, "timeframe '5x'"),
        (("synth", "--start-date", "2025-01-01", "--end-date", "2024-01-01"), 2, "no whole 5m candle"),
        (
            ("synth", "--start-date", "1971-01-01", "--end-date", "2200-01-01"),
            2,
            "candles of BTC are too many",
        ),
        (("verify",), 3, "nothing to verify"),
    ],
)
def test_each_error_is_one_line_with_its_status(
    words: tuple[str, ...], status: int, reason: str, home_folder: Path
) -> None:
    write(home_folder, "mine.csv", csv_text(candles_from("2024-01-01", 10)))
    child = replay(home_folder, "data", *words)
    assert child.returncode == status
    assert reason in child.stderr
    assert child.stderr.count("\n") == 1
    assert child.stdout == ""


def test_a_home_that_cannot_be_written(home_folder: Path) -> None:
    blocked = write(home_folder, "file", "in the way")
    child = replay(home_folder, "data", "synth", REPLAY_HOME=str(blocked))
    assert child.returncode == 1
    assert "cannot be written" in child.stderr
    assert child.stderr.count("\n") == 1


def test_a_run_does_not_import_pandas() -> None:
    code = (
        "import sys; from orchestrator.market.store import load_market;"
        "from orchestrator.market.synthetic import synthesize; sys.exit('pandas' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], timeout=200, check=True)


@pytest.mark.parametrize("command", ["import", "synth", "list", "verify"])
def test_every_command_and_option_has_help(command: str) -> None:
    assert len(data.commands[command].help or "") > 20
    for parameter in data.commands[command].params:
        if parameter.param_type_name == "option":
            assert getattr(parameter, "help", None), f"{command} --{parameter.name}"


CONFIG = """
start_date = 2024-01-01
end_date = 2024-01-02
coins = ["BTC"]
[data]
exchange = "binance"
"""


def test_verify_checks_what_a_run_needs(home_folder: Path) -> None:
    config = write(home_folder, "replay.toml", CONFIG)
    cache_coins(home().cache, {"BTC": candles_from("2024-01-01", 300), "ETH": candles_from("2024-01-01", 9)})
    result = run("verify", "--config", config, "--strict")
    assert result.stdout.startswith("binance BTC-USDT 5m: sound, 300 candles, 0 gaps\n  digest ")
    assert "ETH" not in result.stdout
    assert "288 sequences of 5m candles" in result.stderr
    cache_coins(home().cache, {"BTC": without(candles_from("2024-02-01", 300), 5)})
    run("verify", "--config", config)  # a gap outside the run is none of its business
    with pytest.raises(DataError, match="--strict accepts none"):
        run("verify", "--config", config, "--strict")
    cache_coins(home().cache, {"BTC": candles_from("2024-01-01", 300)}, exchange="okx")
    config.write_text(CONFIG + 'execution = "okx"')
    assert run("verify", "--config", config, "--strict", "--exchange", "okx").stdout.startswith(
        "okx BTC-USDT 5m"
    )
    config.write_text(CONFIG.replace("2024-01-02", "2024-02-02"))
    with pytest.raises(DataError, match=r"2 gap\(s\) .* accept them with --gaps stale"):
        run("verify", "--config", config)


def test_verify_checks_the_finer_candles_that_a_run_uses(home_folder: Path) -> None:
    config, cache = (
        write(home_folder, "replay.toml", CONFIG.replace("coins", 'timeframe = "1h"\ncoins')),
        home().cache,
    )

    def verified() -> list[str]:
        rows = json.loads(run("verify", "--config", config, "--json").stdout)
        return [f"{row['exchange']} {row['timeframe']}" for row in rows]

    for exchange in ("binance", "okx"):
        for timeframe, count in (("1h", 24), ("5m", 288), ("40m", 36), ("15m", 96), ("4h", 6)):
            cache_coins(cache, {"BTC": candles_from("2024-01-01", count, timeframe)}, timeframe, exchange)
    assert verified() == ["binance 15m", "binance 1h", "binance 5m"]
    text = config.read_text()
    config.write_text(text + 'execution = "okx"')
    assert verified() == ["binance 1h", "okx 15m", "okx 1h", "okx 5m"]
    config.write_text(text + "finer = []")
    assert verified() == ["binance 1h"]
    config.write_text(text + 'finer = []\nexecution = "okx"')
    assert verified() == ["binance 1h", "okx 1h"]
    config.write_text(text)
    part = cache / KEY.folder / entries_of(cache, KEY)[0].file  # of 5m
    part.write_bytes(part.read_bytes()[:-3])
    with pytest.raises(
        DataError, match=r"1 of 3 series unsound, first binance BTC-USDT 5m: .*corrupt"
    ) as caught:
        run("verify", "--config", config)
    assert caught.value.exit_status == 3


def test_verify_names_what_is_suspicious(home_folder: Path) -> None:
    candles = candles_from("2024-01-01", 300)
    volume, low = candles.volume.copy(), candles.low.copy()
    volume[100:120] = 0.0
    flat = [candles.close.copy() for _ in range(4)]
    for column, original in zip(flat, candles.values[:3], strict=False):
        column[:100], column[120:] = original[:100], original[120:]
    low = flat[2]
    low[200] = 50.0
    cache_coins(home().cache, {"BTC": candles._replace(open=flat[0], high=flat[1], low=low, volume=volume)})
    result = run("verify")
    assert "binance BTC-USDT 5m: suspicious" in result.stdout
    assert "flat without volume: 2024-01-01 08:20 to 2024-01-01 10:00, 1h40m, 20 candles" in result.stdout
    assert "outlier: 2024-01-01 16:40, low 50, " in result.stdout
    found = json.loads(run("verify", "--json").stdout)[0]
    assert found["is_suspicious"]
    assert found["outliers"][0]["time"] == "2024-01-01T16:40Z"
