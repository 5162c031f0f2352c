"""The engine with accounts that may owe: what is paid, who hears of a liquidation, what equity says."""

from __future__ import annotations

from decimal import Decimal

from orchestrator.account_settings import AccountSettings
from orchestrator.engine.commands import Write, WriteEquity
from orchestrator.protocol import Side, SubmitOrder
from orchestrator.runs.records import CashFlowRecord
from tests.engine.markets import MINUTE, T0, FakeMarket
from tests.engine.plays import Play, make_engine

MARGIN = AccountSettings(kind="margin", liquidation_fee_bps=Decimal(100)).resolved()
NAMES = ("thinker", "trader", "other")
COMPONENTS = tuple((name, place + 1) for place, name in enumerate(NAMES))


def play(prices: list[float | None], script: dict[str, list[SubmitOrder]]) -> Play:
    made = Play(make_engine(FakeMarket({"BTC": prices}), COMPONENTS, account=MARGIN), NAMES, script)
    made.run()
    return made


def order(number: int, side: Side, qty: str) -> SubmitOrder:
    return SubmitOrder(number, "BTC", side, Decimal(qty))


def equity_of(made: Play) -> list[float]:
    rows = [command.rows for command in made.commands if isinstance(command, WriteEquity)]
    return [float(value) for part in rows for value in part.equity]


def test_a_liquidation_is_written_down_and_heard_by_all_who_share_the_account() -> None:
    made = play([100.0, 100.0, 60.0, 60.0], {"trader 1.0": [order(1, Side.BUY, "250")]})
    assert [line for line in made.lines if "exchange" in line] == [
        "< order exchange-1 accepted liquidation of account main",
        "< event exchange-1 arrived",
        "< fill F2 exchange-1 250 at 60",
        "< event exchange-1 filled",
        "< show exchange exchange-1",
        "< wake thinker 3.0 at 180 tick+order filled exchange-1 account",
        "< wake trader 3.0 at 180 tick+order filled exchange-1 account",
        "< wake other 3.0 at 180 tick+order filled exchange-1 account",
    ]
    flows = [c.record for c in made.commands if isinstance(c, Write) and isinstance(c.record, CashFlowRecord)]
    assert [(flow.kind, flow.amount, flow.sequence) for flow in flows] == [
        ("liquidation_fee", Decimal(-150), 3)
    ]
    # 250 at 100; at the third tick already closed, and the fee of 1 % of 15000 paid.
    assert equity_of(made) == [10_000.0, 10_000.0, -150.0, -150.0]


def test_interest_between_ticks_shows_in_the_row_that_follows() -> None:
    prices: list[float | None] = [100.0] * 58 + [None] * 4 + [100.0]  # no tick at the full hour
    made = play(prices, {"trader 1.0": [order(1, Side.SELL, "10")]})
    flows = [c.record for c in made.commands if isinstance(c, Write) and isinstance(c.record, CashFlowRecord)]
    assert [(flow.kind, flow.symbol, flow.sim_time_ns) for flow in flows] == [
        ("interest_base", "BTC-USD", T0 + 60 * MINUTE)
    ]
    assert flows[0].amount == Decimal("-0.01141553")  # 10 * 100 * 0.1 / 8760, rounded up
    values = equity_of(made)
    assert values[57] == 10_000.0
    assert values[58] == 10_000.0 - 0.01141553


def test_an_account_of_ones_own_is_liquidated_alone() -> None:
    market = FakeMarket({"BTC": [100.0, 100.0, 60.0, 60.0]})
    engine = make_engine(market, COMPONENTS, account=MARGIN, is_account_shared=False)
    script = {"trader 1.0": [order(1, Side.BUY, "250")], "other 1.0": [order(1, Side.BUY, "50")]}
    made = Play(engine, NAMES, script)
    made.run()
    heard = [line for line in made.lines if "wake" in line and "exchange-1" in line]
    assert heard == ["< wake trader 3.0 at 180 tick+order filled exchange-1 account"]
