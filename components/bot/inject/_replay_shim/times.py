"""Clocks that programs read, and `time.sleep`.

Wall clocks go by way of time-machine's extension, which changes the C functions themselves: names that were
bound earlier tell simulated time as well. The other clocks are replaced here.

`monotonic` and `perf_counter` begin at one day, as on a machine that was started yesterday: programs take 0 for
"long ago", and at the size of the epoch a float would be too coarse for asyncio. CPU time is free: its clocks
count their own reads.
"""

from __future__ import annotations

import os
import sys
import time
import types
from typing import TYPE_CHECKING, Any

from _replay_shim import durations, ending, real

if TYPE_CHECKING:
    from _replay_shim.caller import Callers
    from _replay_shim.clock import Clock
    from _replay_shim.replacing import Replacements

__all__ = ["install"]

UPTIME_NS = 86_400 * durations.SECOND_NS
CPU_READ_NS = 1_000
LENT = "REPLAY_BOT_TIME_MACHINE"


def install(clock: Clock, callers: Callers, replacements: Replacements) -> None:
    """Let every clock of the process tell simulated time."""
    _travel(clock)
    ours = _Times(clock, callers)
    for name in (
        "sleep",
        "ctime",
        "asctime",
        "monotonic",
        "monotonic_ns",
        "clock_gettime",
        "clock_gettime_ns",
    ):
        replacements.replace(time, name, getattr(ours, name))
    replacements.replace(time, "perf_counter", ours.monotonic)
    replacements.replace(time, "perf_counter_ns", ours.monotonic_ns)
    for name in ("process_time", "thread_time"):
        replacements.replace(time, name, ours.cpu)
        replacements.replace(time, f"{name}_ns", ours.cpu_ns)


# Bound methods stand for the functions: like those, and unlike functions of Python, they stay what they are when
# a class has them as attributes (`clock = time.monotonic`).
class _Times:
    """What the module `time` offers, in simulated time."""

    def __init__(self, clock: Clock, callers: Callers) -> None:
        self._clock = clock
        self._callers = callers
        self._read_ns = clock.time_ns
        self._offset_ns = UPTIME_NS - clock.now_ns()
        self._cpu_ns = 0

    # So that `pool.map(time.sleep, …)` sends what it sends natively: the name of a function of `time`.
    def __reduce__(self) -> tuple[Any, ...]:
        return __import__, ("time",)

    def sleep(self, seconds: float, /) -> None:
        duration_ns = durations.sleep_ns(seconds)
        if not duration_ns:
            self._clock.give_way()
            return
        is_own = self._clock.pace.limits(duration_ns) and self._callers.is_own(sys._getframe(1))
        self._clock.sleep_ns(duration_ns, is_own=is_own)

    def monotonic_ns(self) -> int:
        return self._read_ns() + self._offset_ns

    def monotonic(self) -> float:
        return (self._read_ns() + self._offset_ns) / 1e9

    def cpu_ns(self) -> int:
        self._cpu_ns += CPU_READ_NS
        return self._cpu_ns

    def cpu(self) -> float:
        return self.cpu_ns() / 1e9

    def clock_gettime_ns(self, clk_id: int, /) -> int:
        if clk_id in _CPU_CLOCKS:
            return self.cpu_ns()
        if clk_id in _MONOTONIC_CLOCKS:
            return self.monotonic_ns()
        return real.clock_gettime_ns(clk_id)  # the extension's, for the wall clock

    def clock_gettime(self, clk_id: int, /) -> float:
        if clk_id in _CPU_CLOCKS or clk_id in _MONOTONIC_CLOCKS:
            return self.clock_gettime_ns(clk_id) / 1e9
        return real.clock_gettime(clk_id)

    def ctime(self, seconds: float | None = None, /) -> str:
        return real.ctime(self._clock.now_ns() / 1e9 if seconds is None else seconds)

    def asctime(self, *moment: Any) -> str:
        return real.asctime(*moment or (time.localtime(),))


def _clock_ids(*names: str) -> frozenset[int]:
    return frozenset(getattr(time, name) for name in names if hasattr(time, name))


_CPU_CLOCKS = _clock_ids("CLOCK_PROCESS_CPUTIME_ID", "CLOCK_THREAD_CPUTIME_ID")
_MONOTONIC_CLOCKS = _clock_ids("CLOCK_MONOTONIC", "CLOCK_MONOTONIC_RAW", "CLOCK_BOOTTIME", "CLOCK_UPTIME_RAW")


# The extension finds its traveller as `time_machine.traveller_stack[-1]` and calls its `time_ns()`. The package
# around it costs 20 ms of imports, so a module of that name stands in for it.
def _travel(clock: Clock) -> None:
    _time_machine = _lent_extension() or _own_extension()
    module: Any = types.ModuleType("time_machine")
    module.__spec__ = (
        _time_machine.__spec__
    )  # without one, each look-up of the module raises and costs 1.5 µs
    module._time_machine = _time_machine
    module.traveller_stack = [_Probe]
    sys.modules["time_machine"] = module
    _time_machine.patch()
    if not _tells_our_time():
        ending.refuse("the bot's time-machine does not tell our time; install version 3.6 beside the bot")
    module.traveller_stack = [clock]


# Replay's own, where it was built for this very interpreter: its name says so.
def _lent_extension() -> Any:
    from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader  # noqa: PLC0415 - costs nothing: it is there
    from importlib.util import module_from_spec, spec_from_file_location  # noqa: PLC0415

    path = os.environ.get(LENT, "")
    if not path.endswith(tuple(suffix for suffix in EXTENSION_SUFFIXES if suffix != ".so")):
        return None
    try:
        spec = spec_from_file_location(
            "_time_machine", path, loader=ExtensionFileLoader("_time_machine", path)
        )
        if spec is None or spec.loader is None:
            return None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    except (ImportError, OSError):
        return None
    sys.modules["_time_machine"] = module
    return module


def _own_extension() -> Any:
    try:
        import _time_machine  # type: ignore[import-not-found]  # noqa: PLC0415
    except ImportError as error:
        version = ".".join(map(str, sys.version_info[:2]))
        ending.refuse(
            f"the bot's Python {version} ({sys.executable}) has no time-machine, which its wall clocks need ({error});"
            f" install it there: {sys.executable} -m pip install 'time-machine>=3.6'"
        )
    return _time_machine


def _tells_our_time() -> bool:
    try:
        return time.time_ns() == _Probe.NOW_NS  # noqa: TID251 - the simulated one
    except AttributeError:  # before 3.6 the extension called functions of its package
        return False


class _Probe:
    """A traveller that shows whether the extension asks as we think it does."""

    NOW_NS = 1_000_000_007

    @staticmethod
    def time_ns() -> int:
        return _Probe.NOW_NS
