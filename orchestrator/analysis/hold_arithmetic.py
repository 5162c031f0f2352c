"""What an open order holds of its account, computed again by the exchange's own rules."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from orchestrator.analysis.explain_words import number_text
from orchestrator.exchange.admission import hold_price, likely_bound, likely_price
from orchestrator.exchange.money import ONE, round_up_8
from orchestrator.protocol import Side

__all__ = ["HoldArithmetic"]


class HoldArithmetic(NamedTuple):
    """The rule for one order.

    A spot account holds cash for a buy and the coin for a sell. Of an account that may owe nothing is held: what
    the order may trade for counts towards what the equity must back.
    """

    is_spot: bool
    side: Side
    coin: str
    currency: str
    fee_rate_max: Decimal
    last_close: Decimal | str  # or why it is not known; only orders without a price need it
    is_bare: bool = False  # whether it holds its likely price alone, since margin and fee did not fit on top

    @property
    def label(self) -> str:
        """The word in front of its lines, ten characters wide."""
        return "holds     " if self.is_spot else "counts    "

    @property
    def unit(self) -> str:
        """What is held."""
        return self.coin if self._holds_coin else self.currency

    @property
    def _holds_coin(self) -> bool:
        return self.is_spot and self.side is Side.SELL

    def amount(self, rest: Decimal, limit: Decimal | None, stop: Decimal | None) -> Decimal | None:
        """Return what a remainder holds, None where the last close is needed and not known."""
        if self._holds_coin:
            return rest
        close = self.last_close
        if isinstance(close, str):
            if limit is None and stop is None:
                return None
            close = Decimal(0)
        if self.is_bare:
            price = likely_price(limit, stop, close)
        elif self.is_spot:
            price = hold_price(self.side, limit, stop, close, self.fee_rate_max)
        else:
            price = likely_bound(limit, stop, close)
        return round_up_8(rest * price)

    def text(self, rest: Decimal, limit: Decimal | None, stop: Decimal | None) -> str:
        """Return the arithmetic of `amount`."""
        if self._holds_coin:
            return f"{number_text(rest)} {self.coin}, its quantity"
        factors = f"{number_text(rest)} x {self._price_text(limit, stop)}"
        if self.is_spot and not self.is_bare:
            factors += f" x {number_text(ONE + self.fee_rate_max)} (with the highest fee)"
        amount = self.amount(rest, limit, stop)
        if amount is None:
            return f"{factors}; {self.last_close}"
        suffix = "" if self.is_spot else " towards what the equity must back; nothing is held"
        if self.is_bare:
            suffix = ", without the margin and the fee, which did not fit"
        return f"{factors} = {number_text(amount)} {self.currency}{suffix}"

    def _price_text(self, limit: Decimal | None, stop: Decimal | None) -> str:
        if limit is not None:
            return f"{number_text(limit)} (limit)"
        margin = "" if self.is_bare else " x 1.05"
        if stop is not None:
            return f"{number_text(stop)} (stop){margin}"
        if isinstance(self.last_close, str):
            return f"last close{margin}"
        return f"{number_text(self.last_close)} (last close){margin}"
