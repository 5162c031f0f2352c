"""Robinhood Crypto, version 1: shapes, errors, paging, filters, signatures, and the life of an order."""

from __future__ import annotations

import base64
import json
import re
from decimal import Decimal
from typing import Any

import pytest
from nacl.signing import SigningKey

from orchestrator.errors import ConfigError
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.venue_settings import FaultSettings, VenueSettings
from orchestrator.venues.http import VenueResponse
from tests.venues.simulated_run import DAY, MINUTE, MS, SECOND, SimulatedRun, small_market

HOST = "https://trading.robinhood.com"
ROOT = f"{HOST}/api/v1/crypto"
ORDERS = f"{ROOT}/trading/orders/"
MARKET = small_market()


def run_with(market: Any = MARKET, **settings: Any) -> SimulatedRun:
    more = {key: settings.pop(key) for key in ("cash", "model", "accounts") if key in settings}
    return SimulatedRun({"robinhood": VenueSettings(**settings)}, market=market, **more)


@pytest.fixture
def run() -> SimulatedRun:
    return run_with()


def own_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def order_body(
    number: int = 1, *, side: str = "buy", symbol: str = "BTC-USD", kind: str = "market", **config: Any
) -> dict[str, Any]:
    config = config or {"asset_quantity": "0.01"}
    return {
        "client_order_id": own_id(number),
        "side": side,
        "type": kind,
        "symbol": symbol,
        f"{kind}_order_config": config,
    }


def place(run: SimulatedRun, number: int = 1, **order: Any) -> dict[str, Any]:
    answer = run.send("POST", ORDERS, body=json.dumps(order_body(number, **order)))
    assert answer.status == 201, answer.body
    return dict(json.loads(answer.body))


def decoded(answer: VenueResponse) -> Any:
    return json.loads(answer.body)


# ---------------------------------------------------------------- shapes


def test_robinhood_account(run: SimulatedRun) -> None:
    account = run.json("GET", f"{ROOT}/trading/accounts/")
    assert re.fullmatch(r"11\d{10}", account.pop("account_number"))
    assert account == {"status": "active", "buying_power": "10000.0000", "buying_power_currency": "USD"}


def test_robinhood_trading_pairs(run: SimulatedRun) -> None:
    page = run.json("GET", f"{ROOT}/trading/trading_pairs/?symbol=DOGE-USD&symbol=BTC-USD")
    assert page["next"] is None
    assert page["previous"] is None
    assert [row["symbol"] for row in page["results"]] == ["BTC-USD", "DOGE-USD"]
    assert page["results"][0] == {
        "asset_code": "BTC",
        "quote_code": "USD",
        "quote_increment": "0.01",
        "asset_increment": "0.00001",
        "max_order_size": "10000",
        "min_order_size": "0.00001",
        "status": "tradable",
        "symbol": "BTC-USD",
    }


def test_robinhood_best_bid_ask_has_half_the_spread_on_each_side(run: SimulatedRun) -> None:
    last = MARKET.last_closed("BTC", run.now_ns)
    assert last is not None
    row = run.json("GET", f"{ROOT}/marketdata/best_bid_ask/?symbol=BTC-USD")["results"][0]
    middle = Decimal(str(last.close))
    assert row == {
        "symbol": "BTC-USD",
        "price": f"{middle:.2f}",
        "bid_inclusive_of_sell_spread": row["bid_inclusive_of_sell_spread"],
        "sell_spread": "0.0025",
        "ask_inclusive_of_buy_spread": row["ask_inclusive_of_buy_spread"],
        "buy_spread": "0.0025",
        "timestamp": "2024-01-08T19:00:00.000000-05:00",
    }
    bid, ask = (Decimal(row[f"{name}_spread"]) for name in ("bid_inclusive_of_sell", "ask_inclusive_of_buy"))
    assert 0 <= middle * Decimal("0.9975") - bid < Decimal("0.01")
    assert 0 <= ask - middle * Decimal("1.0025") < Decimal("0.01")


