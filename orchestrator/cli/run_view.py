"""What a person (or a script) sees of a run: progress while it goes on, then how it ended and what came of it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

import click
import msgspec

from orchestrator.analysis.headline import Headline, headline_of
from orchestrator.analysis.liquidations import liquidations_told
from orchestrator.protocol import Status
from orchestrator.runs.bot_facts import BotFacts, read_bot_facts
from orchestrator.runs.bot_remarks import bot_remarks
from orchestrator.runs.reader import open_run
from orchestrator.runtime import wall_clock
from orchestrator.runtime.plan import RunPlan
from orchestrator.runtime.session import RunResult, run_replay

__all__ = ["present_run", "show_progress"]

_PLAIN_LINE_SECONDS = 5.0


def present_run(plan: RunPlan, *, is_quiet: bool, as_json: bool) -> int:
    """Run a plan, show its progress, print its end; return the exit status."""
    if not is_quiet:
        for note in plan.notes:
            click.echo(f"note: {note}", err=True)
        click.echo(f"run: {plan.directory}", err=True)
    with _LateInterrupts() as late:
        with show_progress(plan, is_quiet=is_quiet) as show:
            result = run_replay(plan, environment=dict(os.environ), show=late.after_first(show))
        late.are_ignored = True
        _present_end(plan, result, is_quiet=is_quiet, as_json=as_json)
    return result.exit_status


class _LateInterrupts:
    """Ignores Ctrl+C when a run has ended: run.json says how it did, and the exit status must say the same.

    While the run goes on it handles Ctrl+C itself; what comes before it has begun ends the command as always.
    """

    def __init__(self) -> None:
        self.are_ignored = False

    def __enter__(self) -> Self:
        self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_error: object) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def after_first(self, show: Callable[[Status], None]) -> Callable[[Status], None]:
        """Return what shows the same; the first time it does, a run has begun, which ends with its own handler."""

        def show_and_note(status: Status) -> None:
            self.are_ignored = True
            show(status)

        return show_and_note

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if not self.are_ignored:
            signal.default_int_handler(signum, frame)


def _present_end(plan: RunPlan, result: RunResult, *, is_quiet: bool, as_json: bool) -> None:
    for note in result.notes:
        click.echo(f"warning: {note}", err=True)
    facts = read_bot_facts(plan.directory)
    for remark in bot_remarks(facts) if facts is not None else ():
        if remark.level == "warning" or not is_quiet:
            click.echo(f"{remark.level}: {remark.text}", err=True)
    if result.sequences and plan.settings.account.kind != "spot":
        for told in liquidations_told(open_run(plan.directory).orders):
            click.echo(f"warning: {told}", err=True)
    _explain_end(plan, result)
    headline = _headline(plan) if result.sequences else None
    if as_json:
        click.echo(msgspec.json.encode(_summary(plan, result, headline, facts)).decode())
    else:
        _print_summary(plan, result, headline)
        if facts is not None:
            click.echo(_bots_line(facts))
    if not is_quiet and result.exit_status == 0:
        for hint in _hints(plan, result):
            click.echo(f"hint: {hint}", err=True)


@contextmanager
def show_progress(plan: RunPlan, *, is_quiet: bool) -> Iterator[Callable[[Status], None]]:
    """Give what shows a run's progress on stderr while it goes on: a bar, lines, or nothing."""
    if is_quiet:
        yield lambda _status: None
    elif sys.stderr.isatty():
        with _bar(plan.market.tick_count) as show:
            yield show
    else:
        yield _plain_lines()


@contextmanager
def _bar(sequences: int) -> Iterator[Callable[[Status], None]]:
    from rich.console import Console  # noqa: PLC0415 - a quiet run need not load it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.fields[moment]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("replay", total=sequences, moment="starting", state="")

        def show(status: Status) -> None:
            progress.update(
                task,
                completed=status.sequence,
                moment=_moment(status),
                state=f"equity {status.equity:,.2f} {status.status}",
            )

        yield show


def _plain_lines() -> Callable[[Status], None]:
    next_ns = wall_clock.monotonic_ns() + int(_PLAIN_LINE_SECONDS * 1e9)

    def show(status: Status) -> None:
        nonlocal next_ns
        if wall_clock.monotonic_ns() < next_ns:
            return
        next_ns = wall_clock.monotonic_ns() + int(_PLAIN_LINE_SECONDS * 1e9)
        share = 100 * status.sequence / max(status.sequences, 1)
        click.echo(
            f"{_moment(status)}  {status.sequence}/{status.sequences} ({share:.0f} %)  equity {status.equity:,.2f}  "
            f"fills {status.fills}  {status.status}",
            err=True,
        )

    return show


