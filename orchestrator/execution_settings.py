"""[execution_model] of replay.toml: which assumptions turn candles and an order into fills (DESIGN 5).

A key that is absent is None until `resolved` fills in the defaults of the chosen models; so a key that was
set although the chosen model has no use for it can be told apart, and refused.
"""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from orchestrator.errors import ConfigError
from orchestrator.settings_section import Section

__all__ = ["ExecutionModelSettings", "FeeTierSettings", "validate_execution_model"]

_BPS_KEYS: Final = ("slippage_bps", "impact_bps", "half_spread_bps", "fee_bps", "maker_bps", "taker_bps")
_LATENCY_MS_MAX: Final = 60_000
_FEE_BPS: Final = Decimal(20)

# Model -> its own keys and their defaults; the keys of the models not chosen have no effect.
_LATENCY_KEYS: Final[dict[str, dict[str, Any]]] = {
    "uniform": {"latency_ms": (Decimal(50), Decimal(500))},
    "fixed": {"latency_fixed_ms": Decimal(200)},
    "lognormal": {
        "latency_median_ms": Decimal(150),
        "latency_sigma": Decimal("0.5"),
        "latency_max_ms": Decimal(5_000),
    },
}
_LIQUIDITY_KEYS: Final[dict[str, dict[str, Any]]] = {
    "volume_share": {"max_volume_pct": Decimal("1.0"), "partial_fill_threshold": Decimal("0.01")},
    "unlimited": {},
}


class FeeTierSettings(Section, frozen=True, kw_only=True):
    """One entry of `fee_tiers`: the rates from a 30-day volume upwards."""

    volume: Decimal  # quote currency traded in the 30 days before the fill
    maker_bps: Decimal
    taker_bps: Decimal


class ExecutionModelSettings(Section, frozen=True, kw_only=True):
    """[execution_model]: the assumptions that turn candles and an order into fills (DESIGN 5)."""

    slippage_model: Literal["volatility", "fixed"] | None = None  # what scales slippage_bps; volatility
    slippage_bps: Decimal = Decimal(5)
    impact_bps: Decimal = Decimal(0)  # times the square root of the participation
    half_spread_bps: Decimal = Decimal(0)  # for venues that quote a bid and an ask
    fee_bps: Decimal | None = None  # for makers and takers alike; 20 unless the others below are given
    maker_bps: Decimal | None = None
    taker_bps: Decimal | None = None
    fee_tiers: tuple[FeeTierSettings, ...] | None = None
    liquidity_model: Literal["volume_share", "unlimited"] = "volume_share"
    max_volume_pct: Decimal | None = None
    partial_fill_threshold: Decimal | None = None
    latency_model: Literal["uniform", "fixed", "lognormal"] = "uniform"
    latency_ms: tuple[Decimal, Decimal] | None = None
    latency_fixed_ms: Decimal | None = None
    latency_median_ms: Decimal | None = None
    latency_sigma: Decimal | None = None  # of the logarithm
    latency_max_ms: Decimal | None = None
    touch: Literal["through", "touch"] = "through"  # what fills a resting limit
    intrabar: Literal["pessimistic", "optimistic"] = "pessimistic"  # whether stops or limits are served first

    def resolved(self) -> ExecutionModelSettings:
        """Return the same settings with every default of the chosen models filled in."""
        filled: dict[str, Any] = {}
        if self.slippage_bps and self.slippage_model is None:
            filled["slippage_model"] = "volatility"
        if self.fee_bps is None and self.maker_bps is None and self.fee_tiers is None:
            filled["fee_bps"] = _FEE_BPS
        defaults = {**_LIQUIDITY_KEYS[self.liquidity_model], **_LATENCY_KEYS[self.latency_model]}
        filled.update({key: value for key, value in defaults.items() if getattr(self, key) is None})
        return msgspec.structs.replace(self, **filled)


def validate_execution_model(model: ExecutionModelSettings) -> None:
    """Raise `ConfigError` for a value out of range or a key without effect under the chosen models."""
    _refuse_not_a_number(model)
    for key in _BPS_KEYS:
        _check_bps(key, getattr(model, key))
    if model.slippage_model is not None and not model.slippage_bps:
        raise ConfigError(
            "execution_model.slippage_model has no effect with slippage_bps = 0; remove one of them"
        )
    _validate_fees(model)
    _refuse_unused(model, "liquidity_model", _LIQUIDITY_KEYS)
    _refuse_unused(model, "latency_model", _LATENCY_KEYS)
    _validate_liquidity(model)
    _validate_latency(model)


