"""Which orders have ended, to answer late cancels: two bytes an order, since a run may have millions."""

from __future__ import annotations

from array import array
from typing import Final, NamedTuple

from orchestrator.errors import InvariantError
from orchestrator.exchange.events import OrderRequested

__all__ = ["EndedOrder", "EndedOrders"]

_DIGITS_MAX: Final = 18


class EndedOrder(NamedTuple):
    """What is still known of it."""

    component: str
    coin: str


class EndedOrders:
    """The orders that were accepted and have ended, by component and number.

    An order's id is `<component>-<number>` with the component's own numbers 1, 2, 3 …, so a place in an array
    says which order it is; what stands there is the place of its coin, 0 where no such order has ended.

    Parameters
    ----------
    coins
        In the order of the run, fewer than 65,535.
    """

    def __init__(self, coins: tuple[str, ...]) -> None:
        self._coins = coins
        self._marks = {coin: place for place, coin in enumerate(coins, start=1)}
        self._by_component: dict[str, array[int]] = {}

    def add(self, request: OrderRequested) -> None:
        """Remember an order that has ended.

        Raises
        ------
        InvariantError
            If its id is not made of its component and number.
        """
        if request.client_order_id != f"{request.component}-{request.number}":
            raise InvariantError(
                f"order {request.client_order_id} is number {request.number} of {request.component}"
            )
        marks = self._by_component.get(request.component)
        if marks is None:
            marks = self._by_component[request.component] = array("H")
        if request.number >= len(marks):
            marks.extend([0] * (request.number + 1 - len(marks)))
        marks[request.number] = self._marks[request.coin]

    def find(self, client_order_id: str) -> EndedOrder | None:
        """Return what is known of an order that has ended, None when there is no such order."""
        component, _, digits = client_order_id.rpartition("-")
        marks = self._by_component.get(component)
        # Only the number as it was written counts: neither 007 nor digits of another script.
        if marks is None or len(digits) > _DIGITS_MAX or not digits.isdecimal() or str(int(digits)) != digits:
            return None
        number = int(digits)
        if number >= len(marks) or not marks[number]:
            return None
        return EndedOrder(component, self._coins[marks[number] - 1])
