"""Whose positions the exchange closed: its orders say so in orders.jsonl, its fills do not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from orchestrator.config import EXCHANGE_NAME
from orchestrator.runs.reader import Row

__all__ = ["liquidated_accounts"]

_REASON: Final = "liquidation of account "  # then its name, as the engine's journal writes it


def liquidated_accounts(orders: Iterable[Row]) -> dict[str, str]:
    """Return the account of each liquidation, by client_order_id, from rows of orders.jsonl."""
    return {
        order["client_order_id"]: order["reason"].removeprefix(_REASON)
        for order in orders
        if order["component"] == EXCHANGE_NAME and (order["reason"] or "").startswith(_REASON)
    }
