"""An exchange on 127.0.0.1: real HTTP, two dialects, limits, and faults by script.

The KuCoin dialect answers as KuCoin's documentation says: newest row first, at most 1,500 rows of the window asked for,
close before high, strings, errors in an envelope that may come with HTTP 200, HTTP 429 with a reset header. Binance's
gives the oldest 1,000 rows from a time on. Both show the candle that is still open, with part of its values.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from orchestrator.config import NS_PER_MS, NS_PER_SECOND
from orchestrator.market.candles import Candles
from orchestrator.market.resample import resample
from orchestrator.market.timeframes import grid_anchor_ns

LENGTHS = {
    "1min": 60, "5min": 300, "15min": 900, "1hour": 3600, "2hour": 7200, "4hour": 14400, "8hour": 28800,
    "12hour": 43200, "1day": 86400, "1week": 604800,
    "1m": 60, "5m": 300, "15m": 900, "1h": 3600, "2h": 7200, "4h": 14400, "8h": 28800, "12h": 43200, "1d": 86400,
    "1w": 604800,
}  # fmt: skip

FAULTS = ("limit", "guard", "error", "envelope", "empty", "broken", "cut", "hang_up", "slow", "no_rows")

RAW = {
    "empty": (b"", "application/json"),
    "broken": (b"<html><body>bad gateway</body></html>", "text/html"),
    "cut": (b'{"code":"200000","data":[["17000', "application/json"),
}
TROUBLES: dict[tuple[str, str], tuple[int, Any]] = {
    ("kucoin", "limit"): (429, {"code": "429000", "msg": "Too many requests."}),
    ("binance", "limit"): (429, {"code": -1003, "msg": "Too many requests."}),
    ("kucoin", "guard"): (403, {"msg": "forbidden"}),
    ("binance", "guard"): (403, {"msg": "forbidden"}),
    ("kucoin", "error"): (503, {"code": "503", "msg": "service unavailable"}),
    ("binance", "error"): (503, {"msg": "service unavailable"}),
    ("kucoin", "envelope"): (200, {"code": "500000", "msg": "Internal Server Error"}),
    ("binance", "envelope"): (500, {"code": -1001, "msg": "Internal error; unable to process your request."}),
    ("kucoin", "no_rows"): (200, {"code": "200000", "data": []}),
    ("binance", "no_rows"): (200, []),
}


@dataclass
class Asked:
    """One request as it came."""

    at: float  # monotonic seconds
    path: str
    query: dict[str, str]
    fault: str | None


@dataclass
class Exchange:
    """What the server knows and how it behaves.

    `faults` is called with the number of the candle request (0, 1, …) and may name one of `FAULTS`.
    """

    dialect: str
    coins: dict[str, Candles]  # base candles
    step_ns: int
    now_ns: int
    quote: str = "USDT"
    faults: Callable[[int], str | None] = lambda _number: None
    rows_max: int = 1500
    is_end_inclusive: bool = True
    reset_ms: int = 30
    slow_seconds: float = 1.0
    shift_seconds: int = 0  # by which all its candles are off the grid
    quota: int | None = None  # candle requests allowed in a window
    window_seconds: float = 0.2
    asked: list[Asked] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def candle_requests(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.path.endswith(("candles", "klines"))]

    def rows(self, coin: str, seconds: int) -> Candles:
        """Return all candles that have opened by now, the last one perhaps open and only partly made."""
        base, length = self.coins[coin], seconds * NS_PER_SECOND
        open_base = base.take(base.open_times_ns < self.now_ns)
        if open_base.size and int(open_base.open_times_ns[-1]) + self.step_ns > self.now_ns:
            half = open_base.close.copy()
            half[-1] = open_base.low[-1]
            volume = open_base.volume.copy()
            volume[-1] /= 2
            open_base = open_base._replace(close=half, volume=volume)
        return resample(open_base, length, grid_anchor_ns(self.dialect, length))


class ExchangeServer:
    """The server; entering it starts it, leaving it ends its threads."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._server = _Server(exchange)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.exchange = exchange

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that are killed leave broken connections behind."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece; in two, each would wait for the client's acknowledgement
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(5)  # no thread outlives its test for long

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def do_GET(self) -> None:
        exchange = self.server.exchange
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        is_candles = parts.path.endswith(("candles", "klines"))
        with exchange.lock:
            fault = exchange.faults(len(exchange.candle_requests)) if is_candles else None
            if is_candles and fault is None and self._is_over_quota(exchange):
                fault = "limit"
            exchange.asked.append(Asked(time.monotonic(), parts.path, query, fault))
        if fault is not None and self._misbehave(exchange, fault):
            return
        self._answer(exchange, parts.path, query)

    def _is_over_quota(self, exchange: Exchange) -> bool:
        since = time.monotonic() - exchange.window_seconds
        recent = [a for a in exchange.candle_requests if a.at > since and a.fault is None]
        return exchange.quota is not None and len(recent) >= exchange.quota

    def _misbehave(self, exchange: Exchange, fault: str) -> bool:
        if fault == "slow":
            time.sleep(exchange.slow_seconds)
            return False  # and then the answer
        if fault == "hang_up":
            self.close_connection = True
        elif fault in RAW:
            self._send_raw(200, *RAW[fault])
        else:
            status, body = TROUBLES[exchange.dialect, fault]
            is_kucoin = exchange.dialect == "kucoin"
            reset = (
                ("gw-ratelimit-reset", exchange.reset_ms)
                if is_kucoin
                else ("Retry-After", exchange.reset_ms / 1000)
            )
            headers = {reset[0]: str(reset[1])}
            self._send(status, body, headers if fault in {"limit", "guard"} else None)
        return True

    def _answer(self, exchange: Exchange, path: str, query: dict[str, str]) -> None:
        handlers = {
            "/api/v1/timestamp": _kucoin_time,
            "/api/v2/symbols": _kucoin_symbols,
            "/api/v1/market/candles": _kucoin_candles,
            "/api/v3/time": _binance_time,
            "/api/v3/exchangeInfo": _binance_symbols,
            "/api/v3/klines": _binance_candles,
        }
        if path not in handlers:
            self._send(404, {"code": "404000", "msg": "Url Not Found"})
        else:
            self._send(200, handlers[path](exchange, query))

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self._send_raw(status, json.dumps(body).encode(), "application/json", headers)

    def _send_raw(
        self, status: int, body: bytes, kind: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _kucoin_time(exchange: Exchange, _query: dict[str, str]) -> Any:
    return {"code": "200000", "data": exchange.now_ns // NS_PER_MS}


def _kucoin_symbols(exchange: Exchange, _query: dict[str, str]) -> Any:
    rules = {
        "market": "USDS", "baseMinSize": "0.00001", "quoteMinSize": "0.1", "baseMaxSize": "10000000000",
        "quoteMaxSize": "99999999", "baseIncrement": "0.00000001", "quoteIncrement": "0.000001",
        "priceIncrement": "0.1", "priceLimitRate": "0.1", "minFunds": "0.1", "isMarginEnabled": False,
        "enableTrading": True,
    }  # fmt: skip
    data = [
        {"symbol": f"{coin}-{exchange.quote}", "name": f"{coin}-{exchange.quote}", "baseCurrency": coin,
         "quoteCurrency": exchange.quote, "feeCurrency": exchange.quote, **rules}
        for coin in exchange.coins
    ]  # fmt: skip
    return {"code": "200000", "data": data}


def _kucoin_candles(exchange: Exchange, query: dict[str, str]) -> Any:
    coin = query["symbol"].split("-")[0]
    if coin not in exchange.coins or query["type"] not in LENGTHS:
        return {"code": "400100", "msg": "Invalid Parameter."}
    candles = exchange.rows(coin, LENGTHS[query["type"]])
    seconds = candles.open_times_ns // NS_PER_SECOND + exchange.shift_seconds
    start, end = int(query.get("startAt", 0)), int(query.get("endAt", 0)) or int(seconds[-1]) + 1
    inside = (seconds >= start) & ((seconds <= end) if exchange.is_end_inclusive else (seconds < end))
    rows = np.flatnonzero(inside)[::-1][: exchange.rows_max]
    return {
        "code": "200000",
        "data": [
            [str(seconds[row]), *(repr(float(c[row])) for c in _kucoin_order(candles)), "1.0"] for row in rows
        ],
    }


def _kucoin_order(candles: Candles) -> tuple[Any, ...]:
    return candles.open, candles.close, candles.high, candles.low, candles.volume


def _binance_time(exchange: Exchange, _query: dict[str, str]) -> Any:
    return {"serverTime": exchange.now_ns // NS_PER_MS}


def _binance_symbols(exchange: Exchange, _query: dict[str, str]) -> Any:
    symbols = [
        {"symbol": f"{coin}{exchange.quote}", "status": "TRADING", "baseAsset": coin, "baseAssetPrecision": 8,
         "quoteAsset": exchange.quote, "quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT"],
         "isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "permissions": ["SPOT"],
         "filters": [{"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"}]}
        for coin in exchange.coins
    ]  # fmt: skip
    return {"timezone": "UTC", "serverTime": exchange.now_ns // NS_PER_MS, "symbols": symbols}


def _binance_candles(exchange: Exchange, query: dict[str, str]) -> Any:
    coin = query["symbol"].removesuffix(exchange.quote)
    candles = exchange.rows(coin, LENGTHS[query["interval"]])
    ms = candles.open_times_ns // NS_PER_MS
    first = int(np.searchsorted(ms, int(query.get("startTime", 0))))
    limit = min(int(query.get("limit", 500)), 1000, exchange.rows_max)
    length_ms = LENGTHS[query["interval"]] * 1000
    return [
        [int(ms[row]), *(repr(float(column[row])) for column in candles.values), int(ms[row]) + length_ms - 1,
         "1.0", 1, "1.0", "1.0", "0"]
        for row in range(first, min(first + limit, candles.size))
    ]  # fmt: skip
