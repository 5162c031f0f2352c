"""Trades as tables: trades.csv, exact, and the rows of the page's sortable table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, Final

from orchestrator.analysis.metrics import OpenTradeFigures
from orchestrator.analysis.stamps import stamp
from orchestrator.analysis.trades import Trade
from orchestrator.runs.lines import number_text

__all__ = ["trade_rows", "trades_csv"]

_NS_PER_HOUR: Final = 3_600 * 1_000_000_000

_CSV_COLUMNS: Final = (
    *(
        "trade",
        "state",
        "symbol",
        "component",
        "side",
        "qty",
        "entry_time",
        "exit_time",
        "entry_price",
        "exit_price",
    ),
    *(
        "entry_notional",
        "exit_notional",
        "gross_pnl",
        "fees",
        "slippage_cost",
        "pnl",
        "return",
        "holding_hours",
    ),
    *("entry_order", "exit_order"),
)

_COLUMNS: Final = (
    ("#", "plain", False),
    ("coin", "text", False),
    ("side", "text", False),
    ("entry", "text", False),
    ("exit", "text", False),
    ("quantity", "number", False),
    ("entry price", "number", False),
    ("exit price", "number", False),
    ("result", "money", True),
    ("return", "percent", True),
    ("fees", "money", False),
    ("slippage", "money", False),
    ("held", "hours", False),
)


def trades_csv(trades: Sequence[Trade], open_trades: Sequence[OpenTradeFigures]) -> str:
    """Return trades.csv: closed trades in the order of their exits, then open ones with what is not known empty.

    Money is exact; prices are means over an order's fills, to 12 decimals.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for trade in trades:
        writer.writerow(_closed(trade))
    for number, position in enumerate(open_trades, start=len(trades) + 1):
        writer.writerow(_open(number, position))
    return text.getvalue()


def trade_rows(trades: Sequence[Trade], limit: int) -> dict[str, Any]:
    """Return the page's table; of more trades than `limit` those with the largest results, either way."""
    kept = sorted(trades, key=lambda trade: -abs(trade.pnl))[:limit]
    kept.sort(key=lambda trade: trade.number)
    return {
        "columns": [{"name": name, "kind": kind, "isSigned": signed} for name, kind, signed in _COLUMNS],
        "rows": [_row(trade) for trade in kept],
        "total": len(trades),
    }


def _row(trade: Trade) -> list[Any]:
    return [
        trade.number,
        trade.symbol.partition("-")[0],
        trade.side,
        stamp(trade.entry_ns)[:16].replace("T", " "),
        stamp(trade.exit_ns)[:16].replace("T", " "),
        float(trade.qty),
        float(f"{trade.entry_price:.8g}"),
        float(f"{trade.exit_price:.8g}"),
        round(float(trade.pnl), 4),
        round(trade.return_fraction, 6),
        round(float(trade.fees), 4),
        round(float(trade.slippage_cost), 4),
        round(trade.holding_ns / _NS_PER_HOUR, 3),
    ]


def _closed(trade: Trade) -> list[Any]:
    return [
        trade.number,
        "closed",
        trade.symbol,
        trade.component,
        trade.side,
        number_text(trade.qty),
        stamp(trade.entry_ns),
        stamp(trade.exit_ns),
        number_text(trade.entry_price),
        number_text(trade.exit_price),
        number_text(trade.entry_notional),
        number_text(trade.exit_notional),
        number_text(trade.gross_pnl),
        number_text(trade.fees),
        number_text(trade.slippage_cost),
        number_text(trade.pnl),
        f"{trade.return_fraction:.8f}",
        f"{trade.holding_ns / _NS_PER_HOUR:.4f}",
        trade.entry_order,
        trade.exit_order,
    ]


def _open(number: int, trade: OpenTradeFigures) -> list[Any]:
    pnl = "" if trade.pnl is None else number_text(trade.pnl)
    head = [
        number,
        "open",
        trade.symbol,
        trade.component,
        trade.side,
        number_text(trade.qty),
        trade.entry_time,
        "",
    ]
    prices = [number_text(trade.entry_price), "", number_text(trade.entry_notional), "", ""]
    return [
        *head,
        *prices,
        number_text(trade.fees),
        number_text(trade.slippage_cost),
        pnl,
        "",
        "",
        trade.entry_order,
        "",
    ]
