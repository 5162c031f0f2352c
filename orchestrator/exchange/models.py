"""The fill model of a run: which small model stands in each place, built from the settings."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Final, NamedTuple

from orchestrator.config import ExecutionModelSettings
from orchestrator.exchange.fees import FeeModel, MakerTakerFees
from orchestrator.exchange.latency import LatencyModel, UniformLatency
from orchestrator.exchange.liquidity import LiquidityModel, ShareOfVolume
from orchestrator.exchange.money import EXACT
from orchestrator.exchange.slippage import (
    FixedSlippage,
    SlippageModel,
    SquareRootImpact,
    VolatilityScaledSlippage,
)

__all__ = ["FillModel", "build_fill_model"]

_FEE_BPS: Final = Decimal(20)


class FillModel(NamedTuple):
    """The assumptions that turn market data and an order into fills."""

    slippage: tuple[SlippageModel, ...]
    fees: FeeModel
    latency: LatencyModel
    liquidity: LiquidityModel
    is_touch_enough: bool  # whether a resting limit fills when it is only touched
    is_pessimistic: bool  # whether stops are served before limits within a candle


def build_fill_model(settings: ExecutionModelSettings, seed: int) -> FillModel:
    """Return the models that the settings choose; the seed keys the latency draws."""
    with localcontext(EXACT):
        return FillModel(
            slippage=_slippage(settings),
            fees=_fees(settings),
            latency=UniformLatency(seed, *settings.latency_ms),
            liquidity=ShareOfVolume(settings.max_volume_pct, settings.partial_fill_threshold),
            is_touch_enough=False,
            is_pessimistic=True,
        )


def _slippage(settings: ExecutionModelSettings) -> tuple[SlippageModel, ...]:
    parts: list[SlippageModel] = [
        FixedSlippage(settings.slippage_bps),
        VolatilityScaledSlippage(settings.slippage_bps),
    ]
    if settings.impact_bps:
        parts.append(SquareRootImpact(settings.impact_bps))
    return tuple(parts)


def _fees(settings: ExecutionModelSettings) -> FeeModel:
    if settings.maker_bps is not None and settings.taker_bps is not None:
        return MakerTakerFees(settings.maker_bps, settings.taker_bps)
    fee_bps = settings.fee_bps if settings.fee_bps is not None else _FEE_BPS
    return MakerTakerFees(fee_bps, fee_bps)
