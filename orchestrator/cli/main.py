"""`replay …`: finds the command, and turns errors into one line and an exit status."""

from __future__ import annotations

import difflib
import importlib
import signal
import sys
from typing import Any

import click

from orchestrator import __version__
from orchestrator.errors import ReplayError

__all__ = ["cli", "main"]

# Commands are imported when they are called: `replay --help` need not load a market.
_COMMANDS = {
    "demo": "orchestrator.cli.demo:demo",
    "new": "orchestrator.cli.new:new",
    "doctor": "orchestrator.cli.doctor:doctor",
    "pace": "orchestrator.cli.pace:pace",
    "start": "orchestrator.cli.start:start",
    "analyze": "orchestrator.cli.analyze:analyze",
    "data": "orchestrator.cli.data:data",
    "watch": "orchestrator.cli.watch:watch",
    "control": "orchestrator.cli.control:control",
    "runs": "orchestrator.cli.runs:runs",
    "explain": "orchestrator.cli.explain:explain",
    "verify": "orchestrator.cli.verify:verify",
    "calibrate": "orchestrator.cli.calibrate:calibrate_command",
    "completion": "orchestrator.cli.completion:completion",
}


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are needed, listed in the order above."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, name = place.split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            # click's own suggestions know only commands that are loaded.
            near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            if not near:
                raise
            raise click.UsageError(f"No such command {args[0]!r}; did you mean {near[0]}?", ctx) from None


@click.command(
    cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="replay")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Run the trading bots you deploy against history: their own processes, in simulated time."""
    # The flag is read in main(), which is where errors end.
    _ = debug


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        status: Any = cli.main(args=words, prog_name="replay", standalone_mode=False)
    except ReplayError as error:
        if "--debug" in words:
            raise
        click.echo(f"replay: {error}", err=True)
        sys.exit(error.exit_status)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except click.ClickException as error:
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "replay"
        click.echo(f"replay: {error.format_message()} (see `{command} --help`)", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("replay: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output has left (`replay runs list | head`); that is no error of ours.
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        if "--debug" in words:
            raise
        click.echo(
            f"replay: internal error {error!r}; run it again as `replay --debug …` and report what it shows",
            err=True,
        )
        sys.exit(1)
    if arguments is None:  # a process of its own, whose status is decided: Ctrl+C comes too late
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(status if isinstance(status, int) else 0)
