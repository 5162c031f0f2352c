"""[account] and [accounts.NAME] of replay.toml: what the traders start with, and what their accounts may do.

A key that is absent is None until `resolved` fills in the defaults of the chosen kind; so a key that was set
although the kind has no use for it can be told apart, and refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from orchestrator.errors import ConfigError
from orchestrator.settings_section import Section

__all__ = [
    "EXCHANGE_NAME",
    "MAIN_ACCOUNT",
    "AccountSettings",
    "NamedAccountSettings",
    "validate_account",
    "validate_accounts",
]

MAIN_ACCOUNT: Final = "main"
"""Name of the account of `[account]`, which every component shares that names no other."""

EXCHANGE_NAME: Final = "exchange"
"""Who places the orders that liquidate an account."""

AccountKind = Literal["spot", "margin", "perpetual"]

_MARGIN_KEYS: Final[dict[str, Any]] = {
    "max_leverage": Decimal(3),
    "maintenance_margin_pct": Decimal(5),
    "liquidation_fee_bps": Decimal(50),
}
# Kind -> its own keys and their defaults; `initial_margin_pct` says the same as `max_leverage`.
_KEYS: Final[dict[str, dict[str, Any]]] = {
    "spot": {},
    "margin": {
        **_MARGIN_KEYS,
        "borrow_quote_rate_pct_per_year": Decimal(10),
        "borrow_base_rate_pct_per_year": Decimal(10),
    },
    "perpetual": {**_MARGIN_KEYS, "missing_funding": "fail"},
}
_ALL_KEYS: Final = ("initial_margin_pct", *dict.fromkeys(key for keys in _KEYS.values() for key in keys))
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_CASH_MAX: Final = Decimal(10**15)
_RATE_MAX: Final = 1_000
_LEVERAGE_MAX: Final = 200


class AccountSettings(Section, frozen=True, kw_only=True):
    """[account]: what the traders start with, and what their accounts may do."""

    currency: str = "USD"  # data quoted in another dollar (USDT) are taken 1:1 and that is said
    initial_cash: Decimal = Decimal(10_000)
    kind: AccountKind = "spot"  # of all accounts of the run
    max_leverage: Decimal | None = None  # exposure over equity that an order may reach
    initial_margin_pct: Decimal | None = None  # equity over exposure: 100 / max_leverage, instead of it
    maintenance_margin_pct: Decimal | None = None  # equity over exposure below which positions are liquidated
    liquidation_fee_bps: Decimal | None = None  # of what is liquidated, beside the taker fee
    borrow_quote_rate_pct_per_year: Decimal | None = None
    borrow_base_rate_pct_per_year: Decimal | None = None
    missing_funding: Literal["fail", "zero"] | None = None  # what a missing funding rate is

    def resolved(self) -> AccountSettings:
        """Return the same settings with every default of the kind filled in."""
        filled = {key: value for key, value in _KEYS[self.kind].items() if getattr(self, key) is None}
        if self.initial_margin_pct is not None:
            filled.pop("max_leverage", None)
        return msgspec.structs.replace(self, **filled)


class NamedAccountSettings(Section, frozen=True, kw_only=True):
    """[accounts.NAME]: an account of its own for the components that name it."""

    initial_cash: Decimal = Decimal(10_000)


def validate_accounts(
    shared: AccountSettings, named: Mapping[str, NamedAccountSettings], users: Mapping[str, str | None]
) -> None:
    """Raise `ConfigError` for an account that nobody uses or that does not exist.

    Parameters
    ----------
    shared, named
        `[account]` and `[accounts]`.
    users
        Component -> the account it names, None for the shared one.
    """
    for name, account in named.items():
        if name == MAIN_ACCOUNT or not _NAME.fullmatch(name):
            raise ConfigError(
                f"accounts.{name} is not allowed: a letter, then up to 31 letters, digits, _ or -, "
                f"and {MAIN_ACCOUNT} is the account of [account]"
            )
        _check_cash(f"accounts.{name}", account.initial_cash)
        if name not in users.values():
            raise ConfigError(
                f'accounts.{name} has no effect, since no component has account = "{name}"; '
                "name it in a [[component]], or remove it"
            )
    for component, wanted in users.items():
        if wanted is not None and wanted not in named:
            known = f"known accounts: {', '.join(named)}; " if named else ""
            raise ConfigError(
                f"component {component}: account {wanted!r} does not exist; {known}"
                f"write [accounts.{wanted}], or leave account out to share [account]"
            )
    if shared.kind != "spot" and EXCHANGE_NAME in users:
        raise ConfigError(
            f"component name {EXCHANGE_NAME} is not allowed in a run with margin; orders that liquidate an "
            "account have it: choose another"
        )


def validate_account(account: AccountSettings) -> None:
    """Raise `ConfigError` for a value out of range or a key without effect for the kind of account."""
    _check_cash("account", account.initial_cash)
    _refuse_unused(account)
    if account.kind == "spot":
        return
    if account.max_leverage is not None and account.initial_margin_pct is not None:
        raise ConfigError(
            "account.max_leverage and account.initial_margin_pct say the same thing; remove one of them"
        )
    _check_range(account, "max_leverage", Decimal(1), Decimal(_LEVERAGE_MAX))
    _check_range(account, "initial_margin_pct", Decimal(100) / _LEVERAGE_MAX, Decimal(100))
    for key in ("borrow_quote_rate_pct_per_year", "borrow_base_rate_pct_per_year"):
        _check_range(account, key, Decimal(0), Decimal(_RATE_MAX))
    _check_range(account, "liquidation_fee_bps", Decimal(0), Decimal("9999.99999999"))
    _check_range(account, "maintenance_margin_pct", Decimal("0.00000001"), Decimal(100))
    _validate_margins(account.resolved())


def _check_cash(section: str, cash: Decimal) -> None:
    if not (cash.is_finite() and 0 < cash < _CASH_MAX):
        raise ConfigError(f"{section}.initial_cash {cash} is out of range; above 0, below {_CASH_MAX}")


def _refuse_unused(account: AccountSettings) -> None:
    has_margin = account.kind != "spot"
    for key in _ALL_KEYS:
        is_used = key in _KEYS[account.kind] or (key == "initial_margin_pct" and has_margin)
        if getattr(account, key) is not None and not is_used:
            kinds = [
                kind
                for kind in _KEYS
                if key in _KEYS[kind] or (key == "initial_margin_pct" and kind != "spot")
            ]
            raise ConfigError(
                f'account.{key} has no effect with kind = "{account.kind}"; remove it, or set kind = '
                + " or ".join(f'"{kind}"' for kind in kinds)
            )


def _check_range(account: AccountSettings, key: str, low: Decimal, high: Decimal) -> None:
    value: Decimal | None = getattr(account, key)
    if value is not None and not (value.is_finite() and low <= value <= high):
        raise ConfigError(f"account.{key} {value} is out of range; from {low:f} to {high:f}")


def _validate_margins(account: AccountSettings) -> None:
    maintenance = account.maintenance_margin_pct
    if maintenance is None:
        return
    if account.initial_margin_pct is not None:
        is_below = maintenance < account.initial_margin_pct
        initial = f"initial_margin_pct {account.initial_margin_pct}"
    else:
        leverage = account.max_leverage or Decimal(1)
        is_below = maintenance * leverage < 100
        initial = f"the margin of max_leverage {leverage}, 100 / {leverage}"
    if not is_below:
        raise ConfigError(
            f"account.maintenance_margin_pct {maintenance} is not below {initial}; an order that was just "
            "accepted would be liquidated: lower it"
        )
