"""Whose positions the exchange closed: its orders say so in orders.jsonl, its fills do not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from orchestrator.analysis.stamps import stamp
from orchestrator.config import EXCHANGE_NAME, NS_PER_SECOND
from orchestrator.runs.reader import Row

__all__ = ["liquidated_accounts", "liquidations_told"]

_REASON: Final = "liquidation of account "  # then its name, as the engine's journal writes it


def liquidated_accounts(orders: Iterable[Row]) -> dict[str, str]:
    """Return the account of each liquidation, by client_order_id, from rows of orders.jsonl."""
    return {
        order["client_order_id"]: order["reason"].removeprefix(_REASON)
        for order in orders
        if order["component"] == EXCHANGE_NAME and (order["reason"] or "").startswith(_REASON)
    }


def liquidations_told(orders: Sequence[Row]) -> list[str]:
    """Return a sentence for each account that was liquidated, from rows of orders.jsonl, in order of the first time."""
    accounts = liquidated_accounts(orders)
    times: dict[str, list[str]] = {}
    for order in orders:
        account = accounts.get(order["client_order_id"])
        if account is not None:
            times.setdefault(account, []).append(stamp(int(order["ts"] * NS_PER_SECOND)))
    return [
        f"the exchange liquidated account {account}: {len(stamps)} order{'s' if len(stamps) > 1 else ''}, "
        f"the first at {stamps[0]}"
        for account, stamps in times.items()
    ]