@pytest.mark.parametrize(
    ("side", "expected"),
    [("bid", [("bid", "1"), ("bid", "2.5")]), ("ask", [("ask", "1"), ("ask", "2.5")]),
     ("both", [("bid", "1"), ("ask", "1"), ("bid", "2.5"), ("ask", "2.5")])],
)  # fmt: skip
def test_robinhood_estimated_price(run: SimulatedRun, side: str, expected: list[tuple[str, str]]) -> None:
    rows = run.json("GET", f"{ROOT}/marketdata/estimated_price/?symbol=ETH-USD&side={side}&quantity=1,2.5")
    assert [(row["side"], row["quantity"]) for row in rows["results"]] == expected
    for row in rows["results"]:
        unasked = ("ask_inclusive_of_buy_spread", "buy_spread")
        if row["side"] == "ask":
            unasked = ("bid_inclusive_of_sell_spread", "sell_spread")
        assert [row[name] for name in unasked] == ["0", "0"]


def test_robinhood_order_from_placing_to_the_fill(run: SimulatedRun) -> None:
    account = run.json("GET", f"{ROOT}/trading/accounts/")["account_number"]
    price = run.json("GET", f"{ROOT}/marketdata/best_bid_ask/?symbol=BTC-USD")["results"][0]
    placed = place(run)
    expected = {
        "id": placed["id"],
        "account_number": account,
        "symbol": "BTC-USD",
        "client_order_id": own_id(1),
        "side": "buy",
        "type": "market",
        "state": "open",
        "average_price": None,
        "filled_asset_quantity": "0",
        "executions": [],
        "created_at": "2024-01-08T19:00:00.000000-05:00",
        "updated_at": "2024-01-08T19:00:00.000000-05:00",
        "market_order_config": {"asset_quantity": "0.01"},
    }
    assert placed == expected
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", placed["id"])
    # Listed at once, under its own symbol.
    assert run.json("GET", f"{ORDERS}?symbol=BTC-USD")["results"] == [expected]

    run.advance(SECOND)
    filled = run.json("GET", f"{ORDERS}{placed['id']}/")
    ask = price["ask_inclusive_of_buy_spread"]
    execution = filled["executions"][0]
    assert filled == {
        **expected,
        "state": "filled",
        "average_price": ask,  # the first open of this market is the close before
        "filled_asset_quantity": "0.01",
        "executions": [{"effective_price": ask, "quantity": "0.01", "timestamp": execution["timestamp"]}],
        "updated_at": execution["timestamp"],
    }
    # No commission field: what is gone is the price, and what [execution_model] takes as a fee.
    spent = 10_000 - Decimal(run.json("GET", f"{ROOT}/trading/accounts/")["buying_power"])
    assert abs(spent - Decimal(ask) * Decimal("0.01") * Decimal("1.001")) <= Decimal("0.0001")
    assert run.json("GET", f"{ROOT}/trading/holdings/") == {
        "next": None,
        "previous": None,
        "results": [
            {
                "account_number": account,
                "asset_code": "BTC",
                "total_quantity": "0.01",
                "quantity_available_for_trading": "0.01",
            }
        ],
    }


def test_robinhood_holdings_are_filtered_and_show_what_is_held(run: SimulatedRun) -> None:
    place(run, 1)
    place(run, 2, symbol="DOGE-USD", asset_quantity="100")
    run.advance(SECOND)
    assert [row["asset_code"] for row in run.json("GET", f"{ROOT}/trading/holdings/")["results"]] == [
        "BTC",
        "DOGE",
    ]
    place(run, 3, side="sell", kind="limit", asset_quantity="0.004", limit_price="90000")
    rows = run.json("GET", f"{ROOT}/trading/holdings/?asset_code=BTC&asset_code=ETH")["results"]
    assert [(row["total_quantity"], row["quantity_available_for_trading"]) for row in rows] == [
        ("0.01", "0.006")
    ]


def test_robinhood_buying_power_moves_at_the_fill_and_with_holds(run: SimulatedRun) -> None:
    def power() -> Decimal:
        return Decimal(run.json("GET", f"{ROOT}/trading/accounts/")["buying_power"])

    place(run, kind="limit", asset_quantity="0.1", limit_price="30000.00")
    assert power() < 10_000 - 3_000
    run.end()
    assert power() == 10_000


