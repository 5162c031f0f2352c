"""`replay verify RUN`: run it again and compare, from the front."""

from __future__ import annotations

import os
import shutil

import click

from orchestrator.config import load_settings
from orchestrator.errors import ConfigError, DivergedError
from orchestrator.home import home
from orchestrator.runs.comparison import compare_runs
from orchestrator.runs.layout import CONFIG_FILE
from orchestrator.runs.listing import find_run
from orchestrator.runs.reader import open_run
from orchestrator.runtime.plan import make_plan
from orchestrator.runtime.session import run_replay

__all__ = ["verify"]


@click.command()
@click.argument("run")
@click.option("--keep", is_flag=True, help="Keep the second run also when it is equal.")
def verify(run: str, keep: bool) -> int:
    """Run RUN again from its own configuration and compare the two, line by line.

    Exit status 0 if every result file is equal, 5 with the first difference if not.
    """
    here = home()
    directory = find_run(here.results, run)
    first = open_run(directory)
    if first.status != "complete":
        raise ConfigError(
            f"{directory.name} is {first.status}; only a complete run can be verified: start it again with "
            f"replay start --config {directory / CONFIG_FILE}"
        )
    again = here.data / "verify" / f"{directory.name}-{os.getpid()}"
    # As fast as it goes: what it was paced at cannot change a result.
    settings = load_settings(directory / CONFIG_FILE, {"speed": "max"})
    plan = make_plan(settings, here, again, is_retraining=True)  # a model that is copied proves nothing
    click.echo(f"running {directory.name} again in {again}", err=True)
    if plan.identity != first.manifest.identity:
        click.echo(
            "note: the configuration, code, components or data are not those that the run had; its identity differs",
            err=True,
        )
    result = run_replay(plan, environment=dict(os.environ), show=lambda _status: None)
    if result.status != "complete":
        click.echo(f"replay: {result.status}: {result.reason} (see {again})", err=True)
        return result.exit_status
    comparison = compare_runs(first, open_run(again))
    if not comparison.is_equal:
        raise DivergedError(
            f"{directory.name} diverged: {comparison.describe()}; the second run is kept in {again}"
        )
    if keep:
        click.echo(f"kept {again}", err=True)
    else:
        shutil.rmtree(again)
    click.echo(f"{directory.name}: equal, digest {result.digest}")
    return 0
