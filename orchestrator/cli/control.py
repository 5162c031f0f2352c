"""`replay control`: pause, resume, step, speed, stop a running replay."""

from __future__ import annotations

import click

from orchestrator.errors import ConfigError
from orchestrator.home import home
from orchestrator.runtime.control import ACTIONS
from orchestrator.runtime.live import find_live_run
from orchestrator.runtime.spectator import ask_control

__all__ = ["control"]


# A speed of -1 is a wrong value, not an unknown option.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("run")
@click.argument("action", type=click.Choice(ACTIONS))
@click.argument("value", required=False)
def control(run: str, action: str, value: str | None) -> int:
    """Pause, resume, step N ticks, change the speed of, or stop the replay RUN.

    \b
    replay control RUN pause | resume | step [N] | speed X|max | stop | status
    """  # noqa: D301 - click reads \b as "keep these lines"
    live = find_live_run(home().data, run)
    reply = ask_control(live, action, _number(action, value))
    if not reply.is_accepted:
        raise ConfigError(reply.message)
    status = reply.status
    click.echo(f"{live.run_id}: {reply.message} (sequence {status.sequence} of {status.sequences})")
    return 0


def _number(action: str, value: str | None) -> float | None:
    if value is None:
        if action == "speed":
            raise ConfigError("speed needs a value: replay control RUN speed 60, or speed max")
        return None
    if action not in ("step", "speed"):
        raise ConfigError(f"{action} takes no value, found {value!r}; only step and speed take one")
    if action == "speed" and value == "max":
        return None
    try:
        return float(value)
    except ValueError:
        raise ConfigError(f"{action} {value!r} is not a number; such as {action} 10") from None
