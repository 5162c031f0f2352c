"""`replay data verify`: whether what is cached is sound, and is what a run needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
import msgspec

from orchestrator.config import NS_PER_SECOND, Settings, load_settings
from orchestrator.errors import DataError
from orchestrator.home import home
from orchestrator.market.cache import series_in
from orchestrator.market.candles import time_text
from orchestrator.market.choice import choose_series
from orchestrator.market.gaps import duration_text
from orchestrator.market.markets import load_markets
from orchestrator.market.series import SeriesKey
from orchestrator.market.suspicions import SumDifference
from orchestrator.market.verify import SeriesReport, verify_series

__all__ = ["verify"]

_SHOWN: Final = 10


@click.command()
@click.option("--exchange", help="Only this exchange.")
@click.option("--coin", help="Only this coin.")
@click.option("--quote", help="Only this quote asset.")
@click.option("--timeframe", help="Only this candle length.")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Only what the run of this replay.toml needs; its dates and gaps are checked too.",
)
@click.option("--strict", is_flag=True, help="Gaps and suspicions are failures too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON to stdout.")
def verify(config_path: Path | None, strict: bool, as_json: bool, **wanted: str | None) -> None:
    """Read the cache again and say what is wrong with it; exit status 3 when it is unsound.

    Problems are corrupt files and candles that break a rule. Named besides: gaps, flat runs without volume
    (an exchange that stood still, or silence filled up), candles far beyond their neighbours, and longer
    candles that are not what the shorter ones sum to.
    """
    cache = home().cache
    keys = [key for key in series_in(cache) if _is_wanted(key, wanted)]
    settings = None if config_path is None else load_settings(config_path, {})
    if settings is not None:
        keys = _needed(cache, settings, keys)
    if not keys:
        asked = " ".join(value for value in wanted.values() if value) or "anything"
        raise DataError(f"nothing to verify: {asked} is not cached in {cache}; see replay data list")
    reports = [verify_series(cache, key) for key in keys]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode([_row(r) for r in reports]), indent=1).decode())
    else:
        for report in reports:
            click.echo("\n".join(_lines(report)))
    _require_sound(reports, is_strict=strict)
    if settings is not None:
        market = load_markets(cache, settings).signals  # raises what the run would
        what = f"{market.tick_count} sequences of {market.timeframe} candles"
        click.echo(f"the run has what it needs: {what}", err=True)


def _needed(cache: Path, settings: Settings, keys: list[SeriesKey]) -> list[SeriesKey]:
    data = settings.data
    choice = choose_series(
        cache,
        settings.coins,
        timeframe=settings.timeframe,
        exchange=data.exchange,
        quote=data.quote,
        start_ns=settings.start_ns,
        end_ns=settings.end_ns,
    )
    signals = {choice.key(coin) for coin in settings.coins}
    if data.execution is None:
        return [key for key in keys if key in signals or _decides(key, signals, data.finer)]
    execution = {
        key
        for key in series_in(cache)
        if key.exchange == data.execution.lower()
        and key.coin in settings.coins
        and data.execution_quote in {None, key.quote}
    }
    goals = {key._replace(timeframe=choice.timeframe) for key in execution}
    # Without candles of the run's length, theirs are made of the shorter ones, whatever data.finer says.
    finer = data.finer if goals <= execution else None
    return [key for key in keys if key in signals | (goals & execution) or _decides(key, goals, finer)]


def _decides(key: SeriesKey, longer: set[SeriesKey], finer: tuple[str, ...] | None) -> bool:
    is_allowed = finer is None or key.timeframe in finer
    return is_allowed and any(goal.can_be_made_of(key) for goal in longer)


def _require_sound(reports: list[SeriesReport], *, is_strict: bool) -> None:
    unsound = [report for report in reports if report.problems]
    if unsound:
        first = unsound[0]
        raise DataError(
            f"{len(unsound)} of {len(reports)} series unsound, first {first.key}: {first.problems[0]}"
        )
    doubtful = [report for report in reports if report.gaps or report.is_suspicious]
    if is_strict and doubtful:
        raise DataError(
            f"{len(doubtful)} of {len(reports)} series have gaps or are suspicious, first {doubtful[0].key}; "
            "--strict accepts none"
        )


def _is_wanted(key: SeriesKey, wanted: dict[str, str | None]) -> bool:
    return all(value is None or getattr(key, name).lower() == value.lower() for name, value in wanted.items())


def _lines(report: SeriesReport) -> list[str]:
    state = "UNSOUND" if report.problems else "suspicious" if report.is_suspicious else "sound"
    lines = [f"{report.key}: {state}, {report.candle_count} candles, {len(report.gaps)} gaps"]
    lines += [f"  problem: {problem}" for problem in report.problems]
    step_ns = report.key.timeframe_ns
    for name, is_own in (("gap", False), ("gap of the exchange itself", True)):
        gaps = [gap for gap in report.gaps if report.is_at_the_exchange(gap) == is_own]
        lines += _stretch_lines(name, "gaps", [(*gap, gap.length_ns // step_ns) for gap in gaps])
    longest_first = sorted(report.flat_runs, key=lambda run: (-run.candles, run.start_ns))
    lines += _stretch_lines("flat without volume", "flat runs", list(longest_first))
    lines += [
        f"  outlier: {time_text(o.open_time_ns)}, {o.field} {o.price:.8g}, "
        f"{o.fraction * 100:.1f} % beyond its neighbours ({o.neighbour:.8g})"
        for o in report.outliers[:_SHOWN]
    ]
    if len(report.outliers) > _SHOWN:
        lines.append(f"  and {len(report.outliers) - _SHOWN} more outliers; --json lists all")
    if report.sums is not None and report.sums.differing:
        lines.append(_sum_line(report.sums))
    if report.digest:
        lines.append(f"  digest {report.digest}")
    return lines


def _stretch_lines(name: str, plural: str, stretches: list[tuple[int, int, int]]) -> list[str]:
    lines = [
        f"  {name}: {time_text(start)} to {time_text(end)}, {duration_text(end - start)}, {count} candles"
        for start, end, count in stretches[:_SHOWN]
    ]
    if len(stretches) > _SHOWN:
        rest = sum(count for _, _, count in stretches[_SHOWN:])
        lines.append(f"  and {len(stretches) - _SHOWN} more {plural}, {rest} candles; --json lists all")
    return lines


def _sum_line(sums: SumDifference) -> str:
    return (
        f"  sums: {sums.differing} of {sums.compared} candles are not what the {sums.finer} ones sum to; "
        f"prices by up to {sums.price_bp_max:.1f} bp ({time_text(sums.price_time_ns)}), volume by up to "
        f"{sums.volume_pct_max:.1f} % ({time_text(sums.volume_time_ns)})"
    )


def _row(report: SeriesReport) -> dict[str, Any]:
    step_ns = report.key.timeframe_ns
    return {
        **report.key._asdict(),
        "start": _iso(report.start_ns),
        "end": _iso(report.end_ns),
        "candles": report.candle_count,
        "digest": report.digest,
        "is_sound": not report.problems,
        "is_suspicious": report.is_suspicious,
        "problems": list(report.problems),
        "gaps": [
            {
                **_stretch_row(*gap, gap.length_ns // step_ns),
                "is_at_the_exchange": report.is_at_the_exchange(gap),
            }
            for gap in report.gaps
        ],
        "flat_runs": [_stretch_row(*run) for run in report.flat_runs],
        "outliers": [
            {
                "time": _iso(time_ns),
                "field": field,
                "price": price,
                "neighbour": neighbour,
                "fraction": fraction,
            }
            for time_ns, field, price, neighbour, fraction in report.outliers
        ],
        "sums": None if report.sums is None else _sum_row(report.sums),
    }


def _stretch_row(start_ns: int, end_ns: int, candles: int) -> dict[str, Any]:
    seconds = (end_ns - start_ns) // NS_PER_SECOND
    return {"start": _iso(start_ns), "end": _iso(end_ns), "seconds": seconds, "candles": candles}


def _sum_row(sums: SumDifference) -> dict[str, Any]:
    return {
        "finer": sums.finer,
        "compared": sums.compared,
        "differing": sums.differing,
        "price_bp_max": sums.price_bp_max,
        "price_time": _iso(sums.price_time_ns),
        "volume_pct_max": sums.volume_pct_max,
        "volume_time": _iso(sums.volume_time_ns),
    }


def _iso(time_ns: int | None) -> str | None:
    return None if time_ns is None else time_text(time_ns).replace(" ", "T") + "Z"
