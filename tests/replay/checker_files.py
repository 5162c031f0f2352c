"""The checker's own reading of a run directory: exact numbers, canonical spelling, digests from bytes."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import struct
import tomllib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

NS = 1_000_000_000
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

FIELDS = {
    "orders.jsonl": [
        "ts", "sequence", "client_order_id", "component", "side", "symbol", "qty", "order_type", "limit_price",
        "stop_price", "time_in_force", "state", "reason",
    ],
    "order_events.jsonl": ["ts", "sequence", "client_order_id", "component", "event", "reason"],
    "fills.jsonl": [
        "ts", "sequence", "fill_id", "client_order_id", "component", "side", "symbol", "qty", "fill_price", "fees",
        "slippage_bps", "state", "liquidity", "reference_price", "reference_candle", "latency_ms",
        "slippage_parts", "participation", "rule",
    ],
    "signals.jsonl": ["ts", "sequence", "component", "coin", "values"],
}  # fmt: skip

Row = dict[str, Any]


class Number(str):
    """A number of a JSON line as it is spelt there."""

    __slots__ = ()

    @property
    def exact(self) -> Decimal:
        return Decimal(self)


class RunFiles:
    """A run directory; `problems` collects what cannot be read or is not spelt canonically."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.problems: list[str] = []
        self.config: dict[str, Any] = tomllib.loads(
            (directory / "config.toml").read_text(), parse_float=Decimal
        )
        self.manifest: dict[str, Any] = json.loads((directory / "run.json").read_text())
        self.raw = {name: (directory / name).read_bytes() for name in FIELDS}
        self.rows = {name: list(self._read(name)) for name in FIELDS}
        self.equity = self._read_equity()
        self.checkpoints = [
            json.loads(line) for line in (directory / "digests.jsonl").read_bytes().splitlines()
        ]

    @property
    def start_ns(self) -> int:
        return date_ns(self.config["start_date"])

    @property
    def end_ns(self) -> int:
        return date_ns(self.config["end_date"])

    @property
    def timeframe_ns(self) -> int:
        text = self.config["timeframe"]
        return int(text[:-1]) * UNITS[text[-1]] * NS

    @property
    def coins(self) -> list[str]:
        return list(self.config["coins"])

    def _read(self, name: str) -> Iterator[Row]:
        if self.raw[name] and not self.raw[name].endswith(b"\n"):
            self.problems.append(f"{name}: the last line is cut off")
        for number, line in enumerate(self.raw[name].splitlines(), start=1):
            try:
                row: Row = json.loads(line, parse_float=Number, parse_int=Number)
            except ValueError as error:
                self.problems.append(f"{name} line {number}: {error}")
                continue
            if list(row) != FIELDS[name]:
                self.problems.append(f"{name} line {number}: has the keys {list(row)}, not {FIELDS[name]}")
                continue
            if _canonical(row).encode() != line:
                self.problems.append(f"{name} line {number}: is not spelt canonically, {line!r}")
            row["ts"] = int(row["ts"].exact * NS)
            row["sequence"] = int(row["sequence"])
            yield row

    def _read_equity(self) -> dict[str, npt.NDArray[Any]]:
        final, stream = self.directory / "equity.parquet", self.directory / "equity.arrows"
        if final.exists() == stream.exists():
            self.problems.append("there is not exactly one of equity.parquet and equity.arrows")
        table = pq.read_table(final) if final.exists() else _read_stream(stream)
        names = ["sequence", "time", "cash", "equity", *(f"qty_{coin}" for coin in self.coins)]
        if table.schema.names != names:
            self.problems.append(f"equity has the columns {table.schema.names}, not {names}")
        return {name: table.column(name).to_numpy() for name in table.schema.names}

    # ------------------------------------------------------------ digests

    def file_digests(self) -> dict[str, str]:
        """Return the SHA-256 of each result file."""
        return next(self.rolling_digests([2**63]))

    def rolling_digests(self, times_ns: Iterable[int]) -> Iterator[dict[str, str]]:
        """Yield, for each of ascending times, the SHA-256 of each result file's lines at or before it."""
        pieces = {name: list(self._lines(name)) for name in FIELDS} | {
            "equity.parquet": list(self._equity_rows())
        }
        header = ",".join(["sequence", "time_ns", "cash", "equity", *(f"qty_{coin}" for coin in self.coins)])
        hashes = {name: hashlib.sha256() for name in pieces}
        hashes["equity.parquet"].update(f"{header}\n".encode())
        done = dict.fromkeys(pieces, 0)
        for time_ns in times_ns:
            for name, timed in pieces.items():
                while done[name] < len(timed) and timed[done[name]][0] <= time_ns:
                    hashes[name].update(timed[done[name]][1])
                    done[name] += 1
            yield {name: state.hexdigest() for name, state in hashes.items()}

    def _lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        lines = self.raw[name].splitlines(keepends=True)
        if len(lines) != len(self.rows[name]):  # some cannot be read, which is reported
            lines = lines[: len(self.rows[name])]
        return ((row["ts"], line) for row, line in zip(self.rows[name], lines, strict=True))

    def _equity_rows(self) -> Iterator[tuple[int, bytes]]:
        columns = [column.tolist() for column in self.equity.values()]
        row_format = struct.Struct("<qq" + "d" * (len(columns) - 2))
        for sequence, time, *floats in zip(*columns, strict=True):
            yield time * NS, row_format.pack(sequence, time * NS, *(value + 0.0 for value in floats))


def total_digest(files: dict[str, str]) -> str:
    """Return the digest of a run from those of its files, in their order."""
    return hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in files.values())).hexdigest()


def date_ns(text: str) -> int:
    """Return an ISO date or time, UTC where it has no offset, in nanoseconds since the epoch."""
    moment = dt.datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) * 1_000


def moment_text(time_ns: int) -> str:
    """Return a time as run.json has it."""
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=time_ns // 1_000)).isoformat()


def _read_stream(path: Path) -> pa.Table:
    batches = []
    with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
        try:
            for batch in reader:
                batches.append(batch)  # noqa: PERF402 - what came before a cut-off message counts
        except pa.ArrowException:
            pass
        return pa.Table.from_batches(batches, schema=reader.schema)


def _canonical(row: Row) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{_spell(key, value)}" for key, value in row.items()) + "}"


def _spell(key: str, value: object) -> str:
    if isinstance(value, dict):
        keys = sorted(value) if key == "values" else list(value)
        inner = "" if key == "values" else key
        return "{" + ",".join(f"{json.dumps(k)}:{_spell(inner or 'said', value[k])}" for k in keys) + "}"
    if not isinstance(value, Number):
        return json.dumps(value)
    if key == "said":  # what a signal says may be a float, spelt as Python does
        return repr(float(value)) if any(sign in value for sign in ".en") else str(int(value))
    text = format(value.exact, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text}.0" if key == "ts" and "." not in text else text
