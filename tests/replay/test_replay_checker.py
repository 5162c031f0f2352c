"""The checker finds nothing in sound runs, and finds every single number that is altered in one."""

from __future__ import annotations

import ast
import json
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator.config import parse_date_ns
from orchestrator.market.synthetic import synthesize
from tests.replay.checker import check_run
from tests.replay.checker_files import FIELDS, RunFiles, total_digest
from tests.replay.running import Place, Run, bot, thinker, trader

MODELS = {
    "default": {},
    "thin": {
        "max_volume_pct": 0.02,
        "impact_bps": 30,
        "partial_fill_threshold": 0.2,
        "latency_ms": [1, 60_000],
    },
    "dear": {"half_spread_bps": 800, "maker_bps": 3, "taker_bps": 7, "latency_model": "fixed"},
    "free": {"slippage_bps": 0, "fee_bps": 0, "liquidity_model": "unlimited", "latency_model": "lognormal"},
}


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_found_in_a_run(place: Place, model: str) -> None:
    components = [thinker(), trader(), bot("busy", 2, "busy", seed=3, size=0.9)]
    coins, end = ("BTC", "ETH", "DOGE"), "2024-01-02T12:00"
    run = place.run(place.config(components, coins=coins, end=end, execution_model=MODELS[model]))
    assert place.check(run) == []
    assert len(run.lines("fills.jsonl")) > 100
    happened = Counter(row["reason"] for row in run.rows("orders.jsonl"))
    happened += Counter(row["reason"] for row in run.rows("order_events.jsonl"))
    assert {
        "below_min_notional",
        "qty_off_lot",
        "insufficient_balance",
        "already_ended",
        "unknown_order",
    } <= set(happened)
    if model == "thin":
        assert {"requested", "ioc_remainder", "fok_unfillable"} <= set(happened)
        assert Counter(row["rule"] for row in run.rows("fills.jsonl"))["taker_next_open"] > 100


def test_rolling_digests_are_checked_too(place: Place) -> None:
    run = place.run(place.config([thinker(), trader()], end="2024-01-04T12:00"))
    assert [checkpoint["sequence"] for checkpoint in run.rows("digests.jsonl")] == [1_000]
    assert place.check(run) == []
    path = run.directory / "digests.jsonl"
    checkpoint = json.loads(path.read_text())
    checkpoint["files"]["fills.jsonl"] = checkpoint["files"]["orders.jsonl"]
    path.write_text(json.dumps(checkpoint) + "\n")
    assert [line.partition(":")[0] for line in place.check(run)] == ["digests.jsonl"]


def test_nothing_is_found_where_coins_begin_end_and_pause(empty_place: Place) -> None:
    place = empty_place
    for coin, start, end, gaps in (
        ("BTC", "2023-12-31", "2024-01-03", 8),
        ("ETH", "2024-01-01T06:00", "2024-01-03", 0),
        ("DOGE", "2023-12-31", "2024-01-02T03:25", 3),
    ):
        synthesize(
            place.cache,
            coins=(coin,),
            start_ns=parse_date_ns(start),
            end_ns=parse_date_ns(end),
            gaps=gaps,
            seed=5,
        )
    components = [thinker(), trader(), bot("busy", 2, "busy", seed=4, chance=0.3)]
    config = place.config(
        components, coins=("BTC", "ETH", "DOGE"), end="2024-01-03", data={"gaps": "stale"},
        execution_model={"max_volume_pct": 0.02},
    )  # fmt: skip
    run = place.run(config)
    assert place.check(run) == []
    reasons = {row["reason"] for row in run.rows("orders.jsonl") + run.rows("order_events.jsonl")}
    assert "end_of_data" in reasons


def test_the_checker_stands_apart() -> None:
    for path in Path(__file__).parent.glob("checker*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.startswith(("orchestrator", "components"))], path


# ---------------------------------------------------------------- one thing altered


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, candle_cache: Path) -> Iterator[tuple[Place, Run]]:
    """Yield a run of a day and a half in which everything happens, of the reference bot and a busy trader."""
    place = Place(tmp_path_factory.mktemp("r"))
    shutil.copytree(candle_cache, place.cache, dirs_exist_ok=True)
    components = [thinker(), trader(), bot("busy", 2, "busy", seed=3, chance=0.03)]
    model = {"max_volume_pct": 0.4, "impact_bps": 3, "half_spread_bps": 1}
    run = place.run(place.config(components, end="2024-01-02T12:00", execution_model=model))
    assert place.check(run) == []
    yield place, run
    assert place.is_clean()


