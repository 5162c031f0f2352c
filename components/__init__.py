"""What runs inside a bot's processes: the SDK (`connect`) and small reference components.

>>> from components import connect          # doctest: +SKIP
>>> with connect() as replay:               # doctest: +SKIP
...     for snapshot in replay.snapshots():
...         print(snapshot.time, snapshot["BTC"])
"""

from components.client import Replay, connect
from components.snapshot import Candle, Model, Signals, Snapshot
from components.training import Training, connect_training
from orchestrator.protocol import FillState, Reason, TimeInForce

__all__ = [
    "Candle",
    "FillState",
    "Model",
    "Reason",
    "Replay",
    "Signals",
    "Snapshot",
    "TimeInForce",
    "Training",
    "connect",
    "connect_training",
]
