"""The declared order of what happens at one simulation time, and the key that makes it total."""

from __future__ import annotations

import enum
from typing import NamedTuple

__all__ = ["EventKey", "EventKind"]


class EventKind(enum.IntEnum):
    """What happens first at one time T; changing this order changes results.

    Candles close before anything else, so that whoever acts at T acts on closed candles. Resting orders are
    judged on them before new orders can join the book. Requests that free something (expiries, cancels) come
    before those that use it (remainders of earlier takers, then new orders): first come, first served. The
    account is marked when all fills of T are in, and components are woken last, on a state that is final.
    """

    CANDLES_CLOSE = 1
    RESTING_ORDERS = 2
    FUNDING = 3
    LIQUIDATION = 4
    EXPIRY = 5
    CANCEL = 6
    REMAINDER = 7
    ORDER = 8
    EQUITY = 9
    TRAINING = 10
    STAGES = 11


class EventKey(NamedTuple):
    """Position of an event among all events: no two events of a run have the same key.

    `source` is a number from the configuration (a component's or coin's declared place), `source_counter` the
    source's own counter. Neither arrival order nor identity nor hashes appear in it.
    """

    sim_time_ns: int
    kind: EventKind
    source: int
    source_counter: int
