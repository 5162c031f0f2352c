"""`replay completion`: the line that makes a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from orchestrator.errors import ConfigError

__all__ = ["completion"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print the completion script of SHELL.

    \b
    eval "$(replay completion bash)"       # in ~/.bashrc
    """  # noqa: D301 - click reads \b as "keep these lines"
    completer = get_completion_class(shell)
    if completer is None:
        raise ConfigError(f"no completion for {shell}; bash, zsh and fish have one")
    root = ctx.find_root().command
    click.echo(completer(root, {}, "replay", "_REPLAY_COMPLETE").source())
    return 0
