"""Follow signals: buy a fraction of equity when a coin's `long` is strong, sell all of it when it is weak.

Parameters: `fraction` (of equity per coin, default 0.3), `enter` (buy when long reaches it, default 3),
`leave` (sell when long falls to it, default 0).
"""

from __future__ import annotations

from decimal import Decimal

from components import Candle, FillState, Replay, Snapshot, connect

__all__ = ["Follower", "main"]


class Follower:
    """Holds, per coin, at most one open order and at most one position.

    Parameters
    ----------
    replay
        The connection.
    fraction
        Share of equity to put into one coin, above 0 and at most 1.
    enter, leave
        Levels of the signal `long`; `leave` < `enter`.
    """

    def __init__(self, replay: Replay, *, fraction: Decimal, enter: int, leave: int) -> None:
        self._replay = replay
        self._fraction = fraction
        self._enter = enter
        self._leave = leave
        self._open_orders: dict[str, str] = {}  # coin -> client_order_id

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Note what became of the orders; at a candle's close, trade what the signals say."""
        ended = {fill.client_order_id for fill in snapshot.fills if fill.state is FillState.FILLED}
        ended |= {end.client_order_id for end in (*snapshot.rejections, *snapshot.ends)}
        if ended:
            self._open_orders = {c: order for c, order in self._open_orders.items() if order not in ended}
        if snapshot.step:  # who tries again as soon as it hears of a rejection may never stop
            return
        for coin in self._replay.coins:
            if coin in self._open_orders:
                continue
            level = snapshot.signals[coin].get("long")
            if not isinstance(level, int):
                continue
            if level >= self._enter:
                self._buy(snapshot, coin)
            elif level <= self._leave:
                self._sell(snapshot, coin)

    def _buy(self, snapshot: Snapshot, coin: str) -> None:
        account = self._replay.account
        candle = snapshot[coin]
        if candle is None or account.holdings[coin] > 0:
            return
        budget = min(self._equity(snapshot) * self._fraction, account.cash_available * Decimal("0.9"))
        qty = self._replay.round_qty(coin, budget / Decimal(str(candle.close)))
        if self._is_tradable(candle, coin, qty):
            self._open_orders[coin] = self._replay.buy(coin, qty=qty)

    def _sell(self, snapshot: Snapshot, coin: str) -> None:
        qty = self._replay.round_qty(coin, self._replay.account.holdings_available[coin])
        if self._is_tradable(snapshot[coin], coin, qty):
            self._open_orders[coin] = self._replay.sell(coin, qty=qty)

    def _is_tradable(self, candle: Candle | None, coin: str, qty: Decimal) -> bool:
        # What would be rejected is not asked for: a coin that pauses or has ended, or too small an order.
        if candle is None or candle.is_stale or not qty:
            return False
        return qty * Decimal(str(candle.close)) >= self._replay.instruments[coin].min_notional

    def _equity(self, snapshot: Snapshot) -> Decimal:
        account = self._replay.account
        total = account.cash
        for coin, qty in account.holdings.items():
            candle = snapshot[coin]
            if qty and candle is not None:
                total += qty * Decimal(str(candle.close))
        return total


def main() -> None:
    """Trade until the replay ends."""
    with connect() as replay:
        fraction = Decimal(str(replay.params.get("fraction", 0.3)))
        enter, leave = replay.params.get("enter", 3), replay.params.get("leave", 0)
        if not 0 < fraction <= 1 or not leave < enter:
            raise SystemExit(
                f"fraction {fraction}, enter {enter}, leave {leave} are not allowed; 0 < fraction <= 1, leave < enter"
            )
        follower = Follower(replay, fraction=fraction, enter=enter, leave=leave)
        for snapshot in replay.snapshots():
            follower.on_snapshot(snapshot)


if __name__ == "__main__":
    main()