@pytest.mark.parametrize(
    ("kind", "config", "shown"),
    [
        ("limit", {"asset_quantity": "0.001", "limit_price": "30000.00", "time_in_force": "gtc"},
         {"asset_quantity": "0.001", "limit_price": "30000.00"}),
        ("limit", {"quote_amount": "100", "limit_price": 30000}, {"quote_amount": "100", "limit_price": "30000"}),
        ("stop_loss", {"asset_quantity": 9e-05, "stop_price": "90000", "time_in_force": "gfd"},
         {"asset_quantity": "0.00009", "stop_price": "90000", "time_in_force": "gfd"}),
        ("stop_loss", {"quote_amount": "100", "stop_price": "90000"},
         {"quote_amount": "100", "stop_price": "90000", "time_in_force": "gtc"}),
        ("stop_limit", {"asset_quantity": "0.1", "limit_price": "91000", "stop_price": "90000", "time_in_force": "gfw"},
         {"asset_quantity": "0.1", "limit_price": "91000", "stop_price": "90000", "time_in_force": "gfw"}),
    ],
)  # fmt: skip
def test_robinhood_order_types_echo_their_config(
    kind: str, config: dict[str, Any], shown: dict[str, str]
) -> None:
    run = run_with(cash="1000000", model=ExecutionModelSettings(slippage_bps=Decimal(0)))
    order = place(run, kind=kind, **config)
    assert order["type"] == kind
    assert order[f"{kind}_order_config"] == shown
    assert order["state"] == "open"


def test_robinhood_quote_amount_buys_whole_lots(run: SimulatedRun) -> None:
    place(run, kind="limit", quote_amount="1000", limit_price="40000")
    run.advance(SECOND)
    assert run.json("GET", ORDERS)["results"][0]["filled_asset_quantity"] == "0.025"


# ---------------------------------------------------------------- the life of an order


def test_robinhood_repeated_client_order_id_returns_the_first_order(run: SimulatedRun) -> None:
    first = place(run)
    run.advance(SECOND)
    again = place(run, side="sell", symbol="ETH-USD", asset_quantity="1")
    assert again["id"] == first["id"]
    assert again["state"] == "filled"
    assert len(run.json("GET", ORDERS)["results"]) == 1


def test_robinhood_refused_client_order_id_may_be_used_again(run: SimulatedRun) -> None:
    refused = run.send("POST", ORDERS, body=json.dumps(order_body(asset_quantity="0.0123456")))
    assert refused.status == 400
    assert place(run, asset_quantity="0.01234")["state"] == "open"


def test_robinhood_cancel(run: SimulatedRun) -> None:
    order = place(run, kind="limit", asset_quantity="0.01", limit_price="30000")
    cancel = f"{ORDERS}{order['id']}/cancel/"
    for _ in range(2):
        answer = run.send("POST", cancel)
        assert (answer.status, answer.headers[0]) == (200, ("Content-Type", "text/plain"))
        assert order["id"] in answer.body.decode()
    run.advance(2 * SECOND)
    assert run.json("GET", f"{ORDERS}{order['id']}/")["state"] == "canceled"
    assert run.send("POST", cancel).status == 400


@pytest.mark.parametrize(("word", "days"), [("gfd", 1), ("gfw", 7), ("gfm", 30)])
def test_robinhood_orders_end_by_themselves(word: str, days: int) -> None:
    run = run_with(small_market(minutes=32 * 1_440, warm_up=1, coins=("BTC",)), cash="1000000")
    place(run, kind="limit", asset_quantity="0.01", limit_price="1000.00", time_in_force=word)
    run.advance(days * DAY - SECOND)
    assert run.json("GET", ORDERS)["results"][0]["state"] == "open"
    run.advance(2 * SECOND)
    assert run.json("GET", ORDERS)["results"][0]["state"] == "canceled"


