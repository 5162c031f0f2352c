"""The emulated exchanges of one run, built from its settings."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from orchestrator.config import Settings
from orchestrator.exchange.instruments import Instrument
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.market.market import Market
from orchestrator.venues.venues import Venues

__all__ = ["make_venues", "told_fees"]


def make_venues(settings: Settings, market: Market, instruments: Mapping[str, Instrument]) -> Venues:
    """Return the emulated exchanges of a run, new.

    Raises
    ------
    ConfigError
        If one is not known, or its settings cannot be used.
    """
    maker_bps, taker_bps = told_fees(settings.execution_model.resolved())
    return Venues(
        settings.venue,
        market=market,
        instruments=instruments,
        currency=settings.account.currency,
        maker_bps=maker_bps,
        taker_bps=taker_bps,
        seed=settings.seed,
    )


def told_fees(model: ExecutionModelSettings) -> tuple[Decimal, Decimal]:
    """Return what bots are told of maker and taker fees, bp; with tiers, those of who has not traded yet."""
    if model.fee_tiers is not None:
        return model.fee_tiers[0].maker_bps, model.fee_tiers[0].taker_bps
    both = model.fee_bps if model.fee_bps is not None else Decimal(0)
    maker = model.maker_bps if model.maker_bps is not None else both
    taker = model.taker_bps if model.taker_bps is not None else both
    return maker, taker
