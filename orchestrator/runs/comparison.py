"""Two runs compared from the front: where they part, and what about them differs that may explain it.

Rolling digests tell the first block of sequences that differs; then the lines of the result files are
compared, and the earliest that differs is named. Runs that went unequally far are compared as far as both
went: what the end of the shorter one did to its orders is no difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from orchestrator.runs.digest import Checkpoint, canonical_equity
from orchestrator.runs.layout import EQUITY_FILE
from orchestrator.runs.lines import RECORD_TYPES
from orchestrator.runs.reader import Run

__all__ = ["Comparison", "LineDifference", "compare_runs", "first_differing_block"]

_WITHOUT_EFFECT: Final = {"speed", "component_timeout", "cpu_affinity", "workdir"}
_LINE_SHOWN_MAX: Final = 400  # characters
_VALUE_SHOWN_MAX: Final = 80


class _Sequenced(msgspec.Struct):
    """What is looked at of a line."""

    sequence: int


class LineDifference(msgspec.Struct, frozen=True, kw_only=True):
    """The earliest line of the result files that is not the same in both runs."""

    file: str
    line_number: int  # 1, 2, 3 …; of equity the row
    sequence: int
    line_a: str | None  # None where the file has ended
    line_b: str | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What two runs have in common and what not."""

    is_equal: bool  # the result files agree as far as both runs went
    sequences: int  # compared
    block: tuple[int, int] | None  # sequences (after, up to] where the rolling digests part
    first: LineDifference | None
    causes: tuple[str, ...]  # differences of what identifies the runs

    def describe(self) -> str:
        """Return one line that says whether and where the runs part, and what may explain it."""
        causes = f"; {'; '.join(self.causes)}" if self.causes else ""
        if self.is_equal:
            return f"equal over {self.sequences} sequences{causes}"
        if self.first is None:
            return (
                f"the stored digests differ, the files do not: run.json or digests.jsonl was changed{causes}"
            )
        first = self.first
        where = f"{first.file} line {first.line_number}"
        texts = (_shorten(first.line_a), _shorten(first.line_b))
        return (
            f"first difference at sequence {first.sequence}, {where}: {texts[0]} against {texts[1]}{causes}"
        )


def compare_runs(a: Run, b: Run) -> Comparison:
    """Compare two runs.

    Parameters
    ----------
    a, b
        The runs; they may have stopped early.

    Raises
    ------
    DataError
        If a file of a run cannot be read.
    """
    last = _last_common_sequence(a, b)
    first = _first_line_difference(a, b, last)
    block = first_differing_block(a.checkpoints, b.checkpoints)
    are_both_complete = a.status == b.status == "complete"
    return Comparison(
        is_equal=first is None
        and block is None
        and (not are_both_complete or a.manifest.digest == b.manifest.digest),
        sequences=min(len(a.equity.sequences), len(b.equity.sequences)),
        block=block,
        first=first,
        causes=tuple(_causes(a, b)),
    )


def first_differing_block(a: list[Checkpoint], b: list[Checkpoint]) -> tuple[int, int] | None:
    """Return the first block of sequences (after, up to] whose rolling digests differ, if any."""
    before = 0
    for one, other in zip(a, b, strict=False):
        if one.sequence != other.sequence:
            break
        if one.digest != other.digest:
            return before, one.sequence
        before = one.sequence
    return None


def _last_common_sequence(a: Run, b: Run) -> int | None:
    # None: both went equally far, and everything counts.
    n_a, n_b = len(a.equity.sequences), len(b.equity.sequences)
    if n_a == n_b:
        return None
    shorter = a if n_a < n_b else b
    # At the last sequence of the shorter run its orders were ended; the longer run's went on.
    return int(shorter.equity.sequences[-1]) - 1 if min(n_a, n_b) else 0


def _first_line_difference(a: Run, b: Run, last: int | None) -> LineDifference | None:
    found = [_differing_line(name, a, b, last) for name in RECORD_TYPES]
    found.append(_differing_row(a, b, last))
    # The earliest sequence wins; of several files the first in the order of the digest.
    return min((item for item in found if item is not None), key=lambda item: item.sequence, default=None)


