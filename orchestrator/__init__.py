"""Replay: run the trading bots you deploy against history.

The orchestrator owns time, the market, the exchange and the run; the bot's own processes
(`components`) receive market snapshots and answer with orders and signals.
"""

__version__ = "0.1.0"
