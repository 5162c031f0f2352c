"""Round trips: which fill closed which, first in first out, exact to the last digit.

Fills are matched in their order, account by account and coin by coin; the fills of one order count together,
so a trade is one entry order closed by one exit order. A long trade is opened by buying; where accounts may
sell what they have not, a short one is opened by selling. What nothing has closed by the end is an open
trade. Money stays `Decimal`: the results of all trades and open trades sum exactly to what fills gained.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import ROUND_DOWN, Context, Decimal, localcontext
from typing import Final

import msgspec

from orchestrator.config import EXCHANGE_NAME, MAIN_ACCOUNT
from orchestrator.errors import DataError
from orchestrator.runs.lines import time_ns_from_text
from orchestrator.runs.reader import Row

__all__ = ["OpenTrade", "Trade", "TradeBook", "exact_money", "slippage_of", "trades_of"]

LONG, SHORT = "long", "short"

_SIDES: Final = {"buy": LONG, "sell": SHORT}  # of the fill that opens
_ZERO: Final = Decimal(0)
_FEE_STEP: Final = Decimal("0.00000001")  # fees have 8 decimals; shares of them too
_PRICE_STEP: Final = Decimal("0.000000000001")


@contextmanager
def exact_money() -> Iterator[None]:
    """Compute sums and products of money without rounding: 60 digits hold any of them."""
    with localcontext(Context(prec=60)):
        yield


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """An entry order closed by an exit order, or the part of it that was; money in quote currency."""

    number: int  # 1, 2, 3 … in the order of exits
    symbol: str
    component: str  # whose order opened it
    side: str  # long, short
    qty: Decimal
    entry_ns: int  # first fill
    exit_ns: int  # last fill
    entry_notional: Decimal
    exit_notional: Decimal
    fees: Decimal
    slippage_cost: Decimal  # against the reference prices; in the notionals already
    entry_order: str
    exit_order: str

    @property
    def pnl(self) -> Decimal:
        """What it gained, after fees and slippage."""
        with exact_money():
            gained = self.exit_notional - self.entry_notional
            return (gained if self.side == LONG else -gained) - self.fees

    @property
    def gross_pnl(self) -> Decimal:
        """What it would have gained at the reference prices and without fees."""
        with exact_money():
            return self.pnl + self.fees + self.slippage_cost

    @property
    def entry_price(self) -> Decimal:
        """Mean price of the entry, weighted by quantity."""
        return _price(self.entry_notional, self.qty)

    @property
    def exit_price(self) -> Decimal:
        """Mean price of the exit, weighted by quantity."""
        return _price(self.exit_notional, self.qty)

    @property
    def return_fraction(self) -> float:
        """Result as a fraction of what the entry cost."""
        return float(self.pnl / self.entry_notional) if self.entry_notional else 0.0

    @property
    def holding_ns(self) -> int:
        """From the first entry fill to the last exit fill."""
        return self.exit_ns - self.entry_ns


class OpenTrade(msgspec.Struct, frozen=True, kw_only=True):
    """An entry order that nothing has closed yet, or what is left of it."""

    symbol: str
    component: str
    side: str  # long, short
    qty: Decimal
    entry_ns: int
    entry_notional: Decimal
    fees: Decimal
    slippage_cost: Decimal
    entry_order: str

    @property
    def entry_price(self) -> Decimal:
        """Mean price of the entry, weighted by quantity."""
        return _price(self.entry_notional, self.qty)

    def pnl_at(self, mark_price: Decimal) -> Decimal:
        """Return the unrealised result at a price: the fees of the entry are paid, those of an exit are not."""
        with exact_money():
            gained = self.qty * mark_price - self.entry_notional
            return (gained if self.side == LONG else -gained) - self.fees


class TradeBook(msgspec.Struct, frozen=True):
    """All trades of a run, in the order of their exits, and what is still open."""

    trades: tuple[Trade, ...]
    open_trades: tuple[OpenTrade, ...]


def trades_of(
    fills: Iterable[Row],
    accounts: Mapping[str, str] | None = None,
    liquidated: Mapping[str, str] | None = None,
    *,
    may_short: bool = False,
) -> TradeBook:
    """Pair the fills of a run first in first out, coin by coin.

    Parameters
    ----------
    fills
        Rows of fills.jsonl in their order.
    accounts
        Component to its account; components that are absent share one.
    liquidated
        Order of the exchange to the account that it liquidates, as `liquidated_accounts` gives it.
    may_short
        Whether accounts may sell what they have not.

    Raises
    ------
    DataError
        If more is sold than was bought and `may_short` is false.
    """
    lots: dict[tuple[str, str], deque[_Lot]] = {}
    pairs: dict[tuple[str, str], _Pair] = {}
    with exact_money():
        for fill in fills:
            lot = _Lot(fill)
            account = _account(fill, accounts or {}, liquidated or {})
            waiting = lots.setdefault((account, fill["symbol"]), deque())
            _close(waiting, lot, pairs)
            if lot.qty:
                if fill["side"] == "sell" and not may_short:
                    raise DataError(_oversold(lot))
                waiting.append(lot)
        closed = sorted(pairs.values(), key=lambda pair: pair.exit_ns)  # stable: ties stay in fill order
        trades = tuple(pair.trade(number) for number, pair in enumerate(closed, start=1))
        return TradeBook(trades, tuple(_open_trades(lots)))


def slippage_of(fill: Row, qty: Decimal) -> Decimal:
    """Return what a quantity of a fill cost against its reference price; positive is a loss."""
    above: Decimal = fill["fill_price"] - fill["reference_price"]
    return (above if fill["side"] == "buy" else -above) * qty


class _Lot:
    """A fill of which `qty` and `fee` are not yet matched."""

    __slots__ = ("fee", "fill", "qty", "time_ns")

    def __init__(self, fill: Row) -> None:
        self.fill = fill
        self.qty: Decimal = fill["qty"]
        self.fee: Decimal = fill["fees"]
        self.time_ns = time_ns_from_text(fill["ts"])

    def take(self, qty: Decimal) -> tuple[Decimal, Decimal]:
        """Take a part off; return its fee and slippage cost. What rounding leaves goes to the last part."""
        if qty == self.qty:
            fee = self.fee
        else:
            share: Decimal = self.fill["fees"] * qty / self.fill["qty"]
            fee = min(share.quantize(_FEE_STEP, ROUND_DOWN), self.fee)
        self.qty -= qty
        self.fee -= fee
        return fee, slippage_of(self.fill, qty)


class _Pair:
    """The legs of one entry order and one exit order, added up."""

    __slots__ = (
        "entry",
        "entry_notional",
        "entry_ns",
        "exit_",
        "exit_notional",
        "exit_ns",
        "fees",
        "qty",
        "slip",
    )

    def __init__(self, entry: _Lot, exit_: _Lot) -> None:
        self.entry, self.exit_ = entry.fill, exit_.fill
        self.entry_ns, self.exit_ns = entry.time_ns, exit_.time_ns
        self.qty = self.entry_notional = self.exit_notional = self.fees = self.slip = _ZERO

    def add(self, entry: _Lot, exit_: _Lot, qty: Decimal) -> None:
        self.qty += qty
        self.entry_notional += qty * entry.fill["fill_price"]
        self.exit_notional += qty * exit_.fill["fill_price"]
        for fee, slip in (entry.take(qty), exit_.take(qty)):
            self.fees += fee
            self.slip += slip
        self.exit_ns = exit_.time_ns

    def trade(self, number: int) -> Trade:
        return Trade(
            number=number,
            symbol=self.entry["symbol"],
            component=self.entry["component"],
            side=_SIDES[self.entry["side"]],
            qty=self.qty,
            entry_ns=self.entry_ns,
            exit_ns=self.exit_ns,
            entry_notional=self.entry_notional,
            exit_notional=self.exit_notional,
            fees=self.fees,
            slippage_cost=self.slip,
            entry_order=self.entry["client_order_id"],
            exit_order=self.exit_["client_order_id"],
        )


def _account(fill: Row, accounts: Mapping[str, str], liquidated: Mapping[str, str]) -> str:
    if fill["component"] == EXCHANGE_NAME:
        return liquidated.get(fill["client_order_id"], MAIN_ACCOUNT)
    return accounts.get(fill["component"], MAIN_ACCOUNT)


def _close(waiting: deque[_Lot], exit_: _Lot, pairs: dict[tuple[str, str], _Pair]) -> None:
    while exit_.qty and waiting and waiting[0].fill["side"] != exit_.fill["side"]:
        lot = waiting[0]
        key = (lot.fill["client_order_id"], exit_.fill["client_order_id"])
        pair = pairs.setdefault(key, _Pair(lot, exit_))
        pair.add(lot, exit_, min(lot.qty, exit_.qty))
        if not lot.qty:
            waiting.popleft()


def _oversold(lot: _Lot) -> str:
    return (
        f"fill {lot.fill['fill_id']} sells {lot.qty} {lot.fill['symbol']} more than was bought; a spot account "
        "cannot: fills are missing, check the run with `replay verify`"
    )


def _open_trades(lots: Mapping[tuple[str, str], deque[_Lot]]) -> Iterator[OpenTrade]:
    for (_, symbol), waiting in lots.items():
        orders: dict[str, list[_Lot]] = {}
        for lot in waiting:
            orders.setdefault(lot.fill["client_order_id"], []).append(lot)
        for order, parts in orders.items():
            yield OpenTrade(
                symbol=symbol,
                component=parts[0].fill["component"],
                side=_SIDES[parts[0].fill["side"]],
                qty=sum((lot.qty for lot in parts), _ZERO),
                entry_ns=parts[0].time_ns,
                entry_notional=sum((lot.qty * lot.fill["fill_price"] for lot in parts), _ZERO),
                fees=sum((lot.fee for lot in parts), _ZERO),
                slippage_cost=sum((slippage_of(lot.fill, lot.qty) for lot in parts), _ZERO),
                entry_order=order,
            )


def _price(notional: Decimal, qty: Decimal) -> Decimal:
    with exact_money():
        return (notional / qty).quantize(_PRICE_STEP).normalize() if qty else _ZERO