def test_robinhood_partial_fill_and_the_end_of_the_run() -> None:
    model = ExecutionModelSettings(slippage_bps=Decimal(0), max_volume_pct=Decimal("0.01"))
    run = run_with(cash="1000000", model=model)
    place(run, asset_quantity="1")
    run.advance(3 * MINUTE)
    partial = run.json("GET", f"{ORDERS}?state=partially_filled")["results"][0]
    assert 1 < len(partial["executions"]) < 10
    filled = Decimal(partial["filled_asset_quantity"])
    assert sum(Decimal(row["quantity"]) for row in partial["executions"]) == filled < 1
    notional = sum(
        Decimal(row["quantity"]) * Decimal(row["effective_price"]) for row in partial["executions"]
    )
    assert abs(Decimal(partial["average_price"]) * filled - notional) < Decimal("1e-8")
    run.end()
    assert run.json("GET", ORDERS)["results"][0]["state"] == "canceled"


def test_robinhood_created_at_has_one_form_and_sorts_as_text(run: SimulatedRun) -> None:
    stamps = []
    for number, step in enumerate((0, 1, 999, 1_000, MS, SECOND, 86_400 * SECOND), 1):
        run.advance(step)
        stamps.append(place(run, number, kind="limit", asset_quantity="0.1", limit_price="100")["created_at"])
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}-05:00", stamp) for stamp in stamps)
    assert stamps == sorted(stamps)
    assert [row["created_at"] for row in run.json("GET", ORDERS)["results"]] == stamps[::-1]


def test_robinhood_accounts_see_their_own_orders_only() -> None:
    run = run_with(accounts=("main", "other"))
    order = place(run)
    assert run.json("GET", ORDERS, account="other")["results"] == []
    assert run.send("GET", f"{ORDERS}{order['id']}/", account="other").status == 404
    assert run.send("POST", f"{ORDERS}{order['id']}/cancel/", account="other").status == 404
    numbers = {
        run.json("GET", f"{ROOT}/trading/accounts/", account=name)["account_number"]
        for name in ("main", "other")
    }
    assert len(numbers) == 2


# ---------------------------------------------------------------- lists


def test_robinhood_pages_go_forth_and_back(run: SimulatedRun) -> None:
    ids = []
    for number in range(1, 8):
        ids.append(place(run, number, kind="limit", asset_quantity="0.1", limit_price="100")["id"])
        run.advance(SECOND)
    ids.reverse()
    page = run.json("GET", f"{ORDERS}?symbol=BTC-USD&limit=3")
    assert page["previous"] is None
    pages = [page]
    while pages[-1]["next"] is not None:
        # A new order shifts nothing.
        place(run, 100 + len(pages), kind="limit", asset_quantity="0.1", limit_price="100")
        pages.append(run.json("GET", pages[-1]["next"]))
    found = [[row["id"] for row in page["results"]] for page in pages]
    assert found == [ids[:3], ids[3:6], ids[6:]]
    back = run.json("GET", pages[-1]["previous"])
    assert [row["id"] for row in back["results"]] == ids[3:6]
    assert [row["id"] for row in run.json("GET", back["next"])["results"]] == ids[6:]
    first = run.json("GET", back["previous"])
    assert [row["id"] for row in first["results"]] == ids[:3]
    assert first["previous"] is not None, "the orders placed meanwhile"


