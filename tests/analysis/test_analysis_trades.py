"""Round trips first in first out, worked by hand, and exact to the last digit whatever the fills."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.costs import costs_of
from orchestrator.analysis.trade_figures import figures_of, longest_streak
from orchestrator.analysis.trades import OpenTrade, Trade, exact_money, trades_of
from orchestrator.errors import DataError

D = Decimal


def fill(
    order: str,
    side: str,
    qty: str,
    price: str,
    fees: str = "0",
    *,
    reference: str | None = None,
    second: int = 0,
    coin: str = "BTC",
) -> dict[str, Any]:
    return {
        "ts": D(1_704_067_200 + second),
        "fill_id": f"F-{order}-{second}",
        "client_order_id": order,
        "component": "trader",
        "side": side,
        "symbol": f"{coin}-USD",
        "qty": D(qty),
        "fill_price": D(price),
        "fees": D(fees),
        "reference_price": D(price if reference is None else reference),
        "slippage_parts": {},
        "liquidity": "taker",
    }


FILLS = [
    fill("b1", "buy", "1", "100", "0.1", reference="99", second=0),
    fill("b1", "buy", "2", "101", "0.2", reference="100", second=1),  # a partial fill of the same order
    fill("b2", "buy", "3", "110", "0.4", second=5),
    fill("x", "buy", "10", "1", second=6, coin="DOGE"),
    fill("s1", "sell", "2", "120", "0.3", reference="121", second=10),
    fill("s2", "sell", "2.5", "90", "0.7", second=20),
]


def test_first_in_first_out_by_hand() -> None:
    book = trades_of(FILLS)
    assert [(t.entry_order, t.exit_order) for t in book.trades] == [("b1", "s1"), ("b1", "s2"), ("b2", "s2")]
    first, second, third = book.trades
    # s1 closes 1 @ 100 and 1 of the 2 @ 101; its fee is split in halves, of b1's fees 0.1 and half of 0.2.
    assert (first.qty, first.entry_notional, first.exit_notional) == (D(2), D(201), D(240))
    assert first.fees == D("0.5")
    assert first.pnl == D("38.5")
    assert first.slippage_cost == D(4)  # 1 + 1 bought, 2 sold, each one worse than its reference
    assert first.gross_pnl == D("43.0")
    assert (first.entry_price, first.exit_price) == (D("100.5"), D(120))
    assert first.holding_ns == 10 * 10**9
    assert first.return_fraction == pytest.approx(38.5 / 201)
    # s2: 1 @ 101 of b1, then 1.5 of b2's 3.
    assert (second.qty, second.pnl) == (D(1), D(90) - 101 - D("0.1") - D("0.28"))
    assert (third.qty, third.pnl) == (D("1.5"), D(135) - 165 - D("0.2") - D("0.42"))
    assert [t.number for t in book.trades] == [1, 2, 3]
    dust, rest = sorted(book.open_trades, key=lambda trade: trade.symbol, reverse=True)
    assert (rest.symbol, rest.qty, rest.entry_notional, rest.fees) == ("BTC-USD", D("1.5"), D(165), D("0.2"))
    assert rest.pnl_at(D(100)) == D("-15.2")
    assert (dust.symbol, dust.qty) == ("DOGE-USD", D(10))


def test_what_rounding_leaves_goes_to_the_last_part() -> None:
    fills = [fill("b", "buy", "3", "1", "0.00000010")]
    fills += [fill(f"s{n}", "sell", "1", "1", second=n) for n in (1, 2, 3)]
    assert [t.fees for t in trades_of(fills).trades] == [D("3E-8"), D("3E-8"), D("4E-8")]


def test_more_sold_than_bought_is_refused() -> None:
    with pytest.raises(DataError, match=r"F-s-0 sells 0\.5 BTC-USD more than was bought"):
        trades_of([fill("b", "buy", "1", "1"), fill("s", "sell", "1.5", "1")])


def test_short_trades_where_accounts_may_owe() -> None:
    fills = [
        fill("s1", "sell", "2", "100", "0.2", second=0),
        fill("b1", "buy", "3", "90", "0.3", second=10),  # closes the short and opens a long
        fill("s2", "sell", "1.5", "95", "0.15", second=20),  # closes the long and opens a short again
    ]
    book = trades_of(fills, may_short=True)
    short, long = book.trades
    assert (short.side, short.qty, short.pnl) == ("short", D(2), D(20) - D("0.2") - D("0.2"))
    assert (long.side, long.qty, long.pnl) == ("long", D(1), D(5) - D("0.1") - D("0.1"))
    (left,) = book.open_trades
    assert (left.side, left.qty, left.fees) == ("short", D("0.5"), D("0.05"))
    assert left.pnl_at(D(97)) == D("-1.05")
    with pytest.raises(DataError, match="more than was bought"):
        trades_of(fills)


def test_each_account_closes_its_own_trades() -> None:
    fills = [
        fill("a1", "buy", "1", "100", second=0),
        {**fill("b1", "buy", "1", "200", second=1), "component": "other"},
        {**fill("b2", "sell", "1", "210", second=2), "component": "other"},
        {**fill("x1", "sell", "1", "90", second=3), "component": "exchange"},
    ]
    accounts = {"trader": "main", "other": "second"}
    own = trades_of(fills, accounts, {"x1": "main"}, may_short=True).trades
    assert [(t.entry_order, t.exit_order, t.pnl) for t in own] == [("b1", "b2", D(10)), ("a1", "x1", D(-10))]
    book = trades_of(fills, accounts, {"x1": "second"}, may_short=True)
    assert [trade.entry_order for trade in book.trades] == ["b1"]
    assert [(left.entry_order, left.side) for left in book.open_trades] == [("a1", "long"), ("x1", "short")]
    shared = trades_of(fills, {}, may_short=True).trades
    assert [(t.entry_order, t.exit_order) for t in shared] == [("a1", "b2"), ("b1", "x1")]


def test_figures_by_hand() -> None:
    fills = []
    for number, exit_price in enumerate(["110", "120", "95", "80", "100", "105"]):
        fills.append(fill(f"b{number}", "buy", "1", "100", second=number * 7200))
        fills.append(
            fill(f"s{number}", "sell", "1", exit_price, second=number * 7200 + 3600 * (1 + number % 2))
        )
    found = figures_of(trades_of(fills).trades)  # +10 +20 -5 -20 0 +5
    assert (found.trades, found.wins, found.losses) == (6, 3, 2)
    assert found.win_rate == 0.5
    assert (found.profit, found.loss, found.pnl) == (D(35), D(25), D(10))
    assert found.profit_factor == pytest.approx(1.4)
    assert found.expectancy == pytest.approx(10 / 6)
    assert found.average_win == pytest.approx(35 / 3)
    assert found.average_loss == 12.5
    assert (found.best, found.worst) == (D(20), D(-20))
    assert (found.holding_hours_mean, found.holding_hours_median) == (1.5, 1.5)
    assert (found.winning_streak, found.losing_streak) == (2, 2)
    assert found.return_mean == pytest.approx(0.1 / 6)
    nothing = figures_of([])
    assert nothing.trades == 0
    assert [nothing.win_rate, nothing.profit_factor, nothing.best, nothing.expectancy] == [None] * 4
    assert longest_streak([]) == 0


@st.composite
def histories(draw: st.DrawFn, may_short: bool = False) -> list[dict[str, Any]]:
    """Return fills of an account; unless it may, it never sells what it has not."""
    held: dict[str, Decimal] = {}
    fills: list[dict[str, Any]] = []
    quantity = st.decimals("0.00000001", "1000000", places=8)
    price = st.decimals("0.00000001", "99999999", places=8)
    fee = st.decimals("0", "1000", places=8)
    for number in range(draw(st.integers(1, 14))):
        coin = draw(st.sampled_from(["BTC", "ETH"]))
        side = draw(st.sampled_from(["buy", "buy", "sell"])) if held.get(coin) or may_short else "buy"
        qty = draw(quantity)
        if side == "sell" and not may_short:
            qty = min(qty, held[coin])
        held[coin] = held.get(coin, D(0)) + (qty if side == "buy" else -qty)
        at, meant = draw(price), draw(price)
        order = f"{side}-{number // draw(st.integers(1, 3))}-{coin}"  # some orders have several fills
        fills.append(
            fill(
                order, side, str(qty), str(at), str(draw(fee)), reference=str(meant), second=number, coin=coin
            )
        )
    return fills


@given(st.booleans(), st.data(), st.decimals("0.00000001", "99999999", places=8))
def test_trades_and_open_trades_sum_to_the_change_of_equity(
    may_short: bool, data: st.DataObject, mark: Decimal
) -> None:
    fills = data.draw(histories(may_short))
    book = trades_of(fills, may_short=may_short)
    with exact_money():
        cash = D(0)
        held = {"BTC-USD": D(0), "ETH-USD": D(0)}
        for row in fills:
            sign = 1 if row["side"] == "buy" else -1
            cash -= sign * row["qty"] * row["fill_price"] + row["fees"]
            held[row["symbol"]] += sign * row["qty"]
        change = cash + sum((qty * mark for qty in held.values()), D(0))
        results = sum((trade.pnl for trade in book.trades), D(0))
        unrealised = sum((trade.pnl_at(mark) for trade in book.open_trades), D(0))
        assert results + unrealised == change
        everything: list[Trade | OpenTrade] = [*book.trades, *book.open_trades]
        assert sum(t.fees for t in everything) == sum(row["fees"] for row in fills)
        costs = costs_of(fills, 1.0, 1.0)
        assert sum(t.slippage_cost for t in everything) == costs.slippage_cost
        assert all(t.fees >= 0 for t in everything)
        assert sum(t.qty for t in book.trades) * 2 + sum(t.qty for t in book.open_trades) == sum(
            row["qty"] for row in fills
        )


@given(histories())
def test_without_costs_gross_is_net(fills: list[dict[str, Any]]) -> None:
    free = [{**row, "fees": D(0), "reference_price": row["fill_price"]} for row in fills]
    for trade in trades_of(free).trades:
        assert trade.gross_pnl == trade.pnl
    costs = costs_of(free, 1000.0, 1234.5)
    assert costs.total == 0
    assert costs.gross_pnl == costs.net_pnl
    assert costs.return_at_zero_cost == pytest.approx(0.2345)


def test_costs_by_hand() -> None:
    rows = [
        {
            **fill("b", "buy", "2", "101", "0.2", reference="100"),
            "slippage_parts": {"base": D(60), "impact": D(40)},
        },
        {**fill("s", "sell", "2", "110", "0.3"), "liquidity": "maker"},
    ]
    found = costs_of(rows, 1000.0, 1017.5)
    assert (found.notional, found.fees, found.slippage_cost) == (D(422), D("0.5"), D(2))
    assert found.impact_cost == D("0.8")  # 40 bp of 200
    assert found.slippage_parts == {"base": D("1.2"), "impact": D("0.8")}
    assert found.total == D("2.5")
    assert (found.net_pnl, found.gross_pnl) == (17.5, 20.0)
    assert found.share_of_gross == pytest.approx(0.125)
    assert found.return_at_zero_cost == pytest.approx(0.02)
    assert found.maker_share == pytest.approx(220 / 422)
    assert costs_of(rows, 1000.0, 900.0).share_of_gross is None
    flows = [{"amount": D("-1.5")}, {"amount": D("0.25")}]  # interest paid, funding received
    owing = costs_of(rows, 1000.0, 1016.25, flows)
    assert (owing.financing, owing.total) == (D("1.25"), D("3.75"))
    assert owing.gross_pnl == 20.0
    assert costs_of([], 1.0, 1.0).maker_share is None
