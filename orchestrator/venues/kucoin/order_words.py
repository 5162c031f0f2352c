"""How KuCoin writes orders and fills: the current set, the older set, and stop orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from orchestrator.config import NS_PER_SECOND
from orchestrator.exchange.money import EXACT, ZERO
from orchestrator.protocol import Liquidity
from orchestrator.venues.ids import IdSource
from orchestrator.venues.kucoin.market_pages import milliseconds
from orchestrator.venues.kucoin.pairs import Pairs
from orchestrator.venues.numbers import text
from orchestrator.venues.orders import Execution, OrderState, VenueOrder
from orchestrator.venues.venue import VenueContext

__all__ = ["ID_ORIGIN", "OrderWords", "is_waiting_stop"]

ID_ORIGIN: Final = 19_800_000_000_000
"""Numbers of orders and fills of the current set are counted from here."""

_TRADE_ORIGIN: Final = 11_000_000_000_000_000


def is_waiting_stop(order: VenueOrder) -> bool:
    """Return whether it belongs to the stop orders: one that has not been triggered, ended or not."""
    return order.details["stop"] is not None and not order.is_triggered and not order.executions


class OrderWords:
    """Orders and fills as JSON objects."""

    def __init__(self, context: VenueContext, pairs: Pairs) -> None:
        self._pairs = pairs
        self._ids: IdSource = context.ids
        self._fees = {
            Liquidity.MAKER: text(context.maker_fee),
            Liquidity.TAKER: text(context.taker_fee),
        }

    # ------------------------------------------------------------ orders

    def _common(self, order: VenueOrder) -> dict[str, Any]:
        body, details = order.details["body"], order.details
        price: Decimal = details["price"] or ZERO
        funds: Decimal | None = details["funds"]
        if funds is None:
            funds = EXACT.multiply(price, order.qty)
        size = ZERO if details["funds"] is not None else order.qty
        return {
            "id": order.venue_order_id,
            "clientOid": order.own_id,
            "symbol": self._pairs.symbol(order.coin),
            "opType": "DEAL",
            "type": details["type"],
            "side": order.side.value,
            "price": text(price),
            "size": text(size),
            "funds": text(funds),
            "dealSize": text(order.filled_qty),
            "dealFunds": text(order.filled_quote),
            "fee": text(order.fee),
            "feeCurrency": self._pairs.quote,
            "timeInForce": body.get("timeInForce") or "GTC",
            "postOnly": body.get("postOnly") in (True, "true"),
            "hidden": body.get("hidden") in (True, "true"),
            "iceberg": body.get("iceberg") in (True, "true"),
            "visibleSize": str(body.get("visibleSize") or "0"),
            "cancelAfter": _cancel_after(order),
            "channel": "API",
            "remark": body.get("remark") or None,
            "tags": body.get("tags") or None,
            "cancelExist": order.state in (OrderState.CANCELLED, OrderState.EXPIRED),
            "tradeType": "TRADE",
            "createdAt": milliseconds(order.created_ns),
        }

    def current(self, order: VenueOrder) -> dict[str, Any]:
        """Return an order of the current set."""
        common = self._common(order)
        cancelled = order.cancelled_qty
        price: Decimal = order.details["price"] or ZERO
        funds: Decimal | None = order.details["funds"]
        if funds is not None:  # of a market order by funds what is left is told in funds
            rest = max(ZERO, EXACT.subtract(funds, order.filled_quote))
            remain_size, cancelled_size = ZERO, ZERO
            remain_funds = rest if order.is_open else ZERO
            cancelled_funds = ZERO if order.is_open else rest
        else:
            remain_size, cancelled_size = order.remaining_qty, cancelled
            remain_funds = EXACT.multiply(price, order.remaining_qty)
            cancelled_funds = EXACT.multiply(price, cancelled)
        return {
            **common,
            "stp": order.details["body"].get("stp") or None,
            "remainSize": text(remain_size),
            "remainFunds": text(remain_funds),
            "cancelledSize": text(cancelled_size),
            "cancelledFunds": text(cancelled_funds),
            "inOrderBook": order.is_open and order.is_arrived and order.details["type"] == "limit",
            "active": order.is_open,
            "tax": "0",
            "lastUpdatedAt": milliseconds(order.updated_ns),
        }

    def older(self, order: VenueOrder) -> dict[str, Any]:
        """Return an order of the older set."""
        stop = order.details["stop"]
        return {
            **self._common(order),
            "stp": order.details["body"].get("stp") or "",
            "stop": stop or "",
            "stopTriggered": stop is not None,
            "stopPrice": text(order.details["stop_price"] or ZERO),
            "isActive": order.is_open,
        }

    def stop(self, order: VenueOrder) -> dict[str, Any]:
        """Return a stop order."""
        body, details = order.details["body"], order.details
        return {
            "id": order.venue_order_id,
            "symbol": self._pairs.symbol(order.coin),
            "userId": self._ids.fixed("user", order.account)[:12].hex(),
            "status": "NEW" if is_waiting_stop(order) else "TRIGGERED",
            "type": details["type"],
            "side": order.side.value,
            "price": _padded(details["price"]),
            "size": None if details["funds"] is not None else _padded(order.qty),
            "funds": _padded(details["funds"]),
            "stp": body.get("stp") or None,
            "timeInForce": body.get("timeInForce") or "GTC",
            "cancelAfter": _cancel_after(order) or -1,
            "postOnly": body.get("postOnly") in (True, "true"),
            "hidden": body.get("hidden") in (True, "true"),
            "iceberg": body.get("iceberg") in (True, "true"),
            "visibleSize": body.get("visibleSize"),
            "channel": "API",
            "clientOid": order.own_id,
            "remark": body.get("remark") or None,
            "tags": body.get("tags") or None,
            "relatedNo": None,
            "orderTime": order.created_ns,
            "domainId": "kucoin",
            "tradeSource": "USER",
            "tradeType": "TRADE",
            "feeCurrency": self._pairs.quote,
            "takerFeeRate": _padded(Decimal(self._fees[Liquidity.TAKER])),
            "makerFeeRate": _padded(Decimal(self._fees[Liquidity.MAKER])),
            "createdAt": milliseconds(order.created_ns),
            "stop": details["stop"],
            "stopTriggerTime": None if is_waiting_stop(order) else milliseconds(order.updated_ns),
            "stopPrice": _padded(details["stop_price"]),
        }

    # ------------------------------------------------------------ fills

    def _fill(self, order: VenueOrder, fill: Execution) -> dict[str, Any]:
        return {
            "orderId": order.venue_order_id,
            "counterOrderId": self._ids.fixed("counter order", str(fill.number))[:12].hex(),
            "symbol": self._pairs.symbol(order.coin),
            "side": order.side.value,
            "liquidity": fill.liquidity.value,
            "type": order.details["type"],
            "forceTaker": False,
            "price": text(fill.price),
            "size": text(fill.qty),
            "funds": text(fill.quote),
            "fee": text(fill.fee),
            "feeRate": self._fees[fill.liquidity],
            "feeCurrency": self._pairs.quote,
            "stop": order.details["stop"] or "",
            "tradeType": "TRADE",
            "createdAt": milliseconds(fill.sim_time_ns),
        }

    def current_fill(self, order: VenueOrder, fill: Execution) -> dict[str, Any]:
        """Return a fill of the current set."""
        return {
            "id": ID_ORIGIN + fill.number,
            "tradeId": _TRADE_ORIGIN + fill.number,
            **self._fill(order, fill),
            "taxRate": "0",
            "tax": "0",
        }

    def older_fill(self, order: VenueOrder, fill: Execution) -> dict[str, Any]:
        """Return a fill of the older set."""
        trade_id = self._ids.fixed("trade", str(fill.number))[:12].hex()
        return {"tradeId": trade_id, **self._fill(order, fill)}


def _cancel_after(order: VenueOrder) -> int:
    if order.expire_time_ns is None:
        return 0
    return (order.expire_time_ns - order.created_ns) // NS_PER_SECOND


def _padded(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:.20f}"
