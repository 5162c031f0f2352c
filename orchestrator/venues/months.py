"""Candles of calendar months, which have no one length: made of days, the day that is open included."""

from __future__ import annotations

import datetime as dt
from itertools import groupby
from typing import Final

from orchestrator.candle import Candle
from orchestrator.config import NS_PER_DAY, NS_PER_SECOND
from orchestrator.venues.candle_rows import CandleRows

__all__ = ["month_candles"]

_DAYS_MAX: Final = 31
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def month_candles(
    rows: CandleRows,
    coin: str,
    sim_time_ns: int,
    *,
    first_open_ns: int = 0,
    last_open_ns: int | None = None,
    limit: int | None = None,
) -> list[Candle]:
    """Return the months that open within the bounds, oldest first, the last `limit` of them.

    The month that is open at the time is the last one, of what is closed of it by then.

    Raises
    ------
    ConfigError
        If days cannot be made of the run's candles.
    """
    count = _DAYS_MAX * limit if limit is not None else sim_time_ns // NS_PER_DAY
    days = rows.candles(coin, "1d", sim_time_ns, first_open_ns=0, last_open_ns=sim_time_ns, limit=count)
    today = rows.open_candle(coin, "1d", sim_time_ns)
    if today is None:
        return []
    months = [
        _joined(begin_ns, list(found))
        for begin_ns, found in groupby([*days, today], key=lambda day: _month_ns(day.open_time_ns))
        if first_open_ns <= begin_ns and (last_open_ns is None or begin_ns <= last_open_ns)
    ]
    return months if limit is None else months[-limit:]


def _month_ns(time_ns: int) -> int:
    day = (_EPOCH + dt.timedelta(seconds=time_ns // NS_PER_SECOND)).replace(day=1)
    return (day - _EPOCH).days * NS_PER_DAY


def _joined(begin_ns: int, days: list[Candle]) -> Candle:
    volume = 0.0
    for day in days:
        volume += day.volume
    return Candle(
        begin_ns,
        _month_ns(begin_ns + (_DAYS_MAX + 1) * NS_PER_DAY),
        days[0].open,
        max(day.high for day in days),
        min(day.low for day in days),
        days[-1].close,
        volume,
    )