def test_robinhood_pages_of_pairs_and_holdings(run: SimulatedRun) -> None:
    symbols = []
    url = f"{ROOT}/trading/trading_pairs/?limit=1"
    while url:
        page = run.json("GET", url)
        symbols += [row["symbol"] for row in page["results"]]
        url = page["next"]
    assert symbols == ["BTC-USD", "ETH-USD", "DOGE-USD"]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [4, 3, 2, 1]),
        ("symbol=BTC-USD", [4, 2, 1]),
        ("symbol=ETH-USD", [3]),
        ("symbol=DOGE-USD", []),
        ("side=sell", [2]),
        ("side=buy&symbol=BTC-USD", [4, 1]),
        ("type=limit", [4, 3]),
        ("state=filled", [2, 1]),
        ("state=open", [4, 3]),
        ("state=partially_filled", []),
        ("limit=2", [4, 3]),
        ("limit=nonsense", [4, 3, 2, 1]),
        ("created_at_start=2024-01-08T19:00:20.000000-05:00", [4, 3]),
        ("created_at_start=2024-01-09T00:00:20Z", [4, 3]),
        ("created_at_start=2024-01-09T00:00:20+00:00", [4, 3]),
        ("created_at_start=2024-01-09T00:00:20%2B00:00", [4, 3]),
        ("created_at_start=2024-01-09T00:00:20.000001", [4]),
        ("created_at_end=2024-01-09T00:00:10", [2, 1]),
        ("created_at_start=2024-01-09T00:00:10&created_at_end=2024-01-09T00:00:20", [3, 2]),
        ("unknown=1", [4, 3, 2, 1]),
    ],
)
def test_robinhood_order_filters(query: str, numbers: list[int]) -> None:
    run = run_with()
    place(run, 1)
    run.advance(10 * SECOND)
    place(run, 2, side="sell")
    run.advance(10 * SECOND)
    place(run, 3, symbol="ETH-USD", kind="limit", asset_quantity="0.1", limit_price="100")
    run.advance(10 * SECOND)
    place(run, 4, kind="limit", asset_quantity="0.1", limit_price="100")
    rows = run.json("GET", f"{ORDERS}?{query}")["results"]
    assert [int(row["client_order_id"][-12:]) for row in rows] == numbers
    for row in rows:
        assert run.json("GET", f"{ORDERS}?id={row['id']}")["results"] == [row]


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("method", "path", "status", "kind", "detail", "attr"),
    [
        ("GET", "/trading/accounts", 404, "client_error", "Not found.", None),
        ("GET", "/trading/orders/12", 404, "client_error", "Not found.", None),
        ("GET", "/trading/orders/unknown/", 404, "client_error", "Not found.", None),
        ("POST", "/trading/orders/unknown/cancel/", 404, "client_error", "Not found.", None),
        ("DELETE", "/trading/orders/", 405, "client_error", 'Method "DELETE" not allowed.', None),
        ("POST", "/trading/accounts/", 405, "client_error", 'Method "POST" not allowed.', None),
        ("GET", "/marketdata/best_bid_ask/?symbol=FOO-USD", 400, "validation_error",
         "Invalid symbol: FOO-USD", "symbol"),
        ("GET", "/marketdata/best_bid_ask/?symbol=BTC-USDT", 400, "validation_error",
         "Invalid symbol: BTC-USDT", "symbol"),
        ("GET", "/trading/trading_pairs/?symbol=BTC", 400, "validation_error", "Invalid symbol: BTC", "symbol"),
        ("GET", "/trading/orders/?symbol=FOO-USD", 400, "validation_error", "Invalid symbol: FOO-USD", "symbol"),
        ("GET", "/trading/orders/?side=hold", 400, "validation_error", '"hold" is not a valid choice.', "side"),
        ("GET", "/trading/orders/?state=done", 400, "validation_error", '"done" is not a valid choice.', "state"),
        ("GET", "/trading/orders/?created_at_start=soon", 400, "validation_error", "Enter a valid date/time.",
         "created_at_start"),
        ("GET", "/trading/orders/?cursor=nonsense", 404, "client_error", "Invalid cursor", None),
        ("GET", "/marketdata/estimated_price/?symbol=BTC-USD&side=ask", 400, "validation_error",
         "This field is required.", "quantity"),
        ("GET", "/marketdata/estimated_price/?symbol=BTC-USD&side=up&quantity=1", 400, "validation_error",
         '"up" is not a valid choice.', "side"),
        ("GET", "/marketdata/estimated_price/?symbol=BTC-USD&side=ask&quantity=1,x", 400, "validation_error",
         "A valid number is required.", "quantity"),
    ],
)  # fmt: skip
def test_robinhood_errors(
    run: SimulatedRun, method: str, path: str, status: int, kind: str, detail: str, attr: str | None
) -> None:
    answer = run.send(method, ROOT + path)
    assert answer.status == status
    assert decoded(answer) == {"type": kind, "errors": [{"detail": detail, "attr": attr}]}


_MARKET = {"asset_quantity": "0.01"}


