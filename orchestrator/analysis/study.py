"""A run read and set against the market: what figures, tables and pictures are made of."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from orchestrator.analysis.context import MarketContext, market_context
from orchestrator.analysis.curve import Curve, Days, FloatArray, curve_of, days_of
from orchestrator.analysis.liquidations import liquidated_accounts
from orchestrator.analysis.metrics import DAYS_MIN
from orchestrator.analysis.terms import Terms, terms_of
from orchestrator.analysis.trades import TradeBook, trades_of
from orchestrator.config import NS_PER_DAY
from orchestrator.errors import DataError
from orchestrator.runs.layout import CONFIG_FILE
from orchestrator.runs.lines import CASH_FLOWS_FILE, MODELS_FILE, RECORD_TYPES
from orchestrator.runs.reader import Run

__all__ = ["Study", "study_run"]


class Study(NamedTuple):
    """A run and everything that its figures are computed from."""

    run: Run
    terms: Terms
    curve: Curve
    days: Days
    exposure: FloatArray  # share of equity that is not cash, at each tick
    book: TradeBook
    context: MarketContext | str  # or why the market cannot be told

    @property
    def has_enough_days(self) -> bool:
        """Whether there are enough whole days for figures made of daily returns."""
        return len(self.days.returns) >= DAYS_MIN


def study_run(run: Run, cache: Path) -> Study:
    """Read a run as far as it went, and its prices from the cache.

    Raises
    ------
    DataError
        If a file of the run is missing or cannot be read, it has no tick, or its books do not add up.
    """
    _require_files(run)
    terms = terms_of(run)
    curve = curve_of(run, terms)
    days = _usable_days(curve, run)
    rows = run.equity
    cash_share = np.divide(rows.cash, rows.equity, out=np.ones_like(rows.cash), where=rows.equity > 0.0)
    return Study(
        run=run,
        terms=terms,
        curve=curve,
        days=days,
        exposure=1.0 - cash_share,
        book=trades_of(
            run.fills, terms.accounts, liquidated_accounts(run.orders), may_short=not terms.is_spot
        ),
        context=market_context(run, curve, days, terms, cache),
    )


def _require_files(run: Run) -> None:
    # Each is made when a run begins: an absent one was lost, and without it every figure would be wrong.
    for name in (CONFIG_FILE, *RECORD_TYPES):
        if name == CASH_FLOWS_FILE and not _may_owe(run):
            continue
        if name == MODELS_FILE and "training" not in run.configuration:
            continue
        if not (run.directory / name).is_file():
            raise DataError(f"{run.directory / name} is missing; restore it from a copy of the run")


def _may_owe(run: Run) -> bool:
    return bool(run.configuration.get("account", {}).get("kind", "spot") != "spot")


def _usable_days(curve: Curve, run: Run) -> Days:
    # Candles longer than a day mark equity too seldom for daily returns.
    days = days_of(curve)
    steps = np.diff(run.equity.sim_times_ns)
    is_too_coarse = steps.size > 0 and float(np.median(steps)) > NS_PER_DAY
    return Days(days.ends_ns[:0], days.closes[:0], days.returns[:0]) if is_too_coarse else days
