"""The fill model of a run: which small model stands in each place, built from the settings."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import NamedTuple, TypeVar

from orchestrator.errors import ConfigError
from orchestrator.exchange.events import OrderRequested
from orchestrator.exchange.fees import FeeModel, FeeTier, MakerTakerFees, TieredFees
from orchestrator.exchange.latency import FixedLatency, LatencyModel, LognormalLatency, UniformLatency
from orchestrator.exchange.liquidity import LiquidityModel, ShareOfVolume, UnlimitedLiquidity
from orchestrator.exchange.money import BPS, EXACT, ONE
from orchestrator.exchange.slippage import (
    FixedSlippage,
    HalfSpread,
    SlippageModel,
    SquareRootImpact,
    VolatilityScaledSlippage,
)
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.protocol import Side

__all__ = ["FillModel", "build_fill_model"]

_T = TypeVar("_T")


class FillModel(NamedTuple):
    """The assumptions that turn market data and an order into fills."""

    slippage: tuple[SlippageModel, ...]
    fees: FeeModel
    latency: LatencyModel
    liquidity: LiquidityModel
    is_touch_enough: bool  # whether a resting limit fills when it is only touched
    half_spread: Decimal  # from the middle, which candles are taken for; a fraction of the price
    is_pessimistic: bool  # whether stops are served before limits within a candle

    def slippage_for(self, request: OrderRequested) -> tuple[SlippageModel, ...]:
        """Return the parts of an order's slippage; it may have a half-spread of its own."""
        if request.half_spread_bps is None:
            return self.slippage
        others = tuple(part for part in self.slippage if not isinstance(part, HalfSpread))
        return (*others, HalfSpread(request.half_spread_bps)) if request.half_spread_bps else others

    def side_of(self, request: OrderRequested) -> Decimal:
        """Return what the middle is multiplied by for what a buy pays or a sell brings at once."""
        own = request.half_spread_bps
        half_spread = self.half_spread if own is None else own * BPS
        return ONE + half_spread if request.side is Side.BUY else ONE - half_spread


def build_fill_model(settings: ExecutionModelSettings, seed: int) -> FillModel:
    """Return the models that the settings choose; the seed keys the latency draws."""
    settings = settings.resolved()
    with localcontext(EXACT):
        return FillModel(
            slippage=_slippage(settings),
            fees=_fees(settings),
            latency=_latency(settings, seed),
            liquidity=_liquidity(settings),
            is_touch_enough=settings.touch == "touch",
            half_spread=settings.half_spread_bps * BPS,
            is_pessimistic=settings.intrabar == "pessimistic",
        )


def _slippage(settings: ExecutionModelSettings) -> tuple[SlippageModel, ...]:
    parts: list[SlippageModel] = []
    if settings.slippage_bps:
        parts.append(FixedSlippage(settings.slippage_bps))
    if settings.slippage_model == "volatility":
        parts.append(VolatilityScaledSlippage(settings.slippage_bps))
    if settings.impact_bps:
        parts.append(SquareRootImpact(settings.impact_bps))
    if settings.half_spread_bps:
        parts.append(HalfSpread(settings.half_spread_bps))
    return tuple(parts)


def _fees(settings: ExecutionModelSettings) -> FeeModel:
    if settings.fee_tiers is not None:
        return TieredFees(
            tuple(FeeTier(tier.volume, tier.maker_bps, tier.taker_bps) for tier in settings.fee_tiers)
        )
    if settings.maker_bps is not None:
        return MakerTakerFees(settings.maker_bps, _given(settings.taker_bps))
    fee_bps = _given(settings.fee_bps)
    return MakerTakerFees(fee_bps, fee_bps)


def _latency(settings: ExecutionModelSettings, seed: int) -> LatencyModel:
    if settings.latency_model == "fixed":
        return FixedLatency(_given(settings.latency_fixed_ms))
    if settings.latency_model == "lognormal":
        return LognormalLatency(
            seed,
            median_ms=_given(settings.latency_median_ms),
            sigma=_given(settings.latency_sigma),
            max_ms=_given(settings.latency_max_ms),
        )
    low_ms, high_ms = _given(settings.latency_ms)
    return UniformLatency(seed, low_ms, high_ms)


def _liquidity(settings: ExecutionModelSettings) -> LiquidityModel:
    if settings.liquidity_model == "unlimited":
        return UnlimitedLiquidity()
    return ShareOfVolume(_given(settings.max_volume_pct), _given(settings.partial_fill_threshold))


def _given(value: _T | None) -> _T:
    # `resolved` fills in what the chosen models need.
    if value is None:
        raise ConfigError("execution_model lacks a setting of its chosen models; load it with load_settings")
    return value
