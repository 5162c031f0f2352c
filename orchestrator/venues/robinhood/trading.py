"""Account, holdings and orders of Robinhood Crypto."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from orchestrator.exchange.events import OrderRejected
from orchestrator.exchange.money import EXACT, ZERO, floor_to
from orchestrator.exchange.vocabulary import Reason
from orchestrator.venues.http import VenueResponse
from orchestrator.venues.numbers import text
from orchestrator.venues.orders import VenueOrder
from orchestrator.venues.quotes import Quotes
from orchestrator.venues.robinhood.errors import (
    NOT_CANCELLABLE,
    NOT_FOUND,
    client_error,
    invalid_symbol,
    refusal,
    too_large,
)
from orchestrator.venues.robinhood.filters import read_filters
from orchestrator.venues.robinhood.market import order_qty_max
from orchestrator.venues.robinhood.order_body import OrderRequest, parse_order
from orchestrator.venues.robinhood.pages import read_page
from orchestrator.venues.robinhood.shapes import order_shape
from orchestrator.venues.router import Endpoint
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["TradingEndpoints"]

_CASH_STEP: Final = Decimal("0.0001")
_ACCOUNT_DIGITS: Final = 12


class TradingEndpoints:
    """What belongs to an account."""

    def __init__(self, context: VenueContext, quotes: Quotes, quote: str) -> None:
        self._context = context
        self._orders = context.orders
        self._quotes = quotes
        self._quote = quote
        self._coins = {f"{coin}-{quote}": coin for coin in context.market.coins}
        self._numbers: dict[str, str] = {}  # of accounts
        self._ended: dict[int, msgspec.Raw] = {}  # order number -> as reads show it

    def endpoints(self) -> list[Endpoint]:
        """Return what this part answers."""
        root = "/api/v1/crypto/trading"
        return [
            Endpoint("GET", f"{root}/accounts/", self._account, is_private=True),
            Endpoint("GET", f"{root}/holdings/", self._holdings, is_private=True),
            Endpoint("GET", f"{root}/orders/", self._list, is_private=True),
            Endpoint("POST", f"{root}/orders/", self._place, is_private=True),
            Endpoint("GET", f"{root}/orders/{{id}}/", self._get, is_private=True),
            Endpoint("POST", f"{root}/orders/{{id}}/cancel/", self._cancel, is_private=True),
        ]

    # ------------------------------------------------------------ account

    def _account(self, call: Call) -> VenueResponse:
        state = call.desk.account_state()
        power = max(EXACT.subtract(state.cash, state.cash_held), ZERO)
        body = {
            "account_number": self._account_number(call.desk.account),
            "status": "active",
            "buying_power": f"{floor_to(power, _CASH_STEP):.4f}",
            "buying_power_currency": self._context.currency,
        }
        return VenueResponse(200, msgspec.json.encode(body))

    def _holdings(self, call: Call) -> VenueResponse:
        state = call.desk.account_state()
        asked = {value for name, value in call.pairs if name == "asset_code"}
        coins = self._context.market.coins
        held = [coin for coin in coins if state.holdings.get(coin) and (not asked or coin in asked)]
        page = read_page(call, held, lambda coin: -coins.index(coin))
        if isinstance(page, VenueResponse):
            return page

        def holding(coin: str) -> dict[str, Any]:
            total = state.holdings[coin]
            return {
                "account_number": self._account_number(call.desk.account),
                "asset_code": coin,
                "total_quantity": text(total),
                "quantity_available_for_trading": text(
                    EXACT.subtract(total, state.holdings_held.get(coin, ZERO))
                ),
            }

        return VenueResponse(200, msgspec.json.encode(page.body(holding)))

    def _account_number(self, account: str) -> str:
        if account not in self._numbers:
            number = int.from_bytes(self._context.ids.fixed("account", account)[:8], "big")
            self._numbers[account] = f"11{number % 10 ** (_ACCOUNT_DIGITS - 2):0{_ACCOUNT_DIGITS - 2}d}"
        return self._numbers[account]

    # ------------------------------------------------------------ orders

    def _list(self, call: Call) -> VenueResponse:
        filters = read_filters(call.query, self._coins)
        if isinstance(filters, VenueResponse):
            return filters
        found = (
            order
            for order in self._orders.newest_first(call.desk.account)
            if all(keeps(order) for keeps in filters)
        )
        page = read_page(call, found, lambda order: order.number)
        if isinstance(page, VenueResponse):
            return page
        return VenueResponse(200, msgspec.json.encode(page.body(self._shape)))

    def _get(self, call: Call) -> VenueResponse:
        order = self._orders.find(call.desk.account, call.args[0])
        return self._answer(200, order) if order is not None else NOT_FOUND

    def _place(self, call: Call) -> VenueResponse:
        try:
            body = call.json()
        except (msgspec.DecodeError, UnicodeDecodeError):
            return client_error(400, "JSON parse error")
        asked = parse_order(
            body,
            instruments=self._context.instruments,
            quote=self._quote,
            now_ns=call.desk.now_ns,
            half_spread_bps=self._quotes.half_spread_bps,
        )
        if isinstance(asked, VenueResponse):
            return asked
        # Sent again, the same id means the order that it meant first.
        known = self._orders.find_own(call.desk.account, asked.own_id)
        return self._answer(201, known) if known is not None else self._submit(call, asked)

    def _submit(self, call: Call, asked: OrderRequest) -> VenueResponse:
        order, desk = asked.order, call.desk
        if order.coin not in self._quotes.listed(desk.now_ns):
            return invalid_symbol(f"{order.coin}-{self._quote}")
        rules = self._context.instruments[order.coin]
        if order.qty > order_qty_max(rules.lot_size):
            return too_large(order.coin, order_qty_max(rules.lot_size))
        placed = self._orders.place(
            desk,
            order,
            own_id=asked.own_id,
            make_id=lambda: self._context.ids.uuid(desk.component, "order"),
            details={"config": asked.config},
        )
        if isinstance(placed, OrderRejected):
            return refusal(placed.reason, order, rules, self._quote)
        return self._answer(201, placed)

    def _cancel(self, call: Call) -> VenueResponse:
        order = self._orders.find(call.desk.account, call.args[0])
        if order is None:
            return NOT_FOUND
        refused = self._orders.cancel(call.desk, order)
        # Too late for the run is as good as accepted: the order ends with the run.
        if refused is not None and refused.reason != Reason.AFTER_END_OF_RUN:
            return NOT_CANCELLABLE
        said = f"Cancel request has been submitted for order {order.venue_order_id}"
        return VenueResponse(200, said.encode(), (("Content-Type", "text/plain"),))

    def _answer(self, status: int, order: VenueOrder) -> VenueResponse:
        return VenueResponse(status, msgspec.json.encode(self._shape(order)))

    def _shape(self, order: VenueOrder) -> msgspec.Raw:
        # Bots poll the list: what has ended changes no more and is written once.
        written = self._ended.get(order.number)
        if written is None:
            shape = order_shape(
                order,
                account_number=self._account_number(order.account),
                symbol=f"{order.coin}-{self._quote}",
                tick_size=self._context.instruments[order.coin].tick_size,
            )
            written = msgspec.Raw(msgspec.json.encode(shape))
            if not order.is_open:
                self._ended[order.number] = written
        return written
