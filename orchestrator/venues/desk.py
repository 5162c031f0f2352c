"""What a venue may ask of the run, on behalf of one component, at one simulation time."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

import msgspec

from orchestrator.exchange.events import OrderAccepted, OrderRejected, RequestRefused
from orchestrator.protocol import AccountState, OrderType, Side, TimeInForce

__all__ = ["Desk", "NewOrder"]


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the simulated exchange takes it, on tick and lot."""

    coin: str
    side: Side
    qty: Decimal
    order_type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expire_time_ns: int | None = None
    half_spread_bps: Decimal | None = None  # from the middle to its side; None: the model's own
    may_hold_less: bool = False  # a buy may hold its likely price where margin and fee do not fit on top


class Desk(Protocol):
    """One component's access to the exchange.

    Attributes
    ----------
    now_ns
        Simulation time of the request.
    component, account
        Who asks, and whose money it is.
    """

    @property
    def now_ns(self) -> int: ...  # noqa: D102 - see Attributes

    @property
    def component(self) -> str: ...  # noqa: D102 - see Attributes

    @property
    def account(self) -> str: ...  # noqa: D102 - see Attributes

    def account_state(self) -> AccountState:
        """Return the balances of the account, holds included."""

    def submit(self, order: NewOrder) -> OrderAccepted | OrderRejected:
        """Place an order; decided at once, it arrives after the order latency."""

    def cancel(self, client_order_id: str) -> RequestRefused | None:
        """Ask for the end of an order; None when the cancel is on its way."""
