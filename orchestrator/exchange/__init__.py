"""The simulated exchange: orders, matching, slippage, fees, latency, accounts; pure."""