@pytest.mark.parametrize(
    ("change", "detail", "attr"),
    [
        ({"client_order_id": None}, "This field is required.", "client_order_id"),
        ({"client_order_id": "first"}, "Must be a valid UUID.", "client_order_id"),
        ({"side": "long"}, '"long" is not a valid choice.', "side"),
        ({"type": "oco"}, '"oco" is not a valid choice.', "type"),
        ({"symbol": "FOO-USD"}, "Invalid symbol: FOO-USD", "symbol"),
        ({"type": "limit"}, "This field is required.", "limit_order_config"),
        ({"market_order_config": {"quote_amount": "100"}}, "This field is required.", "asset_quantity"),
        ({"market_order_config": {"asset_quantity": "many"}}, "A valid number is required.", "asset_quantity"),
        ({"market_order_config": {"asset_quantity": "-1"}}, "Ensure this value is greater than 0.", "asset_quantity"),
        ({"market_order_config": {"asset_quantity": "0.0100001"}},
         "Order quantity has too much precision. Round to nearest 0.00001000 BTC", "asset_quantity"),
        ({"symbol": "DOGE-USD", "market_order_config": {"asset_quantity": "100.5"}},
         "Order quantity has too much precision. Round to nearest 1.00000000 DOGE", "asset_quantity"),
        ({"market_order_config": {"asset_quantity": "0.000001"}},
         "Order quantity must be greater than or equal to 0.00001000 BTC", "asset_quantity"),
        ({"market_order_config": {"asset_quantity": "0.00001"}},
         "Order amount must be greater than or equal to 5 USD", "asset_quantity"),
        ({"market_order_config": {"asset_quantity": "20000"}},
         "Order quantity must be less than or equal to 10000 BTC", "asset_quantity"),
        ({"market_order_config": {"asset_quantity": "1"}}, "Not enough buying power.", None),
        ({"side": "sell"}, "Not enough BTC available to sell.", None),
        ({"type": "limit", "limit_order_config": {"asset_quantity": "0.01"}}, "This field is required.", "limit_price"),
        ({"type": "limit", "limit_order_config": {"limit_price": "30000"}},
         "Either asset_quantity or quote_amount is required.", "asset_quantity"),
        ({"type": "limit", "limit_order_config": {**_MARKET, "limit_price": "30000.001"}},
         "Order price has too much precision. Round to nearest 0.01000000 USD", "limit_price"),
        ({"type": "stop_limit", "stop_limit_order_config": {**_MARKET, "limit_price": "9", "stop_price": "9.001"}},
         "Order price has too much precision. Round to nearest 0.01000000 USD", "stop_price"),
        ({"type": "limit", "limit_order_config": {**_MARKET, "limit_price": "30000", "time_in_force": "ioc"}},
         '"ioc" is not a valid choice.', "time_in_force"),
    ],
)  # fmt: skip
def test_robinhood_refused_orders(
    run: SimulatedRun, change: dict[str, Any], detail: str, attr: str | None
) -> None:
    answer = run.send("POST", ORDERS, body=json.dumps({**order_body(), **change}))
    assert answer.status == 400
    assert decoded(answer) == {"type": "validation_error", "errors": [{"detail": detail, "attr": attr}]}
    assert run.json("GET", ORDERS)["results"] == []


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[]", b"null", b'"text"', b"1"])
def test_robinhood_bodies_that_are_no_orders(run: SimulatedRun, body: bytes) -> None:
    answer = run.send("POST", ORDERS, body=body)
    assert answer.status == 400
    assert "errors" in decoded(answer)


def test_robinhood_pair_does_not_exist_before_its_first_candle() -> None:
    run = run_with(small_market(minutes=120, warm_up=60, late={"DOGE": 90}))
    assert len(run.json("GET", f"{ROOT}/trading/trading_pairs/")["results"]) == 2
    answer = run.send("POST", ORDERS, body=json.dumps(order_body(symbol="DOGE-USD", asset_quantity="100")))
    assert decoded(answer)["errors"][0]["detail"] == "Invalid symbol: DOGE-USD"
    run.advance(31 * MINUTE)
    assert len(run.json("GET", f"{ROOT}/trading/trading_pairs/")["results"]) == 3


# ---------------------------------------------------------------- limits and signatures


