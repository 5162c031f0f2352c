"""Signatures of requests, checked with test keys: HMAC-SHA256, and Ed25519 where its library is installed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable

from orchestrator.errors import ConfigError

__all__ = ["ed25519_verifier", "hmac_base64", "hmac_hex", "is_equal"]


def hmac_base64(secret: str, message: bytes) -> str:
    """Return the HMAC-SHA256 of a message as base64."""
    return base64.b64encode(hmac.digest(secret.encode(), message, hashlib.sha256)).decode()


def hmac_hex(secret: str, message: bytes) -> str:
    """Return the HMAC-SHA256 of a message as hex digits."""
    return hmac.digest(secret.encode(), message, hashlib.sha256).hex()


def is_equal(found: str, expected: str) -> bool:
    """Return whether a signature is the expected one; any text may be compared."""
    return hmac.compare_digest(found.encode(), expected.encode())


def ed25519_verifier(seed_base64: str, where: str) -> Callable[[str, bytes], bool]:
    """Return what tells whether a base64 signature is one of a message by the key of a 32-byte seed.

    Parameters
    ----------
    seed_base64
        The private test key as the bot has it: base64 of 32 bytes.
    where
        The key of replay.toml that it comes from, for messages.

    Raises
    ------
    ConfigError
        If the library is not installed or the key is none.
    """
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only who verifies pays for it
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            f'{where} needs the package cryptography, which is not installed; pip install "cryptography>=42", '
            'or set signatures = "present"'
        ) from None
    try:
        seed = base64.b64decode(seed_base64, validate=True)
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    except (binascii.Error, ValueError):
        raise ConfigError(
            f"{where} is not a key; write base64 of 32 bytes, a test key and no real one"
        ) from None

    def verify(signature: str, message: bytes) -> bool:
        try:
            public.verify(base64.b64decode(signature, validate=True), message)
        except (binascii.Error, ValueError, InvalidSignature):
            return False
        return True

    return verify
