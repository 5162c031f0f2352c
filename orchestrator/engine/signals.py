"""What components say to one another about coins, and who hears it when."""

from __future__ import annotations

from orchestrator.protocol import Signal, SignalValue

__all__ = ["SignalBoard"]


class SignalBoard:
    """The changes each component has not heard yet.

    A signal is heard by the speaker's own stage and by later ones. It is published when the speaker's stage
    closes: later stages, woken after that, hear it at the same time, the own stage when next woken.

    Parameters
    ----------
    stages
        The stage of each component, in declared order.
    """

    def __init__(self, stages: tuple[int, ...]) -> None:
        self._stages = stages
        self._unheard: list[dict[tuple[str, str], Signal]] = [{} for _ in stages]

    def publish(self, speaker: int, coin: str, values: dict[str, SignalValue], sim_time_ns: int) -> None:
        """Put values on the board; per coin and key the latest one counts."""
        spoken = [
            Signal(coin=coin, key=key, value=value, sim_time_ns=sim_time_ns) for key, value in values.items()
        ]
        for listener, stage in enumerate(self._stages):
            if stage >= self._stages[speaker]:
                for signal in spoken:
                    self._unheard[listener][signal.coin, signal.key] = signal

    def has_news(self, listener: int) -> bool:
        """Return whether the component has something to hear."""
        return bool(self._unheard[listener])

    def take(self, listener: int) -> tuple[Signal, ...]:
        """Return what the component has not heard yet, and forget it."""
        signals = tuple(self._unheard[listener].values())
        self._unheard[listener] = {}
        return signals
