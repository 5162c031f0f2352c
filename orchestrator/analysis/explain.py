"""One order's life in plain words and numbers, told from its run directory.

Prices, fees and cash are those of the result files. Holds are not written there: they are computed again from
config.toml by the exchange's own rules. Of a market buy they need the last close before the order, which only
the candle cache has.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from typing import Final

import msgspec

from orchestrator.analysis.account_history import AccountHistory
from orchestrator.analysis.explain_words import REASONS, moment_text, number_text
from orchestrator.analysis.fill_arithmetic import fill_lines
from orchestrator.analysis.hold_arithmetic import HoldArithmetic
from orchestrator.config import EXCHANGE_NAME
from orchestrator.errors import ConfigError, DataError
from orchestrator.exchange.money import EXACT, ROUNDED, ZERO
from orchestrator.exchange.vocabulary import Reason
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.protocol import Side
from orchestrator.runs.lines import time_ns_from_text
from orchestrator.runs.reader import Row, Run

__all__ = ["LastClose", "explain_order"]

LastClose = Callable[[str, int], Decimal | str]
"""(coin, sim_time_ns) -> the last close at that time, or one line that says why it is not known."""

_ENDS: Final = ("filled", "cancelled", "expired")
_SUGGESTED_MAX: Final = 3
_INDENT: Final = " " * 4
_SHORTAGES: Final = (Reason.INSUFFICIENT_BALANCE, Reason.INSUFFICIENT_MARGIN)


def explain_order(run: Run, client_order_id: str, last_close: LastClose) -> list[str]:
    """Return the life of an order, line by line.

    Parameters
    ----------
    run
        The run, ended or not.
    client_order_id
        Of the order.
    last_close
        What the hold of a market buy is computed from.

    Raises
    ------
    ConfigError
        If the run has no such order.
    DataError
        If its files cannot be read.
    """
    order = next((row for row in run.orders if row["client_order_id"] == client_order_id), None)
    if order is None:
        raise ConfigError(_unknown(run, client_order_id))
    with localcontext(EXACT):
        return list(_Life(run, order, last_close).lines())


def _unknown(run: Run, client_order_id: str) -> str:
    known = [row["client_order_id"] for row in run.orders]
    near = difflib.get_close_matches(client_order_id, known, n=_SUGGESTED_MAX, cutoff=0.6)
    if near:
        hint = f"did you mean {', '.join(near)}?"
    elif known:
        hint = f"its {len(known)} orders are {known[0]} to {known[-1]}; orders.jsonl lists them"
    else:
        hint = "it has no orders"
    return f"no order {client_order_id!r} in {run.name}; {hint}"


class _Life:
    """The state of one order while its life is told; `lines` tells it once."""

    def __init__(self, run: Run, order: Row, last_close: LastClose) -> None:
        self._run = run
        self._order = order
        self._id: str = order["client_order_id"]
        self._side = Side(order["side"])
        self._coin, _, self._currency = order["symbol"].partition("-")
        self._model = _model_of(run)
        self._history = AccountHistory(run, self._model)
        self._account = self._history.account_of(order)
        self._limit: Decimal | None = order["limit_price"]
        self._stop: Decimal | None = order["stop_price"]
        self._qty: Decimal = order["qty"]
        self._filled = ZERO
        self._hold: Decimal | None = None  # None: not known
        self._rule = HoldArithmetic(
            is_spot=self._history.is_spot,
            side=self._side,
            coin=self._coin,
            currency=self._currency,
            fee_rate_max=self._history.fees.rate_max,
            last_close=self._last_close(last_close),
        )

    def _last_close(self, last_close: LastClose) -> Decimal | str:
        # Only a hold that no price of the order bounds needs it.
        is_bounded = self._limit is not None or self._stop is not None
        if is_bounded or self._is_liquidation or (self._history.is_spot and self._side is Side.SELL):
            return ZERO
        return last_close(self._coin, time_ns_from_text(self._order["ts"]))

    @property
    def _is_liquidation(self) -> bool:
        # The exchange's own orders are backed by the position that they close.
        return bool(self._order["component"] == EXCHANGE_NAME)

    def lines(self) -> Iterator[str]:
        prices = [
            f"{name} {number_text(price)}"
            for name, price in (("limit", self._limit), ("stop", self._stop))
            if price is not None
        ]
        kind = str(self._order["order_type"]).replace("_", "-")
        yield (
            f"{self._id}: {self._side} {number_text(self._qty)} {self._coin}, {kind} order"
            f"{''.join(f', {price} {self._currency}' for price in prices)}, {self._order['time_in_force']}, "
            f"by {self._order['component']}, account {self._account}"
        )
        yield from self._judged()
        for row in self._happenings():
            yield ""
            yield from self._fill(row) if "fill_id" in row else self._event(row)
        yield ""
        yield from self._summary()

    # ------------------------------------------------------------ the judgement

    def _judged(self) -> Iterator[str]:
        order = self._order
        cash, coins = self._history.before(order, self._account, self._coin)
        owns = f"cash {number_text(cash)} {self._currency} and {number_text(coins)} {self._coin}"
        yield ""
        if order["state"] == "rejected":
            yield f"{moment_text(order['ts'])}  rejected: {order['reason']}, {_why(order['reason'])}"
            if order["reason"] in _SHORTAGES:
                yield f"{_INDENT}needs      {self._need_text()}"
                yield f"{_INDENT}has        {owns}, of which other open orders may need some"
            return
        yield f"{moment_text(order['ts'])}  accepted"
        if self._is_liquidation:
            self._hold = ZERO
            yield f"{_INDENT}closes a position of an account that did not keep its maintenance margin"
        else:
            need = self._need()
            if need is not None and need > cash and self._history.is_spot and self._side is Side.BUY:
                self._rule = self._rule._replace(is_bare=True)  # an order of a bot: it may hold less
            self._hold = self._need()
            yield f"{_INDENT}{self._rule.label} {self._need_text()}"
        yield f"{_INDENT}has        {owns}, what orders hold included"

    def _need(self) -> Decimal | None:
        if self._is_liquidation:
            return ZERO
        return self._rule.amount(self._qty - self._filled, self._limit, self._stop)

    def _need_text(self) -> str:
        return self._rule.text(self._qty - self._filled, self._limit, self._stop)

    # ------------------------------------------------------------ what happened

    def _happenings(self) -> Iterator[Row]:
        # Events and fills stand in files of their own; at one time a fill stands before what it led to.
        fills = [row for row in self._run.fills if row["client_order_id"] == self._id]
        events = [row for row in self._run.order_events if row["client_order_id"] == self._id]
        for event in events:
            while fills and _precedes(fills[0], event):
                yield fills.pop(0)
            if event["event"] != "filled":  # its last fill says so
                yield event
        yield from fills

    def _event(self, row: Row) -> Iterator[str]:
        name, reason = row["event"], row["reason"]
        head = f"{moment_text(row['ts'])}  {name}"
        if name == "arrived":
            latency_ms = (row["ts"] - self._order["ts"]) * 1000
            yield f"{head} at the market, after a latency of {number_text(latency_ms)} ms"
            yield from self._found_at_arrival(row)
        elif name == "triggered":
            what = "a market order" if self._limit is None else "a limit order"
            yield f"{head}: its stop price was reached; it is {what} from now on"
        elif name == "replaced":
            yield f"{head}: {reason}"
            self._replace(reason)
            yield from self._hold_line(self._need(), self._need_text())
        elif name in _ENDS:
            yield f"{head}: {reason}, {_why(reason)}"
            yield from self._hold_line(ZERO, "nothing any more")
        else:
            yield f"{head} (a cancel or replace): {reason}, {_why(reason)}"

    def _found_at_arrival(self, row: Row) -> Iterator[str]:
        rest = (*self._run.fills, *self._run.order_events)
        ours = [other for other in rest if other["client_order_id"] == self._id and other is not row]
        if any(other["ts"] == row["ts"] for other in ours):
            return
        if self._stop is not None:
            yield f"{_INDENT}its stop price was not reached yet: it waits for a candle that reaches it"
        elif self._limit is not None:
            yield f"{_INDENT}nothing was to be had at its limit: it rests, or waits for a candle to open"
        else:
            yield f"{_INDENT}no candle was open, or it had nothing left: it waits for the next one to open"

    def _replace(self, changes: str) -> None:
        for change in changes.split(", "):
            name, _, values = change.partition(" ")
            value = Decimal(values.rpartition(" ")[2])
            if name == "qty":
                self._qty = value
            elif name == "limit_price":
                self._limit = value
            elif name == "stop_price":
                self._stop = value

    def _fill(self, row: Row) -> Iterator[str]:
        _, cash, rate = self._history.at_fill(row)
        notional = row["qty"] * row["fill_price"]
        is_buy = self._side is Side.BUY
        after = cash + (-notional if is_buy else notional) - row["fees"]
        self._filled += row["qty"]
        yield (
            f"{moment_text(row['ts'])}  {row['state']} {row['fill_id']}: "
            f"{number_text(row['qty'])} {self._coin} at {number_text(row['fill_price'])}, as {row['liquidity']}"
        )
        for line in fill_lines(row, self._model, rate, self._currency):
            yield f"{_INDENT}{line}"
        yield (
            f"{_INDENT}cash       {number_text(cash)} {'-' if is_buy else '+'} {number_text(notional)} - "
            f"{number_text(row['fees'])} = {number_text(after)} {self._currency}"
        )
        if self._filled == self._qty:
            yield from self._hold_line(ZERO, "nothing any more")
            return
        need = self._need()
        is_dear = is_buy and self._history.is_spot and need is not None and self._hold is not None
        is_short = is_dear and notional + row["fees"] + (need or ZERO) > (self._hold or ZERO)
        yield from self._hold_line(need, self._need_text())
        if is_short:
            yield f"{_INDENT}           more than its hold had left: other free cash pays, or it holds less"

    def _hold_line(self, after: Decimal | None, text: str) -> Iterator[str]:
        before, self._hold = self._hold, after
        if before is None or after is None:
            yield f"{_INDENT}{self._rule.label} {text}"
        elif before != after:
            free = number_text(abs(before - after))
            verb = "free again" if after < before else "more"
            yield f"{_INDENT}{self._rule.label} {text}"
            yield f"{_INDENT}           before {number_text(before)}: {free} {self._rule.unit} {verb}"

    # ------------------------------------------------------------ the end

    def _summary(self) -> Iterator[str]:
        fills = [row for row in self._run.fills if row["client_order_id"] == self._id]
        ends = [
            row["event"]
            for row in self._run.order_events
            if row["client_order_id"] == self._id and row["event"] in _ENDS
        ]
        state = ends[-1] if ends else self._order["state"]
        if not ends and state == "accepted":
            state = "still open when the files end"
        yield f"end: {state}; {number_text(self._filled)} of {number_text(self._qty)} {self._coin} filled"
        if not fills:
            return
        notional = sum((row["qty"] * row["fill_price"] for row in fills), ZERO)
        fees = sum((row["fees"] for row in fills), ZERO)
        worse = sum((_worse_by(row) for row in fills), ZERO)
        with localcontext(ROUNDED):
            mean = notional / self._filled
        yield (
            f"{_INDENT}mean price {mean:.10g}, notional {number_text(notional)}, fees {number_text(fees)}, "
            f"slippage against the reference prices {number_text(worse)} {self._currency}"
        )
        first, last = self._history.at_fill(fills[0]), self._history.at_fill(fills[-1])
        signed = -fills[-1]["qty"] if self._side is Side.BUY else fills[-1]["qty"]
        after = last.cash + signed * fills[-1]["fill_price"] - fills[-1]["fees"]
        yield (
            f"{_INDENT}cash {number_text(first.cash)} before its first fill, {number_text(after)} {self._currency} "
            "after its last"
        )


def _model_of(run: Run) -> ExecutionModelSettings:
    try:
        section = run.configuration.get("execution_model", {})
        return msgspec.convert(section, ExecutionModelSettings, strict=True).resolved()
    except msgspec.ValidationError as error:
        raise DataError(
            f"{run.directory}/config.toml has no readable [execution_model]: {error}; restore a copy"
        ) from None


def _precedes(fill: Row, event: Row) -> bool:
    if fill["ts"] != event["ts"]:
        return bool(fill["ts"] < event["ts"])
    # A closed candle fills makers and stops before requests arrive; takers fill after what made them takers.
    is_at_close = fill["rule"].startswith(("maker", "stop"))
    return event["event"] in _ENDS or (event["event"] == "replaced" and is_at_close)


def _worse_by(fill: Row) -> Decimal:
    qty: Decimal = fill["qty"]
    difference: Decimal = fill["fill_price"] - fill["reference_price"]
    return qty * (difference if fill["side"] == "buy" else -difference)


def _why(reason: str | None) -> str:
    return REASONS.get(reason or "", "the run ended early")
