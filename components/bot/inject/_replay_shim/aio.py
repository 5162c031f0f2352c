"""asyncio in simulated time.

Its loop reads `time.monotonic` and waits in a selector, so both are simulated already, and what another thread
hands to it is seen before time passes. Left to do: count the turns of tasks, and let a task wait for an answer
while the others go on.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from _replay_shim import durations
from _replay_shim.hooks import on_import
from _replay_shim.pace import Turns

if TYPE_CHECKING:
    from _replay_shim.caller import Callers
    from _replay_shim.clock import Clock

__all__ = ["call", "install", "sleep_ns"]


async def call(clock: Clock, message: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
    """Say something and return the answer; the calling task goes on at the answer's time, others meanwhile."""
    reply, reply_body = clock.exchange(message, body)
    wait_ns = reply["now"] - clock.now_ns()
    if wait_ns > 0:
        await sleep_ns(wait_ns)
    return reply, reply_body


async def sleep_ns(duration_ns: int) -> None:
    """Let the calling task wait; no turn of the bot."""
    await sys.modules["asyncio.tasks"]._replay_sleep(duration_ns / durations.SECOND_NS)


def install(clock: Clock, callers: Callers) -> None:
    """Count short sleeps of the bot's own tasks as turns, once asyncio is imported."""
    on_import("asyncio", lambda module: _count_turns(module, clock, callers))


def _count_turns(asyncio: Any, clock: Clock, callers: Callers) -> None:
    import weakref  # noqa: PLC0415 - asyncio has imported it; children without asyncio need not

    original = asyncio.tasks.sleep
    turns_of_tasks: Any = weakref.WeakKeyDictionary()

    async def sleep(delay: float, result: Any = None) -> Any:
        duration_ns = durations.timeout_ns(delay) or 0
        if (
            not clock.pace.limits(duration_ns)
            or clock.has_open_orders
            or not callers.is_own(sys._getframe(1))
        ):
            return await original(delay, result)
        turns = turns_of_tasks.setdefault(asyncio.current_task(), Turns())
        if clock.pace.is_last(turns):
            until_ns = clock.pace.jump_ns(clock.now_ns() + duration_ns)
            delay = (until_ns - clock.now_ns()) / durations.SECOND_NS
        slept = await original(delay, result)
        clock.pace.count(turns)
        return slept

    asyncio.tasks._replay_sleep = original
    asyncio.tasks.sleep = asyncio.sleep = sleep
