"""The trainer's side of the SDK: closed candles in, the files of one model out.

A trainer is an ordinary program that is started once for each coin and training time::

    from components import connect_training

    with connect_training() as training:
        candles = training.history(training.coin, "1h")
        (training.output / "model.json").write_text(...)

It ends with status 0 when the files are written. It sees the market as of its training and nothing later.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from components import checks
from components.connection import Connection
from components.history import Candles
from components.snapshot import from_ns, to_ns, unknown_coin
from orchestrator.errors import ConfigError, ProtocolError
from orchestrator.protocol import ClosedCandles, QueryRefused, TrainingQuery, TrainingWelcome

__all__ = ["Training", "connect_training"]

_ANSWER_SLICES = 600  # seconds; the orchestrator serves trainers all the time while it waits for them


def connect_training() -> Training:
    """Connect to the replay that started this trainer.

    Raises
    ------
    ConfigError
        If the process was not started by a replay as its trainer.
    ProtocolError
        If the orchestrator refuses it.
    """
    return Training(Connection(os.environ))


class Training:
    """One training; use it as a context manager.

    Attributes
    ----------
    coin
        Whose model is to be made.
    coins
        The coins of the run; candles of all of them may be asked for.
    currency
        The account currency.
    timeframe
        Length of the base candles, such as "5m".
    begin, until
        Candles that open at or after the one and close at or before the other can be seen; UTC.
    output
        An empty folder for the model's files.
    export
        The folder of candle files that `training.export` asked for, else None.
    seed
        The run's; for a generator of your own.
    params
        `params` of `[training]`, read-only.
    """

    def __init__(self, connection: Connection) -> None:
        welcome = connection.welcome
        if not isinstance(welcome, TrainingWelcome):
            connection.close()
            raise ConfigError("this process is no trainer; call connect() in it, not connect_training()")
        self.coin = welcome.coin
        self.coins = welcome.coins
        self.currency = welcome.currency
        self.timeframe = welcome.timeframe
        self.begin = from_ns(welcome.train_from_ns)
        self.until = from_ns(welcome.train_until_ns)
        self.output = Path(welcome.output)
        self.export = None if welcome.export is None else Path(welcome.export)
        self.seed = welcome.seed
        self.params: Mapping[str, Any] = MappingProxyType(welcome.params)
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def history(
        self, coin: str, timeframe: str, count: int | None = None, *, until: dt.datetime | None = None
    ) -> Candles:
        """Return closed candles of a coin within the window of this training, oldest first.

        Parameters
        ----------
        coin
            A coin of the run.
        timeframe
            The run's own, or a multiple of it such as "1h".
        count
            The last so many; None: all of the window. Fewer are returned where it, or the data, begin later.
        until
            Only candles closed at or before it; None: at or before the training's `until`.

        Raises
        ------
        ConfigError
            If later candles are asked for than this training may see, the coin is not in the run, or the
            timeframe cannot be built from the run's candles.
        """
        if coin not in self.coins:
            raise unknown_coin(coin, self.coins)
        self._connection.send(
            TrainingQuery(
                coin=coin,
                timeframe=checks.timeframe(timeframe),
                count=None if count is None else checks.history_count(count),
                until_ns=None if until is None else to_ns(until),
            )
        )
        answer = self._connection.receive(slices_max=_ANSWER_SLICES)
        if isinstance(answer, QueryRefused):
            raise ConfigError(answer.reason)
        if not isinstance(answer, ClosedCandles):
            raise ProtocolError(f"expected candles, received {type(answer).__name__}")
        return Candles(answer)
