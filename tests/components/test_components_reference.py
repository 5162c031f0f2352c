"""The reference thinker and trader: averages against a naive computation, orders against a table."""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.thinkers import quad_ma
from components.thinkers.quad_ma import MovingAverages
from components.traders import follow_signals
from orchestrator.protocol import (
    AccountState,
    Acknowledgement,
    ClosedCandles,
    Fill,
    FillState,
    HistoryQuery,
    Instruction,
    Liquidity,
    OrderEnd,
    PublishSignal,
    Reason,
    Side,
    Signal,
    SubmitOrder,
)
from orchestrator.protocol import Snapshot as Wire
from tests.components.fake_replay import (
    NEW,
    OLD,
    STALE,
    T0,
    FakeConnection,
    first,
    replay_of,
    wire,
)

PERIODS = st.lists(st.integers(1, 12), min_size=4, max_size=4, unique=True).map(sorted).map(tuple)


def naive_strength(closes: list[float], periods: tuple[int, ...]) -> tuple[int, int] | None:
    if len(closes) < periods[-1]:
        return None
    averages = [sum(closes[-period:]) / period for period in periods]
    pairs = [(averages[n], averages[n + 1]) for n in range(3)]
    return sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)


class TestMovingAverages:
    @given(PERIODS, st.lists(st.integers(1, 100), max_size=40))
    def test_agree_with_a_naive_computation_after_every_close(
        self, periods: tuple[int, ...], closes: list[int]
    ) -> None:
        # Whole numbers: sums are exact, so that equal averages are equal.
        averages = MovingAverages(periods)
        for count, close in enumerate(closes, 1):
            averages.add(float(close))
            assert averages.strength() == naive_strength([float(c) for c in closes[:count]], periods)

    @given(st.lists(st.floats(0.01, 1e5), min_size=60, max_size=120))
    def test_stay_close_to_it_for_any_prices(self, closes: list[float]) -> None:
        averages = MovingAverages((5, 10, 20, 50))
        for close in closes:
            averages.add(close)
        for total, period in zip(averages._sums, (5, 10, 20, 50), strict=True):
            assert total / period == pytest.approx(sum(closes[-period:]) / period, rel=1e-9, abs=1e-6)

    def test_are_in_order_when_the_price_has_only_risen_or_fallen(self) -> None:
        for sign, expected in ((1, (3, 0)), (-1, (0, 3))):
            averages = MovingAverages((1, 2, 3, 4))
            for n in range(10):
                averages.add(100.0 + sign * n)
            assert averages.strength() == expected


# ------------------------------------------------------------------ quad_ma


def history(coin: str, closes: list[float]) -> ClosedCandles:
    n = len(closes)
    columns = struct.pack(f"<{5 * n}d", *closes, *closes, *closes, *closes, *[1.0] * n)
    return ClosedCandles(coin, "1m", struct.pack(f"<{n}q", *range(n)), columns)


def think(monkeypatch: pytest.MonkeyPatch, *incoming: Any, **changes: Any) -> FakeConnection:
    connection = FakeConnection(*incoming, **{"component": "thinker", "coins": ("BTC",), **changes})
    monkeypatch.setattr(quad_ma, "connect", lambda: replay_of(connection))
    quad_ma.main()
    assert connection.is_closed
    return connection


