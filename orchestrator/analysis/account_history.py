"""The money of one account of a run before and after each fill, from the run directory alone."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from orchestrator.config import MAIN_ACCOUNT
from orchestrator.errors import DataError
from orchestrator.exchange.fees import FeeModel
from orchestrator.exchange.models import build_fill_model
from orchestrator.exchange.money import ZERO
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.protocol import Liquidity
from orchestrator.runs.lines import time_ns_from_text
from orchestrator.runs.reader import Row, Run

__all__ = ["AccountHistory"]


class AccountHistory:
    """The cash and coins of the account of a component, as fills made them.

    Parameters
    ----------
    run
        Whose fills and configuration are read.
    component
        Whose account it is.
    model
        What the run assumed, resolved; its fees are charged again.

    Raises
    ------
    DataError
        If config.toml does not say the account's initial cash.
    """

    def __init__(self, run: Run, component: str, model: ExecutionModelSettings) -> None:
        accounts = _account_names(run.configuration)
        self.name = accounts.get(component, MAIN_ACCOUNT)
        self.fees: FeeModel = build_fill_model(model, run.manifest.seed).fees
        self._initial_cash = _initial_cash(run, self.name)
        self._fills = [r for r in run.fills if accounts.get(r["component"], MAIN_ACCOUNT) == self.name]
        self._at_fill: dict[str, tuple[Decimal, Decimal]] = {}
        cash = self._initial_cash
        for fill in self._fills:
            time_ns = time_ns_from_text(fill["ts"])
            rate = self.fees.rate(self.name, Liquidity(fill["liquidity"]), time_ns)
            self._at_fill[fill["fill_id"]] = (cash, rate)
            notional = fill["qty"] * fill["fill_price"]
            self.fees.record(self.name, notional, time_ns)
            cash += (-notional if fill["side"] == "buy" else notional) - fill["fees"]

    def at_fill(self, fill: Row) -> tuple[Decimal, Decimal]:
        """Return the cash before a fill, and the fee rate that it paid."""
        return self._at_fill[fill["fill_id"]]

    def before(self, ts: Decimal, coin: str) -> tuple[Decimal, Decimal]:
        """Return cash and quantity of a coin when orders of a time are judged, fills of that time included."""
        cash, coins = self._initial_cash, ZERO
        for fill in self._fills:
            if fill["ts"] > ts:
                break
            signed = fill["qty"] if fill["side"] == "buy" else -fill["qty"]
            cash += -signed * fill["fill_price"] - fill["fees"]
            coins += signed if fill["symbol"].partition("-")[0] == coin else ZERO
        return cash, coins


def _account_names(configuration: dict[str, Any]) -> dict[str, str]:
    components: Iterable[dict[str, Any]] = configuration.get("component", ())
    return {item["name"]: item["account"] for item in components if "account" in item}


def _initial_cash(run: Run, account: str) -> Decimal:
    configuration = run.configuration
    section = (
        configuration.get("account", {})
        if account == MAIN_ACCOUNT
        else configuration.get("accounts", {}).get(account, {})
    )
    if "initial_cash" not in section:
        raise DataError(
            f"{run.directory}/config.toml does not say the initial cash of account {account}; restore a copy"
        )
    return Decimal(section["initial_cash"])
