"""run.json: what a run was, how it ended, and whose process writes it (DESIGN 7).

Fields that DESIGN names come first. Times are ISO 8601 in UTC. Unknown fields are ignored when reading, so
that an older program lists the runs of a newer one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec
import psutil

from orchestrator.errors import DataError
from orchestrator.runs.layout import MANIFEST_FILE, write_file

__all__ = [
    "ComponentManifest",
    "Counts",
    "RunManifest",
    "RunStatus",
    "process_start_time",
    "read_manifest",
    "with_true_status",
    "write_manifest",
]

RunStatus = Literal["running", "complete", "interrupted", "failed", "quarantined"]

_START_TIME_TOLERANCE: Final = 1.0  # seconds; the system's clock may be corrected while a run goes on


class ComponentManifest(msgspec.Struct, frozen=True, kw_only=True):
    """One component: what was started, and what it used."""

    name: str
    stage: int
    command: tuple[str, ...]
    exit_code: int | None = None
    peak_memory_mb: float | None = None
    cpu_seconds: float | None = None
    digest: str = ""
    notes: tuple[str, ...] = ()  # what the digest leaves out


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Lines written: orders of every state, fills, and the orders among them that were rejected."""

    orders: int = 0
    fills: int = 0
    rejected: int = 0


class RunManifest(msgspec.Struct, frozen=True, kw_only=True):
    """run.json."""

    status: RunStatus
    reason: str | None = None  # one line: why it ended as it did; None when it completed
    seed: int
    sequences: int = 0  # ticks done
    sim_start: str
    sim_end: str
    digest: str = ""  # empty until the run has ended
    data_digest: str = ""
    code_version: str = ""
    coins: tuple[str, ...] = ()
    timeframe: str = ""
    exchange: str = ""  # whose candles components saw
    execution: str = ""  # whose candles filled orders and marked equity
    components: tuple[ComponentManifest, ...] = ()
    trainer_digest: str = ""  # of the trainer's files and packages, or of given models; empty if none
    counts: Counts = Counts()
    started_at: str = ""
    wall_seconds: float = 0.0
    identity: str = ""  # digest of what a run is identified by (DESIGN 6)
    file_digests: dict[str, str] = {}  # result file -> SHA-256 of its canonical content
    notes: tuple[str, ...] = ()  # remarks to check before trusting the results
    refused_requests: int | None = None  # what unmodified bots wanted of the world and did not get
    bot_files_unchanged: bool | None = None  # neither their folders nor the scripts of the working copies
    process_id: int | None = None  # of the orchestrator that writes the run
    process_start_time: float | None = None  # Unix seconds; a process id alone may be given again


def process_start_time(process_id: int) -> float | None:
    """Return when a process started, Unix seconds; None when there is no such process (any more)."""
    try:
        process = psutil.Process(process_id)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None


def with_true_status(manifest: RunManifest) -> RunManifest:
    """Return the manifest with status `interrupted` where it says `running` and its process is gone."""
    if manifest.status != "running":
        return manifest
    started = process_start_time(manifest.process_id) if manifest.process_id is not None else None
    stated = manifest.process_start_time
    if started is not None and (stated is None or abs(started - stated) <= _START_TIME_TOLERANCE):
        return manifest
    reason = f"process {manifest.process_id}, which wrote the run, is gone"
    return msgspec.structs.replace(manifest, status="interrupted", reason=manifest.reason or reason)


def write_manifest(directory: Path, manifest: RunManifest) -> None:
    """Write run.json under a temporary name and rename it into place.

    Raises
    ------
    OSError
        If it cannot be written; the old one, if any, still stands.
    """
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    write_file(directory / MANIFEST_FILE, text + b"\n")


def read_manifest(directory: Path) -> RunManifest:
    """Read run.json as it was written; `with_true_status` tells whether its process still lives.

    Raises
    ------
    DataError
        If it is absent or is no manifest.
    """
    path = directory / MANIFEST_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunManifest)
    except FileNotFoundError:
        raise DataError(
            f"{directory} is no run directory: it has no {MANIFEST_FILE}; see `replay runs list`"
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}; the run's other files are untouched") from None
