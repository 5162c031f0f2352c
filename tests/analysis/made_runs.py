"""Runs made without components: a synthetic market, orders by rule, exact books. Fast, and every cost is known."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from orchestrator.config import NS_PER_SECOND, Settings, load_settings
from orchestrator.market.market import Market
from orchestrator.market.store import load_market
from orchestrator.market.synthetic import synthesize
from orchestrator.runs.manifest import ComponentManifest, RunManifest, RunStatus
from orchestrator.runs.records import EquityRows, FillRecord, OrderRecord
from orchestrator.runs.writer import RunWriter

EXCHANGE = "synthetic"
_BPS = Decimal("0.0001")
_STEP = Decimal("0.00000001")


class Books:
    """Cash and coins of the one account, exact."""

    def __init__(self, coins: tuple[str, ...], cash: Decimal) -> None:
        self.cash = cash
        self.coins = dict.fromkeys(coins, Decimal(0))

    def apply(self, fill: FillRecord) -> None:
        sign = 1 if fill.side == "buy" else -1
        self.cash -= sign * fill.qty * fill.fill_price + fill.fees
        self.coins[fill.symbol.partition("-")[0]] += sign * fill.qty


def make_market(
    cache: Path, settings: Settings, *, seed: int = 7, gaps: int = 0, warm_up_ns: int = 0
) -> Market:
    """Return the market of a run, made and cached."""
    assert settings.timeframe is not None
    synthesize(
        cache,
        coins=settings.coins,
        timeframe=settings.timeframe,
        start_ns=settings.start_ns - warm_up_ns,
        end_ns=settings.end_ns,
        seed=seed,
        gaps=gaps,
        exchange=EXCHANGE,
    )
    return load_market(
        cache,
        coins=settings.coins,
        timeframe=settings.timeframe,
        exchange=EXCHANGE,
        quote=None,
        start_ns=settings.start_ns,
        end_ns=settings.end_ns,
        gaps=settings.data.gaps,
        max_gap_ns=None,
    )


def make_run(
    directory: Path,
    cache: Path,
    *,
    coins: tuple[str, ...] = ("BTC", "ETH"),
    timeframe: str = "1h",
    start: str = "2024-01-01",
    end: str = "2024-03-01",
    every: int = 11,
    seed: int = 7,
    fee_bps: str = "20",
    slippage_bps: str = "5",
    gaps: int = 0,
    warm_up_days: int = 0,
    status: RunStatus = "complete",
    notes: tuple[str, ...] = (),
) -> Path:
    """Write a run whose orders come every so many ticks, coin by coin; every second order of a coin sells.

    With `every = 0` it trades nothing.
    """
    flags: dict[str, Any] = {
        "start_date": start,
        "end_date": end,
        "coins": list(coins),
        "timeframe": timeframe,
        "seed": seed,
        "data": {"exchange": EXCHANGE, "quote": "USDT", "gaps": "stale" if gaps else "fail"},
        "execution_model": {"fee_bps": Decimal(fee_bps)},
    }
    settings = load_settings(None, flags)
    market = make_market(cache, settings, gaps=gaps, warm_up_ns=warm_up_days * 86_400 * NS_PER_SECOND)
    manifest = _manifest(settings, market, notes)
    writer = RunWriter.create(directory, coins=coins, config_toml=settings.to_toml(), manifest=manifest)
    books = Books(coins, settings.account.initial_cash)
    closes = np.concatenate(
        [market.block(i, i + 8192).prices[:, :, 3] for i in range(0, market.tick_count, 8192)]
    )
    done = n_fills = 0
    for place, tick in enumerate(range(every, market.tick_count - 1, every) if every else ()):
        writer.write_equity(_rows(market, closes, books, done, tick))
        done = tick
        coin = coins[place % len(coins)]
        side = "buy" if place // len(coins) % 2 == 0 else "sell"
        order = _order(market, books, coin, side, place + 1, tick, slippage_bps)
        writer.write(order)
        for fill in _fills(market, order, n_fills, Decimal(fee_bps), Decimal(slippage_bps)):
            writer.write(fill)
            books.apply(fill)
            n_fills += 1
    writer.write_equity(_rows(market, closes, books, done, market.tick_count))
    writer.finish(
        msgspec.structs.replace(manifest, status=status, sequences=market.tick_count, reason=_reason(status))
    )
    return directory


def _reason(status: str) -> str | None:
    return None if status == "complete" else "component trader crashed"


def _manifest(settings: Settings, market: Market, notes: tuple[str, ...]) -> RunManifest:
    return RunManifest(
        status="running",
        seed=settings.seed,
        sim_start=settings.start_date,
        sim_end=settings.end_date,
        coins=settings.coins,
        timeframe=market.timeframe,
        data_digest=market.data_digest,
        code_version="0",
        started_at="2025-05-05T05:05:05+00:00",
        components=(ComponentManifest(name="trader", stage=2, command=("python", "trader.py"), exit_code=0),),
        notes=notes,
    )


def _rows(market: Market, closes: np.ndarray[Any, Any], books: Books, start: int, stop: int) -> EquityRows:
    quantities = np.array([float(qty) for qty in books.coins.values()])
    held = np.where(quantities > 0.0, closes[start:stop], 0.0) @ quantities
    return EquityRows(
        sequences=np.arange(start + 1, stop + 1, dtype=np.int64),
        sim_times_ns=market.tick_times_ns[start:stop],
        cash=np.full(stop - start, float(books.cash)),
        equity=float(books.cash) + held,
        quantities=np.tile(quantities, (stop - start, 1)),
    )


def _order(
    market: Market, books: Books, coin: str, side: str, number: int, tick: int, slippage_bps: str
) -> OrderRecord:
    price = Decimal(repr(market.last_closed(coin, int(market.tick_times_ns[tick - 1])).close))  # type: ignore[union-attr]
    budget = books.cash * Decimal("0.3") / (price * (1 + Decimal(slippage_bps) * _BPS))
    qty = budget.quantize(Decimal("0.00001")) if side == "buy" else books.coins[coin]
    return OrderRecord(
        sim_time_ns=int(market.tick_times_ns[tick - 1]),
        sequence=tick,
        client_order_id=f"trader-{number}",
        component="trader",
        side=side,
        symbol=f"{coin}-USD",
        qty=qty,
        order_type="market",
        limit_price=None,
        stop_price=None,
        time_in_force="GTC",
        state="accepted",
        reason=None,
    )


def _fills(
    market: Market, order: OrderRecord, before: int, fee_bps: Decimal, slippage_bps: Decimal
) -> list[FillRecord]:
    # Every fourth order is filled in two parts.
    coin = order.symbol.partition("-")[0]
    reference = Decimal(repr(market.last_closed(coin, order.sim_time_ns).close))  # type: ignore[union-attr]
    worse = slippage_bps * _BPS * (1 if order.side == "buy" else -1)
    price = (reference * (1 + worse)).quantize(_STEP)
    is_split = int(order.client_order_id.partition("-")[2]) % 4 == 1
    first = (order.qty / 3).quantize(Decimal("0.00001"))
    parts = [first, order.qty - first] if is_split else [order.qty]
    return [
        FillRecord(
            sim_time_ns=order.sim_time_ns + 100_000_000 * (place + 1),
            sequence=order.sequence,
            fill_id=f"F{before + place + 1}",
            client_order_id=order.client_order_id,
            component="trader",
            side=order.side,
            symbol=order.symbol,
            qty=qty,
            fill_price=price,
            fees=(qty * price * fee_bps * _BPS).quantize(_STEP, ROUND_CEILING),
            slippage_bps=slippage_bps,
            state="filled" if place == len(parts) - 1 else "partial",
            liquidity="taker",
            reference_price=reference,
            reference_candle=order.sim_time_ns // NS_PER_SECOND,
            latency_ms=Decimal(100),
            slippage_parts={"base": slippage_bps} if slippage_bps else {},
            participation=Decimal("0.001"),
            rule="taker_open",
        )
        for place, qty in enumerate(parts)
    ]
