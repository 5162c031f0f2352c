"""Candles as columns: import, cache, synthetic markets, gaps, resampling, and one run's view of them all."""
