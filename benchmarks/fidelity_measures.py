"""What seeded orders get from the simulated exchange, set against what the trades and the book would have given."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.order_book import Book, Recording
from benchmarks.single_orders import Ask, Got, play
from benchmarks.trade_tape import COIN, MINUTE_NS, Tape, Trades, market_of
from orchestrator.exchange.instruments import Instrument
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.market.market import Market
from orchestrator.protocol import Side

ORDERS = 1_000
SIZES = {"small": Decimal("0.001"), "medium": Decimal("0.01"), "large": Decimal("0.1")}  # base currency
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
WARM_UP_NS = 2 * HOUR_NS  # until 100 candles have closed
RUN_OUT_NS = 4 * HOUR_NS  # after the last order, for what large ones wait for
LIMIT_LIFE_NS = HOUR_NS
LIMIT_OFFSET_BPS = (0.0, 30.0)  # from the last close


BOOK_SIZES = (0.01, 0.1, 1.0, 5.0, 10.0, 20.0, 50.0)
BOOK_EVERY_SECONDS = 2

Floats = npt.NDArray[np.float64]


class Days(NamedTuple):
    """A stretch of the tape, and the chance of its orders."""

    tape: Tape  # up to its end: what comes later does not exist
    market: Market
    start_ns: int
    end_ns: int  # of the stretch and of every order
    seed: int


class Takers(NamedTuple):
    """What market orders got, one row an order."""

    sizes: npt.NDArray[np.int64]  # place in SIZES
    errors_bps: Floats
    roots: Floats  # mean over its fills of the square root of the participation


class Limits(NamedTuple):
    """What became of limit orders, one row an order."""

    sizes: npt.NDArray[np.int64]
    has_filled: npt.NDArray[np.bool_]  # in the exchange, wholly
    has_traded: npt.NDArray[np.bool_]  # in the trades: as much as the order went beyond its limit
    has_touched: npt.NDArray[np.bool_]  # the same, but only with what went at its limit


def days_of(trades: Trades, start_ns: int, end_ns: int, seed: int) -> Days:
    """Return a stretch of the tape, with what came before as warm-up and nothing of what came after."""
    known = trades.take(slice(0, int(trades.times_ns.searchsorted(end_ns))))
    return Days(Tape(known), market_of(known, end_ns), start_ns, end_ns, seed)


# ---------------------------------------------------------------- orders


def market_asks(days: Days, *, is_mid_candle: bool) -> Iterator[tuple[int, Ask]]:
    """Yield size and order: sent when a candle closes, or at any time."""
    chance = np.random.default_rng([days.seed, 1, is_mid_candle])
    closes = _sending_times(days, RUN_OUT_NS)
    for number in range(1, ORDERS + 1):
        time_ns = int(chance.choice(closes)) + int(chance.integers(MINUTE_NS)) * is_mid_candle
        side = Side.BUY if chance.random() < 0.5 else Side.SELL
        size = number % len(SIZES)
        yield size, Ask(number, time_ns, side, list(SIZES.values())[size])


def limit_asks(days: Days) -> Iterator[tuple[int, Ask]]:
    """Yield size and order: sent when a candle closes, some basis points from its close, for an hour."""
    chance = np.random.default_rng([days.seed, 2])
    closes = _sending_times(days, LIMIT_LIFE_NS + MINUTE_NS)
    for number in range(1, ORDERS + 1):
        time_ns = int(chance.choice(closes))
        side = Side.BUY if chance.random() < 0.5 else Side.SELL
        last = days.market.last_closed(COIN, time_ns)
        offset = chance.uniform(*LIMIT_OFFSET_BPS) * 1e-4
        price = (last.close if last else 0.0) * (1 - offset if side is Side.BUY else 1 + offset)
        size = number % len(SIZES)
        limit = Decimal(str(round(price, 1)))
        yield (
            size,
            Ask(number, time_ns, side, list(SIZES.values())[size], limit, time_ns + LIMIT_LIFE_NS),
        )


def _sending_times(days: Days, reserve_ns: int) -> npt.NDArray[np.int64]:
    closes = days.market.tick_times_ns
    first_ns = max(days.start_ns, int(closes[0]) + WARM_UP_NS)
    return closes[(closes >= first_ns) & (closes < days.end_ns - reserve_ns)]


# ---------------------------------------------------------------- measuring


def measure_takers(
    days: Days, model: ExecutionModelSettings, instrument: Instrument, *, is_mid_candle: bool = False
) -> Takers:
    """Play the market orders of a stretch and compare what they got with the trades."""
    rows = []
    for size, ask in market_asks(days, is_mid_candle=is_mid_candle):
        got = play(ask, days.market, (), model, instrument, days.end_ns)
        walk = days.tape.take(ask.side, got.qty, got.arrival_ns) if got.qty else None
        if walk is not None and walk.qty > 0:
            worse = got.price / walk.price - 1
            rows.append((size, 1e4 * (worse if ask.side is Side.BUY else -worse), _root(got)))
    sizes, errors, roots = (np.array(column) for column in zip(*rows, strict=True))
    return Takers(sizes, errors, roots)


def _root(got: Got) -> float:
    quantities = np.array([float(fill.qty) for fill in got.fills])
    shares = np.array([float(fill.participation) for fill in got.fills])
    return float(quantities @ np.sqrt(shares) / quantities.sum())


def measure_limits(days: Days, model: ExecutionModelSettings, instrument: Instrument) -> Limits:
    """Play the limit orders of a stretch and compare what became of them with the trades."""
    closes = days.market.tick_times_ns.tolist()
    rows = []
    for size, ask in limit_asks(days):
        got = play(ask, days.market, closes, model, instrument, days.end_ns)
        qty = float(ask.qty)
        beyond, touching = days.tape.amount_beyond(
            ask.side, float(ask.limit or 0), got.arrival_ns, ask.deadline_ns or days.end_ns
        )
        has_traded = beyond >= qty
        rows.append((size, got.qty >= qty, has_traded, touching >= qty and not has_traded))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Limits(*columns)


def wrong_shares(limits: Limits) -> tuple[float, float]:
    """Return the share of the exchange's fills that the trades do not prove, and of the proven ones it lacks."""
    wrong = limits.has_filled & ~limits.has_traded
    missed = limits.has_traded & ~limits.has_filled
    return _share(wrong, limits.has_filled), _share(missed, limits.has_traded)


