"""`replay doctor`: before a run of unmodified bots, what would stop it or spoil its results."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from orchestrator.cli.written_keys import written_keys
from orchestrator.config import Settings, load_settings
from orchestrator.errors import ConfigError
from orchestrator.home import home
from orchestrator.runtime.doctor import Check, examine

__all__ = ["doctor"]

_SYMBOLS: Final = {"ok": "✓", "check": "!", "failed": "✗"}
_ANY_DATES: Final = {"start_date": "2024-01-01", "end_date": "2024-01-02"}
_EXIT_STATUS: Final = 2


@click.command()
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    required=True,
    help="The replay.toml.",
)
@click.option("--start-date", metavar="DATE", help="As for `replay start`, where the file has none.")
@click.option("--end-date", metavar="DATE", help="As for `replay start`, where the file has none.")
@click.option("--exchange", metavar="NAME", help="Whose candles [default: found when only one fits].")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON to stdout.")
def doctor(
    config_path: Path, start_date: str | None, end_date: str | None, exchange: str | None, as_json: bool
) -> int:
    """Look at everything that a run of unmodified bots needs, and start nothing.

    One line a check: ok; check, when a run can start and this should be known before its results are trusted;
    failed. Exit status 0 when a run could start, 2 when it could not.
    """
    flags = {
        "start_date": start_date,
        "end_date": end_date,
        "data": {"exchange": exchange} if exchange else None,
    }
    given = {key: value for key, value in flags.items() if value is not None}
    try:
        settings, has_dates = _settings(config_path, given)
    except ConfigError as error:
        checks = [Check("failed", "configuration", str(error))]
    else:
        checks = examine(settings, home(), os.environ, has_dates=has_dates)
    can_start = all(check.verdict != "failed" for check in checks)
    if as_json:
        click.echo(msgspec.json.encode({"can_start": can_start, "checks": checks}).decode())
    else:
        _print(checks, can_start=can_start)
    return 0 if can_start else _EXIT_STATUS


def _settings(path: Path, flags: dict[str, Any]) -> tuple[Settings, bool]:
    # A file without dates is looked at all the same, but for its data.
    written = written_keys(path)
    has_dates = all(key in written or key in flags for key in _ANY_DATES)
    return load_settings(path, flags if has_dates else {**_ANY_DATES, **flags}), has_dates


def _print(checks: list[Check], *, can_start: bool) -> None:
    width = max(len(check.about) for check in checks)
    encoding = sys.stdout.encoding or "ascii"
    for check in checks:
        symbol = _SYMBOLS[check.verdict] if encoding.lower().startswith("utf") else ""
        click.echo(f"{symbol} {check.verdict:<6}  {check.about:<{width}}  {check.text}".lstrip())
    failed, known = (sum(check.verdict == verdict for check in checks) for verdict in ("failed", "check"))
    verdict = "a run can start" if can_start else f"a run cannot start: {failed} failed"
    click.echo(f"{len(checks)} checks: {verdict}; {known} to know before its results are trusted")
