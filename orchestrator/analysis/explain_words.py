"""The words of the exchange in plain language, and numbers and times as an explanation writes them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Final

from orchestrator.config import NS_PER_SECOND
from orchestrator.exchange.vocabulary import Reason, Rule
from orchestrator.runs.lines import number_text, time_ns_from_text

__all__ = ["REASONS", "RULES", "moment_text", "number_text"]

REASONS: Final[dict[str, str]] = {
    Reason.UNKNOWN_SYMBOL: "the coin is not in the run",
    Reason.INVALID_QTY: "the quantity is not a finite number above 0, or absurdly large",
    Reason.BELOW_LOT: "the quantity is below the lot size",
    Reason.QTY_OFF_LOT: "the quantity is not a multiple of the lot size",
    Reason.MISSING_PRICE: "its type needs a limit or stop price",
    Reason.UNEXPECTED_PRICE: "its type has no such price",
    Reason.INVALID_PRICE: "a price is not a finite number above 0, or absurdly large",
    Reason.PRICE_OFF_TICK: "a price is not a multiple of the tick size",
    Reason.INVALID_EXPIRY: "GTD needs a time later than the arrival, and only GTD may have one",
    Reason.BELOW_MIN_NOTIONAL: "quantity x price is below the smallest that the coin allows",
    Reason.INSUFFICIENT_BALANCE: "what it may cost was not available",
    Reason.INSUFFICIENT_MARGIN: "the equity did not back what it could lead to",
    Reason.LIQUIDATION: "its account was being liquidated",
    Reason.NO_MARKET_DATA: "the coin had no closed candle yet",
    Reason.END_OF_DATA: "the coin's data had ended",
    Reason.AFTER_END_OF_RUN: "it would have arrived after the end of the run",
    Reason.REQUESTED: "its component asked for it",
    Reason.IOC_REMAINDER: "IOC: this part was not possible at once",
    Reason.FOK_UNFILLABLE: "FOK: not everything was possible at once",
    Reason.EXPIRED: "GTD: its time had come",
    Reason.END_OF_RUN: "the run ended",
    Reason.UNKNOWN_ORDER: "there was no such order",
    Reason.NOT_OWN_ORDER: "another component had placed it",
    Reason.ALREADY_ENDED: "the order had ended before the request arrived",
    Reason.ALREADY_TRIGGERED: "the stop had triggered, so its stop price could not change",
    Reason.NOT_REPLACEABLE: "a market order, or a stop that had become one, cannot change",
    Reason.NOTHING_TO_CHANGE: "no new value was given",
    Reason.ALREADY_FILLED: "the new quantity was not above what was filled",
}

RULES: Final[dict[str, str]] = {
    Rule.TAKER_OPEN: "taken at its arrival, from the candle that was open",
    Rule.TAKER_NEXT_OPEN: "taken when a later candle opened, since it had waited",
    Rule.TAKER_LIMIT: "taken at its limit price, which slippage would have passed",
    Rule.MAKER_THROUGH: "filled at its limit price, since a candle traded through it",
    Rule.MAKER_TOUCH: "filled at its limit price, since a candle touched it",
    Rule.STOP_REACHED: "the stop price was reached inside a candle",
    Rule.STOP_GAP: "the candle's open had passed the stop price",
    Rule.LIQUIDATION: "the exchange closed the position, taking from the candle that was open",
}


def moment_text(seconds: Decimal | int) -> str:
    """Return a `ts` as people write it, UTC: `2024-01-01 10:00:00`, with the fraction that it has."""
    time_ns = time_ns_from_text(Decimal(seconds))
    whole, rest = divmod(time_ns, NS_PER_SECOND)
    text = dt.datetime.fromtimestamp(whole, tz=dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{rest:09d}".rstrip("0") if rest else text
