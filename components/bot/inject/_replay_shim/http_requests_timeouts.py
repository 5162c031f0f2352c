"""What a call of requests says about time-outs and retries, where it is plain enough to be answered whole."""

from __future__ import annotations

from typing import Any

__all__ = ["UNKNOWN", "never_retries", "read_timeout"]

UNKNOWN: Any = object()


def read_timeout(timeout: Any) -> Any:
    """Return after how many seconds the client gives up, None for never; `UNKNOWN` if urllib3 has to say."""
    if timeout is None:
        return None
    if type(timeout) is tuple and len(timeout) == 2:
        if read_timeout(timeout[0]) is UNKNOWN:
            return UNKNOWN
        timeout = timeout[1]
        if timeout is None:
            return None
    if (type(timeout) is int or type(timeout) is float) and timeout > 0:
        return timeout
    return UNKNOWN


def never_retries(adapter: Any) -> bool:
    """Return whether an adapter leaves every answer as it is."""
    retries = adapter.max_retries
    return retries.total == 0 and retries.read is False and not retries.status_forcelist
