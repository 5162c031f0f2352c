"""Instants as Robinhood Crypto writes them: one fixed form, since bots compare them as text."""

from __future__ import annotations

import datetime as dt
from typing import Final

__all__ = ["microseconds", "parse_stamp", "stamp"]

_NS_PER_MICROSECOND: Final = 1_000
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ZONE: Final = dt.timezone(
    dt.timedelta(hours=-5)
)  # all the year: a summer time would break the order of texts


def microseconds(sim_time_ns: int) -> int:
    """Return what of a time a stamp shows."""
    return sim_time_ns // _NS_PER_MICROSECOND


def stamp(sim_time_ns: int) -> str:
    """Return a time such as 2023-11-14T18:13:19.123456-05:00, always with six decimals."""
    moment = _EPOCH + dt.timedelta(microseconds=microseconds(sim_time_ns))
    return moment.astimezone(_ZONE).isoformat(timespec="microseconds")


def parse_stamp(text: str) -> int | None:
    """Return the microseconds since the epoch of an ISO 8601 time, UTC where it names no zone; None if it is none."""
    try:
        # A plus sign that the bot did not quote arrives as a space.
        moment = dt.datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)