def test_robinhood_limit_is_a_bucket(run: SimulatedRun) -> None:
    url = f"{ROOT}/trading/accounts/"
    assert [run.send("GET", url).status for _ in range(300)] == [200] * 300
    refused = run.send("GET", url)
    assert refused.status == 429
    assert ("Retry-After", "1") in refused.headers
    assert decoded(refused)["type"] == "client_error"
    run.advance(599 * MS)
    assert run.send("GET", url).status == 429
    run.advance(1 * MS)
    assert [run.send("GET", url).status for _ in range(2)] == [200, 429]
    run.advance(MINUTE)
    assert [run.send("GET", url).status for _ in range(101)] == [200] * 100 + [429]


def test_robinhood_limit_can_be_switched_off() -> None:
    run = run_with(rate_limits=False)
    assert {run.send("GET", f"{ROOT}/trading/accounts/").status for _ in range(400)} == {200}


KEY = "rh-api-00000000-0000-0000-0000-000000000000"
SEED = base64.b64encode(bytes(range(32))).decode()


def signed(run: SimulatedRun, method: str, path: str, text: str = "", **change: Any) -> dict[str, str]:
    seconds = change.get("seconds", run.now_ns // SECOND)
    message = f"{change.get('key', KEY)}{seconds}{path}{method}{change.get('body', text)}"
    signature = SigningKey(base64.b64decode(SEED)).sign(message.encode()).signature
    return {
        "x-api-key": change.get("key", KEY),
        "X-Timestamp": str(seconds),
        "x-signature": base64.b64encode(signature).decode(),
    }


@pytest.mark.parametrize("mode", ["present", "verify"])
def test_robinhood_missing_headers(mode: str) -> None:
    keys = {"api_key": KEY, "api_secret": SEED} if mode == "verify" else {}
    run = run_with(signatures=mode, **keys)
    path = "/api/v1/crypto/marketdata/best_bid_ask/?symbol=BTC-USD"
    headers = signed(run, "GET", path)
    assert run.send("GET", HOST + path, headers=headers).status == 200
    for name in headers:
        fewer = {key: value for key, value in headers.items() if key != name}
        answer = run.send("GET", HOST + path, headers=fewer)
        assert (answer.status, answer.headers[0][1]) == (400, "text/plain")
        assert answer.body.startswith(b"Request missing required headers. Required headers: x-api-key")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 201),
        ({"shift": 30}, 201),
        ({"shift": -30}, 201),
        ({"shift": -31}, 401),
        ({"shift": 31}, 401),
        ({"key": "rh-api-other"}, 401),
        ({"body": "{}"}, 401),
        ({"seconds": "soon"}, 401),
        ({"seconds": "9" * 5_000}, 401),
    ],
)
def test_robinhood_verifies_signatures_on_the_simulated_clock(change: dict[str, Any], status: int) -> None:
    run = run_with(signatures="verify", api_key=KEY, api_secret=SEED)
    run.advance(90 * MINUTE + 700 * MS)
    if "shift" in change:
        change = {"seconds": run.now_ns // SECOND + change["shift"]}
    path, body = "/api/v1/crypto/trading/orders/", json.dumps(order_body())
    headers = signed(run, "POST", path, body, **change)
    assert run.send("POST", HOST + path, headers=headers, body=body).status == status
    assert (
        run.send("POST", HOST + path, headers={**headers, "x-signature": "nonsense"}, body=body).status == 401
    )


def test_robinhood_verify_needs_a_key_that_is_one() -> None:
    short = SEED[:8]
    with pytest.raises(ConfigError, match=r"venue\.robinhood\.api_secret is not a key"):
        run_with(signatures="verify", api_key=KEY, api_secret=short)


# ---------------------------------------------------------------- faults


def test_robinhood_faults_speak_the_venues_language() -> None:
    for fault, status in (("http_429", 429), ("http_500", 500)):
        run = run_with(faults=FaultSettings(**{fault: Decimal(1)}))
        answer = run.send("GET", f"{ROOT}/trading/accounts/")
        assert answer.status == status
        assert decoded(answer)["errors"]


def test_robinhood_lost_answer_means_that_the_order_happened() -> None:
    run = run_with(faults=FaultSettings(lost_answer=Decimal(1)))
    assert run.send("POST", ORDERS, body=json.dumps(order_body())).failure == "timeout"
    assert [row["client_order_id"] for row in run.json("GET", ORDERS)["results"]] == [own_id(1)]
