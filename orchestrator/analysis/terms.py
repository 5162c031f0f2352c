"""What a run was played under, as far as figures need it: its money, its fees, its beginning."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from orchestrator.config import MAIN_ACCOUNT, ExecutionModelSettings, parse_date_ns
from orchestrator.errors import DataError
from orchestrator.runs.layout import CONFIG_FILE
from orchestrator.runs.reader import Run

__all__ = ["Terms", "terms_of"]


class Terms(NamedTuple):
    """Read from the run's own config.toml and run.json."""

    start_ns: int
    initial_cash: Decimal  # of all accounts
    currency: str
    accounts: dict[str, str]  # component -> its account
    is_spot: bool  # whether accounts may neither owe nor sell what they have not
    taker_fee_rate: float  # of the lowest tier, as a fraction of the notional


def terms_of(run: Run, initial_cash: Decimal | None = None) -> Terms:
    """Return the terms of a run; the cash it began with is read unless it is given.

    Raises
    ------
    DataError
        If config.toml does not say with how much cash it began.
    """
    account = run.configuration.get("account", {})
    return Terms(
        start_ns=parse_date_ns(run.manifest.sim_start),
        initial_cash=_configured_cash(run) if initial_cash is None else initial_cash,
        currency=str(account.get("currency", "")),
        accounts={
            component["name"]: component.get("account") or MAIN_ACCOUNT
            for component in run.configuration.get("component", [])
        },
        is_spot=account.get("kind", "spot") == "spot",
        taker_fee_rate=_taker_fee_bps(run.configuration.get("execution_model", {})) / 10_000,
    )


def _configured_cash(run: Run) -> Decimal:
    # The accounts of one run are one here: equity.parquet has their sum.
    shared, named = run.configuration.get("account", {}), run.configuration.get("accounts", {})
    try:
        cash = [Decimal(account["initial_cash"]) for account in named.values()]
        if not cash or "initial_cash" in shared:  # absent when every component has an account of its own
            cash.append(Decimal(shared["initial_cash"]))
        return sum(cash, Decimal(0))
    except (AttributeError, KeyError, TypeError, ArithmeticError):
        path = run.directory / CONFIG_FILE
        raise DataError(
            f"{path} does not say account.initial_cash; restore it from a copy of the run"
        ) from None


def _taker_fee_bps(model: dict[str, Any]) -> float:
    tiers = model.get("fee_tiers") or [{}]
    for bps in (model.get("taker_bps"), tiers[0].get("taker_bps"), model.get("fee_bps")):
        if bps is not None:
            return float(bps)
    return float(ExecutionModelSettings().resolved().fee_bps or 0)
