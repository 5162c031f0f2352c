"""What components ask of the market, checked and turned into requests to the exchange."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from orchestrator.errors import ProtocolError
from orchestrator.exchange.events import CancelRequested, OrderRequested, ReplaceRequested
from orchestrator.protocol import NUMBER_DIGITS_MAX, CancelOrder, ReplaceOrder, SubmitOrder

__all__ = ["ComponentPlace", "RequestDesk"]

_NUMBERS: Final = ("qty", "limit_price", "stop_price")


class ComponentPlace(msgspec.Struct, frozen=True):
    """Where a component stands: its place in the list of components is its number."""

    name: str
    stage: int
    account: str
    is_bot: bool = False  # an unmodified bot, which is granted time instead of being sent snapshots


class RequestDesk:
    """Makes requests out of instructions and keeps each component's own counters.

    Invariant: a component's orders are numbered 1, 2, 3 … without gaps, and so are its cancels and replaces.

    Parameters
    ----------
    components
        In declared order.
    """

    def __init__(self, components: tuple[ComponentPlace, ...]) -> None:
        self._components = components
        self._orders = [0] * len(components)
        self._changes = [0] * len(components)

    def next_order_number(self, place: int) -> int:
        """Return the number of a component's next order."""
        return self._orders[place] + 1

    def next_change_number(self, place: int) -> int:
        """Return the number of a component's next cancel or replace."""
        return self._changes[place] + 1

    def order(self, place: int, order: SubmitOrder, sim_time_ns: int) -> OrderRequested:
        """Return the request for an order.

        Raises
        ------
        ProtocolError
            If its number is not the next one, or it carries a number that no result could hold.
        """
        component = self._components[place]
        self._check_numbers(component, order)
        if order.number != self._orders[place] + 1:
            raise ProtocolError(
                f"{component.name} numbered an order {order.number}; "
                f"its next number is {self._orders[place] + 1}",
                component=component.name,
            )
        self._orders[place] += 1
        return OrderRequested(
            sim_time_ns=sim_time_ns,
            component=component.name,
            source=place,
            number=order.number,
            client_order_id=f"{component.name}-{order.number}",
            account=component.account,
            coin=order.coin,
            side=order.side,
            qty=order.qty,
            order_type=order.order_type,
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            time_in_force=order.time_in_force,
            expire_time_ns=order.expire_time_ns,
        )

    def has_traded(self, place: int) -> bool:
        """Return whether a component has ever placed, changed or ended an order."""
        return bool(self._orders[place] or self._changes[place])

    def change(
        self, place: int, change: CancelOrder | ReplaceOrder, sim_time_ns: int
    ) -> CancelRequested | ReplaceRequested:
        """Return the request for the end or the change of an order.

        Raises
        ------
        ProtocolError
            As `order` does.
        """
        component = self._components[place]
        if isinstance(change, ReplaceOrder):
            self._check_numbers(component, change)
        if change.number != self._changes[place] + 1:
            raise ProtocolError(
                f"{component.name} numbered a cancel or replace {change.number}; "
                f"its next number is {self._changes[place] + 1}",
                component=component.name,
            )
        self._changes[place] += 1
        if isinstance(change, CancelOrder):
            return CancelRequested(
                sim_time_ns=sim_time_ns,
                component=component.name,
                source=place,
                number=change.number,
                client_order_id=change.client_order_id,
            )
        return ReplaceRequested(
            sim_time_ns=sim_time_ns,
            component=component.name,
            source=place,
            number=change.number,
            client_order_id=change.client_order_id,
            qty=change.qty,
            limit_price=change.limit_price,
            stop_price=change.stop_price,
        )

    @staticmethod
    def _check_numbers(component: ComponentPlace, instruction: SubmitOrder | ReplaceOrder) -> None:
        # What the market would refuse is data and is written down; what cannot be written is no number.
        for field in _NUMBERS:
            value: Decimal | None = getattr(instruction, field)
            if value is None:
                continue
            if not value.is_finite() or not _has_few_digits(value):
                raise ProtocolError(
                    f"{component.name} sent the {field} {value:.9g}; a finite number with at most "
                    f"{NUMBER_DIGITS_MAX} digits on either side of the point is allowed",
                    component=component.name,
                )


def _has_few_digits(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent  # a whole number, since the value is finite
    return value.adjusted() < NUMBER_DIGITS_MAX and int(exponent) >= -NUMBER_DIGITS_MAX
