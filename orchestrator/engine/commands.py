"""What the engine asks the shell to do, in the order in which it is to be done."""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrator.engine.bots import BotProcess
from orchestrator.protocol import Fill, Snapshot, TrainedModel
from orchestrator.runs.records import EquityRows, Record

__all__ = [
    "Checkpoint",
    "Command",
    "GrantTurn",
    "PublishFill",
    "PublishSnapshot",
    "PutModelsInUse",
    "TrainModels",
    "WakeComponent",
    "Write",
    "WriteEquity",
]


class _Command(msgspec.Struct, frozen=True, gc=False):
    """Base of the commands: immutable."""


class WakeComponent(_Command, frozen=True, gc=False):
    """Send the snapshot to a component (its declared place) and wait for its acknowledgement."""

    component: int
    snapshot: Snapshot


class GrantTurn(_Command, frozen=True, gc=False):
    """Let a process of a bot go on at its own time, with the answer to what it had asked for."""

    process: BotProcess
    sim_time_ns: int  # its own time from now on
    horizon_ns: int  # a sleep that ends by then needs no message
    has_open_orders: bool  # of its account, if it trades
    answer: Any  # of an exchange; None: it had asked for none


class TrainModels(_Command, frozen=True, gc=False):
    """Have the models of all coins trained as of now and tell the engine; until then time stands still."""

    sim_time_ns: int


class PutModelsInUse(_Command, frozen=True, gc=False):
    """Let the links to the models in use lead to these; components are told with their next snapshot."""

    models: tuple[TrainedModel, ...]


class PublishSnapshot(_Command, frozen=True, gc=False):
    """Show the market of a tick to spectators."""

    snapshot: Snapshot


class PublishFill(_Command, frozen=True, gc=False):
    """Show a fill to spectators."""

    component: str
    fill: Fill


class Write(_Command, frozen=True, gc=False):
    """Append a line to its result file."""

    record: Record


class WriteEquity(_Command, frozen=True, gc=False):
    """Append equity rows."""

    rows: EquityRows


class Checkpoint(_Command, frozen=True, gc=False):
    """All lines up to and with the sequence are written: note the rolling digest."""

    sequence: int


Command = (
    WakeComponent
    | GrantTurn
    | TrainModels
    | PutModelsInUse
    | PublishSnapshot
    | PublishFill
    | Write
    | WriteEquity
    | Checkpoint
)
