"""Through which an emulated exchange acts for one component of a run, at one simulation time."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

import msgspec

from orchestrator.engine.requests import ComponentPlace, RequestDesk
from orchestrator.errors import InvariantError
from orchestrator.exchange.events import Input, OrderAccepted, OrderRejected, Outcome, RequestRefused
from orchestrator.exchange.exchange import Exchange
from orchestrator.protocol import AccountState, CancelOrder, OrderType, Side, SubmitOrder, TimeInForce

__all__ = ["BotDesk", "OrderTerms"]


class OrderTerms(Protocol):
    """What an exchange's dialect says of a new order."""

    @property
    def coin(self) -> str: ...  # noqa: D102 - as `SubmitOrder` has it

    @property
    def side(self) -> Side: ...  # noqa: D102 - as `SubmitOrder` has it

    @property
    def qty(self) -> Decimal: ...  # noqa: D102 - as `SubmitOrder` has it

    @property
    def order_type(self) -> OrderType: ...  # noqa: D102 - as `SubmitOrder` has it

    @property
    def limit_price(self) -> Decimal | None: ...  # noqa: D102 - as `SubmitOrder` has it

    @property
    def stop_price(self) -> Decimal | None: ...  # noqa: D102 - as `SubmitOrder` has it

    @property
    def time_in_force(self) -> TimeInForce: ...  # noqa: D102 - as `SubmitOrder` has it

    @property
    def expire_time_ns(self) -> int | None: ...  # noqa: D102 - as `SubmitOrder` has it

    @property
    def half_spread_bps(self) -> Decimal | None: ...  # noqa: D102 - as `SubmitOrder` has it

    @property
    def may_hold_less(self) -> bool: ...  # noqa: D102 - as `OrderRequested` has it


class BotDesk:
    """Orders and balances of one component, as of one time.

    Parameters
    ----------
    place, component
        Whose requests they are.
    now_ns
        Simulation time of the request.
    exchange, requests
        Of the engine.
    handle
        Gives an event to the exchange and writes down what follows from it.
    """

    def __init__(
        self,
        place: int,
        component: ComponentPlace,
        now_ns: int,
        exchange: Exchange,
        requests: RequestDesk,
        handle: Callable[[Input], list[Outcome]],
    ) -> None:
        self.now_ns = now_ns
        self.component = component.name
        self.account = component.account
        self._place = place
        self._exchange = exchange
        self._requests = requests
        self._handle = handle

    def account_state(self) -> AccountState:
        """Return the balances of the component's account."""
        return self._exchange.account_state(self.account)

    def submit(self, order: OrderTerms) -> OrderAccepted | OrderRejected:
        """Place an order: accepted or rejected at once, it arrives after the order's latency."""
        number = self._requests.next_order_number(self._place)
        terms = SubmitOrder(
            number=number,
            coin=order.coin,
            side=order.side,
            qty=order.qty,
            order_type=order.order_type,
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            time_in_force=order.time_in_force,
            expire_time_ns=order.expire_time_ns,
        )
        request = self._requests.order(self._place, terms, self.now_ns)
        request = msgspec.structs.replace(
            request, half_spread_bps=order.half_spread_bps, may_hold_less=order.may_hold_less
        )
        for outcome in self._handle(request):
            if isinstance(outcome, OrderAccepted | OrderRejected):
                return outcome
        raise InvariantError(f"order {request.client_order_id} was neither accepted nor rejected")

    def cancel(self, client_order_id: str) -> RequestRefused | None:
        """Ask for the end of an order; None: the cancel is on its way."""
        number = self._requests.next_change_number(self._place)
        request = self._requests.change(self._place, CancelOrder(number, client_order_id), self.now_ns)
        outcomes = self._handle(request)
        return next((o for o in outcomes if isinstance(o, RequestRefused)), None)
