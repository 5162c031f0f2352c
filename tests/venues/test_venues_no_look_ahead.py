"""No look-ahead: an answer at a time is the same, byte for byte, whatever the candles do from that time on.

Two runs do the same up to a time: one with all data, one whose data are cut there. In the second the candle
that is open at the time keeps its open and nothing else of what it will be, and no later candle exists. Then
both are asked the same at random. Every registered venue takes part; a new one needs a line in `SCRIPTS`.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache

import numpy as np
import pytest

from orchestrator.market.candles import Candles
from orchestrator.market.market import Market
from orchestrator.venue_settings import VenueSettings
from orchestrator.venues.http import VenueResponse
from orchestrator.venues.venues import VENUES
from tests.venues.simulated_run import MINUTE, SECOND, SimulatedRun, small_market

MOMENTS, QUESTIONS = 50, 200  # 10,000 in all
MINUTES, WARM_UP = 500, 2_000
KLINES = [
    "1min",
    "3min",
    "5min",
    "15min",
    "30min",
    "1hour",
    "2hour",
    "4hour",
    "6hour",
    "8hour",
    "12hour",
    "1day",
    "1week",
    "1month",
]
INTERVALS = [
    "1m",
    "3m",
    "5m",
    "15m",
    "30m",
    "1h",
    "2h",
    "4h",
    "6h",
    "8h",
    "12h",
    "1d",
    "3d",
    "1w",
    "1M",
    "1s",
]
COINS = ("BTC", "ETH", "DOGE")

# What has nothing to show in a replay.
EMPTY = {"GET /api/v1/contracts/active", "GET /api/v1/markets"}

Ask = tuple[str, str, str]  # method, URL, body


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - it chooses questions, no secrets


@cache
def full_market() -> Market:
    """Return the data: ETH begins inside the run, DOGE has holes."""
    market = small_market(minutes=MINUTES, warm_up=WARM_UP, late={"ETH": WARM_UP + 120})
    holes = np.random.default_rng(3).random(WARM_UP + MINUTES) < 0.1
    candles = dict(market._visible)
    candles["DOGE"] = candles["DOGE"].take(~holes)
    return market_of(candles, market)


def market_of(candles: dict[str, Candles], like: Market) -> Market:
    return Market(
        candles,
        exchange=like.exchange,
        quote=like.quote,
        timeframe_ns=like.timeframe_ns,
        start_ns=like.start_ns,
        end_ns=like.end_ns,
    )


def cut_market(time_ns: int) -> Market:
    """Return the data as they are at a time; of candles that are open then, the open alone is true."""
    market = full_market()
    cut = {}
    for coin, candles in market._visible.items():
        kept = candles.take(candles.open_times_ns < time_ns)
        is_open = kept.open_times_ns + market.timeframe_ns > time_ns
        high = np.where(is_open, kept.open * 3, kept.high)
        low = np.where(is_open, kept.open / 3, kept.low)
        close = np.where(is_open, kept.open * 2, kept.close)
        volume = np.where(is_open, kept.volume * 7, kept.volume)
        cut[coin] = Candles(kept.open_times_ns, kept.open, high, low, close, volume)
    return market_of(cut, market)


# ---------------------------------------------------------------- what the bots did before


def kucoin_script(chance: random.Random, number: int) -> Ask:
    symbol = f"{chance.choice(COINS)}-USDT"
    price = {"BTC-USDT": 37_000, "ETH-USDT": 2_100, "DOGE-USDT": 0.08}[symbol]
    side = chance.choice(["buy", "buy", "sell"])
    body = {"clientOid": f"k{number}", "side": side, "symbol": symbol}
    size = str(round(Decimal(40 / price), 4))
    kind = chance.choice(["market", "limit", "stop"])
    near = str(round(Decimal(price * chance.uniform(0.97, 1.03)), 4 if price < 1 else 1))
    if kind == "market":
        body |= {"type": "market", "funds": "40.5"}
    elif kind == "limit":
        body |= {"type": "limit", "size": size, "price": near}
    else:
        body |= {"type": "market", "size": size, "stopPrice": near}
    path = "/api/v1/stop-order" if kind == "stop" else chance.choice(["/api/v1/orders", "/api/v1/hf/orders"])
    if number % 9 == 8:
        return "DELETE", "https://api.kucoin.com/api/v1/orders", ""
    return "POST", "https://api.kucoin.com" + path, json.dumps(body)


def robinhood_script(chance: random.Random, number: int) -> Ask:
    coin, kind = chance.choice(COINS), chance.choice(["market", "limit"])
    price = {"BTC": 37_000, "ETH": 2_100, "DOGE": 0.08}[coin]
    config = {"asset_quantity": str(round(Decimal(40 / price), 4))}
    if kind == "limit":
        near = round(Decimal(price * chance.uniform(0.97, 1.03)), 4 if price < 1 else 2)
        config |= {"limit_price": str(near), "time_in_force": "gtc"}
    body = {
        "client_order_id": f"11299b2b-61e3-43e7-b9f7-{number:012d}",
        "side": chance.choice(["buy", "buy", "sell"]),
        "type": kind,
        "symbol": f"{coin}-USD",
        f"{kind}_order_config": config,
    }
    return "POST", "https://trading.robinhood.com/api/v1/crypto/trading/orders/", json.dumps(body)


def binance_script(chance: random.Random, number: int) -> Ask:
    coin, side = chance.choice(COINS), chance.choice(["BUY", "BUY", "SELL"])
    query = f"symbol={coin}USDT&side={side}&type=MARKET&quoteOrderQty=40&newClientOrderId=b{number}"
    return "POST", f"https://api.binance.com/api/v3/order?{query}", ""


SCRIPTS: dict[str, Callable[[random.Random, int], Ask]] = {
    "kucoin": kucoin_script,
    "robinhood": robinhood_script,
    "binance": binance_script,
}


def played(market: Market, until_ns: int) -> tuple[SimulatedRun, list[VenueResponse]]:
    """Return a run in which the bots ordered now and then, and what they were answered."""
    run = SimulatedRun({name: VenueSettings(rate_limits=False) for name in VENUES}, market=market)
    chance, answers = seeded(11), []
    for number in itertools.count():
        next_ns = run.now_ns + chance.randrange(10 * SECOND, 20 * MINUTE)
        if next_ns >= until_ns:
            break
        run.advance(next_ns - run.now_ns)
        for script in SCRIPTS.values():
            method, url, body = script(chance, number)
            answers.append(run.send(method, url, body=body))
    run.advance(until_ns - run.now_ns)
    return run, answers


# ---------------------------------------------------------------- what is asked then


def values(name: str, now_ns: int, chance: random.Random, ids: list[str]) -> str:
    """Return a value that may stand under a name, often sensible, sometimes in the future."""
    now_s = now_ns // SECOND
    second = now_s + chance.choice([0, -1, 1, -60, 60, 3_600]) - chance.randrange(400_000)
    coin = chance.choice([*COINS, "BTC"])
    table = {
        "symbol": [f"{coin}-USDT", f"{coin}-USDT", f"{coin}-USD", f"{coin}USDT", f"{coin}USDT", "NO-SUCH"],
        "type": [*KLINES, "limit", "market"],
        "interval": INTERVALS,
        "startAt": [str(second), str(second), str(second * 1_000), "0"],
        "endAt": [str(second), str(now_s), str(now_s + 10_000), str(second * 1_000)],
        "startTime": [str(second * 1_000), str(now_s * 1_000)],
        "endTime": [str(second * 1_000), str(now_s * 1_000), str((now_s + 9_999) * 1_000)],
        "limit": ["1", "5", "50", "1000"],
        "side": ["buy", "sell", "bid", "ask", "both"],
        "quantity": ["0.1", "0.1,1.5"],
        "asset_code": COINS,
        "currency": [*COINS, "USDT"],
        "orderId": ids,
        "id": ids,
        "clientOid": ["k1", "k2", "k3"],
        "accountId": ["63355cd156298d0001b66e61"],
        "status": ["active", "done"],
        "symbols": [f"{coin}-USDT", f'["{coin}USDT"]'],
        "pageSize": ["10", "50"],
        "currentPage": ["1", "2"],
    }
    return chance.choice(list(table[name]))


QUERIES = {
    "kucoin": "symbol type startAt endAt currency orderId clientOid status symbols pageSize currentPage limit side",
    "robinhood": "symbol side quantity asset_code id limit",
    "binance": "symbol interval startTime endTime limit orderId symbols",
}


NEEDED = {
    "candles": ["symbol", "type"],
    "lines": ["symbol", "interval"],
    "estimated_price": ["symbol", "side", "quantity"],
}


def question(run: SimulatedRun, chance: random.Random, ids: list[str]) -> tuple[str, str, str]:
    """Return a venue, an endpoint's name and a URL of it with random parameters."""
    name = chance.choice(list(VENUES))
    venue = run.venues._venues[name]
    endpoints = [e for e in venue.router.endpoints if e.method == "GET"]
    shown = [e for e in endpoints if e.is_market_data]
    endpoint = chance.choice(shown if chance.random() < 0.6 else endpoints)
    parts = [
        values(part.strip("{}"), run.now_ns, chance, ids) if part.startswith("{") else part
        for part in endpoint.pattern.split("/")
    ]
    names = [key for key in QUERIES[name].split() if chance.random() < 0.25]
    wanted = next((keys for part, keys in NEEDED.items() if part in endpoint.pattern), ["symbol"])
    names += [key for key in wanted if key in QUERIES[name].split() and chance.random() < 0.9]
    pairs = [f"{key}={values(key, run.now_ns, chance, ids)}" for key in dict.fromkeys(names)]
    query = "?" + "&".join(pairs) if pairs else ""
    return name, endpoint.name, f"https://{venue.hosts[0]}{'/'.join(parts)}{query}"


