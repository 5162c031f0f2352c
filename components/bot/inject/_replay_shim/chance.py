"""Chance that is the same in every run: all of it comes from the seed of this process.

`os.urandom` becomes a stream of BLAKE2 blocks over the seed and a counter; `secrets`, `uuid4`, `SystemRandom`
and numpy's unseeded generators draw from it. `random` seeds itself from it where it would ask the system.
The seed of a child is another one. OpenSSL's own generator (`ssl.RAND_bytes`) is not reached.
"""

from __future__ import annotations

import _blake2  # what hashlib would import, without OpenSSL
import os
import sys
from operator import index
from typing import TYPE_CHECKING, Any

from _replay_shim.hooks import on_import

if TYPE_CHECKING:
    from _replay_shim.replacing import Replacements

__all__ = ["Stream", "install", "seed_random"]


class Stream:
    """Bytes that follow from a seed.

    Parameters
    ----------
    seed
        At most 64 bytes.
    """

    def __init__(self, seed: bytes) -> None:
        self.begin(seed)

    def begin(self, seed: bytes) -> None:
        """Begin anew."""
        self._seed = seed
        self._counter = 0
        self._left = b""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""
        size = index(size)
        if size < 0:
            raise ValueError("negative argument not allowed")
        parts, missing = [self._left], size - len(self._left)
        while missing > 0:
            parts.append(_blake2.blake2b(self._counter.to_bytes(8, "little"), key=self._seed).digest())
            self._counter += 1
            missing -= 64
        data = b"".join(parts)
        self._left = data[size:]
        return data[:size]

    def getrandom(self, size: int, flags: int = 0) -> bytes:  # noqa: ARG002 - as `os.getrandom`
        """Return the next bytes."""
        return self.read(size)


def install(seed: str, replacements: Replacements) -> Stream:
    """Replace the system's source of chance; `random` and `uuid` follow when they are imported."""
    stream = Stream(bytes.fromhex(seed))
    replacements.replace(os, "urandom", stream.read)
    replacements.replace(os, "getrandom", stream.getrandom)
    on_import("random", lambda module: _take_over_random(module, stream))
    on_import("uuid", lambda module: _take_over_uuid(module, stream))
    return stream


def seed_random() -> None:
    """Seed `random` again, if it is imported: after a fork, when it has asked the system itself."""
    module = sys.modules.get("random")
    if module is not None:
        module.seed()


# Its C code asks the system for a seed by itself when it is given none.
def _take_over_random(random: Any, stream: Stream) -> None:
    seed_as_asked = random.Random.seed

    def seed(self: Any, a: Any = None, version: int = 2) -> None:
        seed_as_asked(self, int.from_bytes(stream.read(32), "little") if a is None else a, version)

    random.Random.seed = seed
    random.seed = random._inst.seed
    random._urandom = stream.read
    random.seed()


def _take_over_uuid(uuid: Any, stream: Stream) -> None:
    uuid._generate_time_safe = uuid._UuidCreate = None  # so that uuid1 reads `time.time_ns`
    uuid._node = int.from_bytes(stream.read(6), "big") | 1 << 40  # multicast: no machine has this address
