"""What run.json says of a run: its plan at the beginning, its components at the end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import msgspec

from orchestrator.runs.manifest import ComponentManifest, RunManifest
from orchestrator.runtime.plan import PlannedComponent, RunPlan
from orchestrator.runtime.supervisor import ComponentExited

__all__ = ["component_manifests", "first_manifest"]

_BYTES_PER_MB = 1_000_000


def first_manifest(plan: RunPlan, started_at: str) -> RunManifest:
    """Return what is known when a run begins.

    Parameters
    ----------
    plan
        The run.
    started_at
        Wall time, ISO 8601.
    """
    settings = plan.settings
    return RunManifest(
        status="running",
        seed=settings.seed,
        sim_start=_iso(settings.start_ns),
        sim_end=_iso(settings.end_ns),
        data_digest=plan.data_digest,
        code_version=plan.code_version,
        coins=plan.market.coins,
        timeframe=plan.market.timeframe,
        exchange=plan.market.exchange,
        execution=plan.execution.exchange,
        components=component_manifests(plan, {}),
        trainer_digest="" if plan.training is None else plan.training.digest,
        started_at=started_at,
        identity=plan.identity,
        notes=plan.notes,
    )


def component_manifests(plan: RunPlan, exits: Mapping[str, ComponentExited]) -> tuple[ComponentManifest, ...]:
    """Return what is known of each component, in declared order; how those in `exits` ended is part of it."""
    return tuple(_component_manifest(c, exits.get(c.settings.name)) for c in plan.components)


def _component_manifest(component: PlannedComponent, exited: ComponentExited | None) -> ComponentManifest:
    manifest = ComponentManifest(
        name=component.settings.name,
        stage=component.settings.stage,
        command=component.settings.command,
        digest=component.files.digest,
        notes=component.files.notes,
    )
    if exited is None:
        return manifest
    return msgspec.structs.replace(
        manifest,
        # A signal counts as its negative number, as Python's subprocess has it.
        exit_code=exited.exit_code if exited.exit_code is not None else -(exited.signal or 0),
        peak_memory_mb=round(exited.peak_memory_bytes / _BYTES_PER_MB, 1),
        cpu_seconds=round(exited.cpu_seconds, 3),
    )


def _iso(sim_time_ns: int) -> str:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=sim_time_ns // 1_000)
    return moment.isoformat()
