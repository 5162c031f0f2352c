"""The money of a run's accounts before and after each fill, from the run directory alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

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
        self._accounts = {
            item["name"]: item.get("account") or MAIN_ACCOUNT for item in configuration.get("component", ())
        }
        names = dict.fromkeys([*self._accounts.values(), *configuration.get("accounts", {})])
        self._cash = {name: _initial_cash(run, name) for name in names or (MAIN_ACCOUNT,)}
        self._initial_cash = dict(self._cash)
        self._coins: dict[tuple[str, str], Decimal] = {}
        self._at_fill: dict[str, AtFill] = {}
        self._entries = list(self._happen(run))

    def account_of(self, order: Row) -> str:
        """Return the account of an order; one that liquidates belongs to the account that its fills closed."""
        own = [entry.account for entry in self._entries if entry.client_order_id == order["client_order_id"]]
        return own[0] if own else self._accounts.get(order["component"], next(iter(self._cash)))

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
            charge = None
            if fill["component"] == EXCHANGE_NAME and charges and charges[0]["ts"] == fill["ts"]:
                charge = charges.pop(0)
            yield self._fill(fill, self._account_of_fill(fill, charge))
            if charge is not None:
                yield self._pay(charge)
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
        self._coins[account, coin] = self._coins.get((account, coin), ZERO) + qty
        return _Entry(fill["ts"], account, fill["client_order_id"], coin, cash, qty)

    def _account_of_fill(self, fill: Row, charge: Row | None) -> str:
        if fill["component"] != EXCHANGE_NAME:
            return str(self._accounts.get(fill["component"], next(iter(self._cash))))
        if charge is not None:
            return str(charge["account"])
        # A liquidation without a fee names no account: it is the first with such a position.
        coin, is_sale = fill["symbol"].partition("-")[0], fill["side"] == "sell"
        held: Mapping[str, Decimal] = {name: self._coins.get((name, coin), ZERO) for name in self._cash}
        fitting = [name for name, qty in held.items() if (qty > 0 if is_sale else qty < 0)]
        return str((*fitting, *self._cash)[0])


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