@pytest.fixture
def altered(sound: tuple[Place, Run], tmp_path: Path) -> Run:
    """Return a copy of the sound run, to be altered."""
    return Run(Path(shutil.copytree(sound[1].directory, tmp_path / "run")))


def seal(run: Run) -> None:
    """Make the digests those of the altered files, so that only what was altered is left to be found."""
    files = RunFiles(run.directory)
    digests = files.file_digests()
    manifest = files.manifest | {"file_digests": digests, "digest": total_digest(digests)}
    (run.directory / "run.json").write_text(json.dumps(manifest))


def rewrite(run: Run, name: str, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path = run.directory / name
    path.write_bytes(b"".join(line + b"\n" for line in change(path.read_bytes().splitlines())))
    seal(run)


def raised(text: str) -> str:
    """Return a number with its last digit one higher, spelt canonically."""
    value = Decimal(text)
    higher = format(value + Decimal(1).scaleb(int(value.as_tuple().exponent)), "f")
    return higher if "." not in higher else higher.rstrip("0").rstrip(".")


def with_field(line: bytes, key: str, change: Callable[[Any], Any]) -> bytes:
    # Numbers are kept as they are spelt, marked, and put back without their quotes.
    row = json.loads(line, parse_float=lambda text: f"#{text}#", parse_int=lambda text: f"#{text}#")
    outer, _, inner = key.partition(".")
    holder, name = (row[outer], inner) if inner else (row, outer)
    old = holder[name]
    is_number = isinstance(old, str) and old.startswith("#")
    holder[name] = f"#{change(old.strip('#'))}#" if is_number else change(old)
    text = json.dumps(row, separators=(",", ":"))
    return text.replace('"#', "").replace('#"', "").encode()


NUMBERS = {
    "orders.jsonl": ["ts", "sequence", "qty"],
    "order_events.jsonl": ["ts", "sequence"],
    "fills.jsonl": [
        "ts", "sequence", "qty", "fill_price", "fees", "slippage_bps", "reference_price", "reference_candle",
        "latency_ms", "slippage_parts.base", "slippage_parts.impact", "slippage_parts.spread",
        "slippage_parts.rounding", "participation",
    ],
    "signals.jsonl": ["ts", "sequence", "values.long", "values.short"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in NUMBERS.items() for key in keys])
def test_one_altered_number_is_found(sound: tuple[Place, Run], altered: Run, name: str, key: str) -> None:
    def change(lines: list[bytes]) -> list[bytes]:
        # From a drawn place on the first line of the reference bot that has such a number: what another trader
        # orders is its own, and need not show.
        for number in range(zlib.crc32(f"{name} {key}".encode()) % (len(lines) - 20), len(lines)):
            row = json.loads(lines[number])
            outer, _, inner = key.partition(".")
            is_there = outer in row and (not inner or inner in row[outer])
            if is_there and row["component"] != "busy":
                lines[number] = with_field(lines[number], key, raised)
                return lines
        raise AssertionError(f"{name} has no {key}")

    rewrite(altered, name, change)
    found = sound[0].check(altered)
    assert found
    assert not any("digest" in line or "canonical" in line for line in found), found


WORDS = {
    ("orders.jsonl", "side"): {"buy": "sell", "sell": "buy"},
    ("orders.jsonl", "symbol"): {"BTC-USD": "ETH-USD", "ETH-USD": "BTC-USD"},
    ("orders.jsonl", "state"): {"accepted": "rejected", "rejected": "accepted"},
    ("orders.jsonl", "component"): {"busy": "trader", "trader": "busy"},
    ("order_events.jsonl", "event"): {"arrived": "filled", "filled": "cancelled", "cancelled": "filled"},
    ("fills.jsonl", "state"): {"partial": "filled", "filled": "partial"},
    ("fills.jsonl", "liquidity"): {"taker": "maker"},
    ("fills.jsonl", "side"): {"buy": "sell", "sell": "buy"},
    ("fills.jsonl", "rule"): {"taker_open": "taker_next_open", "taker_next_open": "taker_open"},
    ("fills.jsonl", "fill_id"): {"F40": "F41"},
    ("signals.jsonl", "coin"): {"BTC": "ETH", "ETH": "BTC"},
}


@pytest.mark.parametrize(("name", "key"), WORDS)
def test_one_altered_word_is_found(sound: tuple[Place, Run], altered: Run, name: str, key: str) -> None:
    others = WORDS[name, key]

    def change(lines: list[bytes]) -> list[bytes]:
        fitting = [number for number, line in enumerate(lines) if json.loads(line)[key] in others]
        number = fitting[len(fitting) // 2]
        lines[number] = with_field(lines[number], key, others.get)
        return lines

    rewrite(altered, name, change)
    assert sound[0].check(altered)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("what", ["dropped", "doubled", "swapped", "spelt otherwise"])
def test_one_line_that_is_not_as_it_was_is_found(
    sound: tuple[Place, Run], altered: Run, name: str, what: str
) -> None:
    def change(lines: list[bytes]) -> list[bytes]:
        middle = len(lines) // 2
        while b'"refused"' in lines[middle]:  # a cancel that came to nothing leaves no other trace
            middle += 1
        if what == "dropped":
            return lines[:middle] + lines[middle + 1 :]
        if what == "doubled":
            return lines[:middle] + lines[middle : middle + 1] + lines[middle:]
        if what == "spelt otherwise":
            return [
                *lines[:middle],
                lines[middle].replace(b'"sequence":', b'"sequence": '),
                *lines[middle + 1 :],
            ]
        # Two neighbours of different times: at one time either order may be allowed.
        while json.loads(lines[middle])["ts"] == json.loads(lines[middle + 1])["ts"]:
            middle += 1
        return [*lines[:middle], lines[middle + 1], lines[middle], *lines[middle + 2 :]]

    rewrite(altered, name, change)
    assert sound[0].check(altered)


@pytest.mark.parametrize("column", ["sequence", "time", "cash", "equity", "qty_BTC", "qty_ETH"])
def test_one_altered_row_of_equity_is_found(sound: tuple[Place, Run], altered: Run, column: str) -> None:
    path = altered.directory / "equity.parquet"
    table = pq.read_table(path)
    values = table.column(column).to_pylist()
    values[300] += 1 if isinstance(values[300], int) else 1e-9
    place = table.schema.get_field_index(column)
    pq.write_table(table.set_column(place, table.schema.field(place), pa.array(values)), path)
    seal(altered)
    found = sound[0].check(altered)
    assert [line for line in found if line.startswith(f"equity row 301: {column}")], found


@pytest.mark.parametrize(
    "key", ["seed", "sequences", "digest", "coins", "counts", "file_digests", "timeframe"]
)
def test_an_altered_manifest_is_found(sound: tuple[Place, Run], altered: Run, key: str) -> None:
    manifest = altered.manifest
    value = manifest[key]
    if isinstance(value, dict):
        value = value | {next(iter(value)): "0" * 64 if key == "file_digests" else 1}
    manifest[key] = {int: lambda: value - 1, str: lambda: value[::-1], list: lambda: value[::-1]}.get(
        type(value), lambda: value
    )()
    (altered.directory / "run.json").write_text(json.dumps(manifest))
    assert sound[0].check(altered)


@pytest.mark.parametrize("key", ["slippage_bps", "fee_bps", "max_volume_pct", "impact_bps", "latency_ms"])
def test_another_configuration_is_found(sound: tuple[Place, Run], altered: Run, key: str) -> None:
    path = altered.directory / "config.toml"
    text = path.read_text()
    values = {"slippage_bps": "5.1", "fee_bps": "19.9", "max_volume_pct": "0.11", "impact_bps": "3.1"}
    lines = text.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith(f"{key} = "))
    lines[place] = f"{key} = {values.get(key, '[')}"
    if key == "latency_ms":
        lines[place + 2] = "    300.0,"
    path.write_text("\n".join(lines))
    assert sound[0].check(altered)


def test_candles_that_differ_are_found(sound: tuple[Place, Run]) -> None:
    place, run = sound
    candles = place.candles(["BTC", "ETH"], "synthetic", "USDT", "5m")
    close = candles["BTC"].close.copy()
    close[1_300] *= 1.001
    assert check_run(run.directory, candles | {"BTC": candles["BTC"]._replace(close=close)})