def moments() -> Iterator[int]:
    chance, market = seeded(5), full_market()
    for place in range(MOMENTS):
        time_ns = market.start_ns + chance.randrange(MINUTE, MINUTES * MINUTE)
        yield time_ns - time_ns % MINUTE if place % 5 == 0 else time_ns  # some of them where candles close


def test_every_venue_takes_part() -> None:
    assert set(SCRIPTS) == set(QUERIES) == set(VENUES)


@pytest.mark.timeout(300)
def test_no_answer_knows_what_comes() -> None:
    chance, good, asked = seeded(1), Counter[str](), Counter[str]()
    for time_ns in moments():
        run, answers = played(full_market(), time_ns)
        blind, same = played(cut_market(time_ns), time_ns)
        assert [(a.status, a.body) for a in answers] == [(a.status, a.body) for a in same]
        assert len(run.outcomes) == len(blind.outcomes)
        ids = [
            order.venue_order_id
            for venue in run.venues._venues.values()
            for order in venue.orders.newest_first("main")
        ]
        for _ in range(QUESTIONS):
            venue, endpoint, url = question(run, chance, ids or ["none"])
            answer, other = run.send("GET", url), blind.send("GET", url)
            assert (answer.status, answer.body, answer.headers) == (
                other.status,
                other.body,
                other.headers,
            ), url
            assert answer.valid_until_ns == other.valid_until_ns, url
            asked[f"{venue} {endpoint}"] += 1
            good[f"{venue} {endpoint}"] += answer.status == 200 and len(answer.body) > 40
    assert asked.total() == MOMENTS * QUESTIONS
    # The questions are worth asking: every endpoint that shows the market was answered with something.
    shown = [
        f"{name} {endpoint.name}"
        for name, venue in run.venues._venues.items()
        for endpoint in venue.router.endpoints
        if endpoint.is_market_data and endpoint.name not in EMPTY
    ]
    assert [name for name in shown if good[name] < 3] == []
    assert good.total() > asked.total() / 3
