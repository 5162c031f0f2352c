"""Every word that the exchange puts into a result: reasons, fill rules, parts of slippage.

They are part of the run directory's contract; `docs/orders.md` explains each to users.
"""

from __future__ import annotations

import enum

__all__ = ["FlowKind", "Reason", "Rule", "SlippagePart"]


class Reason(enum.StrEnum):
    """Why an order was rejected or ended, or a cancel or replace was refused."""

    # The order as written cannot be.
    UNKNOWN_SYMBOL = "unknown_symbol"  # the coin is not in the run
    INVALID_QTY = "invalid_qty"  # not a finite number above 0, or absurdly large
    BELOW_LOT = "below_lot"  # less than the smallest quantity of the instrument
    QTY_OFF_LOT = "qty_off_lot"  # not a multiple of the lot size
    MISSING_PRICE = "missing_price"  # the order type needs a limit or stop price
    UNEXPECTED_PRICE = "unexpected_price"  # the order type has no such price
    INVALID_PRICE = "invalid_price"  # not a finite number above 0, or absurdly large
    PRICE_OFF_TICK = "price_off_tick"  # not a multiple of the tick size
    INVALID_EXPIRY = "invalid_expiry"  # GTD without a time after the arrival, or a time without GTD
    BELOW_MIN_NOTIONAL = "below_min_notional"  # quantity * price is less than the instrument allows

    # The order cannot be now.
    INSUFFICIENT_BALANCE = "insufficient_balance"  # what it may cost is not available; or a fill was cut
    INSUFFICIENT_MARGIN = (
        "insufficient_margin"  # the equity does not back what it may lead to; or a fill was cut
    )
    LIQUIDATION = "liquidation"  # the account is being liquidated: orders are cancelled, new ones refused
    NO_MARKET_DATA = "no_market_data"  # the coin has no closed candle yet
    END_OF_DATA = "end_of_data"  # the coin's data ended
    AFTER_END_OF_RUN = "after_end_of_run"  # it would arrive after the end of the run

    # The order ended.
    REQUESTED = "requested"  # its component cancelled it
    IOC_REMAINDER = "ioc_remainder"  # immediate or cancel: what was not possible at once
    FOK_UNFILLABLE = "fok_unfillable"  # fill or kill: not all was possible at once
    EXPIRED = "expired"  # good till date: the date
    END_OF_RUN = "end_of_run"

    # A cancel or replace came to nothing; beside these, the reasons of the first two groups.
    UNKNOWN_ORDER = "unknown_order"
    NOT_OWN_ORDER = "not_own_order"  # another component placed it
    ALREADY_ENDED = "already_ended"  # filled, cancelled or expired before the request arrived
    ALREADY_TRIGGERED = "already_triggered"  # the stop price of a triggered stop
    NOT_REPLACEABLE = "not_replaceable"  # a market order
    NOTHING_TO_CHANGE = "nothing_to_change"  # no field given, or all as they were
    ALREADY_FILLED = "already_filled"  # the new quantity is not above the filled part


class Rule(enum.StrEnum):
    """Which rule of the fill model made a fill."""

    TAKER_OPEN = "taker_open"  # at arrival: the open of the candle that contains it
    TAKER_NEXT_OPEN = "taker_next_open"  # what waited: the open of a later candle
    TAKER_LIMIT = "taker_limit"  # a taker that slippage would carry beyond its limit: at the limit
    MAKER_THROUGH = "maker_through"  # a resting limit that a candle traded through
    MAKER_TOUCH = "maker_touch"  # a resting limit that a candle touched, where touch = "touch"
    STOP_REACHED = "stop_reached"  # a stop inside a candle: at the stop price
    STOP_GAP = "stop_gap"  # a stop that the candle's open had passed: at that open
    LIQUIDATION = "liquidation"  # a taker of the exchange that closes a position without being asked


class FlowKind(enum.StrEnum):
    """Why cash came or went without a fill."""

    INTEREST_QUOTE = "interest_quote"  # on borrowed quote
    INTEREST_BASE = "interest_base"  # on a borrowed coin
    FUNDING = "funding"  # of a perpetual contract
    LIQUIDATION_FEE = "liquidation_fee"


class SlippagePart(enum.StrEnum):
    """What the slippage of a fill is made of; the parts sum to the whole."""

    BASE = "base"  # slippage_bps
    VOLATILITY = "volatility"  # slippage_bps * (m - 1)
    IMPACT = "impact"  # impact_bps * sqrt(participation)
    SPREAD = "spread"  # half_spread_bps
    LIMIT = "limit"  # from what the parts before it make to the limit price
    ROUNDING = "rounding"  # to the tick, against the trader
