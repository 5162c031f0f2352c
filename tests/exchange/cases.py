"""The language of the case tables: rows of candles, what is asked, what must come out, and the arithmetic.

Unless a case says otherwise: one coin with tick 0.01, lot 0.001 and minimum notional 5; candles of one minute;
slippage 5 bp, fees 20 bp, 1 % of the volume, 100 ms of latency; 10000 in cash and 100 coins; orders are placed
at 1:00 and arrive at 1:00.1; the run ends at 5:00.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from orchestrator.account_settings import AccountSettings
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.protocol import OrderType, Side, TimeInForce
from tests.exchange.harness import (
    MINUTE,
    SECOND,
    FineMarket,
    Harness,
    MemoryFunding,
    MemoryMarket,
    Row,
    candles_of,
)

COIN = "BTC"
MODEL = ExecutionModelSettings(latency_model="fixed", latency_fixed_ms=Decimal(100))


def at(text: str) -> int:
    """Return the time of a text such as 1:00.1."""
    minute, second = text.split(":")
    return int(minute) * MINUTE + int(Decimal(second) * SECOND)


@dataclass(frozen=True)
class Ask:
    """One request; orders of a component are numbered from 1 in the order of the case."""

    what: str  # order, cancel, replace
    time: str
    fields: Mapping[str, Any]


def order(
    side: Side,
    qty: str,
    *,
    limit: str | None = None,
    stop: str | None = None,
    tif: str = "GTC",
    until: str | None = None,
    time: str = "1:00",
    who: str = "t",
    account: str = "main",
    coin: str = COIN,
) -> Ask:
    """Return an order; its type follows from its prices."""
    order_type = {
        (False, False): OrderType.MARKET,
        (True, False): OrderType.LIMIT,
        (False, True): OrderType.STOP,
        (True, True): OrderType.STOP_LIMIT,
    }[limit is not None, stop is not None]
    fields: dict[str, Any] = {
        "coin": coin,
        "side": side,
        "qty": Decimal(qty),
        "order_type": order_type,
        "limit_price": None if limit is None else Decimal(limit),
        "stop_price": None if stop is None else Decimal(stop),
        "time_in_force": TimeInForce(tif),
        "expire_time_ns": None if until is None else at(until),
        "component": who,
        "account": account,
    }
    return Ask("order", time, fields)


def buy(qty: str, **options: Any) -> Ask:
    """Return a buy order."""
    return order(Side.BUY, qty, **options)


def sell(qty: str, **options: Any) -> Ask:
    """Return a sell order."""
    return order(Side.SELL, qty, **options)


def cancel(subject: str, time: str, who: str = "t") -> Ask:
    """Return a cancel of an order such as t-1."""
    return Ask("cancel", time, {"client_order_id": subject, "component": who})


def replace(subject: str, time: str, who: str = "t", **fields: str) -> Ask:
    """Return a replace of an order such as t-1."""
    values = {name: Decimal(value) for name, value in fields.items()}
    return Ask("replace", time, {"client_order_id": subject, "component": who, **values})


@dataclass(frozen=True)
class Case:
    """What is asked on which candles, and the transcript that must follow.

    `expect` has a line per outcome, separated by `|`, without the leading `t-` of orders; `why` is the arithmetic.
    """

    name: str
    rows: Sequence[Row | None]
    asks: Sequence[Ask]
    expect: str
    why: str
    model: Mapping[str, Any] = field(default_factory=dict)
    cash: str = "10000"
    coins: str = "100"
    other_rows: Sequence[Row | None] | None = None
    finer: Sequence[Row | None] | None = None  # four to a candle
    cash_after: str | None = None
    coins_after: str | None = None
    end: str = "5:00"
    coin_end: str | None = None
    accounts: Mapping[str, str] | None = None
    account: AccountSettings | None = None  # of a kind that has no coins to begin with
    funding: Mapping[str, str] = field(default_factory=dict)  # time -> rate of BTC


_SOURCES = {"t": 0, "u": 1, "v": 2}


def run(case: Case) -> Harness:
    """Play a case to its end."""
    candles = {COIN: candles_of(case.rows)}
    if case.other_rows is not None:
        candles["ETH"] = candles_of(case.other_rows)
    if case.finer is not None:
        market: MemoryMarket = FineMarket(candles, {COIN: candles_of(case.finer, length_ns=MINUTE // 4)})
    else:
        market = MemoryMarket(candles)
    accounts = case.accounts or {"main": case.cash}
    harness = Harness(
        market,
        end_ns=at(case.end),
        model=msgspec.structs.replace(MODEL, **case.model),
        accounts={name: Decimal(cash) for name, cash in accounts.items()},
        account=case.account,
        funding=MemoryFunding({COIN: {at(time): Decimal(rate) for time, rate in case.funding.items()}}),
        coin_ends={} if case.coin_end is None else {COIN: at(case.coin_end)},
    )
    for account in accounts:
        if Decimal(case.coins) and case.account is None:
            harness.endow(COIN, Decimal(case.coins), account)
    numbers: dict[tuple[str, bool], int] = {}
    for ask in sorted(case.asks, key=lambda ask: at(ask.time)):
        harness.advance(at(ask.time))
        fields = dict(ask.fields)
        key = (fields["component"], ask.what == "order")
        numbers[key] = number = numbers.get(key, 0) + 1
        fields["source"] = _SOURCES[fields["component"]]
        getattr(harness, ask.what)(number, **fields)
    harness.finish()
    return harness


def lines(expect: str) -> list[str]:
    """Return the transcript that a case expects: `1` means order t-1."""
    spelled = []
    for line in expect.split("|"):
        time, subject, *rest = line.split()
        spelled.append(
            " ".join([time, subject if "-" in subject or subject.isalpha() else f"t-{subject}", *rest])
        )
    return spelled
