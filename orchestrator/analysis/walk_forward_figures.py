"""What metrics.json says of a run with training; fractions, not percent."""

from __future__ import annotations

import msgspec

__all__ = ["AgeFigures", "WalkForwardFigures", "WindowFigures"]


class _Section(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the parts."""


class WindowFigures(_Section, frozen=True, kw_only=True):
    """One training, and what its models did."""

    trained_at: str
    train_from: str  # the candles that it saw
    train_until: str
    use_from: str
    use_until: str
    days: float  # of use
    models_trained: int  # of as many coins
    models_kept: int  # trainings that failed, where the old model stayed in use
    in_sample_return: float | None  # on the candles that it saw; None: not known
    in_sample_days: float | None
    in_sample_annual: float | None  # return x 365 / days
    out_of_sample_return: float  # of the run while the models were in use
    out_of_sample_annual: float
    efficiency: float | None  # out-of-sample over in-sample, a year; None where that is no gain


class AgeFigures(_Section, frozen=True, kw_only=True):
    """The days on which the models in use were so old."""

    days_from: int  # days since the last candle that they were made of
    days_until: int
    days: int  # so many days of the run
    mean_daily_return: float
    total_return: float  # strung together


class WalkForwardFigures(_Section, frozen=True, kw_only=True):
    """All trainings of a run."""

    trainings: int  # whose models came into use
    models_trained: int
    models_kept: int
    days: float  # of use
    out_of_sample_return: float  # all windows strung together
    out_of_sample_annual: float  # sum of the windows' returns x 365 / days
    in_sample_annual: float | None  # mean of the windows'
    in_sample_source: str | None  # "trainer": as it claims; "replay": measured; None: not known
    efficiency: float | None  # over the windows whose in-sample result is known
    windows_gaining: int
    daily_mean_low: float | None  # 95 % interval of the mean out-of-sample return of a day
    daily_mean_high: float | None
    has_look_ahead: bool  # a model was made of candles later than its first use: nothing is out of sample
    has_edge: bool | None  # whether that interval lies above zero; None: too few days, or look-ahead
    windows: tuple[WindowFigures, ...]
    ages: tuple[AgeFigures, ...]
