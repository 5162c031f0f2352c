"""Why a fill has its price: the reference, each part of the slippage, the share of the volume and the fee."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Final

from orchestrator.analysis.explain_words import RULES, moment_text, number_text
from orchestrator.analysis.trades import exact_money
from orchestrator.exchange.money import BPS, EXACT, ROUNDED, fee_amount
from orchestrator.exchange.vocabulary import Rule, SlippagePart
from orchestrator.execution_settings import ExecutionModelSettings
from orchestrator.runs.reader import Row

__all__ = ["fill_lines"]

_MAKER_RULES: Final = (Rule.MAKER_THROUGH, Rule.MAKER_TOUCH)


def fill_lines(fill: Row, model: ExecutionModelSettings, fee_rate: Decimal, currency: str) -> list[str]:
    """Return the arithmetic of one fill, one line a step.

    Parameters
    ----------
    fill
        A row of fills.jsonl.
    model
        What the run assumed, resolved.
    fee_rate
        Fraction of the notional that this fill paid.
    currency
        Of the account.
    """
    lines = [
        f"rule       {fill['rule']}: {RULES.get(fill['rule'], 'of a later version')}",
        f"reference  {number_text(fill['reference_price'])}: {_reference(fill)}",
    ]
    if fill["rule"] not in _MAKER_RULES:
        lines += _slippage(fill, model)
    lines.append(_share(fill))
    with exact_money():
        notional = fill["qty"] * fill["fill_price"]
    lines.append(
        f"fee        {number_text(notional)} x {number_text(fee_rate / BPS)} bp = "
        f"{number_text(fill['fees'])} {currency}{_fee_note(notional, fee_rate, fill['fees'])}"
    )
    return lines


def _reference(fill: Row) -> str:
    candle = moment_text(fill["reference_candle"])
    sources = {
        Rule.STOP_REACHED: f"its stop price, reached in the candle of {candle}",
        Rule.MAKER_THROUGH: f"its limit price, traded through by the candle of {candle}",
        Rule.MAKER_TOUCH: f"its limit price, touched by the candle of {candle}",
    }
    return sources.get(fill["rule"], f"the open of the candle of {candle}")


def _slippage(fill: Row, model: ExecutionModelSettings) -> list[str]:
    parts: dict[str, Decimal] = fill["slippage_parts"]
    total = " + ".join(f"{name} {number_text(bps)}" for name, bps in parts.items()) or "none"
    lines = [f"slippage   {total} = {number_text(fill['slippage_bps'])} bp"]
    lines += [f"           {name}: {_part(name, bps, fill, model)}" for name, bps in parts.items()]
    if fill["rule"] == Rule.TAKER_LIMIT:
        return [*lines, f"price      {number_text(fill['fill_price'])}: its limit price"]
    named = sum((bps for name, bps in parts.items() if name != SlippagePart.ROUNDING), Decimal(0))
    sign, way = ("+", "up") if fill["side"] == "buy" else ("-", "down")
    with exact_money():
        raw = fill["reference_price"] * (1 + (named if sign == "+" else -named) * BPS)
    rounded = "" if raw == fill["fill_price"] else f", {way} to the tick: {number_text(fill['fill_price'])}"
    lines.append(
        f"price      {number_text(fill['reference_price'])} x (1 {sign} {number_text(named)} / 10000) = "
        f"{number_text(raw)}{rounded}"
    )
    return lines


def _part(name: str, bps: Decimal, fill: Row, model: ExecutionModelSettings) -> str:
    with localcontext(ROUNDED):
        if name == SlippagePart.BASE:
            return f"slippage_bps = {number_text(model.slippage_bps)}"
        if name == SlippagePart.VOLATILITY and model.slippage_bps:
            factor = 1 + bps / model.slippage_bps
            return (
                f"{number_text(model.slippage_bps)} x (m - 1), m = {_about(factor)}: the last candle's range "
                "over the median of the last 100"
            )
        if name == SlippagePart.IMPACT and model.impact_bps:
            volume = fill["qty"] / (bps / model.impact_bps) ** 2
            return (
                f"{number_text(model.impact_bps)} x sqrt({number_text(fill['qty'])} / {_about(volume)}), "
                "quantity over the volume of the last closed candle"
            )
        if name == SlippagePart.SPREAD and bps != model.half_spread_bps:
            return "half the spread of the emulated exchange that the order came by (venue.NAME.spread_bps)"
        if name == SlippagePart.SPREAD:
            return f"half_spread_bps = {number_text(model.half_spread_bps)}"
        if name == SlippagePart.LIMIT:
            return "from what the other parts make to the limit price, which is never passed"
        return "to the tick, against the trader"


def _share(fill: Row) -> str:
    qty, share = number_text(fill["qty"]), fill["participation"]
    if not share:
        return f"quantity   {qty}: no volume bounds it"
    with localcontext(ROUNDED):
        volume = fill["qty"] / share
    own = fill["rule"] in (*_MAKER_RULES, Rule.STOP_REACHED, Rule.STOP_GAP)
    whose = "of that candle" if own else "of the last closed candle"
    return f"quantity   {qty} is {number_text(share * 100)} % of the volume {whose}, {_about(volume)}"


def _about(value: Decimal) -> str:
    # Derived from a number of 8 decimals, so its last digits mean nothing.
    text = number_text(Decimal(f"{value:.6g}"))
    return text if Decimal(text) == value else f"about {text}"


def _fee_note(notional: Decimal, fee_rate: Decimal, fee: Decimal) -> str:
    with localcontext(EXACT):
        if fee_amount(notional, fee_rate) != fee:
            return " (not what config.toml says)"
        return "" if notional * fee_rate == fee else " (rounded up to 8 decimals)"
