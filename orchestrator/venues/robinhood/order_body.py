"""The body of a new order: what a bot may write there, and the order that it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeVar

from orchestrator.config import NS_PER_DAY
from orchestrator.exchange.instruments import Instrument
from orchestrator.exchange.money import EXACT
from orchestrator.protocol import OrderType, Side, TimeInForce
from orchestrator.venues.desk import NewOrder
from orchestrator.venues.http import VenueResponse
from orchestrator.venues.numbers import parse_number
from orchestrator.venues.robinhood.errors import invalid, invalid_symbol

__all__ = ["CONFIG_KEYS", "ORDER_TYPES", "TYPE_WORDS", "OrderRequest", "parse_order"]

ORDER_TYPES: Final = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stop_loss": OrderType.STOP,
    "stop_limit": OrderType.STOP_LIMIT,
}
TYPE_WORDS: Final = {order_type: word for word, order_type in ORDER_TYPES.items()}
CONFIG_KEYS: Final = {order_type: f"{word}_order_config" for word, order_type in ORDER_TYPES.items()}

# For how many days an order stays; None: until it is cancelled.
_TIMES_IN_FORCE: Final = {"gtc": None, "gfd": 1, "gfw": 7, "gfm": 30}
_PRICES: Final = {
    OrderType.MARKET: (),
    OrderType.LIMIT: ("limit_price",),
    OrderType.STOP: ("stop_price",),
    OrderType.STOP_LIMIT: ("limit_price", "stop_price"),
}
_UUID: Final = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
_REQUIRED: Final = "This field is required."
_SHOWN: Final = ("asset_quantity", "quote_amount", "limit_price", "stop_price", "time_in_force")

_Chosen = TypeVar("_Chosen")


class OrderRequest(NamedTuple):
    """An order as a bot asks for it."""

    order: NewOrder
    own_id: str
    config: dict[str, str]  # as reads of the order show it


class _WrongFieldError(Exception):
    # What is wrong with the body; never leaves this module.
    def __init__(self, detail: str, attr: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.attr = attr


def parse_order(
    body: Any,
    *,
    instruments: Mapping[str, Instrument],
    quote: str,
    now_ns: int,
    half_spread_bps: Decimal,
) -> OrderRequest | VenueResponse:
    """Return what a body asks for, or the error that the bot gets.

    Parameters
    ----------
    body
        Decoded JSON.
    instruments
        Trading rules of the coins that are traded now.
    quote
        The second half of symbols.
    now_ns
        Simulation time, from which orders that end by themselves count.
    half_spread_bps
        What the order pays beyond the middle when it trades at once.
    """
    if not isinstance(body, dict):
        return invalid("Invalid data. Expected a dictionary.", "non_field_errors")
    try:
        own_id, side, order_type = _read_head(body)
        coin, _, second = str(body["symbol"]).rpartition("-")
        if second != quote or coin not in instruments:
            return invalid_symbol(str(body["symbol"]))
        return _read_config(body, own_id, side, order_type, instruments[coin], now_ns, half_spread_bps)
    except _WrongFieldError as error:
        return invalid(error.detail, error.attr)


def _read_head(body: dict[str, Any]) -> tuple[str, Side, OrderType]:
    for name in ("client_order_id", "side", "type", "symbol"):
        if body.get(name) in (None, ""):
            raise _WrongFieldError(_REQUIRED, name)
    own_id = str(body["client_order_id"])
    if not _UUID.fullmatch(own_id):
        raise _WrongFieldError("Must be a valid UUID.", "client_order_id")
    side = _choice(body, "side", {str(side): side for side in Side})
    return own_id, side, _choice(body, "type", ORDER_TYPES)


def _choice(body: dict[str, Any], name: str, choices: Mapping[str, _Chosen]) -> _Chosen:
    word = body[name]
    if not isinstance(word, str) or word not in choices:
        raise _WrongFieldError(f'"{word}" is not a valid choice.', name)
    return choices[word]


def _read_config(
    body: dict[str, Any],
    own_id: str,
    side: Side,
    order_type: OrderType,
    instrument: Instrument,
    now_ns: int,
    half_spread_bps: Decimal,
) -> OrderRequest:
    key = CONFIG_KEYS[order_type]
    config = body.get(key)
    if not isinstance(config, dict):
        raise _WrongFieldError(_REQUIRED, key)
    shown: dict[str, str] = {}
    prices = {name: _number(config, name, shown) for name in _PRICES[order_type]}
    qty = _read_qty(config, order_type, prices, instrument, shown)
    expire_time_ns = None
    if order_type is not OrderType.MARKET:
        days, word = _read_time_in_force(config)
        expire_time_ns = now_ns + days * NS_PER_DAY if days is not None else None
        if order_type is not OrderType.LIMIT:
            shown["time_in_force"] = word  # reads of a limit order do not show it
    order = NewOrder(
        coin=instrument.coin,
        side=side,
        qty=qty,
        order_type=order_type,
        limit_price=prices.get("limit_price"),
        stop_price=prices.get("stop_price"),
        time_in_force=TimeInForce.GTC if expire_time_ns is None else TimeInForce.GTD,
        expire_time_ns=expire_time_ns,
        half_spread_bps=half_spread_bps,
        may_hold_less=True,
    )
    return OrderRequest(order, own_id, {name: shown[name] for name in _SHOWN if name in shown})


def _read_time_in_force(config: dict[str, Any]) -> tuple[int | None, str]:
    word = config.get("time_in_force", "gtc")
    if not isinstance(word, str) or word not in _TIMES_IN_FORCE:
        raise _WrongFieldError(f'"{word}" is not a valid choice.', "time_in_force")
    return _TIMES_IN_FORCE[word], word


def _read_qty(
    config: dict[str, Any],
    order_type: OrderType,
    prices: dict[str, Decimal],
    instrument: Instrument,
    shown: dict[str, str],
) -> Decimal:
    if config.get("asset_quantity") is not None or order_type is OrderType.MARKET:
        return _number(config, "asset_quantity", shown)
    if config.get("quote_amount") is None:
        raise _WrongFieldError("Either asset_quantity or quote_amount is required.", "asset_quantity")
    amount = _number(config, "quote_amount", shown)
    # The limit, or the stop where there is none, is what a unit may cost.
    price = prices.get("limit_price") or prices["stop_price"]
    lots = EXACT.divide_int(amount, EXACT.multiply(price, instrument.lot_size))
    return EXACT.multiply(lots, instrument.lot_size)


def _number(config: dict[str, Any], name: str, shown: dict[str, str]) -> Decimal:
    if config.get(name) in (None, ""):
        raise _WrongFieldError(_REQUIRED, name)
    value = parse_number(config[name])
    if value is None:
        raise _WrongFieldError("A valid number is required.", name)
    if value <= 0:
        raise _WrongFieldError("Ensure this value is greater than 0.", name)
    shown[name] = f"{value:f}"
    return value
