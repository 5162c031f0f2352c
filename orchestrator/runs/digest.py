"""The digest of a run: SHA-256 over the SHA-256 of each result file's canonical content (DESIGN 6).

Line files (orders, order events, fills, signals) are hashed as they are written, newlines included, so that
`sha256sum orders.jsonl` gives the file's digest. The canonical content of equity is defined over its values,
not over Parquet bytes, which depend on the writer's version and on when it was flushed:

- first a line with the names of the columns: `sequence,time_ns,cash,equity,qty_BTC,…` and a newline;
- then per row the sequence and the time in nanoseconds as int64, then cash, equity and each quantity as
  float64, all little-endian, 8 bytes each; negative zero counts as zero, and every NaN is the same NaN.

The run's digest is SHA-256 over these digests (32 bytes each) in the order orders, order events, fills,
signals, equity, then cash flows and models where the run has these files. Every hash is fed as the run goes, so
the same rows give the same digest however they were cut into writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from orchestrator.errors import DataError
from orchestrator.runs.layout import EQUITY_FILE
from orchestrator.runs.lines import CASH_FLOWS_FILE, MODELS_FILE, RECORD_TYPES
from orchestrator.runs.records import EquityRows

__all__ = ["RESULT_FILES", "Checkpoint", "RunDigest", "canonical_equity", "digest_of_run"]

RESULT_FILES: Final = (
    *(name for name in RECORD_TYPES if name not in (CASH_FLOWS_FILE, MODELS_FILE)),
    EQUITY_FILE,
)
"""The files that every run's digest covers, in its order; cash flows and models follow where a run has them."""

_CHUNK: Final = 1 << 20


class Checkpoint(msgspec.Struct, frozen=True):
    """One line of digests.jsonl: the digests of everything up to a sequence."""

    sequence: int
    digest: str
    files: dict[str, str]


class RunDigest:
    """The digests of a run, fed with canonical content as it is written.

    Parameters
    ----------
    coins
        The coins of the run in their order, which name the columns of the equity rows.
    has_cash_flows
        Whether the run has a file of cash flows.
    has_models
        Whether the run has a file of models.
    """

    def __init__(
        self, coins: Iterable[str], *, has_cash_flows: bool = False, has_models: bool = False
    ) -> None:
        more = {CASH_FLOWS_FILE: has_cash_flows, MODELS_FILE: has_models}
        names = (*RESULT_FILES, *(name for name, is_there in more.items() if is_there))
        self._hashes = {name: hashlib.sha256() for name in names}
        columns = ["sequence", "time_ns", "cash", "equity", *(f"qty_{coin}" for coin in coins)]
        self.update(EQUITY_FILE, (",".join(columns) + "\n").encode())

    def update(self, name: str, content: bytes) -> None:
        """Add canonical content to a result file."""
        self._hashes[name].update(content)

    def files(self) -> dict[str, str]:
        """Return the digest of each result file so far, hexadecimal, in the order of the digest."""
        return {name: state.hexdigest() for name, state in self._hashes.items()}

    def total(self) -> str:
        """Return the digest of the run so far, hexadecimal."""
        whole = hashlib.sha256()
        for state in self._hashes.values():
            whole.update(state.digest())
        return whole.hexdigest()

    def checkpoint(self, sequence: int) -> Checkpoint:
        """Return the digests so far as of a sequence."""
        return Checkpoint(sequence=sequence, digest=self.total(), files=self.files())


def canonical_equity(rows: EquityRows) -> bytes:
    """Return equity rows as the bytes that are hashed; see the module's docstring."""
    floats = np.column_stack((rows.cash, rows.equity, rows.quantities)).astype("<f8")
    floats += 0.0  # -0.0 + 0.0 is 0.0
    floats[np.isnan(floats)] = np.nan
    table = np.empty((len(rows.sequences), 2 + floats.shape[1]), dtype="<i8")
    table[:, 0] = rows.sequences
    table[:, 1] = rows.sim_times_ns
    table[:, 2:] = floats.view("<i8")
    return table.tobytes()


def digest_of_run(directory: Path, coins: Iterable[str], equity: EquityRows) -> Checkpoint:
    """Return the digests of a run directory, computed from its files as they are now.

    Parameters
    ----------
    directory
        The run directory; line files that are absent count as empty.
    coins
        The coins of the run in their order.
    equity
        The rows of its equity, as `reader.Run.equity` gives them.

    Raises
    ------
    DataError
        If a file cannot be read.
    """
    digest = RunDigest(
        coins,
        has_cash_flows=(directory / CASH_FLOWS_FILE).exists(),
        has_models=(directory / MODELS_FILE).exists(),
    )
    for name in RECORD_TYPES:
        try:
            with (directory / name).open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(name, chunk)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DataError(f"{directory / name} cannot be read: {error.strerror}; check the disk") from None
    digest.update(EQUITY_FILE, canonical_equity(equity))
    return digest.checkpoint(int(equity.sequences[-1]) if len(equity.sequences) else 0)
