"""Figures as people read them."""

from __future__ import annotations

from decimal import Decimal

__all__ = [
    "ABSENT",
    "days_text",
    "hours_text",
    "moment",
    "money",
    "number",
    "percent",
    "signed_percent",
    "times",
    "whole_days",
]

ABSENT = "\N{EN DASH}"
Figure = float | Decimal | None


def percent(value: Figure, decimals: int = 2) -> str:
    """Return a fraction as "12.34 %"."""
    return ABSENT if value is None else _minus(f"{100 * value:,.{decimals}f} %")


def signed_percent(value: Figure, decimals: int = 2) -> str:
    """Return a fraction as "+12.34 %"."""
    return ABSENT if value is None else _minus(f"{100 * value:+,.{decimals}f} %")


def number(value: Figure, decimals: int = 2) -> str:
    """Return a plain figure with separated thousands."""
    return ABSENT if value is None else _minus(f"{value:,.{decimals}f}")


def times(value: Figure) -> str:
    """Return a multiple as "12.3 x", with the sign of multiplication."""
    return ABSENT if value is None else f"{number(value, 1)} \N{MULTIPLICATION SIGN}"


def money(value: Figure) -> str:
    """Return an amount with two decimals."""
    return number(value, 2)


def signed_points(value: Figure) -> str:
    """Return a difference of fractions as percentage points: "+12.34 pp"."""
    return ABSENT if value is None else _minus(f"{100 * value:+,.2f} pp")


def hours_text(hours: float | None) -> str:
    """Return a length of time in the unit that suits it: "45 min", "3.5 h", "12.5 days"."""
    if hours is None:
        return ABSENT
    if hours < 1.0:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h" if hours < 48.0 else f"{hours / 24:.1f} days".replace(".0 ", " ")


def days_text(days: float) -> str:
    """Return a number of days as `hours_text` does."""
    return hours_text(days * 24)


def whole_days(count: int) -> str:
    """Return a number of UTC days as "1 whole day", "12 whole days"."""
    return f"{count} whole day{'' if count == 1 else 's'}"


def moment(text: str | None) -> str:
    """Return `2024-01-31T12:30:00Z` as "2024-01-31 12:30"."""
    return ABSENT if text is None else text[:16].replace("T", " ")


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")
