"""The terms under which an account may owe: how much, at what price, and when its positions are closed for it."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import NamedTuple

from orchestrator.account_settings import AccountSettings
from orchestrator.exchange.money import BPS, EXACT, ONE, ZERO, quotient_up_8

__all__ = ["MarginTerms", "build_margin_terms"]

_HUNDRED = Decimal(100)


class MarginTerms(NamedTuple):
    """Margins are compared as products, so that no quotient is rounded.

    `initial_per_exposure` and `initial_per_equity` are two numbers p and q such that an exposure needs an
    equity of exposure * p / q.
    """

    initial_per_exposure: Decimal
    initial_per_equity: Decimal
    maintenance_pct: Decimal
    liquidation_fee_rate: Decimal  # fraction of the notional
    quote_rate: Decimal  # fraction per year
    base_rate: Decimal  # fraction per year

    def is_backed(self, equity: Decimal, exposure: Decimal) -> bool:
        """Return whether an equity is enough to take on an exposure."""
        return equity * self.initial_per_equity >= exposure * self.initial_per_exposure

    def initial_margin(self, exposure: Decimal) -> Decimal:
        """Return the equity that an exposure needs, rounded up to 8 decimals."""
        return quotient_up_8(exposure * self.initial_per_exposure, self.initial_per_equity)

    def is_maintained(self, equity: Decimal, exposure: Decimal) -> bool:
        """Return whether an equity is enough to keep an exposure."""
        return equity * _HUNDRED >= exposure * self.maintenance_pct


def build_margin_terms(settings: AccountSettings) -> MarginTerms:
    """Return the terms that the settings choose."""
    settings = settings.resolved()
    with localcontext(EXACT):
        if settings.initial_margin_pct is not None:
            share = (settings.initial_margin_pct, _HUNDRED)
        else:
            share = (ONE, settings.max_leverage or ONE)
        return MarginTerms(
            initial_per_exposure=share[0],
            initial_per_equity=share[1],
            maintenance_pct=settings.maintenance_margin_pct or ZERO,
            liquidation_fee_rate=(settings.liquidation_fee_bps or ZERO) * BPS,
            quote_rate=(settings.borrow_quote_rate_pct_per_year or ZERO) / _HUNDRED,
            base_rate=(settings.borrow_base_rate_pct_per_year or ZERO) / _HUNDRED,
        )