class TestQuadMa:
    PARAMS: dict[str, Any] = {"periods": [1, 2, 3, 4]}  # noqa: RUF012 - a constant

    def test_begins_with_the_past_and_speaks_when_its_view_changes(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closes = [90.0, 93.0, 96.0, 99.0, 100.0, 101.0, 60.0]  # three before the run, the fourth is its first
        ticks = [wire(n, closes={"BTC": close}, coins=("BTC",)) for n, close in enumerate(closes[3:], 1)]
        connection = think(monkeypatch, ticks[0], history("BTC", closes[:4]), *ticks[1:], params=self.PARAMS)
        assert connection.sent[0] == HistoryQuery(1, 0, "BTC", "1m", 4)
        said = [ack.instructions for ack in connection.acknowledgements]
        naive = [naive_strength(closes[: 4 + n], (1, 2, 3, 4)) for n in range(4)]
        assert naive[:3] == [(3, 0)] * 3
        last = naive[3]
        assert last is not None
        assert said == [
            (PublishSignal("BTC", {"long": 3, "short": 0}),),
            (),
            (),
            (PublishSignal("BTC", {"long": last[0], "short": last[1]}),),
        ]

    def test_takes_a_close_once_and_none_of_a_coin_that_pauses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def tick(n: int, close: float, flag: int = NEW, step: int = 0) -> Wire:
            return wire(n, step, closes={"BTC": close}, flags={"BTC": flag}, coins=("BTC",))

        ticks = [tick(2, 2.0), tick(2, 2.0, OLD, 1), tick(3, 2.0, STALE), tick(4, 3.0), tick(5, 4.0)]
        connection = think(monkeypatch, tick(1, 1.0), history("BTC", [1.0]), *ticks, params=self.PARAMS)
        spoken = [ack.sequence for ack in connection.acknowledgements if ack.instructions]
        assert spoken == [5]  # the fourth close: 1, 2, 3, 4 are in order

    def test_a_coin_that_begins_later_fills_its_averages_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        absent = wire(1, flags={"BTC": 0}, coins=("BTC",))
        later = [wire(n, closes={"BTC": float(n)}, coins=("BTC",)) for n in range(2, 6)]
        connection = think(monkeypatch, absent, history("BTC", []), *later, params=self.PARAMS)
        assert [bool(ack.instructions) for ack in connection.acknowledgements] == [False] * 4 + [True]

    @pytest.mark.parametrize(
        "periods", [[5, 10, 20], [5, 10, 10, 20], [20, 10, 5, 1], [0, 1, 2, 3], [1, 2, 3, 4.5], []]
    )
    def test_periods_that_cannot_be(self, monkeypatch: pytest.MonkeyPatch, periods: list[float]) -> None:
        with pytest.raises(SystemExit, match="four ascending whole numbers"):
            think(monkeypatch, params={"periods": periods})


# ------------------------------------------------------------------ follow_signals


def long(coin: str, level: Any) -> Signal:
    return Signal(coin, "long", level, T0)


def account(cash: str = "1000", **holdings: str) -> AccountState:
    return AccountState(Decimal(cash), Decimal(0), {coin: Decimal(qty) for coin, qty in holdings.items()}, {})


def follow(monkeypatch: pytest.MonkeyPatch, *incoming: Any, **params: Any) -> list[tuple[Instruction, ...]]:
    connection = FakeConnection(*incoming, params=params)
    monkeypatch.setattr(follow_signals, "connect", lambda: replay_of(connection))
    follow_signals.main()
    return [message.instructions for message in connection.sent if isinstance(message, Acknowledgement)]


def buy(number: int, qty: str, coin: str = "BTC") -> SubmitOrder:
    return SubmitOrder(number, coin, Side.BUY, Decimal(qty))


def sell(number: int, qty: str, coin: str = "BTC") -> SubmitOrder:
    return SubmitOrder(number, coin, Side.SELL, Decimal(qty))


def filled(order: str, state: FillState = FillState.FILLED) -> Fill:
    one = Decimal(1)
    return Fill(order, "BTC", Side.BUY, one, one, one, T0, state, Liquidity.TAKER)


STRONG, MIDDLE, WEAK = long("BTC", 3), long("BTC", 2), long("BTC", 0)

# What it hears and sees at one tick -> what it orders; closes are 100, cash is 1000, a third of equity a coin.
ONE_TICK: list[tuple[str, dict[str, Any], tuple[Instruction, ...]]] = [
    ("nothing was said", {"account": account()}, ()),
    ("strong: a share of equity", {"account": account(), "signals": (STRONG,)}, (buy(1, "3.000"),)),
    ("in between", {"account": account(), "signals": (MIDDLE,)}, ()),
    ("weak, nothing held", {"account": account(), "signals": (WEAK,)}, ()),
    ("weak: all of it", {"account": account(BTC="2.5"), "signals": (WEAK,)}, (sell(1, "2.500"),)),
    ("strong, held already", {"account": account(BTC="2.5"), "signals": (STRONG,)}, ()),
    (
        "equity counts holdings",
        {"account": account("200", ETH="8"), "signals": (STRONG,)},
        (buy(1, "1.800"),),
    ),
    ("no level but words", {"account": account(), "signals": (long("BTC", "much"),)}, ()),
    ("stale", {"account": account(), "signals": (STRONG,), "flags": {"BTC": STALE}}, ()),
    ("absent", {"account": account(), "signals": (STRONG,), "flags": {"BTC": 0}}, ()),
    ("below the least notional", {"account": account("10"), "signals": (STRONG,)}, ()),
    ("too little to sell", {"account": account(BTC="0.01"), "signals": (WEAK,)}, ()),
    ("dust below a lot", {"account": account(BTC="0.0001"), "signals": (WEAK,)}, ()),
    (
        "two coins",
        {"account": account(ETH="1"), "signals": (STRONG, long("ETH", 0))},
        (buy(1, "3.300"), sell(2, "1.000", "ETH")),
    ),
]


class TestFollower:
    @pytest.mark.parametrize(
        ("seen", "expected"), [case[1:] for case in ONE_TICK], ids=[case[0] for case in ONE_TICK]
    )
    def test_at_one_tick(
        self, monkeypatch: pytest.MonkeyPatch, seen: dict[str, Any], expected: tuple[Instruction, ...]
    ) -> None:
        assert follow(monkeypatch, wire(1, **seen)) == [expected]

    def test_has_one_order_a_coin_until_it_hears_of_its_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        end = OrderEnd("trader-1", "BTC", "why", T0)
        for news in ({"fills": (filled("trader-1"),)}, {"ends": (end,)}, {"rejections": (end,)}):
            said = follow(
                monkeypatch,
                first(account=account(), signals=(STRONG,)),
                wire(2),
                wire(3, fills=(filled("trader-1", FillState.PARTIAL),)),
                wire(4, **news),
                wire(5),
            )
            # It holds nothing still, as this account never changes: so it buys again when it is free to.
            assert said == [(buy(1, "3.000"),), (), (), (buy(2, "3.000"),), ()]

    def test_decides_at_closes_and_only_notes_between_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Who tries again as soon as it hears of a rejection may never stop.
        refusal = OrderEnd("trader-1", "BTC", "insufficient_balance", T0)
        said = follow(
            monkeypatch,
            first(account=account(), signals=(STRONG,)),
            wire(1, 1, reason=Reason.ORDER, rejections=(refusal,), after_ns=5),
            wire(2),
        )
        assert said == [(buy(1, "3.000"),), (), (buy(2, "3.000"),)]

    def test_levels_and_share_are_parameters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = first(account=account(), signals=(MIDDLE,))
        assert follow(monkeypatch, seen, fraction=0.5, enter=2, leave=0) == [(buy(1, "5.000"),)]

    def test_keeps_a_tenth_of_the_cash_for_what_a_market_order_holds(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert follow(monkeypatch, first(account=account(), signals=(STRONG,)), fraction=1) == [
            (buy(1, "9.000"),)
        ]

    @pytest.mark.parametrize(
        "params", [{"fraction": 0}, {"fraction": 1.1}, {"enter": 1, "leave": 1}, {"enter": 0}]
    )
    def test_parameters_that_cannot_be(self, monkeypatch: pytest.MonkeyPatch, params: dict[str, Any]) -> None:
        with pytest.raises(SystemExit, match="are not allowed"):
            follow(monkeypatch, **params)
