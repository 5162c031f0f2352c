"""What an answer of an emulated exchange costs: prints one `name: value` line per figure.

A bot polls KuCoin once a minute of simulated time: `venue_kline_us` is what 200 candles cost when a base candle
has just closed (3 coins, 7 timeframes), `venue_ticker_us` the best bid and ask likewise; `venue_kept_us` is the
same request once more before the next candle closes. Medians over all requests.
"""

from __future__ import annotations

import statistics
import time
from decimal import Decimal

from orchestrator.config import parse_date_ns, parse_timeframe_ns
from orchestrator.exchange.events import OrderAccepted, OrderRejected, RequestRefused
from orchestrator.exchange.instruments import resolve_instruments
from orchestrator.market.market import Market
from orchestrator.market.synthetic import synthetic_candles
from orchestrator.protocol import AccountState
from orchestrator.venue_settings import VenueSettings
from orchestrator.venues.desk import NewOrder
from orchestrator.venues.http import VenueRequest
from orchestrator.venues.venues import Venues

COINS = ("BTC", "ETH", "DOGE")
TIMEFRAMES = {"1hour": 1, "2hour": 2, "4hour": 4, "8hour": 8, "12hour": 12, "1day": 24, "1week": 168}
ROWS = 200
TICKS = 200
MINUTE = parse_timeframe_ns("1m")
HOUR_SECONDS = 3_600
HOST = "api.kucoin.com"


class LookingDesk:
    """A component that asks and never orders."""

    component, account = "thinker", "main"

    def __init__(self) -> None:
        self.now_ns = 0

    def account_state(self) -> AccountState:  # noqa: D102
        return AccountState(Decimal(0), Decimal(0), {}, {})

    def submit(self, order: NewOrder) -> OrderAccepted | OrderRejected:  # noqa: D102
        raise NotImplementedError

    def cancel(self, client_order_id: str) -> RequestRefused | None:  # noqa: D102
        raise NotImplementedError


def microseconds(venues: Venues, desk: LookingDesk, path: str) -> float:
    request = VenueRequest("GET", HOST, path)
    started = time.perf_counter_ns()
    answer = venues.answer(request, desk)
    duration_us = (time.perf_counter_ns() - started) / 1e3
    assert answer.status == 200
    return duration_us


def main() -> None:
    start_ns = parse_date_ns("2024-01-01")
    end_ns = start_ns + (TICKS + 1) * MINUTE
    first_ns = parse_date_ns("2023-07-01")
    candles = {
        coin: synthetic_candles(coin, "1m", start_ns=first_ns, end_ns=end_ns, seed=7) for coin in COINS
    }
    market = Market(
        candles, exchange="kucoin", quote="USDT", timeframe_ns=MINUTE, start_ns=start_ns, end_ns=end_ns
    )
    venues = Venues(
        {"kucoin": VenueSettings(rate_limits=False)},
        market=market,
        instruments=resolve_instruments(COINS, {}, "kucoin"),
        currency="USD",
        maker_bps=Decimal(10),
        taker_bps=Decimal(10),
        seed=7,
    )
    desk = LookingDesk()
    klines, tickers, kept = [], [], []
    for tick in range(TICKS):
        desk.now_ns = start_ns + tick * MINUTE
        for coin in COINS:
            for kind, hours in TIMEFRAMES.items():
                begin = desk.now_ns // 10**9 - ROWS * hours * HOUR_SECONDS
                path = f"/api/v1/market/candles?symbol={coin}-USDT&type={kind}&startAt={begin}"
                klines.append(microseconds(venues, desk, path))
                kept.append(microseconds(venues, desk, path))
            path = f"/api/v1/market/orderbook/level1?symbol={coin}-USDT"
            tickers.append(microseconds(venues, desk, path))
    for name, values in (("kline", klines), ("ticker", tickers), ("kept", kept)):
        print(f"venue_{name}_us: {statistics.median(values):.1f}")


if __name__ == "__main__":
    main()