def _share(part: npt.NDArray[np.bool_], whole: npt.NDArray[np.bool_]) -> float:
    return float(part.sum() / max(1, whole.sum()))


# ---------------------------------------------------------------- the order book


class BookCosts(NamedTuple):
    """What market orders cost against the middle of the book, one row a moment and size."""

    sizes: Floats
    costs_bps: Floats
    shares: Floats  # of the volume of the last whole minute
    half_spreads_bps: Floats
    times_ns: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[np.bool_]) -> BookCosts:
        """Return the given rows."""
        return BookCosts(
            self.sizes[rows],
            self.costs_bps[rows],
            self.shares[rows],
            self.half_spreads_bps[rows],
            self.times_ns[rows],
        )


def measure_book(recording: Recording) -> BookCosts:
    """Walk the book every few seconds with orders of each size and side."""
    volumes: dict[int, float] = {}
    rows = []
    books: list[Book] = list(recording.books(BOOK_EVERY_SECONDS))
    first_minute = books[0].time_ns // MINUTE_NS + 2  # one whole minute lies before it
    for book in books:
        minute = book.time_ns // MINUTE_NS
        if minute < first_minute:
            continue
        if minute not in volumes:
            volumes[minute] = recording.volume((minute - 1) * MINUTE_NS, minute * MINUTE_NS)
        for size in BOOK_SIZES:
            for side in Side:
                share = size / volumes[minute]
                rows.append((size, book.cost_bps(side, size), share, book.half_spread_bps, book.time_ns))
    sizes, costs, shares, half_spreads, times = (np.array(column) for column in zip(*rows, strict=True))
    return BookCosts(sizes, costs, shares, half_spreads, times)
