"""What may decide a model, as one digest: equal inputs are not trained twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from orchestrator.training.schedule import Window
from orchestrator.training_settings import TrainingSettings

__all__ = ["TrainingInputs", "data_digest", "input_digest"]

Closed = Callable[[str, int, int], tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]
"""(coin, from, until) -> the run's candles of that time: open times int64[n], columns float64[5, n]."""


class TrainingInputs(NamedTuple):
    """Everything but the candles that may decide a model."""

    trainer_digest: str
    code_version: str
    seed: int
    currency: str
    market: str  # exchange, quote and timeframe of the candles
    venues: str  # what unmodified trainers are answered by; empty for others
    folder: str  # digest of what an unmodified trainer finds in its folder; empty for others
    interpreter: str = ""  # what the trainer's executable is in the end, such as python3.11


def data_digest(candles: Closed, coins: Sequence[str], window: Window) -> str:
    """Return the SHA-256 hex of all candles that a training can see, as values, coin by coin.

    Candles outside the window are not in it: what comes later cannot change it.
    """
    total = hashlib.sha256()
    for coin in coins:
        open_times, columns = candles(coin, window.train_from_ns, window.train_until_ns)
        total.update(f"{coin} {len(open_times)}\n".encode())
        total.update(np.ascontiguousarray(open_times, dtype="<i8").data)
        total.update(np.ascontiguousarray(columns, dtype="<f8").data)
    return total.hexdigest()


def input_digest(
    training: TrainingSettings, inputs: TrainingInputs, coin: str, window: Window, candles: str
) -> str:
    """Return the name of a training: SHA-256 over the trainer, its settings, the window and the candles.

    Parameters
    ----------
    training
        Resolved; what cannot decide a model (timeout, parallel) does not count.
    candles
        `data_digest` of the window.
    """
    parts = {
        "inputs": inputs._asdict(),
        "coin": coin,
        "window": [window.train_from_ns, window.train_until_ns],
        "candles": candles,
        "command": [
            word.rpartition("/")[2] if word.startswith("/") else word for word in training.command or ()
        ],
        "params": training.params,
        "export": training.export,
        "bot": [training.kind, training.delete, training.leave, training.folder, training.folders.get(coin)],
    }
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()
