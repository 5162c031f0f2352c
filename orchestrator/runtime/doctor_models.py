"""Models that a bot's folder holds: those of after the start of a run know its future, much older ones are stale."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from orchestrator.durations import NS_PER_DAY, NS_PER_SECOND
from orchestrator.runtime.work_copy import data_files

__all__ = ["find_models", "model_remarks"]

_NAMES: Final = re.compile(r"(?i)(train|model|memor|weight|checkpoint|neural)")
_SUFFIXES: Final = {
    ".pkl",
    ".pickle",
    ".pt",
    ".pth",
    ".h5",
    ".keras",
    ".onnx",
    ".joblib",
    ".npz",
    ".safetensors",
    ".ckpt",
}
_SECONDS: Final = re.compile(r"(?<![\d.])1[2-9]\d{8}(?!\d)")  # Unix seconds of the years 2008 to 2033
_TEXT_BYTES_MAX: Final = 65_536
_OLD_DAYS: Final = 14  # bots of this kind refuse models that are older
_NAMED_MAX: Final = 3


class _Model(NamedTuple):
    path: str  # within the folder
    made_ns: int | None  # the latest time that it states; None: it states none


def find_models(folder: Path) -> tuple[_Model, ...]:
    """Return the files of a folder that look like models or like what is known of their training."""
    return tuple(
        _Model(path, _stated_ns(file))
        for path, file in data_files(folder)
        if file.suffix.lower() in _SUFFIXES or _NAMES.search(path)
    )


def model_remarks(folder: Path, start_ns: int) -> Iterator[str]:
    """Yield what is to be known of the models in a folder before a run from a time on."""
    models = find_models(folder)
    later = [m for m in models if m.made_ns is not None and m.made_ns > start_ns]
    older = [m for m in models if m.made_ns is not None and start_ns - m.made_ns > _OLD_DAYS * NS_PER_DAY]
    silent = [m for m in models if m.made_ns is None]
    if later:
        yield (
            f"{_listed(later)}: from after the start of the run; a model that was trained then knows what will happen: "
            "train within the run ([training]), or start later"
        )
    if older:
        days = max((start_ns - (m.made_ns or 0)) // NS_PER_DAY for m in older)
        yield (
            f"{_listed(older)}: up to {days} days before the start; a bot that refuses old models will not trade: "
            "train within the run ([training])"
        )
    if silent:
        yield (
            f"{_listed(silent)}: when they were made is not known; what was trained on candles of the run's dates "
            "knows what will happen"
        )


def _stated_ns(file: Path) -> int | None:
    # Small texts beside models say when they were trained.
    try:
        if file.stat().st_size > _TEXT_BYTES_MAX:
            return None
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    times = [int(found) for found in _SECONDS.findall(text)]
    return max(times) * NS_PER_SECOND if times else None


def _listed(models: list[_Model]) -> str:
    named = [
        m.path + (f" ({_date(m.made_ns)})" if m.made_ns is not None else "") for m in models[:_NAMED_MAX]
    ]
    more = len(models) - _NAMED_MAX
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def _date(time_ns: int) -> str:
    return dt.datetime.fromtimestamp(time_ns // NS_PER_SECOND, dt.UTC).strftime("%Y-%m-%d")
