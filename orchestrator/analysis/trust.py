"""What to know before trusting a result: how the run ended, what its data lack, what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from orchestrator.analysis.context import MarketContext
from orchestrator.analysis.formats import whole_days
from orchestrator.analysis.liquidations import liquidations_told
from orchestrator.analysis.metrics import DAYS_MIN, Remark
from orchestrator.runs.bot_facts import read_bot_facts
from orchestrator.runs.bot_remarks import bot_remarks
from orchestrator.runs.reader import Run

__all__ = ["remarks_of"]

_TRADES_MIN: Final = 30
_DIVERGENCE_MAX: Final = 0.005

_ENDS: Final = {
    "running": "the run is still going on; figures are as of its last tick so far",
    "interrupted": "the run was interrupted; figures go as far as it went",
    "failed": "the run failed; figures go as far as it went",
    "quarantined": "the run is quarantined: its books did not add up, do not trust any figure",
}


def remarks_of(run: Run, context: MarketContext | str, n_trades: int, n_days: int) -> tuple[Remark, ...]:
    """Return everything that concerns trust in a result, the gravest first."""
    grave = [Remark(level="warning", text=text) for text in _warnings(run, context)]
    mild = [Remark(level="note", text=text) for text in _notes(run, context, n_trades, n_days)]
    return (*grave, *mild)


def _warnings(run: Run, context: MarketContext | str) -> Iterator[str]:
    if run.status in _ENDS:
        yield _ENDS[run.status] + (f": {run.manifest.reason}" if run.manifest.reason else "")
    yield from _damage(run)
    yield from liquidations_told(run.orders)
    yield from _training(run)
    bots = _names_of_bots(run)
    for component in run.manifest.components:
        if component.exit_code and component.name not in bots:  # those are ended as the system ends programs
            log = f"logs/{component.name}.log"
            yield f"component {component.name} ended with exit code {component.exit_code}; see {log}"
    yield from _of_bots(run, "warning")
    if isinstance(context, str):
        yield context
        return
    for source in context.sources:
        if source.maximum > _DIVERGENCE_MAX:
            yield (
                f"{source.coin}: candles of {source.exchange} lie up to {source.maximum:.2%} from those replayed "
                f"(median {source.median:.3%}); fills may not have been possible at these prices elsewhere"
            )


def _names_of_bots(run: Run) -> frozenset[str]:
    components = run.configuration.get("component", ())
    return frozenset(component["name"] for component in components if component.get("kind") == "bot")


def _of_bots(run: Run, level: str) -> Iterator[str]:
    facts = read_bot_facts(run.directory)
    for remark in bot_remarks(facts) if facts is not None else ():
        if remark.level == level:
            yield remark.text


def _training(run: Run) -> Iterator[str]:
    kept = sum(row["state"] == "kept" for row in run.models)
    if kept:
        yield f"{kept} of {len(run.models)} trainings failed, and an old model stayed in use"
    if any(row["train_until"] > row["use_from"] for row in run.models):
        yield "look-ahead: a model was made of candles later than its first use; its results know the future"


def _damage(run: Run) -> Iterator[str]:
    digests = run.digests()  # reads every file, so that cut-off ends are known
    yield from run.recovered
    if run.manifest.digest and digests.digest != run.manifest.digest:
        changed = [
            name for name, digest in digests.files.items() if digest != run.manifest.file_digests.get(name)
        ]
        yield (
            f"files are not as the run left them ({', '.join(sorted(changed)) or 'digest'}); "
            "figures are of what is there now"
        )


def _notes(run: Run, context: MarketContext | str, n_trades: int, n_days: int) -> Iterator[str]:
    yield from run.manifest.notes
    yield from _of_bots(run, "note")
    if not isinstance(context, str):
        yield from (note for note in context.prices.market.notes if note not in run.manifest.notes)
    if n_days < DAYS_MIN:
        what = "annual figures and those made of daily returns"
        yield f"{whole_days(n_days)} {'is' if n_days == 1 else 'are'} too short for {what}; {DAYS_MIN} are needed"
    if not run.fills:
        yield "the run has no fills: nothing was traded"
    elif n_trades < _TRADES_MIN:
        yield f"{n_trades} closed trades are few: win rate and profit factor say little below {_TRADES_MIN}"
    yield from _order_notes(run)


def _order_notes(run: Run) -> Iterator[str]:
    rejected = [order["reason"] for order in run.orders if order["state"] == "rejected"]
    if rejected:
        reasons = {reason: rejected.count(reason) for reason in sorted(set(map(str, rejected)))}
        listed = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
        yield f"{len(rejected)} of {len(run.orders)} orders were rejected: {listed}"
    partial = sum(fill["state"] == "partial" for fill in run.fills)
    if partial:
        share = f"{partial} of {len(run.fills)} fills"
        yield f"{share} were partial: orders were large for the volume that candles allow"
