"""A run directory read back: finished, still running, or left behind by a process that died.

A last line (or a last message of the equity stream) that was cut off by a crash is left out and named in
`Run.recovered`; anything else that cannot be read is an error.
"""

from __future__ import annotations

import json
import tomllib
import types
from collections.abc import Callable
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from orchestrator.errors import DataError
from orchestrator.runs.digest import Checkpoint, digest_of_run
from orchestrator.runs.equity import read_parquet, read_stream
from orchestrator.runs.layout import CONFIG_FILE, DIGESTS_FILE, EQUITY_FILE, EQUITY_STREAM
from orchestrator.runs.lines import CASH_FLOWS_FILE, MODELS_FILE, RECORD_TYPES
from orchestrator.runs.manifest import Counts, RunManifest, RunStatus, read_manifest, with_true_status
from orchestrator.runs.records import EquityRows

__all__ = ["Row", "Run", "open_run"]

Row = dict[str, Any]
"""A line of a result file: money and times as `Decimal`, counts as int, a signal's values as said."""


def open_run(directory: Path) -> Run:
    """Return a run to read; of one whose process died, the manifest says how far its files go.

    Raises
    ------
    DataError
        If it is no run directory, or run.json cannot be read.
    """
    written = read_manifest(directory)
    run = Run(directory, with_true_status(written))
    if run.status != written.status:
        run.manifest = msgspec.structs.replace(run.manifest, **_reached(run))
    return run


def _reached(run: Run) -> dict[str, Any]:
    # What the process would have written into run.json at its end.
    rejected = sum(order["state"] == "rejected" for order in run.orders)
    counts = Counts(orders=len(run.orders), fills=len(run.lines("fills.jsonl")), rejected=rejected)
    return {"sequences": len(run.equity.sequences), "counts": counts}


class Run:
    """One run; its files are read when they are first asked for, and then kept.

    Attributes
    ----------
    directory
        The run directory.
    manifest
        run.json, with the status `interrupted` where it says `running` and its process is gone.
    """

    def __init__(self, directory: Path, manifest: RunManifest) -> None:
        self.directory = directory
        self.manifest = manifest
        self._recovered: dict[str, str] = {}

    @property
    def name(self) -> str:
        """Name of the run: that of its directory."""
        return self.directory.resolve().name

    @property
    def status(self) -> RunStatus:
        """How it ended, or `running`."""
        return self.manifest.status

    @property
    def recovered(self) -> tuple[str, ...]:
        """One line for each file read so far whose end was cut off: what was left out."""
        return tuple(self._recovered.values())

    @cached_property
    def configuration(self) -> dict[str, Any]:
        """The resolved configuration, decimal numbers as `Decimal`."""
        path = self.directory / CONFIG_FILE
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        except (OSError, ValueError) as error:  # no UTF-8 and no TOML are ValueErrors
            raise DataError(f"{path} cannot be read: {error}; restore it from a copy of the run") from None

    @cached_property
    def orders(self) -> list[Row]:
        """Lines of orders.jsonl."""
        return self._rows("orders.jsonl")

    @cached_property
    def order_events(self) -> list[Row]:
        """Lines of order_events.jsonl."""
        return self._rows("order_events.jsonl")

    @cached_property
    def fills(self) -> list[Row]:
        """Lines of fills.jsonl."""
        return self._rows("fills.jsonl")

    @cached_property
    def signals(self) -> list[Row]:
        """Lines of signals.jsonl."""
        return self._rows("signals.jsonl")

    @cached_property
    def cash_flows(self) -> list[Row]:
        """Lines of cash_flows.jsonl; none in a run of spot accounts, which has no such file."""
        return self._rows(CASH_FLOWS_FILE)

    @cached_property
    def models(self) -> list[Row]:
        """Lines of models.jsonl; none in a run without training, which has no such file."""
        return self._rows(MODELS_FILE)

    @cached_property
    def equity(self) -> EquityRows:
        """Rows of equity.parquet, or of the stream that stands in its place until the run has ended."""
        path, coins = self.directory / EQUITY_FILE, self.manifest.coins
        if path.exists():
            return read_parquet(path, coins)
        stream = self.directory / EQUITY_STREAM
        try:
            rows, is_cut = read_stream(stream, coins)
        except FileNotFoundError:
            if path.exists():  # the run ended between the two looks
                return read_parquet(path, coins)
            raise DataError(
                f"{self.directory} has neither {EQUITY_FILE} nor {EQUITY_STREAM}; restore one from a copy"
            ) from None
        if is_cut:
            self._recovered[EQUITY_STREAM] = (
                f"{EQUITY_STREAM}: cut off; {len(rows.sequences)} whole rows are read"
            )
        return rows

    @cached_property
    def checkpoints(self) -> list[Checkpoint]:
        """The rolling digests, in the order of their sequences."""
        path = self.directory / DIGESTS_FILE
        decoder = msgspec.json.Decoder(Checkpoint)
        checkpoints = []
        for number, line in enumerate(self.lines(DIGESTS_FILE), start=1):
            try:
                checkpoints.append(decoder.decode(line))
            except msgspec.DecodeError as error:
                raise DataError(
                    f"{path} line {number} is no digest: {error}; restore it from a copy"
                ) from None
        return checkpoints

    def lines(self, name: str) -> list[bytes]:
        """Return the whole lines of a line file without their newlines; an absent file has none.

        Raises
        ------
        DataError
            If it cannot be read.
        """
        path = self.directory / name
        try:
            *whole, rest = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}; check the disk") from None
        if rest:
            self._recovered[name] = f"{name}: the last line is cut off; {len(whole)} whole lines are read"
        return whole

    def digests(self) -> Checkpoint:
        """Return the digests of the files as they are now, which `manifest.digest` must equal."""
        return digest_of_run(self.directory, self.manifest.coins, self.equity)

    def _rows(self, name: str) -> list[Row]:
        read = _row_reader(name)
        rows = []
        for number, line in enumerate(self.lines(name), start=1):
            try:
                rows.append(read(line))
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                path = self.directory / name
                raise DataError(
                    f"{path} line {number} is no line of a run: {error!r}; restore a copy"
                ) from None
        return rows


_DECIMAL_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    name: tuple(
        field.name
        for field in msgspec.structs.fields(kind)
        if field.type is Decimal
        or (isinstance(field.type, types.UnionType) and Decimal in get_args(field.type))
    )
    for name, kind in RECORD_TYPES.items()
}


def _row_reader(name: str) -> Callable[[bytes], Row]:
    # A whole number has no decimals in the file; a field of money is a `Decimal` all the same.
    decimals = _DECIMAL_FIELDS[name]

    def read(line: bytes) -> Row:
        row: Row = json.loads(line, parse_float=Decimal)
        for field in decimals:
            if isinstance(row[field], int):
                row[field] = Decimal(row[field])
        if "slippage_parts" in row:
            row["slippage_parts"] = {key: Decimal(value) for key, value in row["slippage_parts"].items()}
        if "values" in row:
            row["values"] = {k: float(v) if isinstance(v, Decimal) else v for k, v in row["values"].items()}
        return row

    return read
