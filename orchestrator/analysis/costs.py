"""What trading cost: fees and slippage, exactly, and what would be left without them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from orchestrator.analysis.trades import exact_money, slippage_of
from orchestrator.runs.reader import Row

__all__ = ["Costs", "costs_of", "slippage_cost", "total_fees"]

_ZERO: Final = Decimal(0)
_BPS: Final = Decimal("0.0001")


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Costs in quote currency; `slippage_cost` contains `impact_cost`."""

    notional: Decimal  # bought and sold
    fees: Decimal
    slippage_cost: Decimal  # against the reference prices; negative if fills were better
    impact_cost: Decimal  # the part of slippage that the orders' own size caused
    slippage_parts: dict[str, Decimal]  # what slippage is made of, as far as fills say
    financing: (
        Decimal  # interest, funding and liquidation fees of accounts that may owe; negative if received
    )
    total: Decimal
    net_pnl: float  # change of equity
    gross_pnl: float  # the same fills at their reference prices and without fees
    share_of_gross: float | None  # costs over gross result; None where that is not positive
    return_at_zero_cost: float
    maker_share: float | None  # of the notional


def total_fees(fills: Iterable[Row]) -> Decimal:
    """Return the fees of fills, quote currency, exactly."""
    with exact_money():
        return sum((fill["fees"] for fill in fills), _ZERO)


def slippage_cost(fills: Iterable[Row]) -> Decimal:
    """Return what fills cost against their reference prices, quote currency; positive is a loss."""
    with exact_money():
        return sum((slippage_of(fill, fill["qty"]) for fill in fills), _ZERO)


def costs_of(
    fills: Sequence[Row], initial_equity: float, final_equity: float, cash_flows: Sequence[Row] = ()
) -> Costs:
    """Return what the fills of a run cost, and what its accounts paid for what they owed.

    The result at zero cost adds the costs back to what was gained: the same fills, not what a trader with
    more cash would have done instead.
    """
    with exact_money():
        notionals = [fill["qty"] * fill["fill_price"] for fill in fills]
        notional = sum(notionals, _ZERO)
        parts = _parts(fills)
        fees, slippage = total_fees(fills), slippage_cost(fills)
        financing = -sum((flow["amount"] for flow in cash_flows), _ZERO)
        total = fees + slippage + financing
    made = sum(n for n, fill in zip(notionals, fills, strict=True) if fill["liquidity"] == "maker")
    net = final_equity - initial_equity
    gross = net + float(total)
    return Costs(
        notional=notional,
        fees=fees,
        slippage_cost=slippage,
        impact_cost=parts.get("impact", _ZERO),
        slippage_parts=parts,
        financing=financing,
        total=total,
        net_pnl=net,
        gross_pnl=gross,
        share_of_gross=float(total) / gross if gross > 0.0 else None,
        return_at_zero_cost=gross / initial_equity,
        maker_share=float(made / notional) if notional else None,
    )


def _parts(fills: Sequence[Row]) -> dict[str, Decimal]:
    parts: dict[str, Decimal] = {}
    for fill in fills:
        reference = fill["qty"] * fill["reference_price"] * _BPS
        for name, bps in fill["slippage_parts"].items():
            parts[name] = parts.get(name, _ZERO) + bps * reference
    return parts
