"""KuCoin spot: `https://api.kucoin.com`, both generations of its order endpoints on one order store."""

from orchestrator.venues.kucoin.venue import KuCoin

__all__ = ["KuCoin"]