def _differing_line(name: str, a: Run, b: Run, last: int | None) -> LineDifference | None:
    lines_a, lines_b = a.lines(name), b.lines(name)
    if lines_a == lines_b:
        return None
    place = _first_unequal(lines_a, lines_b)
    one, other = (lines[place] if place < len(lines) else None for lines in (lines_a, lines_b))
    # Lines stand in the order of their sequences, so everything behind these two is as late or later.
    sequence = min(_sequence(line) for line in (one, other) if line is not None)
    if last is not None and sequence > last:
        return None
    return LineDifference(
        file=name, line_number=place + 1, sequence=sequence, line_a=_text(one), line_b=_text(other)
    )


def _first_unequal(lines_a: list[bytes], lines_b: list[bytes]) -> int:
    pairs = enumerate(zip(lines_a, lines_b, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(lines_a), len(lines_b)))


def _sequence(line: bytes) -> int:
    return msgspec.json.decode(line, type=_Sequenced).sequence


def _text(line: bytes | None) -> str | None:
    return None if line is None else line.decode("utf-8", errors="replace")


def _differing_row(a: Run, b: Run, last: int | None) -> LineDifference | None:
    rows_a, rows_b = _packed(a), _packed(b)
    n_common = min(len(rows_a), len(rows_b))
    if a.manifest.coins == b.manifest.coins:
        unequal = np.flatnonzero((rows_a[:n_common] != rows_b[:n_common]).any(axis=1))
        place = int(unequal[0]) if len(unequal) else n_common
    else:
        place = 0  # other columns: no row can be equal
    present = [rows for rows in (rows_a, rows_b) if place < len(rows)]
    if not present:
        return None
    sequence = min(int(rows[place, 0]) for rows in present)
    if last is not None and sequence > last:
        return None
    return LineDifference(
        file=EQUITY_FILE,
        line_number=place + 1,
        sequence=sequence,
        line_a=_row_text(a, place),
        line_b=_row_text(b, place),
    )


def _packed(run: Run) -> npt.NDArray[np.int64]:
    # The values as the digest sees them, one row a sequence.
    rows = run.equity
    return np.frombuffer(canonical_equity(rows), dtype="<i8").reshape(-1, 4 + rows.quantities.shape[1])


def _row_text(run: Run, place: int) -> str | None:
    rows = run.equity
    if place >= len(rows.sequences):
        return None
    quantities = dict(zip(run.manifest.coins, rows.quantities[place].tolist(), strict=True))
    row = {"sequence": int(rows.sequences[place]), "cash": float(rows.cash[place])}
    row |= {"equity": float(rows.equity[place])} | {
        f"qty_{coin}": value for coin, value in quantities.items()
    }
    return msgspec.json.encode(row).decode()


def _causes(a: Run, b: Run) -> Iterator[str]:
    one, other = a.manifest, b.manifest
    for key in ("seed", "code_version", "data_digest"):
        values = (getattr(one, key), getattr(other, key))
        if values[0] != values[1]:
            yield f"{key.replace('_', ' ')} differs: {_brief(values[0])} against {_brief(values[1])}"
    digests = {component.name: component.digest for component in other.components}
    for component in one.components:
        if digests.get(component.name, component.digest) != component.digest:
            yield f"component {component.name} differs: its files, or the packages of its interpreter"
    if one.trainer_digest != other.trainer_digest:
        yield "the trainer differs: its files, the packages of its interpreter, or the models that were given"
    yield from _configuration_causes(a.configuration, b.configuration)


def _configuration_causes(a: dict[str, Any], b: dict[str, Any]) -> Iterator[str]:
    settings = [dict(_flat("", configuration)) for configuration in (a, b)]
    for key in sorted(settings[0].keys() | settings[1].keys()):
        values = [flat.get(key, "unset") for flat in settings]
        if values[0] != values[1]:
            yield f"{key} differs: {_brief(values[0])} against {_brief(values[1])}"


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in _WITHOUT_EFFECT:
                yield from _flat(f"{prefix}.{key}" if prefix else key, item)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for place, item in enumerate(value):  # components, known by their names
            yield from _flat(f"{prefix}.{item.get('name', place)}", item)
    else:
        yield prefix, value


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) <= _VALUE_SHOWN_MAX else f"{text[:_VALUE_SHOWN_MAX]}…"


def _shorten(line: str | None) -> str:
    if line is None:
        return "nothing"
    return line if len(line) <= _LINE_SHOWN_MAX else f"{line[:_LINE_SHOWN_MAX]}…"
