"""KuCoin's balances, fees and ledgers. All money is in trade accounts; main and margin accounts are empty."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from orchestrator.errors import InvariantError
from orchestrator.exchange.money import EXACT, ZERO
from orchestrator.protocol import Side
from orchestrator.venues.desk import Desk
from orchestrator.venues.kucoin.envelope import Refusal
from orchestrator.venues.kucoin.market_pages import milliseconds
from orchestrator.venues.kucoin.pages import page_of, within
from orchestrator.venues.kucoin.pairs import Pairs
from orchestrator.venues.numbers import text
from orchestrator.venues.orders import Execution, VenueOrder
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["AccountPages"]

_TRADE: Final = "trade"
_LEDGER_MAX: Final = 5_000  # rows of a ledger that can be paged through


class AccountPages:
    """Pages about what an account has."""

    def __init__(self, context: VenueContext, pairs: Pairs) -> None:
        self._context = context
        self._pairs = pairs
        self._orders = context.orders
        self._ids = context.ids

    def accounts(self, call: Call) -> list[dict[str, str]]:
        """Answer the balances of all currencies that the account has or had."""
        query = call.query
        if (query.get("type") or _TRADE) != _TRADE:
            return []
        wanted = query.get("currency")
        return [
            {"id": self._account_id(call.desk, currency), "currency": currency, "type": _TRADE, **balance}
            for currency, balance in self._balances(call.desk).items()
            if not wanted or currency == wanted
        ]

    def account(self, call: Call) -> dict[str, str]:
        """Answer one currency's balance by the id of its account."""
        for currency, balance in self._balances(call.desk).items():
            if self._account_id(call.desk, currency) == call.args[0]:
                return {"currency": currency, **balance}
        raise Refusal("400100", "account not exist")

    def transferable(self, call: Call) -> dict[str, str]:
        """Answer how much of a currency could be moved between accounts."""
        currency = call.query.get("currency", "")
        balance = self._balances(call.desk).get(currency, _balance(ZERO, ZERO))
        return {"currency": currency, **balance, "transferable": balance["available"]}

    def _balances(self, desk: Desk) -> dict[str, dict[str, str]]:
        state = desk.account_state()
        balances = {self._pairs.quote: _balance(state.cash, state.cash_held)}
        for coin, qty in state.holdings.items():
            balances[coin] = _balance(qty, state.holdings_held.get(coin, ZERO))
        return balances

    def _account_id(self, desk: Desk, currency: str) -> str:
        return self._ids.fixed("account", desk.account, currency)[:12].hex()

    # ------------------------------------------------------------ fees and modes

    def base_fee(self, call: Call) -> dict[str, str]:  # noqa: ARG002 - a page
        """Answer the fee rates."""
        return {
            "takerFeeRate": text(self._context.taker_fee),
            "makerFeeRate": text(self._context.maker_fee),
        }

    def trade_fees(self, call: Call) -> list[dict[str, str]]:
        """Answer the fee rates of pairs."""
        symbols = [name for name in (call.query.get("symbols") or "").split(",") if name]
        for symbol in symbols:
            self._pairs.require(call, symbol)
        return [{"symbol": symbol, **self.base_fee(call)} for symbol in symbols]

    @staticmethod
    def is_high_frequency(call: Call) -> bool:  # noqa: ARG004 - a page
        """Answer that there is no account of that kind: bots then use the classic one."""
        return False

    @staticmethod
    def mode(call: Call) -> dict[str, str]:  # noqa: ARG004 - a page
        """Answer that accounts are classic ones."""
        return {"selfAccountMode": "CLASSIC"}

    @staticmethod
    def nothing(call: Call) -> list[Any]:  # noqa: ARG004 - a page
        """Answer an empty list: there is nothing of that kind in a replay."""
        return []

    @staticmethod
    def empty_page(call: Call) -> dict[str, Any]:
        """Answer an empty page: nothing is deposited or withdrawn in a replay."""
        return page_of(call, (), dict)

    @staticmethod
    def no_margin(call: Call) -> dict[str, Any]:
        """Answer that no pair can be traded with margin."""
        return {"timestamp": milliseconds(call.now_ns), "items": []}

    @staticmethod
    def user(call: Call) -> dict[str, int]:  # noqa: ARG004 - a page
        """Answer what kind of customer it is: one without privileges or sub-accounts."""
        return {
            "level": 0,
            "subQuantity": 0,
            "maxDefaultSubQuantity": 5,
            "maxSubQuantity": 5,
            "spotSubQuantity": 0,
            "marginSubQuantity": 0,
            "futuresSubQuantity": 0,
            "maxSpotSubQuantity": 0,
            "maxMarginSubQuantity": 0,
            "maxFuturesSubQuantity": 0,
        }

    # ------------------------------------------------------------ ledgers

    def ledgers(self, call: Call) -> dict[str, Any]:
        """Answer what fills did to balances, newest first, as a page."""
        return page_of(call, self._ledger(call, "TRADE"), dict)

    def hf_ledgers(self, call: Call) -> list[dict[str, Any]]:
        """Answer the same as a list; `lastId` is the id after which it goes on."""
        rows = [{**row, "tax": "0"} for row in self._ledger(call, "TRADE_HF")]
        last = call.query.get("lastId")
        ids = [row["id"] for row in rows]
        start = ids.index(last) + 1 if last in ids else 0
        return rows[start : start + within(call, "limit", low=1, high=200, default=100)]

    def _ledger(self, call: Call, account_type: str) -> list[dict[str, Any]]:
        # From what there is now back through the fills: each row carries the balance after it.
        query = call.query
        state = call.desk.account_state()
        balances = {self._pairs.quote: state.cash, **state.holdings}
        begins, ends = within(call, "startAt", default=0), within(call, "endAt", default=0)
        rows: list[dict[str, Any]] = []
        for order, fill in self._orders.fills_newest_first(call.desk.account):
            for currency, amount, fee in self._movements(order, fill):
                balance = balances.get(currency, ZERO)
                change = EXACT.subtract(amount, fee)
                balances[currency] = EXACT.subtract(balance, change)
                time_ms = milliseconds(fill.sim_time_ns)
                wanted = query.get("currency")
                direction = "in" if change >= 0 else "out"
                is_wanted = (
                    (not wanted or currency in wanted.split(","))
                    and begins <= time_ms
                    and (not ends or time_ms <= ends)
                    and query.get("direction") in (None, "", direction)
                    and query.get("bizType") in (None, "", "TRADE_EXCHANGE", "Exchange")
                )
                if is_wanted:
                    rows.append(
                        self._row(order, fill, currency, abs(change), fee, balance, direction, account_type)
                    )
            if len(rows) >= _LEDGER_MAX:
                break
        return rows

    def _movements(self, order: VenueOrder, fill: Execution) -> list[tuple[str, Decimal, Decimal]]:
        # (currency, amount before the fee, fee), the later movement first.
        if order.side is Side.BUY:
            return [(order.coin, fill.qty, ZERO), (self._pairs.quote, -fill.quote, fill.fee)]
        return [(self._pairs.quote, fill.quote, fill.fee), (order.coin, -fill.qty, ZERO)]

    def _row(
        self,
        order: VenueOrder,
        fill: Execution,
        currency: str,
        amount: Decimal,
        fee: Decimal,
        balance: Decimal,
        direction: str,
        account_type: str,
    ) -> dict[str, Any]:
        context = {
            "symbol": self._pairs.symbol(order.coin),
            "orderId": order.venue_order_id,
            "tradeId": self._ids.fixed("trade", str(fill.number))[:12].hex(),
        }
        return {
            "id": self._ids.fixed("ledger", str(fill.number), currency)[:12].hex(),
            "currency": currency,
            "amount": text(amount),
            "fee": text(fee),
            "balance": text(balance),
            "accountType": account_type,
            "bizType": "Exchange",
            "direction": direction,
            "createdAt": milliseconds(fill.sim_time_ns),
            "context": msgspec.json.encode(context).decode(),
        }


def _balance(total: Decimal, held: Decimal) -> dict[str, str]:
    if not ZERO <= held <= total:
        raise InvariantError(f"a balance of {total} cannot have {held} held")
    return {
        "balance": text(total),
        "available": text(EXACT.subtract(total, held)),
        "holds": text(held),
    }
