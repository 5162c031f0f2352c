"""Looks, before a run of unmodified bots, at everything that would stop it or spoil its results.

Nothing of a bot is run but its interpreter, which is asked for its version and for what is installed. No file
is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from orchestrator.config import NS_PER_DAY, ComponentSettings, Settings, parse_timeframe_ns
from orchestrator.errors import ReplayError
from orchestrator.exchange.instruments import resolve_instruments
from orchestrator.home import Home
from orchestrator.market.markets import Markets, load_markets
from orchestrator.runtime.bot_launch import is_namespace_available, replaced_variables
from orchestrator.runtime.bot_venues import make_venues
from orchestrator.runtime.doctor_bots import BotExamination
from orchestrator.runtime.doctor_models import model_remarks
from orchestrator.runtime.plan import make_plan
from orchestrator.runtime.work_copy import BYTES_MAX, FILES_MAX, check_keys, measure_folder

__all__ = ["Check", "Verdict", "examine"]

Verdict = Literal["ok", "check", "failed"]

_LEFT_OUT_MAX: Final = 3
_WARM_UP_DAYS: Final = 30
_NATURAL_DAYS: Final = 7  # a longer run at natural pace takes hours


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    verdict: Verdict  # "check": a run can start, and this should be known before its results are trusted
    about: str  # a component, or "folder", "keys", "data", "start", "network", "protection"
    text: str


def examine(
    settings: Settings, home: Home, environment: Mapping[str, str], *, has_dates: bool
) -> list[Check]:
    """Look at everything.

    Parameters
    ----------
    settings
        Of the run that is meant.
    home
        Where the candles are.
    environment
        The user's.
    has_dates
        Whether the dates in the settings are meant; else data are not looked at.
    """
    bots = [component for component in settings.component if component.is_bot]
    if not bots:
        text = 'no component has kind = "bot": there is nothing to examine; see docs/unmodified-bots.md'
        return [Check("failed", "configuration", text)]
    examination = BotExamination(settings, environment)
    checks = [Check(verdict, c.name, text) for c in bots for verdict, text in examination.of(c)]
    checks += [Check(verdict, "start", text) for verdict, text in examination.starts(bots)]
    checks += [*_folders(bots), *_variables(environment)]
    checks += _data(settings, home, examination) if has_dates else [_no_dates()]
    checks += [*_models(settings, bots), *_pace(settings, bots)] if has_dates else ()
    checks += _network(settings)
    if has_dates and all(check.verdict != "failed" for check in checks):
        checks += _whole(settings, home)
    return checks


# ------------------------------------------------------------------ folders and keys


def _folders(bots: list[ComponentSettings]) -> Iterator[Check]:
    named: dict[Path, tuple[str, ...]] = {}
    for component in bots:
        folder = Path(component.workdir or ".").resolve()
        named[folder] = (*named.get(folder, ()), *component.replace_keys)
    for folder, replaced in named.items():
        if not folder.is_dir():
            yield Check("failed", "folder", f"{folder} does not exist; mend workdir")
            continue
        try:
            size = measure_folder(folder)
            check_keys(folder, replaced)
        except (ReplayError, OSError) as error:
            yield Check("failed", "folder", str(error))
            continue
        if size.files > FILES_MAX or size.n_bytes > BYTES_MAX:
            yield Check(
                "failed",
                "folder",
                f"{folder} has {size.files} files and {size.n_bytes >> 20} MiB; at most {FILES_MAX} files and "
                f"{BYTES_MAX >> 30} GiB are copied: move data and environments out of it",
            )
            continue
        yield Check(
            "ok", "folder", f"{folder}: {size.files} files, {size.n_bytes >> 10} KiB, are copied for a run"
        )
        for line in size.left_out[:_LEFT_OUT_MAX]:
            yield Check("ok", "folder", f"not copied: {line}")
        if len(size.left_out) > _LEFT_OUT_MAX:
            yield Check("ok", "folder", f"not copied: {len(size.left_out) - _LEFT_OUT_MAX} more")
        what = (
            f"throw-away keys take the place of {', '.join(replaced)}"
            if replaced
            else "no real key was found"
        )
        yield Check("ok", "keys", f"{folder}: {what}")


def _variables(environment: Mapping[str, str]) -> Iterator[Check]:
    names = replaced_variables(environment)
    if names:
        text = f"throw-away values take the place of the environment's {', '.join(names)}"
        yield Check("ok", "keys", text)


# ------------------------------------------------------------------ data


def _no_dates() -> Check:
    return Check("check", "data", "not looked at: no dates are given; add --start-date and --end-date")


def _data(settings: Settings, home: Home, examination: BotExamination) -> Iterator[Check]:
    try:
        markets = load_markets(home.cache, settings)
    except ReplayError as error:
        yield Check("failed", "data", str(error))
        return
    market = markets.signals
    days = (settings.end_ns - settings.start_ns) / NS_PER_DAY
    yield Check(
        "ok",
        "data",
        f"{', '.join(market.coins)}: {market.timeframe} candles of {market.exchange} for the whole run, {days:g} days",
    )
    for note in markets.notes:
        yield Check("check", "data", note)
    warm_up = {coin: (settings.start_ns - market.coin_begin_ns(coin)) / NS_PER_DAY for coin in market.coins}
    short = [f"{coin} {max(days, 0):.0f}" for coin, days in warm_up.items() if days < _WARM_UP_DAYS]
    if short:
        yield Check(
            "check",
            "data",
            f"days of candles before the start: {', '.join(short)}; a bot that asks for more history gets less than "
            "live: fetch or import earlier candles",
        )
    yield from _timeframes(market.timeframe_ns, market.timeframe, examination)
    yield from _venues(settings, markets, examination)


def _venues(settings: Settings, markets: Markets, examination: BotExamination) -> Iterator[Check]:
    try:
        instruments = resolve_instruments(settings.coins, settings.instrument, markets.execution.exchange)
        venues = make_venues(settings, markets.signals, instruments)
    except ReplayError as error:
        yield Check("failed", "exchanges", str(error))
        return
    if not settings.venue:
        text = "no [venue.NAME] is configured: every request of a bot is refused"
        yield Check("check", "exchanges", text)
    else:
        names = ", ".join(settings.venue)
        yield Check("ok", "exchanges", f"emulated: {names} ({', '.join(venues.hosts)})")
    for name, (verdict, text) in examination.exchanges(venues.hosts):
        yield Check(verdict, name, text)


def _timeframes(base_ns: int, base: str, examination: BotExamination) -> Iterator[Check]:
    named = examination.timeframes()
    absent = sorted(
        (name for name, label in named.items() if parse_timeframe_ns(label) % base_ns),
        key=lambda name: parse_timeframe_ns(named[name]),
    )
    if absent:
        yield Check(
            "check",
            "data",
            f"scripts name {', '.join(absent)}, which cannot be made of {base} candles; if they ask an exchange for "
            "them they get its error: import finer candles and choose them with timeframe",
        )


def _models(settings: Settings, bots: list[ComponentSettings]) -> Iterator[Check]:
    if settings.training is not None:
        return  # those of the folder are not the ones that count
    folders = dict.fromkeys(Path(component.workdir or ".").resolve() for component in bots)
    for folder in folders:
        if folder.is_dir():
            for text in model_remarks(folder, settings.start_ns):
                yield Check("check", "models", text)


def _pace(settings: Settings, bots: list[ComponentSettings]) -> Iterator[Check]:
    days = (settings.end_ns - settings.start_ns) / NS_PER_DAY
    natural = [component.name for component in bots if component.pace != "burst"]
    if natural and days > _NATURAL_DAYS:
        yield Check(
            "check",
            "pace",
            f"{' and '.join(natural)} run at natural pace, some 30 to 100 times real time: {days:g} days take hours; "
            "`replay pace CONFIG` proposes a burst",
        )


# ------------------------------------------------------------------ protections


def _network(settings: Settings) -> Iterator[Check]:
    yield Check(
        "ok", "protection", "requests of known client libraries are answered by the emulated exchanges"
    )
    yield Check("ok", "protection", "every other connection by Python code is refused and counted")
    wanted = settings.bots.network_namespace
    why_not = "bots.network_namespace is off" if wanted == "off" else is_namespace_available()
    if why_not is None:
        yield Check("ok", "protection", "a network namespace: no code of a bot, C included, has a network")
    elif wanted == "require":
        yield Check(
            "failed", "protection", f"no network namespace, which bots.network_namespace requires: {why_not}"
        )
    else:
        yield Check(
            "check",
            "protection",
            f"no network namespace ({why_not}): libraries in C and programs that are no Python could reach a network; "
            "allow unprivileged user namespaces",
        )
    yield Check("ok", "protection", "bots run in a copy; their folder is compared before and after the run")


def _whole(settings: Settings, home: Home) -> Iterator[Check]:
    try:
        make_plan(settings, home, None)
    except ReplayError as error:
        yield Check("failed", "configuration", str(error))