def _moment(status: Status) -> str:
    import datetime as dt  # noqa: PLC0415

    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(
        seconds=status.sim_time_ns // 1_000_000_000
    )
    return moment.strftime("%Y-%m-%d %H:%M")


def _explain_end(plan: RunPlan, result: RunResult) -> None:
    if result.exit_status == 0:
        return
    click.echo(f"replay: {result.status}: {result.reason}", err=True)
    for name, lines in result.last_lines.items():
        if not lines:
            continue
        click.echo(f"the last lines of {name} (all: {plan.directory / 'logs' / f'{name}.log'}):", err=True)
        for line in lines:
            click.echo(f"  {line}", err=True)


def _headline(plan: RunPlan) -> Headline | None:
    run = open_run(plan.directory)
    if not len(run.equity.sequences):  # it failed before the first row, or the disk was full
        return None
    return headline_of(run, initial_cash=plan.settings.initial_cash, market=_Marks(plan))


class _Marks:
    """First and last closes of the run, for buy and hold."""

    def __init__(self, plan: RunPlan) -> None:
        self._market = plan.execution

    def first_and_last(self, coin: str, end_ns: int) -> tuple[float, float] | None:
        """Return the coin's first open in the run and its last close at or before the time."""
        opens_ns = self._market.next_open_time(coin, self._market.start_ns - 1)
        first = None if opens_ns is None else self._market.opening_at(coin, opens_ns)
        last = self._market.last_closed(coin, end_ns)
        return None if first is None or last is None else (first.price, last.close)


def _summary(
    plan: RunPlan, result: RunResult, headline: Headline | None, facts: BotFacts | None
) -> dict[str, Any]:
    bots = {} if facts is None else {"bots": _bots_summary(facts)}
    return {
        "run": str(plan.directory),
        "status": result.status,
        "reason": result.reason,
        "seed": plan.settings.seed,
        "digest": result.digest,
        "data_digest": plan.data_digest,
        "sequences": result.sequences,
        "counts": result.counts,
        "wall_seconds": result.wall_seconds,
        "headline": headline,
        **bots,
    }


def _bots_summary(facts: BotFacts) -> dict[str, Any]:
    return {
        "requests": sum(request.count for request in facts.requests),
        "refused_requests": facts.refused_requests,
        "files_unchanged": facts.are_files_unchanged,
        "ended": [ended.component for ended in facts.ended],
        "stuck": [stuck.component for stuck in facts.stuck],
        "never_started": facts.never_started,
        "remarks": [remark.text for remark in bot_remarks(facts)],
    }


def _bots_line(facts: BotFacts) -> str:
    asked = sum(request.count for request in facts.requests)
    files = "unchanged" if facts.are_files_unchanged else "changed"
    return f"bots       {asked:,} requests answered, {facts.refused_requests:,} refused, files {files}"


def _print_summary(plan: RunPlan, result: RunResult, headline: Headline | None) -> None:
    click.echo(f"run        {plan.directory}")
    click.echo(
        f"status     {result.status}, {result.sequences} of {plan.market.tick_count} sequences "
        f"in {result.wall_seconds:.1f} s"
    )
    click.echo(f"seed       {plan.settings.seed}")
    click.echo(f"digest     {result.digest}")
    if headline is not None:
        for line in headline.lines(plan.settings.account.currency):
            click.echo(line)


def _hints(plan: RunPlan, result: RunResult) -> Iterator[str]:
    run = open_run(plan.directory)
    if result.counts.fills:
        return
    names = ", ".join(c.settings.name for c in plan.components)
    if not result.counts.orders:
        if not run.signals:
            yield (
                f"no component said or ordered anything ({names}); the run may be too short for its averages to fill, "
                f"or look into {plan.directory / 'logs'}"
            )
        else:
            yield f"{len(run.signals)} signals and no order: the trader's conditions were never met; see signals.jsonl"
        return
    reasons: dict[str, int] = {}
    for order in run.orders:
        if order["reason"] is not None:
            reasons[order["reason"]] = reasons.get(order["reason"], 0) + 1
    common = max(sorted(reasons), key=lambda reason: reasons[reason], default=None)
    why = (
        f"most were rejected as {common}"
        if common
        else "none was executable before the end; look at order_events.jsonl"
    )
    yield f"{result.counts.orders} orders and no fill: {why}"
