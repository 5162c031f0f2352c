"""A run as pandas frames, for notebooks: `from orchestrator.analysis import load_run`."""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd

from orchestrator.analysis.measure import measure
from orchestrator.analysis.metrics import Metrics
from orchestrator.analysis.study import Study, study_run
from orchestrator.analysis.trades import Trade
from orchestrator.runs.lines import RECORD_TYPES, time_ns_from_text
from orchestrator.runs.manifest import RunManifest
from orchestrator.runs.reader import Row, Run

__all__ = ["AnalysedRun"]

_TRADE_COLUMNS: Final = (
    *(
        "number",
        "symbol",
        "component",
        "side",
        "qty",
        "entry_price",
        "exit_price",
        "entry_notional",
        "exit_notional",
    ),
    *("gross_pnl", "fees", "slippage_cost", "pnl", "return_fraction", "entry_order", "exit_order"),
)

_AMOUNTS: Final = (
    *("qty", "limit_price", "stop_price", "fill_price", "fees", "slippage_bps", "reference_price"),
    *("latency_ms", "participation"),
)
"""Columns that are numbers even where none is given."""


class AnalysedRun:
    """One run; frames have a UTC DatetimeIndex and floats where the files have exact decimals.

    Attributes
    ----------
    raw
        The run as read: exact `Decimal` rows.
    """

    def __init__(self, run: Run, cache: Path) -> None:
        self.raw = run
        self._cache = cache

    def __repr__(self) -> str:
        """Return name and state of the run."""
        return f"<run {self.raw.name}: {self.raw.status}, {self.raw.manifest.sequences} sequences>"

    @property
    def manifest(self) -> RunManifest:
        """run.json."""
        return self.raw.manifest

    @property
    def configuration(self) -> dict[str, Any]:
        """The resolved configuration, as config.toml has it."""
        return self.raw.configuration

    @cached_property
    def fills(self) -> pd.DataFrame:
        """Lines of fills.jsonl; each slippage part is a column such as `slippage_base`, in basis points."""
        frame = _frame(self.raw.fills, "fills.jsonl")
        parts = pd.DataFrame([row["slippage_parts"] for row in self.raw.fills], index=frame.index)
        return _beside(
            frame.drop(columns="slippage_parts"), parts.astype(float).fillna(0.0).add_prefix("slippage_")
        )

    @cached_property
    def orders(self) -> pd.DataFrame:
        """Lines of orders.jsonl."""
        return _frame(self.raw.orders, "orders.jsonl")

    @cached_property
    def order_events(self) -> pd.DataFrame:
        """Lines of order_events.jsonl."""
        return _frame(self.raw.order_events, "order_events.jsonl")

    @cached_property
    def signals(self) -> pd.DataFrame:
        """Lines of signals.jsonl; a column for each key, prefixed `values.` only where the name is taken."""
        frame = _frame(self.raw.signals, "signals.jsonl")
        values = pd.DataFrame([row["values"] for row in self.raw.signals], index=frame.index)
        taken = {key: f"values.{key}" for key in values.columns if key in frame.columns}
        return _beside(frame.drop(columns="values"), values.rename(columns=taken))

    @cached_property
    def equity(self) -> pd.DataFrame:
        """Rows of equity.parquet: one a tick; cash, equity and the quantity of each coin."""
        rows = self.raw.equity
        columns = {"sequence": rows.sequences, "cash": rows.cash, "equity": rows.equity}
        coins = {f"qty_{coin}": rows.quantities[:, place] for place, coin in enumerate(self.manifest.coins)}
        return pd.DataFrame({**columns, **coins}, index=_index(rows.sim_times_ns))

    @cached_property
    def daily_returns(self) -> pd.Series:
        """Returns of the whole UTC days, at the midnight that ends each."""
        days = self.study.days
        return pd.Series(days.returns, index=_index(days.ends_ns), name="return")

    @cached_property
    def trades(self) -> pd.DataFrame:
        """Closed round trips, at their exits; `entry_time` and `holding` besides."""
        trades = self.study.book.trades
        frame = pd.DataFrame(
            [[_plain(getattr(trade, name)) for name in _TRADE_COLUMNS] for trade in trades],
            columns=list(_TRADE_COLUMNS),
            index=_index(_times(trades, "exit_ns")),
        )
        frame.insert(4, "entry_time", _index(_times(trades, "entry_ns")))
        frame["holding"] = frame.index - pd.DatetimeIndex(frame["entry_time"])
        return frame

    @cached_property
    def study(self) -> Study:
        """What figures are computed from."""
        return study_run(self.raw, self._cache)

    def metrics(self, risk_free_rate: float = 0.0) -> Metrics:
        """Return all figures, as metrics.json has them.

        Parameters
        ----------
        risk_free_rate
            Annual, a fraction.
        """
        return measure(self.study, risk_free_rate)


def _frame(rows: list[Row], name: str) -> pd.DataFrame:
    fields = [field.name for field in msgspec.structs.fields(RECORD_TYPES[name])]
    columns = [field for field in fields if field != "sim_time_ns"]
    times = np.array([time_ns_from_text(row["ts"]) for row in rows], dtype=np.int64)
    data = {column: [_plain(row[column]) for row in rows] for column in columns}
    frame = pd.DataFrame(data, columns=columns, index=_index(times))
    return frame.astype({column: float for column in _AMOUNTS if column in frame})


def _beside(frame: pd.DataFrame, parts: pd.DataFrame) -> pd.DataFrame:
    # Row by row: times repeat, and a join by time would make each row of a time with each other one.
    return pd.concat([frame, parts], axis=1)


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def _times(trades: tuple[Trade, ...], name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([getattr(trade, name) for trade in trades], dtype=np.int64)


def _index(times_ns: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(times_ns.astype("datetime64[ns]"), tz="UTC", name="time")
