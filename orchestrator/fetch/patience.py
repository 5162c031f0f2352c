"""Asking again: growing waits after trouble that passes, and an end to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from orchestrator.errors import DataError
from orchestrator.fetch.pacing import Pace
from orchestrator.fetch.source import PassingError

__all__ = ["Patience"]

_LIMIT_SECONDS: Final = 5.0  # after a refusal for too many requests that does not say how long to wait
_HOLD_SECONDS_MAX: Final = 120.0  # asked for longer, a fetch ends: asking inside a ban lengthens it

_Answer = TypeVar("_Answer")


class Patience(NamedTuple):
    """How often a request is made again and after how long: 0.5 s, 1 s, 2 s … 30 s by default."""

    attempts: int = 9
    first_wait_seconds: float = 0.5
    wait_seconds_max: float = 30.0

    def ask(self, pace: Pace, request: Callable[[], _Answer]) -> _Answer:
        """Return the answer to a request, which takes its turns itself.

        Raises
        ------
        DataError
            If it is in trouble every time, or the exchange asks to be left alone for long: then everything
            that shares the pace ends too. What the request itself raises otherwise.
        """
        for attempt in range(self.attempts):
            try:
                return request()
            except PassingError as trouble:
                if (trouble.retry_seconds or 0.0) > _HOLD_SECONDS_MAX:
                    pace.end(
                        f"{trouble}; it asks to be left alone for {trouble.retry_seconds:.0f} s; "
                        "the same command goes on later"
                    )
                if attempt + 1 == self.attempts:
                    raise DataError(
                        f"{trouble}; asked {self.attempts} times; try again later, "
                        "the same command goes on where it stopped"
                    ) from None
                self._wait(pace, trouble, attempt)
        raise AssertionError("the last attempt returns or raises")  # pragma: no cover

    def _wait(self, pace: Pace, trouble: PassingError, attempt: int) -> None:
        grown = min(self.first_wait_seconds * 2**attempt, self.wait_seconds_max)
        if trouble.is_limit:  # the limit is that of all threads together
            pace.hold(
                max(trouble.retry_seconds if trouble.retry_seconds is not None else _LIMIT_SECONDS, grown)
            )
        else:
            pace.wait(grown)
