"""Identifiers and chance that look like a venue's and depend on nothing but a key and a counter."""

from __future__ import annotations

import hashlib
from collections import defaultdict

__all__ = ["Draws", "IdSource"]

_NS_PER_SECOND = 1_000_000_000


def _digest(*key: object) -> bytes:
    return hashlib.sha256("|".join(map(str, key)).encode()).digest()


class IdSource:
    """The identifiers that one venue gives out in one run.

    Parameters
    ----------
    seed, venue
        With the component, the purpose and its counter they make an identifier: nobody else changes it.
    """

    def __init__(self, seed: int, venue: str) -> None:
        self._key = (seed, venue)
        self._counters: defaultdict[tuple[str, str], int] = defaultdict(int)

    def count(self, component: str, purpose: str) -> int:
        """Return 1, 2, 3 … for a component and a purpose."""
        self._counters[component, purpose] += 1
        return self._counters[component, purpose]

    def digest(self, component: str, purpose: str) -> bytes:
        """Return 32 bytes that belong to the next count of a component and a purpose."""
        return _digest(*self._key, component, purpose, self.count(component, purpose))

    def object_id(self, component: str, purpose: str, sim_time_ns: int) -> str:
        """Return 24 hex digits, the first 8 of them the time in seconds."""
        return f"{sim_time_ns // _NS_PER_SECOND & 0xFFFFFFFF:08x}{self.digest(component, purpose)[:8].hex()}"

    def uuid(self, component: str, purpose: str) -> str:
        """Return a UUID of version 4 in its usual spelling."""
        raw = bytearray(self.digest(component, purpose)[:16])
        raw[6] = raw[6] & 0x0F | 0x40
        raw[8] = raw[8] & 0x3F | 0x80
        text = raw.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def number(self, component: str, purpose: str, digits: int) -> int:
        """Return a whole number of that many digits."""
        low: int = 10 ** (digits - 1)
        return low + int.from_bytes(self.digest(component, purpose)[:16], "big") % (9 * low)

    def fixed(self, *key: str) -> bytes:
        """Return 32 bytes for a name that always has the same, such as that of an account."""
        return _digest(*self._key, "fixed", *key)


class Draws:
    """Numbers in [0, 2^64) keyed by (seed, venue, component, purpose, counter)."""

    STEPS = 2**64

    def __init__(self, seed: int, venue: str) -> None:
        self._ids = IdSource(seed, venue)

    def draw(self, component: str, purpose: str) -> int:
        """Return the next draw of a component for a purpose."""
        return int.from_bytes(self._ids.digest(component, f"draw {purpose}")[:8], "big")
