"""The one writer of a run directory while the run goes on.

Records and equity rows are encoded when they are handed over, kept in memory until the next flush, then
appended as whole lines and hashed. A file that can take no more (a full disk) keeps what it has, in whole
lines; the first such error is the one that is reported.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from orchestrator.errors import ConfigError, ReplayError
from orchestrator.runs.appender import Appender
from orchestrator.runs.digest import RunDigest, canonical_equity
from orchestrator.runs.equity import batch_message, join_rows, schema_message, stream_to_parquet
from orchestrator.runs.layout import (
    CONFIG_FILE,
    DIGESTS_FILE,
    EQUITY_FILE,
    EQUITY_STREAM,
    LOGS_FOLDER,
    NO_ROOM,
    write_failure,
    write_file,
)
from orchestrator.runs.lines import CASH_FLOWS_FILE, MODELS_FILE, RECORD_TYPES, encode_line
from orchestrator.runs.manifest import Counts, RunManifest, process_start_time, write_manifest
from orchestrator.runs.records import EquityRows, FillRecord, OrderRecord, Record

__all__ = ["RunWriter", "require_new"]

_LINES_PENDING_MAX: Final = 4_096
_PARTS_PENDING_MAX: Final = 4_096
_RESERVE_FILE: Final = ".reserve"
_RESERVE_BYTES: Final = 64 * 1024  # given back at the end, so that run.json can say that the disk was full


class RunWriter:
    """Writes one run; made by `create`, ended by `finish`.

    Attributes
    ----------
    directory
        The run directory.
    """

    def __init__(
        self,
        directory: Path,
        coins: Sequence[str],
        manifest: RunManifest,
        *,
        has_cash_flows: bool,
        has_models: bool,
    ) -> None:
        self.directory = directory
        self._coins = tuple(coins)
        self._manifest = manifest
        self._digest = RunDigest(coins, has_cash_flows=has_cash_flows, has_models=has_models)
        is_there = {CASH_FLOWS_FILE: has_cash_flows, MODELS_FILE: has_models}
        self._line_files = {name: kind for name, kind in RECORD_TYPES.items() if is_there.get(name, True)}
        self._files = _open_files(directory, (*self._line_files, EQUITY_STREAM, DIGESTS_FILE))
        self._lines: dict[type[Record], list[bytes]] = {kind: [] for kind in self._line_files.values()}
        self._equity: list[EquityRows] = []
        self._failure: ReplayError | None = None  # once set, no result file grows any more
        self._n_orders = self._n_rejected = self._n_fills = 0

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        coins: Sequence[str],
        config_toml: str,
        manifest: RunManifest,
        has_cash_flows: bool = False,
        has_models: bool = False,
    ) -> RunWriter:
        """Create the run directory with config.toml, run.json and the empty result files.

        Parameters
        ----------
        directory
            The run directory itself; must not exist. Folders above it are made.
        coins
            The coins of the run in their order: the columns of the equity rows.
        config_toml
            The resolved configuration.
        manifest
            What is known at the start; the process fields are filled in with this process when absent.
        has_cash_flows
            Whether its accounts may owe, so that there is a file of cash flows.
        has_models
            Whether models are trained or given, so that there is a file of models.

        Raises
        ------
        ConfigError
            If the directory exists or cannot be made there.
        ReplayError
            If the disk is full; no directory is left behind.
        """
        _make_directory(directory)
        if manifest.process_id is None:
            me = os.getpid()
            manifest = msgspec.structs.replace(
                manifest, process_id=me, process_start_time=process_start_time(me)
            )
        try:
            (directory / LOGS_FOLDER).mkdir()
            (directory / _RESERVE_FILE).write_bytes(bytes(_RESERVE_BYTES))
            write_file(directory / CONFIG_FILE, config_toml.encode())
            write_file(directory / EQUITY_STREAM, schema_message(coins))
            write_manifest(directory, manifest)
            return cls(directory, coins, manifest, has_cash_flows=has_cash_flows, has_models=has_models)
        except OSError as error:
            shutil.rmtree(directory, ignore_errors=True)
            raise write_failure(error, f"no run was started in {directory}") from error

    @property
    def counts(self) -> Counts:
        """Lines handed over so far."""
        return Counts(orders=self._n_orders, fills=self._n_fills, rejected=self._n_rejected)

    def write(self, record: Record) -> None:
        """Add a line to the file of its type; on disk after the next flush.

        Raises
        ------
        InvariantError
            If a number in it is not finite.
        ReplayError
            If the disk is full.
        """
        kind = type(record)
        lines = self._lines[kind]
        lines.append(encode_line(record))
        if isinstance(record, OrderRecord):
            self._n_orders += 1
            self._n_rejected += record.state == "rejected"
        elif isinstance(record, FillRecord):
            self._n_fills += 1
        if len(lines) >= _LINES_PENDING_MAX:
            self.flush()

    def write_equity(self, rows: EquityRows) -> None:
        """Add rows of equity; on disk after the next flush, until which the arrays must not change.

        Raises
        ------
        InvariantError
            If a time is not on a whole second.
        ReplayError
            If the disk is full.
        """
        if len(rows.sequences):
            self._equity.append(rows)
        if len(self._equity) >= _PARTS_PENDING_MAX:
            self.flush()

    def checkpoint(self, sequence: int) -> None:
        """Flush, and add a line with the digests of everything written so far to digests.jsonl.

        Raises
        ------
        ReplayError
            If the disk is full.
        """
        self.flush()
        line = msgspec.json.encode(self._digest.checkpoint(sequence)) + b"\n"
        self._attempt(lambda: self._files[DIGESTS_FILE].append(line))
        self._raise_failure()

    def flush(self) -> None:
        """Append everything handed over to the files and hash it.

        Raises
        ------
        ReplayError
            If the disk is full, or was at an earlier call; the files hold whole lines.
        """
        self._raise_failure()
        self._append_pending()
        self._raise_failure()

    def finish(self, manifest: RunManifest) -> str:
        """Write what is pending, equity.parquet and the final run.json, and close everything.

        Parameters
        ----------
        manifest
            How the run ended; digests, counts and the process are filled in here.

        Returns
        -------
        str
            The digest of the run, of what is in the files.

        Raises
        ------
        ReplayError
            If the disk is full and no earlier call has said so; run.json then says `failed`, if it still can.
        """
        was_told = self._failure is not None
        if not was_told:
            self._append_pending()
        for file in self._files.values():
            file.close()
        self._attempt(lambda: stream_to_parquet(self.directory, self._coins))
        (self.directory / _RESERVE_FILE).unlink(missing_ok=True)
        final = self._final_manifest(manifest)
        self._attempt(lambda: write_manifest(self.directory, final))
        if not was_told:
            self._raise_failure()
        return final.digest

    def _final_manifest(self, manifest: RunManifest) -> RunManifest:
        if self._failure is not None and manifest.status == "complete":
            manifest = msgspec.structs.replace(manifest, status="failed", reason=str(self._failure))
        return msgspec.structs.replace(
            manifest,
            digest=self._digest.total(),
            file_digests=self._digest.files(),
            counts=self.counts,
            process_id=self._manifest.process_id,
            process_start_time=self._manifest.process_start_time,
        )

    def _append_pending(self) -> None:
        # Each file is tried, since one may be full (a limit on file size) while the others are not.
        for name, kind in self._line_files.items():
            lines = self._lines[kind]
            if lines:
                content = b"".join(lines)
                lines.clear()
                self._attempt(functools.partial(self._append, name, content, name, content))
        if self._equity:
            rows = join_rows(self._equity)
            self._equity.clear()
            message = batch_message(rows, self._coins)
            self._attempt(
                functools.partial(self._append, EQUITY_STREAM, message, EQUITY_FILE, canonical_equity(rows))
            )

    def _append(self, file: str, content: bytes, digest_name: str, canonical: bytes) -> None:
        # Hashed once it is in the file, so that the digests tell what the files hold.
        self._files[file].append(content)
        self._digest.update(digest_name, canonical)

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            if self._failure is None:
                self._failure = write_failure(error, f"what was written is in {self.directory}")
                self._failure.__cause__ = error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


def _open_files(directory: Path, names: Sequence[str]) -> dict[str, Appender]:
    files: dict[str, Appender] = {}
    try:
        for name in names:
            files[name] = Appender(directory / name)
    except OSError:
        for file in files.values():
            file.close()
        raise
    return files


def require_new(directory: Path) -> None:
    """Raise `ConfigError` when something stands where a run directory is to be made."""
    try:
        is_folder, stands = (
            directory.is_dir(),
            directory.exists() or any(p.is_file() for p in directory.parents),
        )
    except OSError:  # a name that cannot be: making the directory will say why
        return
    if is_folder:
        raise ConfigError(
            f"run directory {directory} already exists and a run is never overwritten; "
            f"give another --output-dir, or remove it with `replay runs remove {directory}`"
        )
    if stands:
        raise ConfigError(f"{directory} stands on a file; give --output-dir another place")


def _make_directory(directory: Path) -> None:
    require_new(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir()
    except FileExistsError:  # made by another run since
        require_new(directory)
        raise
    except OSError as error:
        if error.errno in NO_ROOM:
            raise write_failure(error, f"no run was started in {directory}") from error
        raise ConfigError(
            f"run directory {directory} cannot be created: {error.strerror}; "
            "give --output-dir in a folder that you can write to"
        ) from None
