"""KuCoin's envelope: `{"code":"200000","data":…}`, and `{"code":…,"msg":…}` for what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from orchestrator.venues.http import VenueResponse
from orchestrator.venues.venue import Call

__all__ = ["Refusal", "answering", "failure", "success"]

_HEAD, _TAIL = b'{"code":"200000","data":', b"}"
_encode = msgspec.json.Encoder().encode


class Refusal(Exception):  # noqa: N818 - it is an answer, not a failure of ours
    """What KuCoin answers instead of data.

    Parameters
    ----------
    code, message
        Of the envelope; the code is text.
    status
        Of HTTP: 200 for what the business refuses, as on the live service.
    """

    def __init__(self, code: str, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def success(data: Any) -> VenueResponse:
    """Return data in the envelope; bytes are JSON already."""
    body = data if isinstance(data, bytes) else _encode(data)
    return VenueResponse(200, b"".join((_HEAD, body, _TAIL)))


def failure(refusal: Refusal) -> VenueResponse:
    """Return what went wrong in the envelope."""
    return VenueResponse(refusal.status, _encode({"code": refusal.code, "msg": refusal.message}))


def answering(page: Callable[[Call], Any]) -> Callable[[Call], VenueResponse]:
    """Return a handler that puts what a page returns, or refuses with, into the envelope."""

    def handle(call: Call) -> VenueResponse:
        try:
            data = page(call)
        except Refusal as refusal:
            return failure(refusal)
        return success(data)

    return handle
