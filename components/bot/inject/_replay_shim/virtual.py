"""Put a process into simulated time: everything that reads a clock, waits, or draws by chance."""

from __future__ import annotations

from typing import Any

from _replay_shim import aio, chance, listings, locks, signals, threads, times, waits
from _replay_shim.caller import Callers
from _replay_shim.clock import Clock
from _replay_shim.replacing import Replacements

__all__ = ["World", "install"]


class World:
    """What a process has of its own: its clock and its chance.

    Parameters
    ----------
    clock
        Its time, and its threads.
    stream
        Its source of chance.
    """

    def __init__(self, clock: Clock, stream: chance.Stream) -> None:
        self._clock = clock
        self._stream = stream

    def begin_anew(self, welcome: dict[str, Any]) -> None:
        """In a forked child, once its own hello is answered: one thread, and time and chance of its own."""
        self._clock.baton.begin_anew()
        self._clock.adopt(welcome)
        self._stream.begin(bytes.fromhex(welcome["seed"]))
        chance.seed_random()


def install(clock: Clock, welcome: dict[str, Any]) -> World:
    """Replace the clocks, waits, threads and chance of this process.

    Parameters
    ----------
    clock
        Of this process.
    welcome
        The orchestrator's answer to hello.
    """
    callers = Callers(welcome["folder"])
    replacements = Replacements()
    stream = chance.install(welcome["seed"], replacements)
    times.install(clock, callers, replacements)
    locks.install(clock, callers, replacements)
    threads.install(clock, callers, replacements)
    waits.install(clock, callers, replacements)
    signals.install(clock, replacements)
    aio.install(clock, callers)
    listings.install(replacements)
    replacements.rebind_everywhere()
    return World(clock, stream)
