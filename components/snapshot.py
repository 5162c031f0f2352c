"""The market as a component sees it at one simulation time; decoded only where it is looked at."""

from __future__ import annotations

import datetime as dt
import difflib
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from orchestrator import protocol
from orchestrator.errors import ConfigError
from orchestrator.protocol import CandleFlag, Fill, OrderEnd, Reason, SignalValue

__all__ = ["Candle", "Model", "Signals", "Snapshot", "from_ns", "to_model", "to_ns", "unknown_coin"]

_PRICES = struct.Struct("<5d")
_OPEN_TIME = struct.Struct("<q")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_PRESENT, _NEW, _STALE = int(CandleFlag.PRESENT), int(CandleFlag.NEW), int(CandleFlag.STALE)


def from_ns(sim_time_ns: int) -> dt.datetime:
    """Return nanoseconds since the epoch as a UTC datetime (whole microseconds, the rest is cut)."""
    return _EPOCH + dt.timedelta(microseconds=sim_time_ns // 1_000)


def to_ns(moment: dt.datetime) -> int:
    """Return a timezone-aware datetime as nanoseconds since the epoch.

    Raises
    ------
    ConfigError
        If it is no datetime or has no timezone.
    """
    if not isinstance(moment, dt.datetime):
        raise ConfigError(
            f"time {moment!r} is no datetime; use snapshot.time + timedelta(...), such as timedelta(minutes=1)"
        )
    if moment.tzinfo is None:
        raise ConfigError(
            f"time {moment} has no timezone; use snapshot.time + timedelta(...), or tzinfo=timezone.utc"
        )
    delta = moment - _EPOCH
    time_ns = ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1_000
    if not -(2**63) <= time_ns < 2**63:  # what a message can carry
        raise ConfigError(f"time {moment} is out of range; from 1678 to 2261, such as replay.end")
    return time_ns


def unknown_coin(coin: object, coins: tuple[str, ...]) -> ConfigError:
    """Return the error for a coin that is not in the run."""
    near = difflib.get_close_matches(str(coin).upper(), coins, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return ConfigError(f"coin {coin!r} is not in this run; its coins are {', '.join(coins)}{hint}")


class Candle(NamedTuple):
    """The last closed candle of a coin; prices in quote, volume in base currency."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    open_time: dt.datetime
    is_new: bool  # it closed at this snapshot's time
    is_stale: bool  # a candle should have closed at this time and none exists


class Model(NamedTuple):
    """A trained model of one coin."""

    coin: str
    path: Path  # the folder of its files
    train_until: dt.datetime  # it was made of candles that closed at or before this time
    digest: str  # over its files


def to_model(message: protocol.TrainedModel) -> Model:
    """Return a model as components see it."""
    return Model(message.coin, Path(message.path), from_ns(message.train_until_ns), message.digest)


class Signals(Mapping[str, SignalValue]):
    """The latest value per key that was said about one coin; immutable."""

    __slots__ = ("_said",)

    def __init__(self, said: Mapping[str, protocol.Signal]) -> None:
        self._said = said

    def __getitem__(self, key: str) -> SignalValue:
        return self._said[key].value

    def __iter__(self) -> Iterator[str]:
        return iter(self._said)

    def __len__(self) -> int:
        return len(self._said)

    def __repr__(self) -> str:
        return f"Signals({dict(self)})"

    def time(self, key: str) -> dt.datetime:
        """Return the simulation time at which the value of the key was said."""
        return from_ns(self._said[key].sim_time_ns)


SILENCE = Signals({})


class SignalBook(Mapping[str, Signals]):
    """Signals by coin; a coin nobody spoke of has none. Immutable: news make a new book."""

    __slots__ = ("_by_coin", "_coins")

    def __init__(self, coins: tuple[str, ...], by_coin: Mapping[str, Mapping[str, protocol.Signal]]) -> None:
        self._coins = coins
        self._by_coin = by_coin

    def __getitem__(self, coin: str) -> Signals:
        said = self._by_coin.get(coin)
        if said is not None:
            return Signals(said)
        if coin not in self._coins:
            raise unknown_coin(coin, self._coins)
        return SILENCE

    def __iter__(self) -> Iterator[str]:
        return iter(self._coins)

    def __len__(self) -> int:
        return len(self._coins)

    def updated(self, news: tuple[protocol.Signal, ...]) -> SignalBook:
        """Return a book with the news in it."""
        by_coin = dict(self._by_coin)
        for signal in news:
            by_coin[signal.coin] = {**by_coin.get(signal.coin, {}), signal.key: signal}
        return SignalBook(self._coins, MappingProxyType(by_coin))


class Snapshot:
    """The whole market at one simulation time, and why the component was woken.

    Attributes
    ----------
    sequence
        Number of the market tick, 1, 2, 3 …
    step
        0 at the tick itself; 1, 2 … for what happens between it and the next.
    sim_time_ns
        Simulation time, nanoseconds since the Unix epoch.
    signals
        By coin, the latest values said by earlier stages (and, from the next wake-up on, by the own stage).
    fills, rejections, ends
        What happened to the component's own orders since it was last woken; `ends` are cancellations and
        expiries.
    models
        Trained models that came into use since it was last woken; `Replay.models` has those in use.
    """

    __slots__ = (
        "_coins",
        "_wire",
        "ends",
        "fills",
        "models",
        "rejections",
        "sequence",
        "signals",
        "sim_time_ns",
        "step",
    )

    def __init__(self, wire: protocol.Snapshot, coins: Mapping[str, int], signals: SignalBook) -> None:
        self._wire = wire
        self._coins = coins
        self.sequence = wire.sequence
        self.step = wire.step
        self.sim_time_ns = wire.sim_time_ns
        self.signals = signals
        news = wire.news
        self.fills: tuple[Fill, ...] = news.fills if news is not None else ()
        self.rejections: tuple[OrderEnd, ...] = news.rejections if news is not None else ()
        self.ends: tuple[OrderEnd, ...] = news.ends if news is not None else ()
        self.models = tuple(map(to_model, news.models)) if news is not None else ()

    @property
    def time(self) -> dt.datetime:
        """Simulation time, UTC."""
        return from_ns(self.sim_time_ns)

    @property
    def reason(self) -> Reason:
        """Why the component was woken: `Reason.TICK`, `Reason.ORDER`, `Reason.WAKE_UP`, or several."""
        return Reason(self._wire.reason)

    @property
    def coins(self) -> tuple[str, ...]:
        """The coins of the run."""
        return tuple(self._coins)

    def __getitem__(self, coin: str) -> Candle | None:
        """Return the last closed candle of a coin; None before its first one.

        Raises
        ------
        ConfigError
            If the coin is not in the run.
        """
        place = self._coins.get(coin)
        if place is None:
            raise unknown_coin(coin, tuple(self._coins))
        wire = self._wire
        flag = wire.flags[place]
        if not flag & _PRESENT:
            return None
        prices = _PRICES.unpack_from(wire.prices, place * 40)
        open_time = from_ns(_OPEN_TIME.unpack_from(wire.open_times, place * 8)[0])
        return Candle._make((*prices, open_time, bool(flag & _NEW), bool(flag & _STALE)))

    def __contains__(self, coin: object) -> bool:
        return coin in self._coins

    def __iter__(self) -> Iterator[str]:
        return iter(self._coins)

    def __repr__(self) -> str:
        moment = self.time.isoformat()
        return f"Snapshot(sequence={self.sequence}, step={self.step}, time={moment}, reason={self.reason!r})"
