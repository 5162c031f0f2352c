"""The account on Binance spot, and what ccxt asks the wallet before it trades."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from orchestrator.exchange.money import EXACT, ZERO
from orchestrator.protocol import AccountState
from orchestrator.venues.binance.pairs import Pairs, json_answer, ms, number
from orchestrator.venues.binance.params import Handler, Params, with_params
from orchestrator.venues.http import VenueResponse
from orchestrator.venues.router import Endpoint
from orchestrator.venues.venue import Call, VenueContext

__all__ = ["AccountEndpoints"]


class AccountEndpoints:
    """What belongs to an account, orders apart; its cash is the quote currency of the pairs."""

    def __init__(self, context: VenueContext, pairs: Pairs) -> None:
        self._context = context
        self._pairs = pairs
        self._assets = (*context.market.coins, context.quote)

    def endpoints(self) -> list[Endpoint]:
        """Return what this part answers."""

        def private(path: str, handle: Handler, weight: int = 1) -> Endpoint:
            return Endpoint("GET", path, with_params(handle), weight=weight, is_private=True)

        return [
            private("/api/v3/account", self._account, 20),
            private("/sapi/v1/asset/tradeFee", self._fees),
            private("/sapi/v1/capital/config/getall", self._wallet, 10),
            private("/sapi/v1/margin/allPairs", _nothing),
            private("/sapi/v1/margin/isolated/allPairs", _nothing),
            Endpoint("GET", "/sapi/v1/system/status", with_params(_status)),
        ]

    def _balances(self, state: AccountState) -> list[tuple[str, Decimal, Decimal]]:
        rows = []
        for asset in self._assets:
            if asset == self._context.quote:
                total, held = state.cash, state.cash_held
            else:
                total, held = state.holdings.get(asset, ZERO), state.holdings_held.get(asset, ZERO)
            rows.append((asset, EXACT.subtract(total, held), held))
        return rows

    def _account(self, call: Call, params: Params) -> VenueResponse:
        maker, taker = self._context.maker_fee, self._context.taker_fee
        is_short = params.find("omitZeroBalances") == "true"
        account_id = int.from_bytes(self._context.ids.fixed("account", call.desk.account)[:4], "big")
        return json_answer(
            {
                "makerCommission": int(maker * 10_000),
                "takerCommission": int(taker * 10_000),
                "buyerCommission": 0,
                "sellerCommission": 0,
                "commissionRates": {
                    "maker": number(maker),
                    "taker": number(taker),
                    "buyer": number(ZERO),
                    "seller": number(ZERO),
                },
                "canTrade": True,
                "canWithdraw": False,
                "canDeposit": False,
                "brokered": False,
                "requireSelfTradePrevention": False,
                "preventSor": False,
                "updateTime": ms(call.desk.now_ns),
                "accountType": "SPOT",
                "balances": [
                    {"asset": asset, "free": number(free), "locked": number(locked)}
                    for asset, free, locked in self._balances(call.desk.account_state())
                    if free or locked or not is_short
                ],
                "permissions": ["SPOT"],
                "uid": account_id,
            }
        )

    def _fees(self, call: Call, params: Params) -> VenueResponse:
        fees = {
            "makerCommission": number(self._context.maker_fee),
            "takerCommission": number(self._context.taker_fee),
        }
        asked = self._pairs.asked(params, call.now_ns)
        return json_answer([{"symbol": self._pairs.symbol(coin), **fees} for coin, _ in asked])

    def _wallet(self, call: Call, params: Params) -> VenueResponse:  # noqa: ARG002 - the contract
        def asset_row(asset: str, free: Decimal, locked: Decimal) -> dict[str, Any]:
            zeros = dict.fromkeys(("freeze", "ipoable", "ipoing", "storage", "withdrawing"), "0")
            return {
                "coin": asset,
                "name": asset,
                "free": number(free),
                "locked": number(locked),
                **zeros,
                "isLegalMoney": False,
                "trading": True,
                "depositAllEnable": False,
                "withdrawAllEnable": False,
                "networkList": [],
            }

        rows = self._balances(call.desk.account_state())
        return json_answer([asset_row(*row) for row in rows])


def _nothing(call: Call, params: Params) -> VenueResponse:  # noqa: ARG001 - the contract
    return json_answer([])


def _status(call: Call, params: Params) -> VenueResponse:  # noqa: ARG001 - the contract
    return json_answer({"status": 0, "msg": "normal"})
