"""Runs an engine with scripted components and writes down what went in and what came out, line by line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from orchestrator.account_settings import AccountSettings
from orchestrator.config import ExecutionModelSettings
from orchestrator.engine.commands import (
    Checkpoint,
    Command,
    PublishFill,
    PublishSnapshot,
    WakeComponent,
    Write,
    WriteEquity,
)
from orchestrator.engine.engine import ComponentPlace, Engine
from orchestrator.engine.trainings import TrainingTimes
from orchestrator.exchange.exchange import Exchange
from orchestrator.exchange.instruments import Instrument
from orchestrator.protocol import Acknowledgement, Instruction, Reason, Snapshot
from orchestrator.runs.records import CashFlowRecord, FillRecord, OrderEventRecord, OrderRecord, SignalRecord
from tests.engine.markets import MINUTE, SECOND, T0, FakeMarket

LATENCY_MS = 200
ADVANCES_MAX = 100_000

Script = Mapping[str, Sequence[Instruction]]
"""What components say, by turn: "trader 3.0" is the trader's turn at sequence 3, step 0."""


def seconds(sim_time_ns: int) -> str:
    return f"{(sim_time_ns - T0) / SECOND:g}"


def make_engine(
    market: FakeMarket,
    components: Sequence[tuple[str, int]] = (("thinker", 1), ("trader", 2)),
    *,
    cash: int = 10_000,
    latency_ms: int = LATENCY_MS,
    is_account_shared: bool = True,
    account: AccountSettings | None = None,
    trainings: TrainingTimes | None = None,
    **model: object,
) -> Engine:
    """An engine on the real exchange, where everything fills whole, at the open, after a fixed latency.

    Components share the account "main", or have one each that is called like them.
    """
    accounts = {name: "main" if is_account_shared else name for name, _ in components}
    settings = ExecutionModelSettings(
        latency_model="fixed",
        latency_fixed_ms=Decimal(latency_ms),
        **{"slippage_bps": Decimal(0), "fee_bps": Decimal(0), "liquidity_model": "unlimited", **model},  # type: ignore[arg-type]
    ).resolved()
    rules = {"tick_size": Decimal("0.01"), "lot_size": Decimal("0.001"), "min_notional": Decimal(1)}
    exchange = Exchange(
        market=market,
        coins=market.coins,
        instruments={coin: Instrument(coin=coin, **rules) for coin in market.coins},
        model=settings,
        accounts=dict.fromkeys(accounts.values(), Decimal(cash)),
        seed=7,
        end_ns=market.end_ns,
        account=account,
    )
    return Engine(
        market=market,
        history=market.history,
        exchange=exchange,
        components=tuple(
            ComponentPlace(name=name, stage=stage, account=accounts[name]) for name, stage in components
        ),
        currency="USD",
        sim_start_ns=market.start_ns,
        sim_end_ns=market.end_ns,
        coin_ends=market.coin_ends,
        trainings=trainings or TrainingTimes(),
    )


class Play:
    """One run of an engine.

    Parameters
    ----------
    engine
        At its beginning.
    names
        Components in declared order.
    script
        Turns that are not in it are silent; a turn that never comes fails the play.
    order
        In which order the components of a stage acknowledge; the declared one by default.

    Attributes
    ----------
    lines
        The transcript: `<` what came out of the engine, `>` what a component said.
    snapshots
        By turn, what the component was woken with.
    """

    def __init__(
        self,
        engine: Engine,
        names: Sequence[str] = ("thinker", "trader"),
        script: Script | None = None,
        order: Callable[[list[int]], list[int]] = lambda woken: woken,
    ) -> None:
        self.engine = engine
        self.names = tuple(names)
        self.lines: list[str] = []
        self.commands: list[Command] = []
        self.snapshots: dict[str, Snapshot] = {}
        self._script = dict(script or {})
        self._order = order

    def run(self) -> list[str]:
        for _ in range(ADVANCES_MAX):
            if self.engine.is_over:
                break
            self.step()
        assert self.engine.is_over, "the run did not end"
        assert not self._script, f"turns that never came: {sorted(self._script)}"
        return self.lines

    def step(self) -> None:
        """One moment of simulation time: advance, then every stage that is woken."""
        woken = self._take(self.engine.advance())
        while woken:
            following = []
            for place in self._order(woken):
                following += self._take(self.engine.handle(place, self._answer(place)))
            woken = following
        assert not self.engine.is_waiting

    def _answer(self, place: int) -> Acknowledgement:
        clock = self.engine.clock
        turn = f"{self.names[place]} {clock.sequence}.{clock.step}"
        said = tuple(self._script.pop(turn, ()))
        for instruction in said:
            self.lines.append(f"> {turn} {type(instruction).__name__}")
        return Acknowledgement(clock.sequence, clock.step, said)

    def _take(self, commands: list[Command]) -> list[int]:
        self.commands += commands
        self.lines += [f"< {self._line(command)}" for command in commands]
        woken = [c for c in commands if isinstance(c, WakeComponent)]
        for wake in woken:
            turn = f"{self.names[wake.component]} {wake.snapshot.sequence}.{wake.snapshot.step}"
            assert turn not in self.snapshots, f"woken twice: {turn}"
            self.snapshots[turn] = wake.snapshot
        return [wake.component for wake in woken]

    def _line(self, command: Command) -> str:
        match command:
            case PublishSnapshot(snapshot):
                return f"tick {snapshot.sequence} at {seconds(snapshot.sim_time_ns)}"
            case WakeComponent(component, snapshot):
                return f"wake {self.names[component]} {wake_text(snapshot)}"
            case PublishFill(component, fill):
                return f"show {component} {fill.client_order_id}"
            case Write(record):
                return record_text(record)
            case WriteEquity(rows):
                return f"equity {rows.sequences[0]}..{rows.sequences[-1]}"
            case Checkpoint(sequence):
                return f"checkpoint {sequence}"
        raise AssertionError(command)


def wake_text(snapshot: Snapshot) -> str:
    reason = "+".join(flag.name or "" for flag in Reason if flag & snapshot.reason).lower()
    words = [f"{snapshot.sequence}.{snapshot.step}", f"at {seconds(snapshot.sim_time_ns)}", reason]
    if snapshot.news is not None:
        news = snapshot.news
        words += [f"hears {s.coin}.{s.key}={s.value}" for s in news.signals]
        words += [f"{fill.state} {fill.client_order_id}" for fill in news.fills]
        words += [f"refused {end.client_order_id} {end.reason}" for end in news.rejections]
        words += [f"ended {end.client_order_id} {end.reason}" for end in news.ends]
        words += ["account"] if news.account is not None else []
    return " ".join(words)


def record_text(record: object) -> str:
    match record:
        case OrderRecord():
            reason = f" {record.reason}" if record.reason else ""
            return f"order {record.client_order_id} {record.state}{reason}"
        case OrderEventRecord():
            reason = f" {record.reason}" if record.reason else ""
            return f"event {record.client_order_id} {record.event}{reason}"
        case FillRecord():
            return f"fill {record.fill_id} {record.client_order_id} {record.qty} at {record.fill_price}"
        case CashFlowRecord():
            return f"flow {record.account} {record.kind} {record.symbol} {record.amount}"
        case SignalRecord():
            said = " ".join(f"{record.coin}.{key}={value}" for key, value in record.values.items())
            return f"signal {record.component} {said}"
    raise AssertionError(record)


def at_minute(minute: float) -> int:
    return T0 + round(minute * MINUTE)
