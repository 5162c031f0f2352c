"""Binance spot: candles, prices, account and orders, enough for ccxt's `binance`."""

from __future__ import annotations

from orchestrator.venues.binance.venue import Binance

__all__ = ["Binance"]
