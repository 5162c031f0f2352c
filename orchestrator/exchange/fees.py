"""What a fill costs in fees: a rate on the executed notional, by liquidity and perhaps by past volume."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

from orchestrator.exchange.money import BPS, ZERO
from orchestrator.protocol import Liquidity

__all__ = ["FeeModel", "FeeTier", "MakerTakerFees", "TieredFees"]

_WINDOW_NS: Final = 30 * 86_400 * 1_000_000_000


class FeeModel(Protocol):
    """How fees are charged; rates are fractions of the notional."""

    @property
    def rate_max(self) -> Decimal:
        """The highest rate that a fill may ever pay: what holds reserve."""

    def rate(self, account: str, liquidity: Liquidity, sim_time_ns: int) -> Decimal:
        """Return the rate of a fill of an account at a simulation time."""

    def record(self, account: str, notional: Decimal, sim_time_ns: int) -> None:
        """Count a fill towards the account's volume."""


class MakerTakerFees:
    """One rate for makers and one for takers; equal rates are a flat fee."""

    def __init__(self, maker_bps: Decimal, taker_bps: Decimal) -> None:
        self._rates = {Liquidity.MAKER: maker_bps * BPS, Liquidity.TAKER: taker_bps * BPS}
        self.rate_max = max(self._rates.values())

    def rate(self, account: str, liquidity: Liquidity, sim_time_ns: int) -> Decimal:  # noqa: ARG002 - the protocol
        """Return the rate of the liquidity."""
        return self._rates[liquidity]

    def record(self, account: str, notional: Decimal, sim_time_ns: int) -> None:
        """Forget it: past volume changes nothing."""


class FeeTier(NamedTuple):
    """The rates from a 30-day volume (quote currency) upwards, until the next tier begins."""

    volume: Decimal
    maker_bps: Decimal
    taker_bps: Decimal


class TieredFees:
    """Rates by the account's traded notional of the 30 days before the fill, the fill itself not included.

    Parameters
    ----------
    tiers
        Ascending by volume, the first at 0.
    """

    def __init__(self, tiers: tuple[FeeTier, ...]) -> None:
        self._tiers = tuple((tier.volume, MakerTakerFees(tier.maker_bps, tier.taker_bps)) for tier in tiers)
        self.rate_max = max(fees.rate_max for _, fees in self._tiers)
        self._fills: dict[str, deque[tuple[int, Decimal]]] = {}
        self._volumes: dict[str, Decimal] = {}

    def rate(self, account: str, liquidity: Liquidity, sim_time_ns: int) -> Decimal:
        """Return the rate of the tier that the account has reached."""
        volume = self._volume(account, sim_time_ns)
        reached = [fees for threshold, fees in self._tiers if volume >= threshold]
        return reached[-1].rate(account, liquidity, sim_time_ns)

    def record(self, account: str, notional: Decimal, sim_time_ns: int) -> None:
        """Count a fill towards the account's volume for 30 days."""
        self._fills.setdefault(account, deque()).append((sim_time_ns, notional))
        self._volumes[account] = self._volumes.get(account, ZERO) + notional

    def _volume(self, account: str, sim_time_ns: int) -> Decimal:
        fills = self._fills.get(account)
        while fills and fills[0][0] <= sim_time_ns - _WINDOW_NS:
            self._volumes[account] -= fills.popleft()[1]
        return self._volumes.get(account, ZERO)
