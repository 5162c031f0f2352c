"""One exchange as ccxt speaks to it: which coins it has, what time it is there, one page of candles.

What goes wrong is split by what a caller does next: `PassingError` passes, so the request is made again; anything
else is a `DataError` or `ConfigError` that ends the fetch of the series.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import urlsplit

import numpy as np

from orchestrator.config import NS_PER_MS
from orchestrator.errors import ConfigError, DataError, ReplayError
from orchestrator.market.candles import Candles
from orchestrator.market.timeframes import timeframe_label

__all__ = ["CcxtSource", "PassingError", "reset_seconds"]

_PAGE_DEFAULT: Final = 200  # candles, where ccxt does not know an exchange's limit
_RESET_HEADERS_MS: Final = ("gw-ratelimit-reset",)
_RESET_HEADERS_SECONDS: Final = ("retry-after",)
_TIMEOUT_SECONDS: Final = 10.0


class PassingError(ReplayError):
    """A request failed in a way that passes: a timeout, a limit, a fault of the server, a broken answer.

    `retry_seconds` is how long the exchange asked to be left alone, None when it did not say;
    `is_limit` whether it refused because of the number of requests.
    """

    exit_status = 3

    def __init__(self, message: str, *, retry_seconds: float | None = None, is_limit: bool = False) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds
        self.is_limit = is_limit


class CcxtSource:
    """An exchange, without an account.

    Parameters
    ----------
    name
        As ccxt names it, such as "kucoin".
    base_url
        Where all requests go instead of the exchange's own hosts: a mirror, or a test.
    timeout_seconds
        How long one answer may take, wall seconds.

    Raises
    ------
    ConfigError
        If ccxt is not installed or does not know the exchange, or the address is none.
    """

    def __init__(
        self, name: str, *, base_url: str | None = None, timeout_seconds: float = _TIMEOUT_SECONDS
    ) -> None:
        self.name = name
        self._base_url = base_url
        self._timeout_seconds = timeout_seconds
        self._ccxt = _import_ccxt()
        self._client = self._make_client()
        limits = (self._client.features or {}).get("spot") or {}
        limit = (limits.get("fetchOHLCV") or {}).get("limit") or _PAGE_DEFAULT
        # Whether the end of a page is inclusive differs, and an exchange that counts one candle more than its
        # limit drops the oldest: one less is asked for.
        self.page_candles = max(1, int(limit) - 1)
        self.interval_seconds = float(self._client.rateLimit) / 1000.0  # what ccxt holds the exchange to

    def twin(self) -> Self:
        """Return another connection to the same exchange, for another thread; markets are not asked again."""
        other = type(self)(self.name, base_url=self._base_url, timeout_seconds=self._timeout_seconds)
        other.page_candles = self.page_candles
        other.take_turns(self._client.throttle)
        if self._client.markets:
            other._client.set_markets(list(self._client.markets.values()))
        return other

    def take_turns(self, wait: Callable[..., None]) -> None:
        """Let every request wait for its turn by calling `wait` first, instead of ccxt's own pace."""
        self._client.throttle = wait

    def load_markets(self) -> None:
        """Ask which pairs the exchange has; once."""
        self._call(self._client.load_markets)
        if not self._client.markets:
            raise PassingError(f"{self.name} named no markets")

    def find_quote(self, coins: tuple[str, ...], wanted: str | None, order: tuple[str, ...]) -> str:
        """Return the quote asset in which the exchange has all coins; `load_markets` comes first.

        Parameters
        ----------
        coins
            Base assets.
        wanted
            The one that must be it; None: the first of `order` that fits.
        order
            Quote assets by preference.

        Raises
        ------
        DataError
            If the exchange lacks a coin in that quote, naming the nearest one it has.
        """
        pairs = {(m["base"], m["quote"]) for m in self._client.markets.values() if m.get("spot")}
        for quote in (wanted,) if wanted else order:
            if all((coin, quote) in pairs for coin in coins):
                return quote
        quote = wanted or order[0]
        absent = next(coin for coin in coins if (coin, quote) not in pairs)
        bases = sorted({base for base, other in pairs if other == quote})
        near = difflib.get_close_matches(absent, bases, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        quotes = sorted(other for base, other in pairs if base == absent)
        others = f"; it has {absent} in {', '.join(quotes[:8])} (--quote)" if quotes else ""
        raise DataError(f"{self.name} has no {absent}/{quote}{hint}{others}")

    def has_timeframe(self, timeframe_ns: int) -> bool:
        """Return whether the exchange offers candles of that length."""
        return timeframe_label(timeframe_ns) in (self._client.timeframes or {})

    def timeframe_names(self) -> tuple[str, ...]:
        """Return the lengths of candles that the exchange offers."""
        return tuple(self._client.timeframes or ())

    def now_ns(self) -> int:
        """Return the exchange's own time, by which its candles close; this machine's where it does not tell."""
        if not self._client.has.get("fetchTime"):
            return int(self._client.milliseconds()) * NS_PER_MS
        told = self._call(self._client.fetch_time)
        if not isinstance(told, int):
            raise PassingError(f"{self.name} told no time")
        return told * NS_PER_MS

    def page(self, coin: str, quote: str, timeframe_ns: int, start_ns: int, count: int) -> Candles:
        """Return one answer of the exchange: candles that open at or after a time, sorted, each once.

        Which of them come, and how many, is the exchange's affair: some give the first `count` there are,
        some those of the window of `count` candles, some of that window only the newest.

        Raises
        ------
        PassingError
            If asking again may help.
        DataError
            If the exchange refuses the question.
        """
        rows = self._call(
            self._client.fetch_ohlcv,
            f"{coin}/{quote}",
            timeframe_label(timeframe_ns),
            start_ns // NS_PER_MS,
            count,
        )
        # An answer that is no JSON comes back as an empty list: taken for "no candles" it would be a gap.
        if not isinstance(self._client.last_json_response, dict | list):
            raise PassingError(f"{self.name} gave a broken answer for {coin}/{quote}")
        return _columns(rows, f"{self.name} {coin}/{quote}")

    def _call(self, function: Any, *arguments: Any) -> Any:
        errors = self._ccxt
        try:
            return function(*arguments)
        except (errors.RateLimitExceeded, errors.DDoSProtection) as error:
            raise self._trouble(error, is_limit=True) from None
        except (errors.AuthenticationError, errors.NotSupported, errors.BadRequest) as error:
            raise DataError(f"{self.name} refuses: {_line(error)}; it is not asked again") from None
        except errors.ExchangeNotAvailable as error:
            # ccxt says "not available" of every status it has no name for, those of a wrong request too.
            status = _status(error)
            if status == HTTPStatus.FORBIDDEN:  # older services, and guards before them, say so of limits
                raise self._trouble(error, is_limit=True) from None
            if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise DataError(
                    f"{self.name} refuses: {_line(error)}; check --base-url and the dates"
                ) from None
            raise self._trouble(error) from None
        except (errors.BaseError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            # The second kind is ccxt stumbling over an answer of another form than it expects.
            raise self._trouble(error) from None

    def _trouble(self, error: Exception, *, is_limit: bool = False) -> PassingError:
        wait = reset_seconds(self._client.last_response_headers or {}) if is_limit else None
        return PassingError(f"{self.name}: {_line(error)}", retry_seconds=wait, is_limit=is_limit)

    def _make_client(self) -> Any:
        if self.name not in self._ccxt.exchanges:
            near = difflib.get_close_matches(self.name, self._ccxt.exchanges, n=1)
            hint = f"; did you mean {near[0]}?" if near else "; `replay data fetch --help` names some"
            raise ConfigError(f"exchange {self.name!r} is not known to ccxt{hint}")
        client = getattr(self._ccxt, self.name)({"enableRateLimit": True})
        client.enableLastJsonResponse = True  # off by default; tells a broken answer from an empty one
        client.timeout = int(self._timeout_seconds * 1000)
        client.has["fetchCurrencies"] = False  # deposits and chains of thousands of coins are of no use here
        options = client.options.get("fetchMarkets")
        if isinstance(options, dict) and isinstance(options.get("types"), list):
            options.update(types=["spot"], fetchTickersFees=False)
        if self._base_url is not None:
            client.urls["api"] = _moved(client.urls["api"], _checked_url(self._base_url))
        return client


def _import_ccxt() -> Any:
    try:
        import ccxt  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        raise ConfigError(
            "fetching needs ccxt, which is not installed; run in its clone: pip install '.[fetch]'"
        ) from None
    return ccxt


def _checked_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"base_url {text!r} is no address; write such as https://mirror.example.org")
    return text.rstrip("/")


def _moved(urls: Any, base_url: str) -> Any:
    # Every host of the exchange becomes the one given; the paths stay.
    if isinstance(urls, dict):
        return {name: _moved(url, base_url) for name, url in urls.items()}
    return base_url + urlsplit(urls).path if isinstance(urls, str) else urls


def _columns(rows: Any, where: str) -> Candles:
    try:
        table = np.array(rows or np.empty((0, 6)), dtype=np.float64)
        times = np.array([int(row[0]) for row in rows], dtype=np.int64) * NS_PER_MS
    except (TypeError, ValueError, IndexError):
        raise PassingError(f"{where}: the answer holds rows that are no candles") from None
    if table.ndim != 2 or table.shape[1] != 6 or not np.isfinite(table).all():
        raise PassingError(f"{where}: the answer holds rows that are no candles")
    times, order = np.unique(times, return_index=True)
    return Candles(times, *(np.ascontiguousarray(table[order, column]) for column in range(1, 6)))


def reset_seconds(headers: Mapping[str, str]) -> float | None:
    """Return how long an answer asks to be left alone; None where it does not say, or in another form."""
    for names, unit in ((_RESET_HEADERS_MS, 1000.0), (_RESET_HEADERS_SECONDS, 1.0)):
        for name in names:
            try:
                seconds = float(headers[name]) / unit
            except (KeyError, TypeError, ValueError):
                continue
            if seconds >= 0 and math.isfinite(seconds):
                return seconds
    return None


def _status(error: Exception) -> int:
    words = str(error).split()
    return next((int(word) for word in words[2:5] if len(word) == 3 and word.isdigit()), 0)


def _line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}…"
