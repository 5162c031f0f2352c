"""A connection without a socket: what the orchestrator says is a list, and so is what the component answers."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from components import Replay, Snapshot
from orchestrator import protocol
from orchestrator.protocol import (
    AccountState,
    Acknowledgement,
    CandleFlag,
    ComponentMessage,
    Frame,
    InstrumentRules,
    News,
    OrchestratorMessage,
    Reason,
    Stop,
    Welcome,
)

COINS = ("BTC", "ETH", "DOGE")
MINUTE_NS = 60_000_000_000
T0 = 1_704_067_200_000_000_000
RULES = InstrumentRules(tick_size=Decimal("0.01"), lot_size=Decimal("0.001"), min_notional=Decimal(5))
ACCOUNT = AccountState(
    cash=Decimal(1_000),
    cash_held=Decimal(100),
    holdings={"BTC": Decimal(2)},
    holdings_held={"BTC": Decimal("0.5")},
)
NEW, OLD, STALE = (
    CandleFlag.PRESENT | CandleFlag.NEW,
    CandleFlag.PRESENT,
    CandleFlag.PRESENT | CandleFlag.STALE,
)


def welcome(**changes: Any) -> Welcome:
    fields: dict[str, Any] = {
        "run_id": "run",
        "component": "trader",
        "stage": 2,
        "coins": COINS,
        "currency": "USD",
        "timeframe": "1m",
        "timeframe_ns": MINUTE_NS,
        "sim_start_ns": T0,
        "sim_end_ns": T0 + 60 * MINUTE_NS,
        "instruments": dict.fromkeys(COINS, RULES),
        "params": {},
    }
    return Welcome(**{**fields, **changes})


def wire(
    sequence: int,
    step: int = 0,
    *,
    closes: Mapping[str, float] | None = None,
    flags: Mapping[str, int] | None = None,
    reason: int = Reason.TICK,
    after_ns: int = 0,
    coins: tuple[str, ...] = COINS,
    **news: Any,
) -> protocol.Snapshot:
    """A snapshot as it travels; candles are flat at the coin's close, 100 unless told."""
    closes, flags = closes or {}, flags or {}
    rows = [(closes.get(coin, 100.0),) * 4 + (1_000.0,) for coin in coins]
    return protocol.Snapshot(
        sequence=sequence,
        step=step,
        sim_time_ns=T0 + sequence * MINUTE_NS + after_ns,
        reason=int(reason),
        prices=b"".join(struct.pack("<5d", *row) for row in rows),
        open_times=b"".join(struct.pack("<q", T0 + (sequence - 1) * MINUTE_NS) for _ in coins),
        flags=bytes(int(flags.get(coin, NEW)) for coin in coins),
        news=News(**news) if news else None,
    )


def first(**changes: Any) -> protocol.Snapshot:
    """The first snapshot of a run, which always brings the account."""
    return wire(1, **{"account": ACCOUNT, **changes})


class FakeConnection:
    """Says what it is given, then that the replay has ended; keeps what it is told."""

    def __init__(self, *incoming: OrchestratorMessage | protocol.Snapshot, **changes: Any) -> None:
        self.welcome = welcome(**changes)
        self.incoming = deque(
            Frame((message,)) if isinstance(message, protocol.Snapshot) else message for message in incoming
        )
        self.sent: list[ComponentMessage] = []
        self.is_closed = False

    def receive(self) -> OrchestratorMessage:
        return self.incoming.popleft() if self.incoming else Stop("the replay has ended")

    def send(self, message: ComponentMessage) -> None:
        self.sent.append(message)

    def close(self) -> None:
        self.is_closed = True

    @property
    def acknowledgements(self) -> list[Acknowledgement]:
        return [message for message in self.sent if isinstance(message, Acknowledgement)]


def replay_of(connection: FakeConnection) -> Replay:
    return Replay(connection)  # type: ignore[arg-type]


class Turn:
    """A component in the middle of its first turn."""

    def __init__(self, *incoming: OrchestratorMessage | protocol.Snapshot, **changes: Any) -> None:
        self.connection = FakeConnection(*(incoming or (first(),)), **changes)
        self.replay = replay_of(self.connection)
        self._snapshots: Iterator[Snapshot] = self.replay.snapshots()
        self.snapshot = next(self._snapshots)

    def end(self) -> Acknowledgement:
        """Ask for the next snapshot and return what was sent for this one."""
        before = len(self.connection.acknowledgements)
        following = next(self._snapshots, None)
        if following is not None:
            self.snapshot = following
        assert len(self.connection.acknowledgements) == before + 1
        return self.connection.acknowledgements[-1]
