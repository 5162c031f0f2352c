"""The real client libraries under the whole product: what a bot was told is what the run's books and candles say."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.bots.running import COINS, TIMEFRAME, BotPlace, BotRun, Shared, bot, program

START = 1_704_067_200
CASH = Decimal(100_000)
QTY, SOLD = Decimal("0.01"), Decimal("0.004")
CLIENTS = {
    "kucoin_python": ("kucoin_bot",),
    "ccxt_kucoin": ("ccxt_bot", "kucoin"),
    "ccxt_binance": ("ccxt_bot", "binance"),
    "async_kucoin": ("ccxt_async_bot", "kucoin"),
    "async_binance": ("ccxt_async_bot", "binance"),
}
CCXT = [name for name in CLIENTS if name != "kucoin_python"]


@pytest.fixture(scope="module")
def run(bot_place: BotPlace, shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> BotRun:
    """Return one run in which a bot of each client trades on an account of its own."""
    pytest.importorskip("ccxt", reason="the extra `fetch` is not installed")

    def make() -> list[Any]:
        folder = tmp_path_factory.mktemp("user") / "mybot"
        folder.mkdir()
        sections = [
            bot(name, folder, program(folder, words[0]), *words[1:], account=name)
            for name, words in CLIENTS.items()
        ]
        accounts = {name: {"initial_cash": int(CASH)} for name in CLIENTS}
        venues: dict[str, Any] = {"kucoin": {}, "binance": {}}
        config = bot_place.bots(
            sections, venue=venues, accounts=accounts, end="2024-01-01T00:30", component_timeout=60
        )
        return [str(bot_place.complete(config, seconds=100).directory)]

    return BotRun(Path(shared.once("sdks", make)[0]))


def said(run: BotRun, client: str) -> dict[str, Any]:
    """Return what a bot told, the last of each kind."""
    rows = run.said(client)
    return {row["what"]: row.get("value", row) for row in rows}


def number(value: Any) -> Decimal:
    return Decimal(str(value))


def candles(place: BotPlace, until: int) -> dict[int, list[float]]:
    """Return the closed candles of BTC as of a time: open time -> open, high, low, close, volume."""
    table = place.candles(list(COINS), "synthetic", "USDT", TIMEFRAME)["BTC"]
    columns = (table.open, table.high, table.low, table.close, table.volume)
    rows = zip((table.opens_ns // 1_000_000_000).tolist(), *(c.tolist() for c in columns), strict=True)
    return {row[0]: list(row[1:]) for row in rows if row[0] + 900 <= until}


def test_nothing_was_refused_and_everything_is_known(run: BotRun) -> None:
    assert run.manifest["refused_requests"] == 0
    assert [row for row in run.facts["requests"] if not row["is_known"]] == []
    assert run.facts["ended"] == []
    for name in CLIENTS:
        assert "Traceback" not in run.log(name)


def test_klines_of_kucoin_python_are_the_candles_newest_first(bot_place: BotPlace, run: BotRun) -> None:
    rows = said(run, "kucoin_python")["klines"]["rows"]
    truth = candles(bot_place, START)
    assert [int(row[0]) for row in rows] == [START - 900 * k for k in range(len(rows))]
    assert len(rows) > 50
    opened, *closed = rows
    last = truth[START - 900][3]
    assert [float(value) for value in opened[1:]] == [last, last, last, last, 0, 0]  # just opened
    for time, first, close, high, low, volume, _turnover in closed:
        assert [float(v) for v in (first, high, low, close, volume)] == truth[int(time)]
    ticker = said(run, "kucoin_python")["ticker"]["ticker"]
    assert float(ticker["price"]) == last
    assert number(ticker["bestBid"]) < number(ticker["price"]) < number(ticker["bestAsk"])


@pytest.mark.parametrize("client", CCXT)
def test_candles_and_ticker_of_ccxt(bot_place: BotPlace, run: BotRun, client: str) -> None:
    told = said(run, client)
    truth = candles(bot_place, START)
    times = [row[0] // 1000 for row in told["ohlcv"]]
    assert times == sorted(times)
    assert len(times) >= 15
    assert times[-1] in (START - 900, START)
    for time, *values in told["ohlcv"]:
        if time // 1000 < START:
            assert values == truth[time // 1000]
    last = truth[START - 900][3]
    assert told["ticker"]["last"] == last
    assert told["ticker"]["bid"] < last < told["ticker"]["ask"]


@pytest.mark.parametrize("client", CLIENTS)
def test_orders_are_in_the_books(run: BotRun, client: str) -> None:
    bought, bid, sold, too_much = run.orders_of(client)
    assert [row["state"] for row in (bought, bid, sold, too_much)] == ["accepted"] * 3 + ["rejected"]
    assert [row["order_type"] for row in (bought, bid, sold)] == ["market", "limit", "limit"]
    assert too_much["reason"] == "insufficient_balance"
    events = {
        (row["client_order_id"], row["event"])
        for row in run.rows("order_events.jsonl")
        if row["component"] == client
    }
    assert (bid["client_order_id"], "cancelled") in events
    assert (bought["client_order_id"], "filled") in events
    assert (sold["client_order_id"], "filled") in events
    assert number(bid["limit_price"]) < number(sold["limit_price"])


def test_kucoin_python_was_told_what_the_books_say(run: BotRun) -> None:
    told = said(run, "kucoin_python")
    buy, sell = run.fills_of("kucoin_python")
    for name, fill in (("bought", buy), ("sold", sell)):
        order = told[name]["order"]
        assert order["isActive"] is order["cancelExist"] is False
        assert number(order["dealSize"]) == number(fill["qty"])
        assert number(order["dealFunds"]) == number(fill["qty"]) * number(fill["fill_price"])
        assert number(order["fee"]) == number(fill["fees"])
    assert told["resting"]["order"]["isActive"] is True
    assert told["cancelled"]["ids"] == [told["cancelled"]["id"]]
    assert told["withdrawn"]["order"]["cancelExist"] is True
    assert number(told["withdrawn"]["order"]["dealSize"]) == 0
    fills = told["fills"]["fills"]
    assert [
        (f["side"], number(f["price"]), number(f["size"]), number(f["fee"])) for f in reversed(fills)
    ] == books(run, "kucoin_python")
    assert {order["id"] for order in told["orders"]["orders"]} == {
        told[name]["order"]["id"] for name in ("bought", "withdrawn", "sold")
    }
    assert "Balance insufficient" in told["too much"]["text"]
    balances = {row["currency"]: number(row["balance"]) for row in told["balances"]["accounts"]}
    assert balances == {"USDT": cash_left(run, "kucoin_python"), "BTC": QTY - SOLD}


@pytest.mark.parametrize("client", CCXT)
def test_ccxt_was_told_what_the_books_say(run: BotRun, client: str) -> None:
    told = said(run, client)
    buy, sell = run.fills_of(client)
    for name, fill in (("bought", buy), ("sold", sell)):
        assert told[name]["status"] == "closed"
        assert number(told[name]["filled"]) == number(fill["qty"])
        assert number(told[name]["average"]) == number(fill["fill_price"])
    assert (told["resting"]["status"], told["resting"]["filled"]) == ("open", 0)
    assert (told["withdrawn"]["status"], told["withdrawn"]["filled"]) == ("canceled", 0)
    trades = [
        (t["side"], number(t["price"]), number(t["amount"]), number(t["fee"]["cost"])) for t in told["fills"]
    ]
    assert sorted(trades) == sorted(books(run, client))
    assert told["too much"] == "InsufficientFunds"
    balance = {name: number(value) for name, value in told["balance"].items() if value}
    assert balance == {"USDT": cash_left(run, client), "BTC": QTY - SOLD}


def books(run: BotRun, client: str) -> list[tuple[str, Decimal, Decimal, Decimal]]:
    return [
        (f["side"], number(f["fill_price"]), number(f["qty"]), number(f["fees"]))
        for f in run.fills_of(client)
    ]


def cash_left(run: BotRun, client: str) -> Decimal:
    cash = CASH
    for side, price, qty, fee in books(run, client):
        cash += (price * qty if side == "sell" else -price * qty) - fee
    return cash
