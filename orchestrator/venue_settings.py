"""[venue.NAME] of replay.toml: which real exchanges are emulated for unmodified bots, and how.

Which names there are is the affair of `orchestrator.venues.venues`; here only values are judged.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

from orchestrator.errors import ConfigError
from orchestrator.settings_section import Section

__all__ = ["FaultSettings", "VenueSettings", "validate_venue"]

_DEPTH_LEVELS_MAX: Final = 1_000
_FAULTS: Final = ("timeout", "http_429", "http_500", "lost_answer", "stale_quote", "reset")


class FaultSettings(Section, frozen=True, kw_only=True):
    """[venue.NAME.faults]: how probable each kind of trouble is for a request, from 0 to 1."""

    timeout: Decimal = Decimal(0)  # the request never reaches the venue; the bot waits out its time-out
    http_429: Decimal = Decimal(0)  # refused as one too many
    http_500: Decimal = Decimal(0)  # refused by a venue in trouble
    lost_answer: Decimal = Decimal(0)  # an order or a cancel happens and the bot never hears of it
    stale_quote: Decimal = Decimal(0)  # market data of one base candle ago
    reset: Decimal = Decimal(0)  # the connection is reset before the request arrives

    @property
    def is_any(self) -> bool:
        """Whether any trouble is wanted."""
        return any(getattr(self, name) for name in _FAULTS)


class VenueSettings(Section, frozen=True, kw_only=True):
    """[venue.NAME]: one emulated exchange."""

    spread_bps: Decimal | None = None  # from bid to ask; None: what the venue's own module says
    depth_levels: int = 100  # of the made-up book, on each side
    quote: str | None = None  # the second half of its symbols; None: what the candles are quoted in
    signatures: Literal["ignore", "present", "verify"] = "ignore"
    api_key: str | None = None  # test keys, with signatures = "verify" only; never real ones
    api_secret: str | None = None
    api_passphrase: str | None = None
    rate_limits: bool = True
    holes: Literal["keep", "fill"] = "keep"  # intervals without a trade: no row, or a flat one
    faults: FaultSettings = FaultSettings()


def validate_venue(name: str, venue: VenueSettings) -> None:
    """Raise `ConfigError` for a value out of range, or a key that can have no effect."""
    where = f"venue.{name}"
    spread = venue.spread_bps
    if spread is not None and not (spread.is_finite() and 0 <= spread < 10_000):
        raise ConfigError(f"{where}.spread_bps {spread} is out of range; basis points from 0 to below 10000")
    if not 1 <= venue.depth_levels <= _DEPTH_LEVELS_MAX:
        raise ConfigError(
            f"{where}.depth_levels {venue.depth_levels} is out of range; from 1 to {_DEPTH_LEVELS_MAX}"
        )
    if venue.quote is not None and not (
        venue.quote.isascii() and venue.quote.isalnum() and venue.quote.isupper()
    ):
        raise ConfigError(f"{where}.quote {venue.quote!r} is not understood; write such as USDT or USD")
    _validate_keys(where, venue)
    for fault in _FAULTS:
        probability: Decimal = getattr(venue.faults, fault)
        if not (probability.is_finite() and 0 <= probability <= 1):
            raise ConfigError(f"{where}.faults.{fault} {probability} is out of range; from 0 to 1")
    if sum((getattr(venue.faults, fault) for fault in _FAULTS), Decimal(0)) > 1:
        raise ConfigError(
            f"{where}.faults add up to more than 1; at most one happens to a request: lower them"
        )


def _validate_keys(where: str, venue: VenueSettings) -> None:
    for key in ("api_key", "api_secret", "api_passphrase"):
        if getattr(venue, key) is not None and venue.signatures != "verify":
            raise ConfigError(
                f'{where}.{key} has no effect with signatures = "{venue.signatures}"; remove it, or set '
                'signatures = "verify"'
            )
    if venue.signatures == "verify" and (venue.api_key is None or venue.api_secret is None):
        raise ConfigError(
            f'{where}.signatures = "verify" needs api_key and api_secret: the test keys that the bot signs with'
        )
