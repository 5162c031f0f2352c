"""What positions are worth: the last close of each coin, and the worst price of the candle that just closed."""

from __future__ import annotations

from decimal import Decimal

from orchestrator.errors import InvariantError
from orchestrator.exchange.market_view import MarketView
from orchestrator.exchange.money import from_float

__all__ = ["Marks"]


class Marks:
    """Prices that value positions, as of a simulation time.

    Attributes
    ----------
    now_ns
        The simulation time; whoever owns the clock sets it before anything is asked.
    """

    def __init__(self, market: MarketView) -> None:
        self._market = market
        self.now_ns = 0

    def mark(self, coin: str) -> Decimal:
        """Return the last close of a coin, quote currency."""
        last = self._market.last_closed(coin, self.now_ns)
        if last is None:
            raise InvariantError(f"{coin} was to be valued at {self.now_ns}, before its first candle closed")
        return from_float(last.close)

    def worst(self, coin: str, *, is_long: bool) -> Decimal:
        """Return the low for a long position, the high for a short one, of the candle that closes now.

        Where none closes now it is the mark.
        """
        candle = self._market.closed_at(coin, self.now_ns)
        if candle is None:
            return self.mark(coin)
        return from_float(candle.low if is_long else candle.high)
