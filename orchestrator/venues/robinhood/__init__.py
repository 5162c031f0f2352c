"""Robinhood Crypto, API version 1: accounts, prices with the spread in them, orders."""

from __future__ import annotations

from orchestrator.venues.robinhood.venue import Robinhood

__all__ = ["Robinhood"]
