"""A market made by rule and seed: drifting, clustered volatility, jumps, volume that follows volatility.

The same seed gives the same candles, bit for bit, on every machine and with every version of numpy. Three
things see to it: chance is taken from the raw 64-bit words of PCG64 (a stream numpy guarantees, unlike its
distributions); words become numbers by integer arithmetic; and from there on only +, -, *, / and sqrt are
used, which IEEE 754 rounds exactly. No logarithm, exponential or power is ever taken.

Each coin draws from a generator of its own and all share one of the market, so that another coin in the list
leaves the others' candles as they are.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from orchestrator.config import NS_PER_DAY, parse_timeframe_ns
from orchestrator.errors import ConfigError, DataError
from orchestrator.market.cache import Stored, entries_of, read_series, store_series
from orchestrator.market.candles import Candles, time_text, values_digest
from orchestrator.market.checks import check_candles
from orchestrator.market.series import SYNTHETIC_EXCHANGE, SeriesKey, series_key
from orchestrator.market.timeframes import grid_anchor_ns

__all__ = ["synthesize", "synthetic_candles"]

FloatArray = npt.NDArray[np.float64]

_STEPS: Final = 4  # price changes within a candle
_GAP_CANDLES_MAX: Final = 12
_CANDLES_MAX: Final = 6_000_000  # eleven years of 1m; they are made in memory, some 300 bytes each

_FIRST_PRICES: Final = {"BTC": 42_000.0, "ETH": 2_300.0, "SOL": 98.0, "XRP": 0.62, "DOGE": 0.085, "LTC": 72.0}
_OTHER_PRICES: Final = (0.05, 0.4, 1.2, 7.5, 15.0, 35.0)
_DAILY_NOTIONAL: Final = 40_000_000.0  # in quote currency

# Per day: volatility, and how it remembers (GARCH 1,1 in units of its own mean); a drift that wanders; jumps.
_DAILY_VOLATILITY: Final = 0.028
_VOLATILITY_NEWS, _VOLATILITY_MEMORY = 0.06, 0.925
_VARIANCE_MAX: Final = 25.0  # of the mean variance: a storm, not an explosion
_DRIFT_VOLATILITY, _DRIFT_MEMORY_DAYS = 0.012, 4.0
_JUMPS_PER_DAY: Final = 0.15
_MARKET_SHARE, _OWN_SHARE = 0.8, 0.6  # 0.8^2 + 0.6^2 = 1: returns of two coins correlate by 0.64
_PULL_PER_DAY: Final = 0.01  # towards the first price, so that years of candles stay at a plausible one


def synthesize(
    cache: Path,
    *,
    coins: tuple[str, ...] = ("BTC", "ETH", "DOGE"),
    timeframe: str = "5m",
    start_ns: int,
    end_ns: int,
    seed: int = 7,
    exchange: str = SYNTHETIC_EXCHANGE,
    quote: str = "USDT",
    gaps: int = 0,
    replace: bool = False,
) -> list[Stored]:
    """Make candles for several coins and store them in the cache, each series whole.

    Parameters
    ----------
    cache
        The cache folder, `home().cache`.
    start_ns, end_ns
        First open time and last close time, nanoseconds since the epoch, cut to whole candles.
    gaps
        How many stretches of 1 to 12 candles each coin lacks.
    replace
        Whether they replace cached ones of the same dates that differ.

    Raises
    ------
    ConfigError
        If no coin is named, no whole candle fits between the times, or there is no room for the gaps.
    DataError
        If other candles of the same series are cached, unless `replace` leaves none of them.
    """
    if not coins:
        raise ConfigError("no coins are named; give some, such as BTC,ETH")
    market = {}
    for coin in coins:
        key = series_key(exchange, coin, quote, timeframe)
        candles = synthetic_candles(
            key.coin,
            key.timeframe,
            start_ns=start_ns,
            end_ns=end_ns,
            seed=seed,
            gaps=gaps,
            exchange=key.exchange,
        )
        check_candles(candles, key.timeframe_ns, key.anchor_ns, str(key))
        _require_alone(cache, key, candles, replace=replace)
        market[key] = candles
    return [store_series(cache, key, candles, replace=replace) for key, candles in market.items()]


def _require_alone(cache: Path, key: SeriesKey, candles: Candles, *, replace: bool) -> None:
    # Other dates give other values all along: two markets in one series would meet in a jump.
    folder = cache / key.folder
    entries = entries_of(cache, key) if folder.is_dir() else ()
    if not entries:
        return
    times = candles.open_times_ns
    is_inside = times[0] <= entries[0].start_ns and entries[-1].end_ns <= int(times[-1]) + key.timeframe_ns
    try:
        old = read_series(folder, entries)
    except DataError:
        if not (replace and is_inside):
            raise
        return  # what is corrupt is replaced, if no candle is lost by it
    is_covered = is_inside and bool(np.isin(old.open_times_ns, times).all())
    if values_digest(old) == values_digest(candles) or (replace and is_covered):
        return
    cached = f"{time_text(entries[0].start_ns)} to {time_text(entries[-1].end_ns)}"
    way_out = ", --replace drops the cached one" if is_covered else ""
    raise DataError(
        f"{key}: another market is cached, {cached}; a synthetic one depends on its dates, seed and gaps, so the two "
        f"cannot be one series; another --exchange NAME keeps both{way_out}"
    )


def synthetic_candles(
    coin: str,
    timeframe: str,
    *,
    start_ns: int,
    end_ns: int,
    seed: int,
    gaps: int = 0,
    exchange: str = SYNTHETIC_EXCHANGE,
) -> Candles:
    """Return the candles of one coin; the same for the same arguments, everywhere."""
    timeframe_ns = parse_timeframe_ns(timeframe)
    anchor_ns = grid_anchor_ns(exchange, timeframe_ns)
    first = start_ns + (anchor_ns - start_ns) % timeframe_ns
    count = (end_ns - first) // timeframe_ns
    if count < 1:
        raise ConfigError(
            f"no whole {timeframe} candle fits between the dates; choose a later end or a finer timeframe"
        )
    if count > _CANDLES_MAX:
        raise ConfigError(
            f"{count:,} candles of {coin} are too many; at most {_CANDLES_MAX:,} are made: choose a shorter span or "
            "a longer timeframe"
        )
    times = first + timeframe_ns * np.arange(count, dtype=np.int64)
    candles = Candles(times, *_values(coin, count, timeframe_ns / NS_PER_DAY, seed))
    return candles.take(_kept_rows(coin, count, gaps, seed)) if gaps else candles


def _values(coin: str, count: int, days: float, seed: int) -> tuple[FloatArray, ...]:
    market, own = _bits(seed, "market"), _bits(seed, coin)
    common, single = _normals(market, count * _STEPS), _normals(own, count * _STEPS)
    shocks = (_MARKET_SHARE * common + _OWN_SHARE * single).reshape(count, _STEPS)
    drift_news = _normals(own, count)
    jumps = _jumps(market, count, days) + _jumps(own, count, days)
    activity = 0.5 + _uniforms(own, count) + _uniforms(own, count)

    sums = shocks[:, 0] + shocks[:, 1] + shocks[:, 2] + shocks[:, 3]
    news = sums * sums / _STEPS  # mean 1
    variance = _variances(news)
    drift = _drifts(drift_news, days)
    step_volatility = _DAILY_VOLATILITY * math.sqrt(days / _STEPS) * np.sqrt(variance)
    returns = np.maximum(shocks * step_volatility[:, None] + (drift / _STEPS)[:, None], -0.2)
    returns[:, 1] += jumps
    factors = np.multiply.accumulate(1.0 + returns, axis=1)

    first_price = _first_price(coin, own)
    opens, pulled = _price_path(factors[:, -1], first_price, days)
    path = opens[:, None] * factors * pulled[:, None]
    tick = 10 ** (6 - _digits_before_point(first_price))  # ticks per unit: about six significant digits
    prices = np.maximum(np.rint(np.column_stack([opens, path]) * tick), 1.0) / tick
    volume = (
        _DAILY_NOTIONAL
        * days
        / first_price
        * activity
        * (0.3 + 0.4 * variance + 0.3 * np.minimum(news, 20.0))
    )
    return prices[:, 0], prices.max(axis=1), prices.min(axis=1), prices[:, -1], np.rint(volume * 1e4) / 1e4


def _variances(news: FloatArray) -> FloatArray:
    # h' = w + (a * news + b) * h, with mean 1: a loop, since each needs the one before.
    base = 1.0 - _VOLATILITY_NEWS - _VOLATILITY_MEMORY
    level, levels = 1.0, []
    for weight in (_VOLATILITY_NEWS * news + _VOLATILITY_MEMORY).tolist():
        levels.append(level)
        level = min(base + weight * level, _VARIANCE_MAX)
    return np.array(levels)


def _drifts(news: FloatArray, days: float) -> FloatArray:
    # The mean return per candle wanders and is forgotten over days: trends that a moving average can follow.
    memory = 1.0 / (1.0 + days / _DRIFT_MEMORY_DAYS)
    spread = _DRIFT_VOLATILITY * days * math.sqrt(1.0 - memory * memory)
    level, levels = 0.0, []
    for change in (spread * news).tolist():
        level = memory * level + change
        levels.append(level)
    return np.array(levels)


def _jumps(bits: np.random.PCG64, count: int, days: float) -> FloatArray:
    chance = min(_JUMPS_PER_DAY * days, 0.5)
    happens, size = _uniforms(bits, count) < chance, _uniforms(bits, count)
    signed = np.where(size < 0.5, -0.01 - 0.08 * size, 0.01 + 0.08 * (size - 0.5))
    return np.where(happens, signed, 0.0)


def _price_path(growth: FloatArray, first: float, days: float) -> tuple[FloatArray, FloatArray]:
    # Returns the open of each candle, and the factor of its pull towards the first price.
    strength = min(_PULL_PER_DAY * days, 0.5)
    price, opens, pulled = first, [], []
    for factor in growth.tolist():
        pull = 1.0 + strength * (first - price) / (first + price)
        opens.append(price)
        pulled.append(pull)
        price = price * factor * pull
    return np.array(opens), np.array(pulled)


def _kept_rows(coin: str, count: int, gaps: int, seed: int) -> npt.NDArray[np.bool_]:
    # One gap in each of equal stretches, so that gaps never touch and both ends of the series stay.
    stretch = count // gaps
    if stretch < 2 * _GAP_CANDLES_MAX:
        raise ConfigError(
            f"{gaps} gaps do not fit into {count} candles; at most {count // (2 * _GAP_CANDLES_MAX)} do"
        )
    words = _bits(seed, f"{coin} gaps").random_raw(2 * gaps).astype(np.uint64)
    kept = np.ones(count, dtype=np.bool_)
    for number in range(gaps):
        length = 1 + int(words[2 * number]) % _GAP_CANDLES_MAX
        begin = number * stretch + 1 + int(words[2 * number + 1]) % (stretch - _GAP_CANDLES_MAX - 1)
        kept[begin : begin + length] = False
    return kept


def _bits(seed: int, consumer: str) -> np.random.PCG64:
    digest = hashlib.sha256(f"synthetic market {seed} {consumer}".encode()).digest()
    return np.random.PCG64(int.from_bytes(digest, "big"))


def _uniforms(bits: np.random.PCG64, count: int) -> FloatArray:
    # 53 bits over 2^53 in [0, 1): exact.
    words: npt.NDArray[np.uint64] = bits.random_raw(count)
    return (words >> np.uint64(11)).astype(np.float64) / 9_007_199_254_740_992.0


def _normals(bits: np.random.PCG64, count: int) -> FloatArray:
    # The sum of twelve 16-bit uniforms has variance 1 and lies within 6 of its mean: near enough to a normal,
    # and made of integers alone.
    words: npt.NDArray[np.uint64] = bits.random_raw(3 * count).reshape(3, count)
    mask = np.uint64(0xFFFF)
    total = np.zeros(count, dtype=np.uint64)
    for row in words:
        for shift in (0, 16, 32, 48):
            total += (row >> np.uint64(shift)) & mask
    return (total.astype(np.float64) - 393_210.0) / 65_536.0


def _first_price(coin: str, bits: np.random.PCG64) -> float:
    known = _FIRST_PRICES.get(coin)
    return known if known is not None else _OTHER_PRICES[int(bits.random_raw()) % len(_OTHER_PRICES)]


def _digits_before_point(price: float) -> int:
    # 42000 -> 5, 0.62 -> 0, 0.085 -> -1; by comparison, since a logarithm need not round alike everywhere.
    digits = 0
    while price >= 10**digits:
        digits += 1
    while digits <= 0 and price * 10 ** (1 - digits) < 1:
        digits -= 1
    return digits
