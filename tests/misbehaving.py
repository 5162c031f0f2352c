"""A component that misbehaves in one declared way, from a tick drawn from a seed.

`python misbehaving.py MODE [--seed N] [--amount N]`. It speaks the protocol raw, without the SDK, which would
not let it do most of this. Until its tick, and afterwards where the mode leaves it a choice, it acknowledges
every snapshot and leaves with status 0 when told to stop.
"""

from __future__ import annotations

import argparse
import enum
import os
import signal
import sys
import time
import zlib
from decimal import Decimal
from typing import NoReturn

import msgspec
import zmq

from orchestrator.protocol import (
    ENVIRONMENT_COMPONENT,
    ENVIRONMENT_ENDPOINT,
    ENVIRONMENT_TOKEN,
    PROTOCOL_VERSION,
    Acknowledgement,
    Frame,
    Hello,
    Instruction,
    OrchestratorMessage,
    Refused,
    Side,
    Snapshot,
    Stop,
    SubmitOrder,
    Welcome,
)

TICKS_MAX = 20


class Mode(enum.StrEnum):
    """What goes wrong."""

    WELL_BEHAVED = "well_behaved"
    NEVER_CONNECTS = "never_connects"  # lives and says nothing
    WRONG_TOKEN = "wrong_token"  # noqa: S105 - the name of a mode: says hello as a stranger would
    RAISE = "raise"
    EXIT0_EARLY = "exit0_early"
    HANG = "hang"  # no acknowledgement, no CPU
    SPIN = "spin"  # no acknowledgement, all CPU
    FLOOD_ORDERS = "flood_orders"  # `amount` orders in one turn
    FLOOD_OUTPUT = "flood_output"  # `amount` lines of 100 characters on stdout and stderr
    WRONG_SEQUENCE = "wrong_sequence"
    ACK_TWICE = "ack_twice"
    GARBAGE_MESSAGE = "garbage_message"
    IGNORE_SIGTERM = "ignore_sigterm"  # … and the word to stop
    DOUBLE_FORK = "double_fork"  # leaves a daemon of its own session that ignores SIGTERM


def tick_of(seed: int, mode: Mode) -> int:
    """Return the sequence, 2 to TICKS_MAX, from which a component with this seed misbehaves."""
    return 2 + zlib.crc32(f"{seed}:{mode}".encode()) % (TICKS_MAX - 1)


class Misbehaving:
    """One connection to the orchestrator and one way to abuse it."""

    def __init__(self, mode: Mode, *, seed: int, amount: int) -> None:
        self.mode = mode
        self.tick = tick_of(seed, mode)
        self.amount = amount
        self.coin = ""
        self.has_misbehaved = False
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.encode = msgspec.msgpack.Encoder(decimal_format="string").encode
        self.decode = msgspec.msgpack.Decoder(OrchestratorMessage).decode

    def run(self) -> int:
        if self.mode is Mode.IGNORE_SIGTERM:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self.mode is Mode.NEVER_CONNECTS:
            sleep_for_ever()
        self.socket.connect(os.environ[ENVIRONMENT_ENDPOINT])
        token = "stranger" if self.mode is Mode.WRONG_TOKEN else os.environ[ENVIRONMENT_TOKEN]
        self.say(Hello(PROTOCOL_VERSION, token, os.environ[ENVIRONMENT_COMPONENT], os.getpid()))
        while True:
            match self.decode(self.socket.recv()):
                case Welcome() as welcome:
                    self.coin = welcome.coins[0]
                case Frame(snapshots):
                    for snapshot in snapshots:
                        self.take(snapshot)
                case Stop() if self.mode is Mode.IGNORE_SIGTERM:
                    sleep_for_ever()
                case Stop():
                    return 0
                case Refused(reason):
                    complain(f"refused: {reason}")
                    return 1
                case other:
                    complain(f"unexpected: {other}")
                    return 1

    def say(self, message: msgspec.Struct) -> None:
        self.socket.send(self.encode(message))

    def take(self, snapshot: Snapshot) -> None:
        sequence = snapshot.sequence
        instructions: tuple[Instruction, ...] = ()
        if sequence >= self.tick and not self.has_misbehaved:
            self.has_misbehaved = True
            complain(f"misbehaving at sequence {sequence}: {self.mode}")
            if self.mode is Mode.ACK_TWICE:
                self.say(Acknowledgement(sequence, snapshot.step))
            elif self.mode is Mode.GARBAGE_MESSAGE:
                self.socket.send(b"\xc1 this is no msgpack")
            elif self.mode is Mode.WRONG_SEQUENCE:
                sequence += 1
            elif self.mode is Mode.FLOOD_ORDERS:
                instructions = self.orders()
            else:
                misbehave(self.mode, self.amount)
        self.say(Acknowledgement(sequence, snapshot.step, instructions))

    def orders(self) -> tuple[Instruction, ...]:
        qty = Decimal("0.001")
        return tuple(SubmitOrder(number, self.coin, Side.BUY, qty) for number in range(1, self.amount + 1))


def misbehave(mode: Mode, amount: int) -> None:
    """Do what does not need the connection; does not return where that is the point."""
    match mode:
        case Mode.RAISE:
            raise RuntimeError("a mistake in the component's own code")
        case Mode.EXIT0_EARLY:
            sys.exit(0)
        case Mode.HANG:
            sleep_for_ever()
        case Mode.SPIN:
            while True:
                pass
        case Mode.FLOOD_OUTPUT:
            flood_output(amount)
        case Mode.DOUBLE_FORK:
            leave_daemon()


def complain(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def sleep_for_ever() -> NoReturn:
    while True:
        time.sleep(3_600)


def flood_output(lines: int) -> None:
    for number in range(lines):
        (sys.stderr if number % 2 else sys.stdout).write(f"{number:0100}\n")


def leave_daemon() -> None:
    # As daemons do: a session of its own, orphaned, deaf to SIGTERM.
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork():
        os._exit(0)
    sleep_for_ever()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=[str(mode) for mode in Mode])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--amount", type=int, default=100_000)
    words = parser.parse_args()
    return Misbehaving(Mode(words.mode), seed=words.seed, amount=words.amount).run()


if __name__ == "__main__":
    sys.exit(main())
