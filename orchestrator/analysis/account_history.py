"""The money of a run's accounts before and after each fill, from the run directory alone."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from orchestrator.analysis.liquidations import liquidated_accounts
from orchestrator.config import EXCHANGE_NAME, MAIN_ACCOUNT
from orchestrator.errors import DataError
from orchestrator.exchange.fees import FeeModel
from orchestrator.exchange.models import build_fill_model
from orchestrator.exchange.money import ZERO
from orchestrator.exchange.vocabulary import FlowKind
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.protocol import Liquidity
from orchestrator.runs.lines import time_ns_from_text
from orchestrator.runs.reader import Row, Run

__all__ = ["AccountHistory", "AtFill"]


class AtFill(NamedTuple):
    """What a fill found."""

    account: str
    cash: Decimal  # before it
    fee_rate: Decimal  # fraction of the notional that it paid


class _Entry(NamedTuple):
    """A change of one account."""

    ts: Decimal
    account: str
    client_order_id: str | None  # None: no fill
    coin: str
    cash: Decimal
    qty: Decimal


class AccountHistory:
    """Cash and coins of every account, as fills and payments made them; amounts are summed exactly.

    Parameters
    ----------
    run
        Whose fills, payments and configuration are read.
    model
        What the run assumed, resolved; its fees are charged again.

    Raises
    ------
    DataError
        If config.toml does not say an account's initial cash.
    """

    def __init__(self, run: Run, model: ExecutionModelSettings) -> None:
        configuration = run.configuration
        self.is_spot = configuration.get("account", {}).get("kind", "spot") == "spot"
        self.fees: FeeModel = build_fill_model(model, run.manifest.seed).fees
        self._accounts: dict[str, str] = {
            item["name"]: item.get("account") or MAIN_ACCOUNT for item in configuration.get("component", ())
        }
        names = dict.fromkeys([*self._accounts.values(), *configuration.get("accounts", {})])
        self._cash = {name: _initial_cash(run, name) for name in names or (MAIN_ACCOUNT,)}
        self._initial_cash = dict(self._cash)
        self._liquidated = liquidated_accounts(run.orders)
        self._at_fill: dict[str, AtFill] = {}
        self._entries = list(self._happen(run))

    def account_of(self, order: Row) -> str:
        """Return the account of an order, or of a fill; that of a liquidation is the one that it liquidates."""
        first: str = next(iter(self._cash))
        if order["component"] == EXCHANGE_NAME:
            return self._liquidated.get(order["client_order_id"], first)
        return self._accounts.get(order["component"], first)

    def at_fill(self, fill: Row) -> AtFill:
        """Return what a fill found."""
        return self._at_fill[fill["fill_id"]]

    def before(self, order: Row, account: str, coin: str) -> tuple[Decimal, Decimal]:
        """Return the cash of an account and its quantity of a coin when an order was judged."""
        cash, coins = self._initial_cash[account], ZERO
        for entry in self._entries:
            if entry.ts > order["ts"] or entry.client_order_id == order["client_order_id"]:
                break
            if entry.account == account:
                cash += entry.cash
                coins += entry.qty if entry.coin == coin else ZERO
        return cash, coins

    # Payments of a time come after what its closed candles fill and before its takers; the fee of a liquidation
    # comes right after the fill that it is for.
    def _happen(self, run: Run) -> Iterator[_Entry]:
        flows = run.cash_flows
        payments = [flow for flow in flows if flow["kind"] != FlowKind.LIQUIDATION_FEE]
        charges = [flow for flow in flows if flow["kind"] == FlowKind.LIQUIDATION_FEE]
        for fill in run.fills:
            is_at_close = fill["rule"].startswith(("maker", "stop"))
            while payments and (payments[0]["ts"], is_at_close) < (fill["ts"], True):
                yield self._pay(payments.pop(0))
            account = self.account_of(fill)
            yield self._fill(fill, account)
            is_liquidation = fill["component"] == EXCHANGE_NAME
            if (
                is_liquidation
                and charges
                and (charges[0]["ts"], charges[0]["account"]) == (fill["ts"], account)
            ):
                yield self._pay(charges.pop(0))
        yield from map(self._pay, payments)

    def _pay(self, flow: Row) -> _Entry:
        self._cash[flow["account"]] += flow["amount"]
        return _Entry(flow["ts"], flow["account"], None, "", flow["amount"], ZERO)

    def _fill(self, fill: Row, account: str) -> _Entry:
        time_ns = time_ns_from_text(fill["ts"])
        rate = self.fees.rate(account, Liquidity(fill["liquidity"]), time_ns)
        self._at_fill[fill["fill_id"]] = AtFill(account, self._cash[account], rate)
        qty: Decimal = fill["qty"] if fill["side"] == "buy" else -fill["qty"]
        notional = fill["qty"] * fill["fill_price"]
        self.fees.record(account, notional, time_ns)
        coin = fill["symbol"].partition("-")[0]
        cash = -qty * fill["fill_price"] - fill["fees"]
        self._cash[account] += cash
        return _Entry(fill["ts"], account, fill["client_order_id"], coin, cash, qty)


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
