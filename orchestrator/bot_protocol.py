"""What the shim inside an unmodified bot and the orchestrator say to one another; `docs/protocol.md` has it whole.

The shim uses nothing but the standard library, so it cannot import this module; a test keeps the two in step.
A frame is the lengths of a JSON header and of a body (two little-endian uint32), the header, the body. Every
call of a process is answered once, when simulation time has come to it; between its call and the answer a
process is blocked. Times are integer nanoseconds of simulation time.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

__all__ = [
    "BOT_PROTOCOL_VERSION",
    "ENVIRONMENT_BOT_KEPT_OUT",
    "ENVIRONMENT_BOT_PROCESS",
    "ENVIRONMENT_BOT_SOCKET",
    "ENVIRONMENT_BOT_STACK",
    "ENVIRONMENT_BOT_TIME_MACHINE",
    "ENVIRONMENT_BOT_TURNS",
    "FRAME_BYTES_MAX",
    "FRAME_HEAD",
    "BotError",
    "BotHello",
    "BotHttp",
    "BotMessage",
    "BotRefused",
    "BotReply",
    "BotSleep",
    "BotSpawn",
    "BotWait",
    "BotWelcome",
    "HttpReply",
    "WaitReply",
]

BOT_PROTOCOL_VERSION: Final = 1
FRAME_HEAD: Final = struct.Struct("<II")
FRAME_BYTES_MAX: Final = 64 * 1024 * 1024

ENVIRONMENT_BOT_SOCKET: Final = "REPLAY_BOT_SOCKET"
ENVIRONMENT_BOT_PROCESS: Final = "REPLAY_BOT_PROCESS"  # "0", a child "0.1"
ENVIRONMENT_BOT_STACK: Final = "REPLAY_BOT_STACK"  # the file into which the watchdog lets it dump its stack
ENVIRONMENT_BOT_TIME_MACHINE: Final = (
    "REPLAY_BOT_TIME_MACHINE"  # Replay's own extension, for interpreters it fits
)
ENVIRONMENT_BOT_KEPT_OUT: Final = "REPLAY_BOT_KEPT_OUT"  # the users' folders, where it may not write
ENVIRONMENT_BOT_TURNS: Final = (
    "REPLAY_BOT_TURNS"  # a folder; set by `replay pace`: bots write their turns there
)


class _Call(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", forbid_unknown_fields=True):
    """Base of what a process says."""


class _TimedCall(_Call, frozen=True, kw_only=True):
    t: int  # the process's own time
    hits: dict[str, int] = {}  # "GET url" -> answers taken from its own cache since the last call


class BotHello(_Call, frozen=True, kw_only=True, tag="hello"):
    """First call of a process; answered when it has its turn."""

    version: int
    token: str
    component: str
    process: str
    pid: int
    python: str = ""


class BotSleep(_TimedCall, frozen=True, kw_only=True, tag="sleep"):
    """Every thread waits; None: without a time-out."""

    until: int | None


class BotHttp(_TimedCall, frozen=True, kw_only=True, tag="http"):
    """A request to an exchange; its body is the frame's."""

    client: str  # the library, for reports
    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float | None = None  # seconds after which the client gives up


class BotSpawn(_TimedCall, frozen=True, kw_only=True, tag="spawn"):
    """A child process exists; answered at once."""

    process: str
    pid: int


class BotWait(_TimedCall, frozen=True, kw_only=True, tag="wait"):
    """The process waits for the end of a child."""

    pid: int
    until: int | None


class BotRefused(_TimedCall, frozen=True, kw_only=True, tag="refused"):
    """The shim refused something; answered at once."""

    what: str  # such as socket.connect
    target: str
    client: str = ""


BotMessage = BotHello | BotSleep | BotHttp | BotSpawn | BotWait | BotRefused


class BotReply(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the answers, and the answer to a sleep: the process's time from now on, and how far it may run."""

    now: int
    horizon: int  # a sleep that ends at or before it needs no call
    open_orders: bool  # of the component's account


class BotError(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a call that ends the process: it writes the reason to standard error."""

    error: str  # one line


class BotWelcome(BotReply, frozen=True, kw_only=True):
    """Answer to a hello: everything that a process may know of the run."""

    seed: str  # hexadecimal, of this process
    tick_ns: int
    tick_anchor_ns: int  # ticks are at anchor + k * tick_ns
    phase_ns: int
    latency_ns: int  # of a request that the process answers from its own cache
    sim_end: int
    hosts: tuple[str, ...]  # of the emulated exchanges
    folder: str  # the working copy: code below it is the bot's own
    burst: int | None = None
    charge_cpu: bool = False


class HttpReply(BotReply, frozen=True, kw_only=True):
    """Answer to a request; its body is the frame's."""

    status: int = 0
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    valid_until: int | None = None  # the same GET gets the same answer before this time
    failure: str | None = None  # refused, timeout, reset: no answer
    message: str = ""


class WaitReply(BotReply, frozen=True, kw_only=True):
    """Answer to a wait."""

    exited: bool
