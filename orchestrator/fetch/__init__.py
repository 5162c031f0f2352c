"""Candles from exchanges over the network into the cache; the only room that knows ccxt."""