def _refuse_not_a_number(model: ExecutionModelSettings) -> None:
    tiers = [msgspec.structs.asdict(tier) for tier in model.fee_tiers or ()]
    for section in (msgspec.structs.asdict(model), *tiers):
        for key, value in section.items():
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, Decimal) and not number.is_finite():
                    raise ConfigError(f"execution_model.{key} {number} is not a number; give a finite one")


def _check_bps(key: str, value: Decimal | None) -> None:
    if value is not None and not 0 <= value < 10_000:
        raise ConfigError(
            f"execution_model.{key} {value} is out of range; basis points from 0 to below 10000"
        )


def _refuse_unused(
    model: ExecutionModelSettings, choice: str, keys_by_model: dict[str, dict[str, Any]]
) -> None:
    chosen = getattr(model, choice)
    for name, keys in keys_by_model.items():
        for key in keys:
            if name != chosen and getattr(model, key) is not None:
                raise ConfigError(
                    f'execution_model.{key} has no effect with {choice} = "{chosen}"; '
                    f'remove it, or set {choice} = "{name}"'
                )


def _validate_fees(model: ExecutionModelSettings) -> None:
    if (model.maker_bps is None) != (model.taker_bps is None):
        raise ConfigError("execution_model needs maker_bps and taker_bps together, or fee_bps alone")
    if model.fee_bps is not None and model.maker_bps is not None:
        raise ConfigError(
            "execution_model.fee_bps has no effect beside maker_bps and taker_bps; remove one of them"
        )
    if model.fee_tiers is None:
        return
    for key in ("fee_bps", "maker_bps"):
        if getattr(model, key) is not None:
            raise ConfigError(f"execution_model.{key} has no effect beside fee_tiers; remove one of them")
    volumes = [tier.volume for tier in model.fee_tiers]
    if not volumes or volumes[0] != 0 or any(a >= b for a, b in itertools.pairwise(volumes)):
        raise ConfigError(
            f"execution_model.fee_tiers have volumes {', '.join(map(str, volumes)) or 'none'}; "
            "the first is 0 and each is above the one before"
        )
    for tier in model.fee_tiers:
        _check_bps("fee_tiers.maker_bps", tier.maker_bps)
        _check_bps("fee_tiers.taker_bps", tier.taker_bps)


def _validate_liquidity(model: ExecutionModelSettings) -> None:
    share, threshold = model.max_volume_pct, model.partial_fill_threshold
    if share is not None and not 0 < share <= 100:
        raise ConfigError(f"execution_model.max_volume_pct {share} is out of range; above 0, at most 100")
    if threshold is not None and not 0 <= threshold < 1:
        raise ConfigError(
            f"execution_model.partial_fill_threshold {threshold} is out of range; from 0 to below 1"
        )


def _validate_latency(model: ExecutionModelSettings) -> None:
    if model.latency_ms is not None:
        low, high = model.latency_ms
        if not 0 < low <= high <= _LATENCY_MS_MAX:
            raise ConfigError(
                f"execution_model.latency_ms [{low}, {high}] is out of range; 0 < low <= high <= "
                f"{_LATENCY_MS_MAX} (ms), since no order reaches a market at once"
            )
    for key in ("latency_fixed_ms", "latency_median_ms", "latency_max_ms"):
        value = getattr(model, key)
        if value is not None and not 0 < value <= _LATENCY_MS_MAX:
            raise ConfigError(
                f"execution_model.{key} {value} is out of range; above 0, at most {_LATENCY_MS_MAX} (ms)"
            )
    if model.latency_sigma is not None and not 0 < model.latency_sigma <= 3:
        raise ConfigError(
            f"execution_model.latency_sigma {model.latency_sigma} is out of range; above 0, at most 3"
        )
    filled = model.resolved()
    median, longest = filled.latency_median_ms, filled.latency_max_ms
    if median is not None and longest is not None and longest < median:
        raise ConfigError(
            f"execution_model.latency_max_ms {longest} is below latency_median_ms {median}; raise it"
        )
