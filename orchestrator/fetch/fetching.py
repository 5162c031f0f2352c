"""Several series of one exchange at once, within its limit; stopped by Ctrl+C without a loss."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from orchestrator.errors import ConfigError, DataError
from orchestrator.fetch.pacing import REQUEST_SECONDS_MIN, Pace, StoppedError
from orchestrator.fetch.patience import Patience
from orchestrator.fetch.series import SeriesFetch, SeriesOutcome, Watcher
from orchestrator.fetch.source import CcxtSource
from orchestrator.market.missing import forget_absences
from orchestrator.market.series import SeriesKey
from orchestrator.market.spans import Span

__all__ = ["Fetcher"]

_STOP_SECONDS: Final = 3.0  # for all requests in flight; what it would bring is asked for next time
_JOIN_SECONDS: Final = 0.1


class Fetcher:
    """Fetches series of one exchange.

    Parameters
    ----------
    cache
        The cache folder, `home().cache`.
    source
        The exchange.
    request_seconds
        Wall seconds between two requests, at least `REQUEST_SECONDS_MIN` and what ccxt holds the exchange to.
    parallel
        How many series are fetched at once.
    request_seconds_min, patience
        For tests: below what users may choose.
    """

    def __init__(
        self,
        cache: Path,
        source: CcxtSource,
        *,
        request_seconds: float = REQUEST_SECONDS_MIN,
        parallel: int = 4,
        request_seconds_min: float = REQUEST_SECONDS_MIN,
        patience: Patience | None = None,
    ) -> None:
        if request_seconds < request_seconds_min:
            raise ConfigError(
                f"{request_seconds:g} s between requests is too short; at least {request_seconds_min:g} s are kept"
            )
        self._cache = cache
        self._source = source
        self._parallel = parallel
        self._patience = patience or Patience()
        self._stop = threading.Event()
        held = source.interval_seconds if request_seconds_min == REQUEST_SECONDS_MIN else 0.0
        self._pace = Pace(max(request_seconds, held), self._stop)
        source.take_turns(self._pace.take_turn)
        self._failures: list[BaseException] = []

    def load_markets(self) -> None:
        """Ask which pairs the exchange has; before anything else."""
        self._patience.ask(self._pace, self._source.load_markets)

    def fetch(
        self, keys: Sequence[SeriesKey], span: Span, *, watch: Watcher, is_anew: bool = False
    ) -> list[SeriesOutcome]:
        """Bring the series up to a span of open times.

        Parameters
        ----------
        keys
            Series of the exchange; `load_markets` and `CcxtSource.find_quote` have been called for them.
        watch
            Told of progress.
        is_anew
            Whether to ask again for what the exchange was found not to have.

        Returns
        -------
        list of SeriesOutcome
            In the order of the keys; a series that failed says so in `error`, the others are complete.

        Raises
        ------
        ReplayError
            If the cache cannot be written.
        KeyboardInterrupt
            Once every thread has stored what it had.
        """
        fetches = []
        for key in keys:
            if is_anew:
                forget_absences(self._cache, key, span)
            # Each has its own connection: ccxt's keep the last answer in themselves.
            fetches.append((key, span, self._source.twin()))
        outcomes: dict[SeriesKey, SeriesOutcome] = {}
        waiting = deque(fetches)
        threads = [
            threading.Thread(target=self._work, args=(waiting, outcomes, watch), daemon=True)
            for _ in range(min(self._parallel, len(fetches)))
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():  # a wait without end could not be interrupted everywhere
                    thread.join(_JOIN_SECONDS)
        except BaseException:
            self._stop.set()
            deadline = time.monotonic() + _STOP_SECONDS
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
            raise
        if self._failures:
            raise self._failures[0]
        return [outcomes[key] for key in keys]

    def _work(
        self,
        waiting: deque[tuple[SeriesKey, Span, CcxtSource]],
        outcomes: dict[SeriesKey, SeriesOutcome],
        watch: Watcher,
    ) -> None:
        while True:
            try:
                key, span, source = waiting.popleft()
            except IndexError:
                return
            fetch = SeriesFetch(
                self._cache,
                key,
                span,
                source=source,
                pace=self._pace,
                patience=self._patience,
                watch=watch,
            )
            outcomes[key] = fetch.outcome
            try:
                fetch.run()
            except DataError as error:
                fetch.outcome.error = str(error)
            except StoppedError:
                return
            except BaseException as error:  # noqa: BLE001 - the main thread raises it
                self._failures.append(error)
                self._stop.set()
                return
