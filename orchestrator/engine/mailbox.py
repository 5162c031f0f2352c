"""What happened to one component's orders since it was last woken, and why it is to be woken now."""

from __future__ import annotations

from orchestrator.exchange.events import (
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    RequestRefused,
)
from orchestrator.protocol import Fill, OrderEnd, Reason, TrainedModel

__all__ = ["Mailbox", "Notice"]

_ORDER = int(Reason.ORDER)

Notice = OrderFilled | OrderCancelled | OrderExpired | OrderRejected | RequestRefused


class Mailbox:
    """Notices and wake-up reasons of one component; emptied when it is woken."""

    __slots__ = ("ends", "fills", "models", "reason", "rejections")

    def __init__(self) -> None:
        self.reason = 0
        self.fills: list[Fill] = []
        self.rejections: list[OrderEnd] = []
        self.ends: list[OrderEnd] = []
        self.models: list[TrainedModel] = []  # no reason to be woken: they wait for the next one

    def deliver(self, notice: Notice, sim_time_ns: int) -> None:
        """Put a notice in; `sim_time_ns` is when the component hears of it."""
        self.reason |= _ORDER
        if isinstance(notice, OrderFilled):
            self.fills.append(to_fill(notice))
            return
        end = OrderEnd(
            client_order_id=notice.client_order_id,
            coin=notice.coin,
            reason=notice.reason,
            sim_time_ns=sim_time_ns,
        )
        is_refusal = isinstance(notice, OrderRejected | RequestRefused)
        (self.rejections if is_refusal else self.ends).append(end)

    def clear(self) -> None:
        """Forget everything; the component has been told."""
        self.reason = 0
        self.fills = []
        self.rejections = []
        self.ends = []
        self.models = []


def to_fill(event: OrderFilled) -> Fill:
    """Return the part of a fill that its component (and spectators) hear."""
    return Fill(
        client_order_id=event.client_order_id,
        coin=event.coin,
        side=event.side,
        qty=event.qty,
        price=event.price,
        fee=event.fee,
        sim_time_ns=event.sim_time_ns,
        state=event.state,
        liquidity=event.liquidity,
    )
